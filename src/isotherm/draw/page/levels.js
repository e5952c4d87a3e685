/* Which level of a colour map every pixel gets, as isotherm.draw.blend has it: values in units of levels, interpolated,
   then cut to a whole number. Everything a graphics chip does as well is done here in its arithmetic, single precision,
   operation by operation, so that both draw the same pixels. No function here touches the page. */

import { axisAt, clamp, isUpright, nearestCell, sampleAt } from "./field.js";
import { isEmpty } from "./ink.js";

/** @import {Field, Part, Scale, Size} from "./types.js" */

/**
 * Pixels of an axis: the low cell, the share of the next one, the nearest cell, and whether the map speaks there at all.
 * @typedef {{low: Int32Array, share: Float32Array, nearest: Int32Array, inside: Uint8Array}} Axis
 */

/**
 * A map laid out for a raster. Upright maps have cells (in units of levels, 0 where there is no value) and two axes;
 * turned ones, and empty ones, the levels themselves.
 * @typedef {{size: Size, count: number, cells: Field | null, known: Uint8Array | null, x: Axis | null, y: Axis | null, levels: Uint16Array | null}} Layout
 */

const round = Math.fround;

const FAR = 1e30; // levels beyond this would leave single precision while they are interpolated

/**
 * @param {number} step @param {number} start cells per pixel, and the first pixel's edge in cells
 * @param {number} pixels @param {number} cells @param {number} low @param {number} high how far the map speaks
 * @returns {Axis}
 */
function axisOf(step, start, pixels, cells, low, high) {
  const axis = { low: new Int32Array(pixels), share: new Float32Array(pixels), nearest: new Int32Array(pixels), inside: new Uint8Array(pixels) };
  for (let i = 0; i < pixels; i++) {
    const at = (i + 0.5) * step + start;
    [axis.low[i], axis.share[i]] = axisAt(at, cells);
    axis.nearest[i] = nearestCell(at, cells);
    axis.inside[i] = Number(at >= low && at <= high);
  }
  return axis;
}

/**
 * Lay a map out for a raster over a part of its source picture.
 * @param {Field} field @param {Scale} scale @param {number} count of levels @param {Part} part @param {Size} size of the raster
 * @returns {Layout}
 */
export function layoutOf(field, scale, count, part, size) {
  /** @type {Layout} */
  const layout = { size, count, cells: null, known: null, x: null, y: null, levels: null };
  if (isEmpty(scale)) return { ...layout, levels: new Uint16Array(size.h * size.w) };
  const cells = inLevels(field, scale, count);
  if (!isUpright(field)) return { ...layout, levels: turned(cells, count, part, size) };
  const known = cells.values.some(Number.isNaN) ? Uint8Array.from(cells.values, (v) => Number(v === v)) : null;
  if (known) cells.values.forEach((v, i, all) => { if (v !== v) all[i] = 0; });
  const { m, limits, h, w } = field, perX = part.w / size.w, perY = part.h / size.h;
  const x = axisOf(m[0] * perX, m[0] * (part.x ?? 0) + m[2], size.w, w, limits[0], limits[2]);
  const y = axisOf(m[4] * perY, m[4] * (part.y ?? 0) + m[5], size.h, h, limits[1], limits[3]);
  return { ...layout, cells, known, x, y };
}

/** Values in units of levels, and half a level up, so that cutting rounds. @param {Field} field @param {Scale} scale @param {number} count @returns {Field} */
function inLevels(field, scale, count) {
  const { low, high } = scale, factor = (count - 1) / (high - low);
  const level = (/** @type {number} */ v) => ((v === Infinity ? high : v === -Infinity ? low : v) - low) * factor + 1.5;
  return { ...field, values: Float32Array.from(field.values, (v) => clamp(level(v), -FAR, FAR)) };
}

/** @param {number} value @param {number} count */
function cut(value, count) {
  return value < 1 ? 1 : value > count ? count : Math.floor(value);
}

/** @param {Field} cells @param {number} count @param {Part} part @param {Size} size */
function turned(cells, count, part, size) {
  const out = new Uint16Array(size.h * size.w), perX = part.w / size.w, perY = part.h / size.h;
  for (let r = 0, k = 0; r < size.h; r++) {
    for (let c = 0; c < size.w; c++, k++) {
      const value = sampleAt(cells, (part.x ?? 0) + (c + 0.5) * perX, (part.y ?? 0) + (r + 0.5) * perY);
      if (value === value) out[k] = cut(value, count);
    }
  }
  return out;
}

/**
 * The level of every pixel; 0 where the map has no value.
 * @param {Layout} layout
 */
export function levelsOf(layout) {
  const { levels, size, cells, known, x, y, count } = layout;
  if (levels || !cells || !x || !y) return levels ?? new Uint16Array(0);
  return known ? maskedLevels(cells, known, x, y, size, count) : plainLevels(cells, x, y, size, count);
}

/** @param {Field} cells @param {Axis} x @param {Axis} y @param {Size} size @param {number} count */
function plainLevels({ values, w, h }, x, y, size, count) {
  const out = new Uint16Array(size.h * size.w), next = w > 1 ? 1 : 0, below = h > 1 ? 1 : 0;
  let upper = new Float32Array(size.w), lower = new Float32Array(size.w), row = -1;
  const fill = (/** @type {Float32Array} */ strip, /** @type {number} */ at) => {
    for (let c = 0; c < size.w; c++) {
      const a = values[at * w + x.low[c]], b = values[at * w + x.low[c] + next];
      strip[c] = a + round(x.share[c] * round(b - a));
    }
  };
  for (let r = 0, k = 0; r < size.h; r++) {
    if (!y.inside[r]) { k += size.w; continue; }
    if (y.low[r] !== row) {
      row = y.low[r];
      fill(upper, row);
      fill(lower, row + below);
    }
    const share = y.share[r];
    for (let c = 0; c < size.w; c++, k++) {
      if (!x.inside[c]) continue;
      const value = round(upper[c] + round(share * round(lower[c] - upper[c])));
      out[k] = value < 1 ? 1 : value > count ? count : value;
    }
  }
  return out;
}

/** @param {Field} cells @param {Uint8Array} known @param {Axis} x @param {Axis} y @param {Size} size @param {number} count */
function maskedLevels({ values, w, h }, known, x, y, size, count) {
  const out = new Uint16Array(size.h * size.w), next = w > 1 ? 1 : 0, below = h > 1 ? w : 0;
  for (let r = 0, k = 0; r < size.h; r++) {
    const fy = y.share[r], gy = round(1 - fy), top = y.low[r] * w, near = y.nearest[r] * w;
    for (let c = 0; c < size.w; c++, k++) {
      if (!y.inside[r] || !x.inside[c] || !known[near + x.nearest[c]]) continue;
      const fx = x.share[c], gx = round(1 - fx), at = top + x.low[c];
      const a = round(round(gx * gy) * known[at]), b = round(round(fx * gy) * known[at + next]);
      const d = round(round(gx * fy) * known[at + below]), e = round(round(fx * fy) * known[at + below + next]);
      const sum = round(round(round(a * values[at]) + round(b * values[at + next])) + round(round(d * values[at + below]) + round(e * values[at + below + next])));
      const weight = round(round(a + b) + round(d + e));
      out[k] = cut(weight > 0 ? round(sum / weight) : 0, count);
    }
  }
  return out;
}
