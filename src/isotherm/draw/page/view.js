/* Zooming and panning, as numbers: which part of a picture is shown. No function here touches the page. */

import { clamp } from "./field.js";

/** @import {Field, Part, Point, Size, View} from "./types.js" */

const STEP = 1.25;
const MOST = 512;

/** @param {Size} size @returns {View} */
export function wholeView(size) {
  return { x: size.w / 2, y: size.h / 2, scale: 1 };
}

/** The nearest view that shows nothing beside the picture. @param {View} view @param {Size} size @param {number} [most] @returns {View} */
export function keptWithin({ x, y, scale }, size, most = MOST) {
  const kept = clamp(scale, 1, most), w = size.w / kept / 2, h = size.h / kept / 2;
  return { x: clamp(x, w, size.w - w), y: clamp(y, h, size.h - h), scale: kept };
}

/** The part of the picture that a view shows. @param {View} view @param {Size} size @returns {Required<Part>} */
export function partOf({ x, y, scale }, size) {
  const w = size.w / scale, h = size.h / scale;
  return { x: x - w / 2, y: y - h / 2, w, h };
}

/** Zoom so that a place stays where it is on the screen. @param {View} view @param {Size} size @param {Point} place @param {number} factor @param {number} [most] @returns {View} */
export function zoomedAt(view, size, [px, py], factor, most = MOST) {
  const scale = clamp(view.scale * factor, 1, most), share = view.scale / scale;
  return keptWithin({ x: px + (view.x - px) * share, y: py + (view.y - py) * share, scale }, size, most);
}

/** @param {View} view @param {Size} size @param {number} dx @param {number} dy in source pixels @param {number} [most] @returns {View} */
export function pannedBy(view, size, dx, dy, most = MOST) {
  return keptWithin({ ...view, x: view.x + dx, y: view.y + dy }, size, most);
}

/** The view nearest to another one in which a place can be seen. @param {View} view @param {Size} size @param {Point} place @returns {View} */
export function showing(view, size, [px, py]) {
  const w = size.w / view.scale / 2, h = size.h / view.scale / 2;
  return keptWithin({ ...view, x: clamp(view.x, px - w, px + w), y: clamp(view.y, py - h, py + h) }, size);
}

/** How far zooming may go: until less than two cells fill the picture, and always as far as eight source pixels. @param {Field | null} field @param {Size} size */
export function mostScale(field, size) {
  const across = field ? Math.max(Math.hypot(field.m[0], field.m[3]) * size.w, Math.hypot(field.m[1], field.m[4]) * size.h) : 1;
  return clamp(Math.max(across / 1.5, Math.max(size.w, size.h) / 8), 2, MOST);
}

/** One step in or out, for a key, a button or a notch of the wheel. @param {number} steps */
export function zoomFactor(steps) {
  return STEP ** steps;
}

/** @param {View} a @param {View} b */
export function sameView(a, b) {
  return a.x === b.x && a.y === b.y && a.scale === b.scale;
}
