/* Painting without a graphics chip: the pixels are worked out here, and put on the canvas. */

import { levelsOf } from "./levels.js";
import { mixInto, pixelsOf, tintInto } from "./mix.js";

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
  /** @type {WeakMap<Layout, Uint16Array>} */
  const kept = new WeakMap();
  /** @type {WeakMap<HTMLCanvasElement, ImageData>} */
  const images = new WeakMap();
  return {
    name: "canvas",
    takes: () => true,
    paint(canvas, { picture, layout, table, tint }) {
      const levels = kept.get(layout) ?? levelsOf(layout);
      kept.set(layout, levels);
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      let image = images.get(canvas);
      if (image?.width !== canvas.width || image.height !== canvas.height) image = context.createImageData(canvas.width, canvas.height);
      images.set(canvas, image);
      const pixels = pixelsOf(image.data);
      mixInto(pixelsOf(picture.data), levels, table, pixels);
      if (tint) tintInto(pixels, pixelsOf(tint.data));
      context.putImageData(image, 0, 0);
    },
  };
}
