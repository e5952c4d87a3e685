/* Lines of equal value, as isotherm.draw.lines has them: closed lines, with what they enclose on their right as the
   page is seen. No function here touches the page. */

/** @import {Field, Line, Part, Point, Scale, Size} from "./types.js" */
/** @typedef {{h: number, w: number, size: Size, left: number, top: number, values: Float32Array, known: Float32Array}} Samples */

import { clamp, edgesOf, rasterOf } from "./field.js";

const MOST_SAMPLES = 400; // along the longer side: between cells a map is bilinear, more would show nothing more

const BEYOND = 0.06; // of a part's sides: lines close along its ends, which must not be seen where the picture goes on

/**
 * A map sampled over a part of a picture. size: of the canvas that shows the part, in whose pixels lines come.
 * @param {Field} field @param {Part} part @param {Size} source @param {Scale} scale @param {Size} size
 */
export function samplesAround(field, part, source, scale, size) {
  const x = part.x ?? 0, y = part.y ?? 0, perX = size.w / part.w, perY = size.h / part.h;
  const x0 = Math.max(0, x - BEYOND * part.w), x1 = Math.min(source.w, x + (1 + BEYOND) * part.w);
  const y0 = Math.max(0, y - BEYOND * part.h), y1 = Math.min(source.h, y + (1 + BEYOND) * part.h);
  const around = { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
  const samples = samplesOf(field, around, scale, { w: around.w * perX, h: around.h * perY });
  return { ...samples, left: (x - x0) * perX, top: (y - y0) * perY };
}

/**
 * A map sampled over a part of its source. size: of the canvas in whose pixels lines come.
 * @param {Field} field @param {Part} part @param {Scale} scale @param {Size} size @returns {Samples}
 */
export function samplesOf(field, part, scale, size) {
  const factor = Math.min(1, MOST_SAMPLES / Math.max(size.h, size.w));
  const h = Math.max(2, Math.round(size.h * factor)), w = Math.max(2, Math.round(size.w * factor));
  const known = rasterOf(field, h, w, part, scale);
  return { h, w, size, left: 0, top: 0, values: edgesOf(field, h, w, part, scale), known };
}

/**
 * The closed lines around everything that is at least `level` (below: at most).
 * @param {Samples} of @param {number} level @param {boolean} [below] @returns {Line[]}
 */
export function linesAt(of, level, below = false) {
  const { h, w, size, left, top } = of, width = w + 2, sign = below ? -1 : 1, at = sign * level;
  const z = new Float64Array((h + 2) * width);
  for (let r = 0, k = 0; r < h + 2; r++) {
    for (let c = 0; c < width; c++, k++) {
      const i = clamp(r - 1, 0, h - 1) * w + clamp(c - 1, 0, w - 1), value = sign * of.values[i];
      const inner = r > 0 && c > 0 && r <= h && c <= w && of.known[i] === of.known[i];
      // mirrored at the level outside of what is known, so that the line stands half-way between the samples
      z[k] = inner ? value : value !== value ? at - 1 : Math.min(value, 2 * at - value);
    }
  }
  return follow(segments(z, h + 2, width, at)).map((line) =>
    line.map(([x, y]) => [clamp(((x - 0.5) * size.w) / w, 0, size.w) - left, clamp(((y - 0.5) * size.h) / h, 0, size.h) - top]));
}

/**
 * Marching squares. Sides of squares are numbered: 2 k is the side from sample k to the one on its right, 2 k + 1 to the
 * one below. From each side that a line leaves to the next one: side -> [next side, place on this side].
 * @param {Float64Array} z @param {number} h @param {number} w @param {number} at @returns {Map<number, [number, Point]>}
 */
function segments(z, h, w, at) {
  const next = new Map();
  const place = (/** @type {number} */ k, /** @type {number} */ other) => {
    const t = z[other] === z[k] ? 0.5 : (at - z[k]) / (z[other] - z[k]);
    const x = k % w, y = Math.floor(k / w);
    return /** @type {Point} */ (other === k + 1 ? [x + t, y] : [x, y + t]);
  };
  for (let r = 0; r + 1 < h; r++) {
    for (let c = 0; c + 1 < w; c++) {
      const k = r * w + c, inside = [z[k] >= at, z[k + 1] >= at, z[k + w + 1] >= at, z[k + w] >= at];
      if (inside[0] === inside[1] && inside[1] === inside[2] && inside[2] === inside[3]) continue;
      const sides = [2 * k, 2 * (k + 1) + 1, 2 * (k + w), 2 * k + 1];
      const ends = [[k, k + 1], [k + 1, k + w + 1], [k + w, k + w + 1], [k, k + w]];
      const leaves = [0, 1, 2, 3].filter((i) => inside[i] && !inside[(i + 1) % 4]);
      const enters = [0, 1, 2, 3].filter((i) => !inside[i] && inside[(i + 1) % 4]);
      const joined = leaves.length === 2 && (z[k] + z[k + 1] + z[k + w] + z[k + w + 1]) / 4 >= at;
      for (const from of leaves) {
        // where two corners face each other, what lies between decides which sides belong together
        const to = leaves.length === 1 ? enters[0] : (from + (joined ? 1 : 3)) % 4;
        next.set(sides[from], [sides[to], place(ends[from][0], ends[from][1])]);
      }
    }
  }
  return next;
}

/** The lines that sides make one after another. @param {Map<number, [number, Point]>} next */
function follow(next) {
  /** @type {Line[]} */
  const lines = [];
  for (const start of next.keys()) {
    /** @type {Line} */
    const line = [];
    for (let side = start, step = next.get(side); step; step = next.get(side)) {
      next.delete(side);
      line.push(step[1]);
      side = step[0];
    }
    if (line.length > 1) lines.push([...line, line[0]]);
  }
  return lines;
}

/**
 * The closed line moved away from what it encloses, by so many pixels.
 * @param {Line} line @param {number} distance @returns {Line}
 */
export function outward(line, distance) {
  const n = line.length - 1;
  /** @type {Line} */
  const moved = [];
  for (let i = 0; i < n; i++) {
    const a = line[(i + n - 1) % n], b = line[(i + 1) % n], dx = b[0] - a[0], dy = b[1] - a[1], size = Math.hypot(dx, dy) || 1;
    moved.push([line[i][0] + (distance * dy) / size, line[i][1] - (distance * dx) / size]);
  }
  return [...moved, moved[0]];
}
