"use strict";
/* Ink: a style, for one scale, as tables with an entry for every level of a map; the same as isotherm.draw.ink.
   A style is {opacity, by_value, threshold, grey, lines, labels, peak, negative, unseen}, as in isotherm.draw.style.
   A scale is {low, high}. No function here touches the page. */
const Ink = (() => {
  /* How strong each level's value is: from 0 to 1, of signed maps from -1 to 1, in units of the end farther from 0. */
  function strengths(scale, signed, count) {
    const out = new Float64Array(count), { low, high } = scale;
    for (let i = 0; i < count; i++) {
      const t = i / (count - 1);
      out[i] = signed ? (low + t * (high - low)) / unit(scale) : t;
    }
    return out;
  }

  function unit(scale) {
    return Math.max(Math.abs(scale.low), Math.abs(scale.high));
  }

  function isEmpty(scale) {
    return !(scale.high > scale.low);
  }

  /* The value at a share of the scale. */
  function valueAt(share, scale, signed) {
    return signed ? share * unit(scale) : scale.low + share * (scale.high - scale.low);
  }

  /* Tables of a style. table: 3 bytes a level of a colour map; centred: 0 is in its middle; k: the numbers of opacity by
     value {starts_at, full_at, grey_at, unseen_opacity, unseen_grey}. Entry 0 is what the map does not cover. */
  function of(style, scale, { signed, table, centred, k }) {
    const count = table.length / 3, t = strengths(scale, signed, count);
    const colour = new Uint8Array(3 * (count + 1)).fill(128);
    const alpha = new Float64Array(count + 1), grey = new Float64Array(count + 1);
    const ramp = (size, end) => style.by_value ? Math.min(1, Math.max(0, (size - k.starts_at) / (end - k.starts_at))) : 1;
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

  function levelOf(value, scale, count) {
    if (value !== value || isEmpty(scale)) return 0;
    const level = Math.floor(((value - scale.low) / (scale.high - scale.low)) * (count - 1) + 1.5);
    return level < 1 ? 1 : level > count ? count : level;
  }

  /* Values into two layers of RGBA bytes: `veil` takes the picture's colours away where it is blended by "color", `heat`
     lies over it. */
  function lay(values, ink, scale, heat, veil) {
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

  /* The colour of a value as three numbers, whatever its opacity. */
  function colourAt(value, ink, scale) {
    const level = levelOf(value, scale, ink.count);
    return [...ink.colour.subarray(3 * level, 3 * level + 3)];
  }

  return { strengths, unit, isEmpty, valueAt, of, levelOf, lay, colourAt };
})();
if (typeof module !== "undefined") module.exports = Ink;
