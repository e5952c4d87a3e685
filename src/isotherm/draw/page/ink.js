/* Ink: a style, for one scale, as tables with an entry for every level of a map; the same as isotherm.draw.colour.
   No function here touches the page. */

/** @import {Ink, Numbers, Scale, Style} from "./types.js" */

/**
 * How strong each level's value is: from 0 to 1, of signed maps from -1 to 1, in units of the end farther from 0.
 * @param {Scale} scale @param {boolean} signed @param {number} count
 */
export function strengths(scale, signed, count) {
  const out = new Float64Array(count), { low, high } = scale;
  for (let i = 0; i < count; i++) {
    const t = i / (count - 1);
    out[i] = signed ? (low + t * (high - low)) / unitOf(scale) : t;
  }
  return out;
}

/** @param {Scale} scale */
function unitOf(scale) {
  return Math.max(Math.abs(scale.low), Math.abs(scale.high));
}

/** @param {Scale} scale */
export function isEmpty(scale) {
  return !(scale.high > scale.low);
}

/** The value at a share of the scale. @param {number} share @param {Scale} scale @param {boolean} signed */
export function valueAt(share, scale, signed) {
  return signed ? share * unitOf(scale) : scale.low + share * (scale.high - scale.low);
}

/**
 * Tables of a style. table: 3 bytes a level of a colour map; centred: 0 is in its middle; k: the numbers of opacity by
 * value.
 * @param {Style} style @param {Scale} scale
 * @param {{signed: boolean, table: Uint8Array, centred: boolean, k: Numbers}} how
 * @returns {Ink}
 */
export function inkOf(style, scale, { signed, table, centred, k }) {
  const count = table.length / 3, t = strengths(scale, signed, count);
  const colour = new Uint8Array(3 * (count + 1)).fill(128);
  const alpha = new Float64Array(count + 1), grey = new Float64Array(count + 1);
  const ramp = (/** @type {number} */ size, /** @type {number} */ end) =>
    style.by_value ? Math.min(1, Math.max(0, (size - k.starts_at) / (end - k.starts_at))) : 1;
  for (let i = 0; i < count; i++) {
    const at = Math.round(Math.min(1, Math.max(0, centred ? (t[i] + 1) / 2 : t[i])) * (count - 1));
    for (let c = 0; c < 3; c++) colour[3 * (i + 1) + c] = table[3 * at + c];
    const size = Math.abs(t[i]);
    if (size < style.threshold || (t[i] < 0 && style.negative !== "fill")) continue;
    alpha[i + 1] = style.opacity * ramp(size, k.full_at);
    grey[i + 1] = style.grey ? ramp(size, k.grey_at) : 0;
  }
  if (style.unseen && !isEmpty(scale)) [alpha[0], grey[0]] = [k.unseen_opacity, k.unseen_grey];
  return { colour, alpha, grey, count };
}

/** @param {number} value @param {Scale} scale @param {number} count */
export function levelOf(value, scale, count) {
  if (value !== value || isEmpty(scale)) return 0;
  const level = Math.floor(((value - scale.low) / (scale.high - scale.low)) * (count - 1) + 1.5);
  return level < 1 ? 1 : level > count ? count : level;
}

/**
 * Values into two layers of RGBA bytes: `veil` takes the picture's colours away where it is blended by "color", `heat`
 * lies over it.
 * @param {Float32Array} values @param {Ink} ink @param {Scale} scale @param {Uint8ClampedArray} heat
 * @param {Uint8ClampedArray} [veil]
 */
export function layInk(values, ink, scale, heat, veil) {
  for (let i = 0, k = 0; i < values.length; i++, k += 4) {
    const level = levelOf(values[i], scale, ink.count);
    heat[k] = ink.colour[3 * level];
    heat[k + 1] = ink.colour[3 * level + 1];
    heat[k + 2] = ink.colour[3 * level + 2];
    heat[k + 3] = Math.round(255 * ink.alpha[level]);
    if (!veil) continue;
    veil[k] = veil[k + 1] = veil[k + 2] = 128;
    veil[k + 3] = Math.round(255 * ink.grey[level]);
  }
}

/** The colour of a value as three numbers, whatever its opacity. @param {number} value @param {Ink} ink @param {Scale} scale */
export function colourAt(value, ink, scale) {
  const level = levelOf(value, scale, ink.count);
  return [...ink.colour.subarray(3 * level, 3 * level + 3)];
}
