/* Who paints: the graphics chip where there is one, else the canvas. Both put the same pixels there. */

import { canvasRenderer } from "./canvas.js";
import { glRenderer } from "./gl.js";

/** @import {Renderer, Sheet} from "./canvas.js" */

/** @type {Record<string, Renderer | null>} */
const made = {};

/** A browser without a graphics chip runs WebGL on the processor, which takes longer than painting there at once. */
const ON_PROCESSOR = /swiftshader|llvmpipe|software|basic render/i;

/** @param {string} name */
function rendererNamed(name) {
  if (!(name in made)) made[name] = name === "canvas" ? canvasRenderer() : glRenderer();
  return made[name];
}

/** @returns {string} */
function chipName() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return "software";
  const known = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(known ? known.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return name;
}

let best = "";

/**
 * Paint a sheet on a canvas.
 * @param {HTMLCanvasElement} canvas @param {Sheet} sheet
 * @param {string} [by] "webgl2" or "canvas"; left out: whichever is faster here
 * @returns {string} who painted
 */
export function paintSheet(canvas, sheet, by) {
  best ||= ON_PROCESSOR.test(chipName()) ? "canvas" : "webgl2";
  const chip = (by ?? best) === "webgl2" ? rendererNamed("webgl2") : null;
  const renderer = chip?.takes(sheet) ? chip : /** @type {Renderer} */ (rendererNamed("canvas"));
  renderer.paint(canvas, sheet);
  return renderer.name;
}
