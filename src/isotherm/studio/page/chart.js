/* Small charts as SVG, each with a table that says the same in numbers. */
import { numberText } from "../../draw/page/stage.js";
import { el } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";

/** @typedef {[number, number]} Point */
/** @typedef {{x: number, y: number, w: number, h: number}} Frame of the plotted area, in units of the drawing */

const FRAME = { x: 34, y: 8, w: 216, h: 116 };

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/**
 * Points of values from 0 to 1 across and between two values upwards -> a path within a frame.
 * @param {Point[]} points @param {Frame} frame @param {Point} range low and high, upwards
 */
export function pathOf(points, { x, y, w, h }, [low, high]) {
  const place = (/** @type {Point} */ [px, py]) => `${(x + px * w).toFixed(1)} ${(y + (1 - (py - low) / (high - low)) * h).toFixed(1)}`;
  return points.map((point, i) => `${i ? "L" : "M"}${place(point)}`).join("");
}

/** The values that an axis must hold, 0 and 1 among them. @param {number[]} values @returns {Point} */
export function axisRange(values) {
  return [Math.min(0, ...values), Math.max(1, ...values)];
}

/** Bars of counts within a frame. @param {number[]} counts @param {Frame} frame @returns {Frame[]} */
export function barsOf(counts, { x, y, w, h }) {
  const most = Math.max(1, ...counts), step = w / counts.length;
  return counts.map((count, i) => ({ x: x + i * step + 0.5, y: y + h * (1 - count / most), w: Math.max(step - 1, 0.5), h: (h * count) / most }));
}

/** A number short enough to stand beside an axis. @param {number} value */
export function axisText(value) {
  return Math.abs(value) < 100 && !Number.isInteger(value) ? value.toFixed(1) : numberText(value);
}

/** @param {string} name what the picture says, for those who do not see it @param {...Node} children */
function drawing(name, ...children) {
  return svg("svg", { viewBox: "0 0 260 152", class: "chart", role: "img", "aria-label": name }, ...children);
}

/** @param {string} below @param {Point} ends upwards @param {[string, string]} across words at the ends of the axis */
function axes(below, [low, high], [left, right]) {
  const { x, y, w, h } = FRAME, bottom = y + h;
  const text = (/** @type {string} */ words, /** @type {number} */ tx, /** @type {number} */ ty, /** @type {string} */ anchor) => svg("text", { x: tx, y: ty, "text-anchor": anchor }, words);
  return [svg("path", { class: "axis", d: `M${x} ${y}V${bottom}H${x + w}` }), text(axisText(high), x - 5, y + 9, "end"), text(axisText(low), x - 5, bottom, "end"),
    text(left, x, bottom + 12, "start"), text(right, x + w, bottom + 12, "end"), text(below, x + w / 2, bottom + 24, "middle")];
}

/**
 * Curves over a share from 0 to 1.
 * @param {string} name @param {string} below @param {{points: Point[], kind: string}[]} curves kind: a class
 */
export function curveChart(name, below, curves) {
  const range = axisRange(curves.flatMap(({ points }) => points.map(([, y]) => y)));
  return drawing(name, ...axes(below, range, ["0 %", "100 %"]), ...curves.map(({ points, kind }) => svg("path", { class: `curve ${kind}`, d: pathOf(points, FRAME, range) })));
}

/** @param {string} name @param {string} below @param {number[]} counts @param {number[]} edges one more than counts */
export function histogramChart(name, below, counts, edges) {
  return drawing(name, ...axes(below, [0, Math.max(1, ...counts)], [numberText(edges[0]), numberText(edges[edges.length - 1])]),
    ...barsOf(counts, FRAME).map(({ x, y, w, h }) => svg("rect", { class: "bin", x: x.toFixed(1), y: y.toFixed(1), width: w.toFixed(1), height: h.toFixed(1) })));
}

/**
 * A table with a caption; the first cell of each row names it.
 * @param {string} caption @param {string[]} heads @param {(string | number)[][]} rows @param {boolean} [own] whether the names of rows are the page's own words
 */
export function tableOf(caption, heads, rows, own = true) {
  return el("table", { class: "figures" }, el("caption", { text: caption }), el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col", text })))),
    el("tbody", {}, ...rows.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row", translate: own, text: name }), ...cells.map((text) => el("td", { class: "num", text }))))));
}
