"use strict";
/* Reading a map: the same arithmetic as isotherm.draw.levels, so that what is shown here is what a saved picture shows.
   A field is {values: Float32Array, h, w, m: [a, b, c, d, e, f]}: m takes source pixels (edge-origin) to cells.
   No function here touches the page, so all of them can be tested outside of one. */
const Field = (() => {
  function bytesOf(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  function halfToFloat(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  }

  /* Little-endian float32 ("f4"), or float16 ("f2") in units of `unit`. */
  function decode(base64, type, unit) {
    const bytes = bytesOf(base64), view = new DataView(bytes.buffer);
    const size = type === "f2" ? 2 : 4, out = new Float32Array(bytes.length / size);
    for (let i = 0; i < out.length; i++)
      out[i] = type === "f2" ? halfToFloat(view.getUint16(2 * i, true)) * unit : view.getFloat32(4 * i, true);
    return out;
  }

  /* A map of the page's data -> what the functions here read. limits: [x0, y0, x1, y1] in cells. */
  function read(map) {
    return { values: decode(map.data, map.type, map.unit), h: map.h, w: map.w, m: map.m, limits: map.limits };
  }

  /* Low cell and weight of the next one, for an edge-origin position on an axis of `length` cells. */
  function axis(position, length) {
    const index = Math.min(Math.max(position - 0.5, 0), length - 1);
    const low = Math.min(Math.floor(index), Math.max(length - 2, 0));
    return [low, index - low];
  }

  function nearest(position, length) {
    return Math.min(Math.max(Math.floor(position), 0), length - 1);
  }

  function cellOf(field, x, y) {
    const m = field.m;
    return [m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]];
  }

  /* The value at source pixel position (x, y): bilinear over the cells that have a value; NaN where the cell that
     holds the position has none, or no cell does. Infinities count as the ends of the scale {low, high}. */
  function sample(field, x, y, scale) {
    const [cx, cy] = cellOf(field, x, y);
    const { values, h, w, limits } = field;
    if (!(cx >= limits[0] && cx <= limits[2] && cy >= limits[1] && cy <= limits[3])) return NaN;
    if (Number.isNaN(values[nearest(cy, h) * w + nearest(cx, w)])) return NaN;
    const [x0, fx] = axis(cx, w), [y0, fy] = axis(cy, h);
    let sum = 0, weight = 0;
    for (let j = 0; j < 2; j++) {
      for (let i = 0; i < 2; i++) {
        const part = (i ? fx : 1 - fx) * (j ? fy : 1 - fy);
        if (!part) continue;
        let value = values[(y0 + j) * w + x0 + i];
        if (Number.isNaN(value)) continue;
        if (scale && value === Infinity) value = scale.high;
        if (scale && value === -Infinity) value = scale.low;
        sum += part * value;
        weight += part;
      }
    }
    return weight > 0 ? sum / weight : 0;
  }

  /* The values at the pixel centres of a raster (height x width) over the source picture. */
  function raster(field, height, width, source, scale) {
    const out = new Float32Array(height * width);
    const { values, h, w, m, limits } = field;
    const stepX = source.w / width, stepY = source.h / height;
    let plain = m[1] === 0 && m[3] === 0;
    for (let i = 0; plain && i < values.length; i++) plain = Number.isFinite(values[i]);
    if (!plain) {
      for (let r = 0, k = 0; r < height; r++)
        for (let c = 0; c < width; c++) out[k++] = sample(field, (c + 0.5) * stepX, (r + 0.5) * stepY, scale);
      return out;
    }
    const low = new Int32Array(width), part = new Float64Array(width), inside = new Uint8Array(width);
    const next = w > 1 ? 1 : 0, below = h > 1 ? w : 0;
    for (let c = 0; c < width; c++) {
      const x = m[0] * (c + 0.5) * stepX + m[2];
      [low[c], part[c]] = axis(x, w);
      inside[c] = x >= limits[0] && x <= limits[2];
    }
    for (let r = 0, k = 0; r < height; r++) {
      const y = m[4] * (r + 0.5) * stepY + m[5];
      const [y0, fy] = axis(y, h);
      const seen = y >= limits[1] && y <= limits[3];
      for (let c = 0; c < width; c++, k++) {
        if (!seen || !inside[c]) { out[k] = NaN; continue; }
        const at = y0 * w + low[c], f = part[c];
        const upper = values[at] + f * (values[at + next] - values[at]);
        const lower = values[at + below] + f * (values[at + below + next] - values[at + below]);
        out[k] = upper + fy * (lower - upper);
      }
    }
    return out;
  }

  /* As raster, but beyond the map's edge its outermost values go on; NaN only where no cell around has a value. */
  function edges(field, height, width, source, scale) {
    const held = { ...field, limits: [-Infinity, -Infinity, Infinity, Infinity] };
    return raster(held, height, width, source, scale);
  }

  /* One scale for several maps of one kind; as shared_scale does from the maps' own scales. `lowest` is a map's least value. */
  function share(maps, kind) {
    const drawn = maps.filter((m) => m.high > m.low);
    if (!drawn.length) return { low: 0, high: 0, beyond: false };
    const high = Math.max(...drawn.map((m) => m.high));
    if (kind === "logits") return { low: high - 8, high, beyond: false };
    const lowest = Math.min(0, ...maps.filter((m) => m.signed).map((m) => m.lowest));
    return { low: Math.max(lowest, -high), high, beyond: lowest < -high };
  }

  /* A number for a person: four digits, powers of ten for the very large and the very small. */
  function text(value) {
    if (Number.isNaN(value)) return "no value";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e5) return value.toExponential(3);
    return String(Number(value.toPrecision(4)));
  }

  return { bytesOf, decode, read, cellOf, sample, raster, edges, share, text };
})();
if (typeof module !== "undefined") module.exports = Field;
