/* Painting without a graphics chip: the pixels are worked out here, and put on the canvas. */

import { levelsOf } from "./levels.js";
import { mixInto, pixelsOf, spansOf, tintInto } from "./mix.js";

/** @import {Layout} from "./levels.js" */
/** @import {MixTable} from "./mix.js" */

/**
 * All that a picture with its map is painted from. Parts are never changed, only replaced: a renderer keeps what it made
 * of one for as long as it is the same.
 * @typedef {{picture: ImageData, layout: Layout, table: MixTable, tint: ImageData | null}} Sheet
 */

/**
 * Puts sheets on canvases, those that it can take.
 * @typedef {{name: string, takes(sheet: Sheet): boolean, paint(canvas: HTMLCanvasElement, sheet: Sheet): void}} Renderer
 */

/** @returns {Renderer} */
export function canvasRenderer() {
  /** @type {WeakMap<Layout, {levels: Uint16Array, clear: Uint8Array, spans: Int32Array}>} */
  const kept = new WeakMap();
  /** @type {WeakMap<ImageData, Int32Array>} */
  const tinted = new WeakMap();
  /** @type {ImageData | undefined} one for all, since putting it on a canvas copies it */
  let image;

  /** The levels of a map, and where they change the picture. @param {Layout} layout @param {Uint8Array} clear by level */
  const known = (layout, clear) => {
    const last = kept.get(layout);
    if (last && last.clear.every((value, i) => value === clear[i])) return last;
    const levels = last?.levels ?? levelsOf(layout), made = { levels, clear, spans: spansOf(levels, layout.size.w, clear) };
    kept.set(layout, made);
    return made;
  };

  /** @param {ImageData} tint */
  const spansOfTint = (tint) => {
    const spans = tinted.get(tint) ?? spansOf(pixelsOf(tint.data), tint.width);
    tinted.set(tint, spans);
    return spans;
  };

  return {
    name: "canvas",
    takes: () => true,
    paint(canvas, { picture, layout, table, tint }) {
      const { levels, spans } = known(layout, table.clear);
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      if (image?.width !== canvas.width || image.height !== canvas.height) image = context.createImageData(canvas.width, canvas.height);
      const pixels = pixelsOf(image.data), below = pixelsOf(picture.data);
      pixels.set(below);
      for (let i = 0; i < spans.length; i += 2) mixInto(below, levels, table, pixels, spans[i], spans[i + 1]);
      if (tint) {
        const over = pixelsOf(tint.data), places = spansOfTint(tint);
        for (let i = 0; i < places.length; i += 2) tintInto(pixels, over, places[i], places[i + 1]);
      }
      context.putImageData(image, 0, 0);
    },
  };
}
