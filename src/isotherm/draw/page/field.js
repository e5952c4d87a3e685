/* Reading a map: the same arithmetic as isotherm.draw.blend, so that what is shown here is what a saved picture shows.
   No function here touches the page, so all of them can be tested outside of one. */

/** @import {Field, MapData, Part, Point, Scale} from "./types.js" */

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** @param {string} base64 */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** @param {number} bits */
function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/**
 * Little-endian float32 ("f4"), or float16 ("f2") in units of `unit`.
 * @param {Uint8Array} bytes @param {string} type @param {number} unit
 */
export function decodeValues(bytes, type, unit) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = type === "f2" ? 2 : 4, out = new Float32Array(bytes.length / size);
  for (let i = 0; i < out.length; i++)
    out[i] = type === "f2" ? halfToFloat(view.getUint16(2 * i, true)) * unit : view.getFloat32(4 * i, true);
  return out;
}

/**
 * The field of a map of the page's data; what was text is let go.
 * @param {MapData} map @returns {Field}
 */
export function fieldOf(map) {
  if (!map.field) {
    const values = map.values ?? decodeValues(bytesOf(map.data ?? ""), map.type, map.unit);
    map.field = { values, h: map.h, w: map.w, m: map.m, limits: map.limits };
    map.data = null;
  }
  return map.field;
}

/**
 * Low cell and weight of the next one, for an edge-origin position on an axis of `length` cells.
 * @param {number} position @param {number} length @returns {Point}
 */
export function axisAt(position, length) {
  const index = clamp(position - 0.5, 0, length - 1);
  const low = Math.min(Math.floor(index), Math.max(length - 2, 0));
  return [low, index - low];
}

/** @param {number} position @param {number} length */
export function nearestCell(position, length) {
  return clamp(Math.floor(position), 0, length - 1);
}

/** Source pixels -> cells. @param {{m: number[]}} field @param {number} x @param {number} y @returns {Point} */
export function cellOf({ m }, x, y) {
  return [m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]];
}

/** Cells -> source pixels. @param {{m: number[]}} field @param {number} x @param {number} y @returns {Point} */
export function sourceOf({ m: [a, b, c, d, e, f] }, x, y) {
  const det = a * e - b * d;
  return [(e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det];
}

/**
 * The value at source pixel position (x, y): bilinear over the cells that have a value; NaN where the cell that
 * holds the position has none, or no cell does. Infinities count as the ends of the scale.
 * @param {Field} field @param {number} x @param {number} y @param {Scale} [scale]
 */
export function sampleAt(field, x, y, scale) {
  const [cx, cy] = cellOf(field, x, y);
  const { values, h, w, limits } = field;
  if (!(cx >= limits[0] && cx <= limits[2] && cy >= limits[1] && cy <= limits[3])) return NaN;
  if (Number.isNaN(values[nearestCell(cy, h) * w + nearestCell(cx, w)])) return NaN;
  const [x0, fx] = axisAt(cx, w), [y0, fy] = axisAt(cy, h);
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

/** Whether rows and columns can be interpolated apart. @param {Field} field */
export function isUpright({ m }) {
  return m[1] === 0 && m[3] === 0;
}

/**
 * The values at the pixel centres of a raster (height x width) over a part of the source picture.
 * @param {Field} field @param {number} height @param {number} width @param {Part} part @param {Scale} [scale]
 */
export function rasterOf(field, height, width, part, scale) {
  const out = new Float32Array(height * width);
  const { values, h, w, m, limits } = field;
  const stepX = part.w / width, stepY = part.h / height, left = part.x ?? 0, top = part.y ?? 0;
  if (!isUpright(field) || !values.every(Number.isFinite)) {
    for (let r = 0, k = 0; r < height; r++)
      for (let c = 0; c < width; c++) out[k++] = sampleAt(field, left + (c + 0.5) * stepX, top + (r + 0.5) * stepY, scale);
    return out;
  }
  const low = new Int32Array(width), share = new Float64Array(width), inside = new Uint8Array(width);
  const next = w > 1 ? 1 : 0, below = h > 1 ? w : 0;
  for (let c = 0; c < width; c++) {
    const x = m[0] * (left + (c + 0.5) * stepX) + m[2];
    [low[c], share[c]] = axisAt(x, w);
    inside[c] = Number(x >= limits[0] && x <= limits[2]);
  }
  for (let r = 0, k = 0; r < height; r++) {
    const y = m[4] * (top + (r + 0.5) * stepY) + m[5];
    const [y0, fy] = axisAt(y, h);
    const seen = y >= limits[1] && y <= limits[3];
    for (let c = 0; c < width; c++, k++) {
      if (!seen || !inside[c]) { out[k] = NaN; continue; }
      const at = y0 * w + low[c], f = share[c];
      const upper = values[at] + f * (values[at + next] - values[at]);
      const lower = values[at + below] + f * (values[at + below + next] - values[at + below]);
      out[k] = upper + fy * (lower - upper);
    }
  }
  return out;
}

/**
 * As rasterOf, but beyond the map's edge its outermost values go on; NaN only where no cell around has a value.
 * @param {Field} field @param {number} height @param {number} width @param {Part} part @param {Scale} [scale]
 */
export function edgesOf(field, height, width, part, scale) {
  const held = { ...field, limits: [-Infinity, -Infinity, Infinity, Infinity] };
  return rasterOf(held, height, width, part, scale);
}

/**
 * One scale for several maps of one kind; as shared_scale does from the maps' own scales.
 * @param {(Scale & {signed?: boolean, lowest?: number})[]} maps `lowest` is a map's least value @param {string} kind
 * @returns {Scale}
 */
export function sharedScale(maps, kind) {
  const drawn = maps.filter((m) => m.high > m.low);
  if (!drawn.length) return { low: 0, high: 0, beyond: false };
  const high = Math.max(...drawn.map((m) => m.high));
  if (kind === "logits") return { low: high - 8, high, beyond: false };
  const lowest = Math.min(0, ...maps.filter((m) => m.signed).map((m) => m.lowest ?? 0));
  return { low: Math.max(lowest, -high), high, beyond: lowest < -high };
}

/** A number for a person: four digits, powers of ten for the very large and the very small. @param {number} value */
export function numberText(value) {
  if (Number.isNaN(value)) return "no value";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(3);
  return String(Number(value.toPrecision(4)));
}
