/* A map within boxes alone, each box by its own maximum: as isotherm.draw.renormalise. No function here touches the page. */

import { clamp, rasterOf } from "./field.js";

/** @import {Box, Field, Size} from "./types.js" */

const MOST_CELLS = 1 << 22; // of a larger picture every second pixel, or third, ... stands for those around it
const LARGEST = 3.4028234663852886e38; // what Python takes an infinity for

/**
 * From 0 to 1 in each box by the box's own maximum, 0 outside of all boxes; where boxes overlap the larger value counts.
 * @param {Field} field @param {Size} source @param {Box[]} boxes @returns {Field} with a cell for every source pixel
 */
export function renormalisedInBoxes(field, source, boxes) {
  const step = Math.ceil(Math.sqrt((source.h * source.w) / MOST_CELLS)), h = Math.ceil(source.h / step), w = Math.ceil(source.w / step);
  const values = rasterOf(field, h, w, { h: h * step, w: w * step }, { low: -LARGEST, high: LARGEST });
  const out = new Float32Array(h * w);
  for (const box of boxes) {
    // the first and the last pixel whose centre, at half a pixel, lies within
    const [left, top, right, bottom] = box.map((at, i) => clamp(Math.ceil(at / step - 0.5), 0, i % 2 ? h : w));
    let most = 0;
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) if (values[y * w + x] > most) most = values[y * w + x];
    if (!most) continue;
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x++) out[y * w + x] = Math.max(out[y * w + x], (values[y * w + x] || 0) / most);
  }
  return { values: out, h, w, m: [1 / step, 0, 0, 0, 1 / step, 0], limits: [0, 0, w, h] };
}
