/* A picture and its map made ready for painting, at any size and for any part of the picture. What has not changed since the
   last time is taken from there. */

import { samplesAround } from "./contours.js";
import { contextOf, make } from "./dom.js";
import { sourceOf } from "./field.js";
import { layoutOf } from "./levels.js";
import { canvasPlace, drawMarks } from "./marks.js";
import { mixTable } from "./mix.js";

/** @import {Drawn} from "./drawn.js" */
/** @import {Context} from "./marks.js" */
/** @import {Sheet} from "./canvas.js" */
/** @import {Field, Numbers, Part, Size, Style} from "./types.js" */

/** What is drawn: the picture's pixels (null: none), on which ground, which part of it, and the map. @typedef {{image: HTMLImageElement | null, ground: string, source: Size, part: Required<Part>, drawn: Drawn}} Scene */

const FINE = 8; // pixels of the screen for one of the picture from which on they are shown as squares
const GRID = 22; // pixels for a cell from which on cells are outlined

export class Sheets {
  /** @param {HTMLCanvasElement} over where lines are drawn @param {Numbers} numbers */
  constructor(over, numbers) {
    this.over = over;
    this.numbers = numbers;
    this.tint = make("canvas");
    this.ground = make("canvas");
    /** @type {Record<string, {of: unknown[], made: any}>} */
    this.kept = {};
  }

  /** @template T @param {string} name @param {unknown[]} of what it follows from @param {() => T} makeIt @returns {T} */
  keep(name, of, makeIt) {
    const last = this.kept[name];
    if (last && last.of.every((value, i) => Object.is(value, of[i]))) return last.made;
    this.kept[name] = { of, made: makeIt() };
    return this.kept[name].made;
  }

  /** Let everything go. */
  forget() {
    this.kept = {};
    for (const canvas of [this.tint, this.ground]) Object.assign(canvas, { width: 1, height: 1 });
  }

  /** @param {Scene} scene @param {Size} size in pixels of the canvas @returns {Sheet} */
  sheetFor({ image, ground, source, part, drawn }, size) {
    const place = [part.x, part.y, part.w, part.h, size.w, size.h], { field, scale, signed, style, ink } = drawn;
    const ends = [field, scale.low, scale.high];
    const picture = this.keep("picture", [image, image?.src, ground, ...place], () => pictureOf(this.ground, image, ground, source, part, size));
    const layout = this.keep("layout", [...ends, ...place, ink.count], () => layoutOf(field, scale, ink.count, part, size));
    const table = this.keep("table", [ink], () => mixTable(ink));
    const tint = this.keep("marks", [...ends, ...place, lookOfMarks(style)], () => {
      for (const canvas of [this.over, this.tint]) if (canvas.width !== size.w || canvas.height !== size.h) Object.assign(canvas, { width: size.w, height: size.h });
      const over = contextOf(this.over), tints = contextOf(this.tint, { willReadFrequently: true });
      const samples = () => this.keep("samples", [...ends, ...place], () => samplesAround(field, part, source, scale, size));
      const tinted = drawMarks({ over, tint: tints }, { field, part, source, samples, scale, signed, style, ink, k: this.numbers });
      if (part.w < source.w) outlineCells(over, field, part, size);
      return tinted ? tints.getImageData(0, 0, size.w, size.h) : null;
    });
    return { picture, layout, table, tint };
  }
}

/** What of a style lines and marks follow from; its opacity only by being there. @param {Style} style */
function lookOfMarks(style) {
  return JSON.stringify([style.opacity > 0, style.opacity > 0 || [style.colormap, style.by_value, style.threshold], style.lines, style.labels, style.peak, style.negative, style.unseen]);
}

/**
 * The pixels of a part of a picture.
 * @param {HTMLCanvasElement} canvas @param {HTMLImageElement | null} image @param {string} ground @param {Size} source
 * @param {Required<Part>} part @param {Size} size
 */
export function pictureOf(canvas, image, ground, source, part, size) {
  if (canvas.width !== size.w || canvas.height !== size.h) Object.assign(canvas, { width: size.w, height: size.h });
  const context = contextOf(canvas, { willReadFrequently: true });
  context.fillStyle = ground;
  context.fillRect(0, 0, size.w, size.h);
  if (image) {
    const perX = image.naturalWidth / source.w, perY = image.naturalHeight / source.h;
    context.imageSmoothingEnabled = size.w < FINE * part.w * perX;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, part.x * perX, part.y * perY, part.w * perX, part.h * perY, 0, 0, size.w, size.h);
  }
  return context.getImageData(0, 0, size.w, size.h);
}

/** Thin lines between cells, where these are large enough to be told apart. @param {Context} over @param {Field} field @param {Required<Part>} part @param {Size} size */
function outlineCells(over, field, part, size) {
  const toCanvas = canvasPlace(part, size), perCell = (size.w / part.w) / Math.hypot(field.m[0], field.m[3]);
  if (perCell < GRID) return;
  over.save();
  over.beginPath();
  const line = (/** @type {[number, number]} */ a, /** @type {[number, number]} */ b) => {
    over.moveTo(...toCanvas(sourceOf(field, ...a)));
    over.lineTo(...toCanvas(sourceOf(field, ...b)));
  };
  for (let x = 0; x <= field.w; x++) line([x, 0], [x, field.h]);
  for (let y = 0; y <= field.h; y++) line([0, y], [field.w, y]);
  for (const [width, style] of /** @type {[number, string][]} */ ([[2, "rgb(17 24 39 / .28)"], [1, "rgb(255 255 255 / .5)"]])) {
    Object.assign(over, { lineWidth: width, strokeStyle: style });
    over.stroke();
  }
  over.restore();
}
