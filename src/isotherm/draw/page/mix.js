/* From levels to pixels: a map's colours laid over the picture's, as isotherm.draw.blend and lines do. Tables are in single
   precision and lightness in whole numbers, as Pillow has it, so that a graphics chip comes to the same bytes.
   Pixels are read and written as 32 bits at once: red, green, blue and opacity from the lowest byte up.
   No function here touches the page. */

/** @import {Ink} from "./types.js" */

/**
 * What becomes of a pixel p of lightness Y at each level: own p + light Y + (red, green, blue), rounded by being cut. `rows`
 * has all five of a level beside each other, in this order: a pixel is mixed from one place of the memory, not from five.
 * @typedef {{red: Float32Array, green: Float32Array, blue: Float32Array, own: Float32Array, light: Float32Array, rows: Float32Array, clear: Uint8Array}} MixTable
 */

const single = Math.fround;

/** @param {Ink} ink @returns {MixTable} */
export function mixTable({ colour, alpha, grey, count }) {
  const table = (/** @type {(i: number) => number} */ of) => Float32Array.from({ length: count + 1 }, (_, i) => of(i));
  const channel = (/** @type {number} */ c) => table((i) => alpha[i] * colour[3 * i + c] + 0.5);
  const own = table((i) => (1 - alpha[i]) * (1 - grey[i])), light = table((i) => (1 - alpha[i]) * grey[i]);
  const [red, green, blue] = [channel(0), channel(1), channel(2)], columns = [own, light, red, green, blue];
  const rows = Float32Array.from({ length: columns.length * own.length }, (_, i) => columns[i % 5][Math.trunc(i / 5)]);
  return {
    red, green, blue, own, light, rows,
    clear: Uint8Array.from({ length: count + 1 }, (_, i) => Number(alpha[i] === 0 && grey[i] === 0)),
  };
}

/** The pixels of RGBA bytes, 32 bits each. @param {Uint8ClampedArray} bytes */
export function pixelsOf(bytes) {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** @param {number} r @param {number} g @param {number} b */
function lightness(r, g, b) {
  return (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16;
}

/**
 * Where something is in each row: the numbers of its first pixel and of the one after its last; equal where there is nothing.
 * @param {Uint16Array | Uint32Array} pixels @param {number} width @param {Uint8Array} [clear] by pixel, whether that is nothing; by default 0 is
 */
export function spansOf(pixels, width, clear) {
  const rows = pixels.length / width, spans = new Int32Array(2 * rows);
  const nothing = (/** @type {number} */ pixel) => (clear ? clear[pixel] === 1 : pixel === 0);
  for (let r = 0; r < rows; r++) {
    let start = r * width, end = start + width;
    while (start < end && nothing(pixels[start])) start++;
    while (end > start && nothing(pixels[end - 1])) end--;
    spans.set([start, end], 2 * r);
  }
  return spans;
}

/**
 * Mix a map into a picture's pixels, from one pixel to before another; by default all.
 * @param {Uint32Array} picture @param {Uint16Array} levels @param {MixTable} table @param {Uint32Array} out
 * @param {number} [start] @param {number} [end]
 */
export function mixInto(picture, levels, table, out, start = 0, end = levels.length) {
  const { rows } = table;
  for (let i = start; i < end; i++) {
    const at = 5 * levels[i], pixel = picture[i]; // a clear level's row gives the pixel itself
    const r = pixel & 255, g = (pixel >> 8) & 255, b = (pixel >> 16) & 255, share = rows[at];
    const y = single(rows[at + 1] * lightness(r, g, b));
    const mixedR = single(single(single(share * r) + y) + rows[at + 2]) | 0;
    const mixedG = single(single(single(share * g) + y) + rows[at + 3]) | 0;
    const mixedB = single(single(single(share * b) + y) + rows[at + 4]) | 0;
    out[i] = 0xff000000 | (mixedB << 16) | (mixedG << 8) | mixedR;
  }
}

/**
 * Give pixels the colour of what is drawn over them, and leave them their lightness; in place, from one pixel to before another.
 * @param {Uint32Array} out @param {Uint32Array} tint @param {number} [start] @param {number} [end]
 */
export function tintInto(out, tint, start = 0, end = out.length) {
  for (let i = start; i < end; i++) {
    if (!tint[i]) continue;
    const below = out[i], over = tint[i], a = over >>> 24, rest = 255 - a;
    const r = below & 255, g = (below >> 8) & 255, b = (below >> 16) & 255;
    const tr = over & 255, tg = (over >> 8) & 255, tb = (over >> 16) & 255;
    const lighter = lightness(r, g, b) - lightness(tr, tg, tb);
    const channel = (/** @type {number} */ old, /** @type {number} */ colour) =>
      Math.trunc((old * rest + Math.min(Math.max(colour + lighter, 0), 255) * a + 127) / 255);
    out[i] = 0xff000000 | (channel(b, tb) << 16) | (channel(g, tg) << 8) | channel(r, tr);
  }
}
