/* What a style draws over a coloured map, as isotherm.draw.marks does: lines of equal value, the peak, the edge of what the
   model saw. `over` is a canvas's context; what is drawn into `tint` changes colours only, since it is mixed in so. */

/** @import {Samples} from "./contours.js" */
/** @import {Field, Ink, Line, Numbers, Part, Point, Scale, Size, Style} from "./types.js" */

import { linesAt, outward } from "./contours.js";
import { clamp, sourceOf } from "./field.js";
import { colourAt, isEmpty, valueAt } from "./ink.js";

const LIGHT = "rgb(255 255 255)";
const DARK = "rgb(17 24 39)";
const GREY = "rgb(128 128 128)";
const AGAINST = "rgb(45 212 160)";
const PEAK = "rgb(0 70 255)";

/** @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */

/**
 * @param {Context} context @param {Line[]} lines @param {number} width @param {string} colour @param {number} [opacity]
 * @param {number[]} [dash]
 */
function stroke(context, lines, width, colour, opacity = 1, dash = []) {
  context.save();
  Object.assign(context, { lineWidth: width, strokeStyle: colour, globalAlpha: opacity, lineJoin: "round", lineCap: "butt" });
  context.setLineDash(dash);
  context.beginPath();
  for (const line of lines) line.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.restore();
}

/**
 * A line over colours: only the half-maximum's stands out, and none hides what is inside of it.
 * @param {Context} over @param {Context} tint @param {Line[]} lines @param {number} share @param {number} width @param {Numbers} k
 */
function isoline(over, tint, lines, share, width, k) {
  if (share === 0.5) {
    stroke(over, lines.map((l) => outward(l, 1.25 * width + k.clear)), 0.7 * width, DARK, 0.8);
    stroke(over, lines.map((l) => outward(l, 0.5 * width + k.clear)), width, LIGHT);
  } else if (share < 0.5) {
    const outer = lines.map((l) => outward(l, 0.45 * width + k.clear));
    stroke(over, outer, 0.9 * width, DARK, 0.35);
    stroke(over, outer, 0.4 * width, LIGHT, 0.7);
  } else stroke(tint, lines, 0.6 * width, GREY);
}

/**
 * A line without colours below it, so it has that of its own value.
 * @param {Context} over @param {Line[]} lines @param {number} share @param {number} width @param {number[]} rgb
 */
function coloured(over, lines, share, width, rgb) {
  const core = share === 0.5 ? width : 0.6 * width;
  stroke(over, lines, core + 0.7 * width, DARK, 0.7);
  stroke(over, lines, core, share === 0.5 ? LIGHT : `rgb(${rgb.join(" ")})`);
}

/**
 * Where the largest cell's centre lies in source pixels; null where no single cell is the largest on the scale.
 * @param {Field} field @param {Scale} scale @returns {{value: number, place: Point} | null}
 */
export function peakOf(field, scale) {
  let top = -Infinity, at = -1, count = 0;
  field.values.forEach((raw, i) => {
    const value = Math.min(raw, scale.high);
    if (value > top) [top, at, count] = [value, i, 1];
    else if (value === top) count++;
  });
  if (count !== 1) return null;
  return { value: top, place: sourceOf(field, (at % field.w) + 0.5, Math.floor(at / field.w) + 0.5) };
}

/** @param {number} x @param {number} y @param {number} radius @returns {Line} */
function circle(x, y, radius) {
  return Array.from({ length: 49 }, (_, i) => [x + radius * Math.cos((i * Math.PI) / 24), y + radius * Math.sin((i * Math.PI) / 24)]);
}

/**
 * Source pixels -> pixels of a canvas that shows a part of the source.
 * @param {Part} part @param {Size} size @returns {(point: Point) => Point}
 */
export function canvasPlace(part, size) {
  const x0 = part.x ?? 0, y0 = part.y ?? 0;
  return ([x, y]) => [((x - x0) * size.w) / part.w, ((y - y0) * size.h) / part.h];
}

/**
 * The edge of what the map covers, where it lies within the picture.
 * @param {Context} over @param {Field} field @param {Size} source @param {(point: Point) => Point} toCanvas @param {number} width
 */
function edge(over, field, source, toCanvas, width) {
  const [x0, y0, x1, y1] = field.limits;
  const corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]].map(([x, y]) => toCanvas(sourceOf(field, x, y)));
  const first = toCanvas([0, 0]), last = toCanvas([source.w, source.h]);
  for (let i = 0; i < 4; i++) {
    const a = corners[i], b = corners[i + 1];
    const outer = [0, 1].some((d) =>
      (a[d] <= first[d] + 0.5 && b[d] <= first[d] + 0.5) || (a[d] >= last[d] - 0.5 && b[d] >= last[d] - 0.5));
    if (outer) continue;
    stroke(over, [[a, b]], 0.8 * width, DARK, 0.35, [2 * width, 2 * width]);
    stroke(over, [[a, b]], 0.4 * width, LIGHT, 0.6, [2 * width, 2 * width]);
  }
}

/**
 * As draw_marks in Python, on canvases that show a part of the source. Says whether something was drawn into `tint`.
 * @param {{over: Context, tint: Context}} canvases
 * @param {{field: Field, part: Part, source: Size, samples: () => Samples, scale: Scale, signed: boolean, style: Style, ink: Ink, k: Numbers}} map
 */
export function drawMarks({ over, tint }, { field, part, source, samples, scale, signed, style, ink, k }) {
  const size = { h: over.canvas.height, w: over.canvas.width }, toCanvas = canvasPlace(part, size);
  for (const context of [over, tint]) context.clearRect(0, 0, size.w, size.h);
  if (isEmpty(scale)) return false;
  const width = Math.max(1.5, k.line * Math.sqrt(size.h * size.w));
  let tinted = false;
  if (style.unseen) edge(over, field, source, toCanvas, width);
  if (signed && style.negative !== "none" && scale.low < 0) {
    const lines = linesAt(samples(), -valueAt(0.5, scale, true), true), dash = [3.5 * width, 2.5 * width];
    stroke(over, lines, 1.3 * width, DARK, 0.55, dash);
    stroke(over, lines, 0.7 * width, AGAINST, 1, dash);
  }
  for (const share of style.lines) {
    const level = valueAt(share, scale, signed), lines = linesAt(samples(), level);
    if (style.opacity) isoline(over, tint, lines, share, width, k);
    else coloured(over, lines, share, width, colourAt(level, ink, scale));
    tinted ||= style.opacity > 0 && share > 0.5 && lines.length > 0;
    if (style.labels && lines.length) label(over, lines.reduce((a, b) => (b.length > a.length ? b : a)), `${Math.round(100 * share)} %`, size);
  }
  const peak = style.peak ? peakOf(field, scale) : null;
  if (!peak || peak.value < valueAt(0.1, scale, signed)) return tinted;
  const radius = 3.2 * width, [px, py] = toCanvas(peak.place);
  if (px < -radius || py < -radius || px > size.w + radius || py > size.h + radius) return tinted;
  const x = clamp(px, radius, size.w - radius), y = clamp(py, radius, size.h - radius);
  const rings = [circle(x, y, radius), circle(x, y, 0.5 * width)];
  if (style.opacity) stroke(tint, rings, 1.4 * width, PEAK);
  else { stroke(over, rings, 1.5 * width, DARK); stroke(over, rings, 0.8 * width, LIGHT); }
  return tinted || style.opacity > 0;
}

/**
 * A share in small letters on its line, at the place that is farthest from the border.
 * @param {Context} over @param {Line} line @param {string} text @param {Size} size
 */
function label(over, line, text, size) {
  const room = (/** @type {Point} */ [x, y]) => Math.min(x, y, size.w - x, size.h - y);
  const [x, y] = line.reduce((a, b) => (room(b) > room(a) ? b : a));
  const px = Math.max(11, 0.026 * Math.sqrt(size.w * size.h));
  over.save();
  Object.assign(over, { font: `${px}px sans-serif`, textAlign: "center", textBaseline: "middle", lineWidth: px / 3.5, strokeStyle: DARK, fillStyle: LIGHT, lineJoin: "round" });
  over.strokeText(text, x, y);
  over.fillText(text, x, y);
  over.restore();
}
