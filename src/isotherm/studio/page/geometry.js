/* Drawn marks in picture coordinates: what they are, and the lines that they are drawn with. Nothing here touches the page. */

/**
 * A mark of a picture of a run. points: [x, y] in picture pixels; two of an arrow (tail, head) and a box (corners), one
 * of a text, many of a line by free hand.
 * @typedef {{picture: number, kind: "arrow" | "box" | "free" | "text", points: number[][], text?: string}} Mark
 */

/** The kinds of marks, with what to do to draw one. */
export const KINDS = /** @type {[Mark["kind"], string, string][]} */ ([
  ["arrow", "Arrow", "Drag from its tail to its head."], ["box", "Box", "Drag from corner to corner."],
  ["free", "Free hand", "Drag along the line."], ["text", "Text", "Write it, then press where it belongs."],
]);

/**
 * Marks as the studio kept them; what is none is left out, since a script may have written anything there.
 * @param {unknown} marks
 * @returns {Mark[]}
 */
export function marksOf(marks) {
  return Array.isArray(marks) ? marks.filter(isMark) : [];
}

/** @param {any} mark @returns {mark is Mark} */
function isMark(mark) {
  const points = mark?.points, least = /** @type {Record<string, number>} */ ({ arrow: 2, box: 2, free: 2, text: 1 })[mark?.kind];
  return Number.isInteger(mark?.picture) && least !== undefined && Array.isArray(points) && points.length >= least
    && points.every((/** @type {any} */ point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite)) && (mark.kind !== "text" || typeof mark.text === "string");
}

/**
 * The two strokes of an arrow's head, so long on the screen whatever the zoom.
 * @param {number[]} tail
 * @param {number[]} head
 * @param {number} size
 * @returns {number[][]} end of one stroke, the head, end of the other
 */
export function arrowHead(tail, head, size) {
  const angle = Math.atan2(head[1] - tail[1], head[0] - tail[0]), spread = Math.PI / 7;
  const end = (/** @type {number} */ turn) => [head[0] - size * Math.cos(angle + turn), head[1] - size * Math.sin(angle + turn)];
  return [end(spread), head, end(-spread)];
}

/**
 * The lines of a mark on the screen.
 * @param {Mark} mark
 * @param {(point: number[]) => number[]} place picture pixels -> screen
 * @returns {number[][][]}
 */
export function linesOf(mark, place) {
  const points = mark.points.map(place);
  if (mark.kind === "arrow") return [[points[0], points[1]], arrowHead(points[0], points[1], 13)];
  if (mark.kind === "box") {
    const [[x0, y0], [x1, y1]] = points;
    return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]];
  }
  return mark.kind === "free" ? [points] : [];
}

/**
 * A line with fewer points that stays as near to it as the tolerance (Douglas and Peucker, 1973).
 * @param {number[][]} points
 * @param {number} tolerance
 * @returns {number[][]}
 */
export function simpler(points, tolerance) {
  if (points.length < 3) return points;
  const first = points[0], last = points[points.length - 1];
  let far = 0, at = 0;
  for (let i = 1; i < points.length - 1; i++) {
    const distance = distanceTo(points[i], first, last);
    if (distance > far) [far, at] = [distance, i];
  }
  if (far <= tolerance) return [first, last];
  return [...simpler(points.slice(0, at + 1), tolerance).slice(0, -1), ...simpler(points.slice(at), tolerance)];
}

/** From a point to the line between two others. @param {number[]} point @param {number[]} a @param {number[]} b */
function distanceTo(point, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]], square = dx * dx + dy * dy;
  const t = square ? Math.min(1, Math.max(0, ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / square)) : 0;
  return Math.hypot(point[0] - a[0] - t * dx, point[1] - a[1] - t * dy);
}

/** A point inside of the picture, to a tenth of a pixel. @param {{x: number, y: number}} point @param {{w: number, h: number}} size */
export function within({ x, y }, { w, h }) {
  return [[x, w], [y, h]].map(([value, most]) => Math.round(10 * Math.min(Math.max(value, 0), most)) / 10);
}
