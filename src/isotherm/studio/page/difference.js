/* One map less another one, and how several are laid out beside each other. Nothing here touches the page. */
import { fieldOf, rasterOf } from "../../draw/page/stage.js";
import { plainLabel } from "./names.js";

/** @typedef {import("../../draw/page/types.js").MapData} MapData */
/** @typedef {import("../../draw/page/types.js").Field} Field */
/** @typedef {import("../../draw/page/types.js").Size} Size */
/** @typedef {"own" | "plain"} Rule own: each map in units of its own largest magnitude; plain: the values as they are */
/** @typedef {{title: string, run: string, picture: any, map: any}} Entry */

const MOST_SIDE = 256; // of the raster on which maps with different cells are compared
const NOTHING = 2e-3; // of the largest value: values come with eleven bits, and what rounding leaves is no difference

/** Whether the numbers of two maps mean the same, so that one can be taken from the other as they are. @param {any} a @param {any} b */
export function sameUnits(a, b) {
  return a.kind === b.kind && (a.kind !== "relevance" || (a.method === b.method && String(a.layer) === String(b.layer)));
}

/** The largest finite magnitude; 1 where every value is 0 or none is finite. @param {Float32Array} values */
function magnitudeOf(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most && Number.isFinite(value)) most = Math.abs(value);
  return most || 1;
}

/** @param {Field} a @param {Field} b */
function sameCells(a, b) {
  return a.h === b.h && a.w === b.w && [...a.m, ...a.limits].every((value, i) => Math.abs(value - [...b.m, ...b.limits][i]) < 1e-9);
}

/**
 * The first map less the second, over the same picture: on their cells where these are the same, else on a raster. No value
 * where either has none. Its scale reaches as far below 0 as above it, and is empty where no more than rounding differs.
 * @param {MapData} a @param {MapData} b @param {Size} source @param {Rule} rule @returns {MapData}
 */
export function differenceOf(a, b, source, rule) {
  const [first, second] = [fieldOf(a), fieldOf(b)], unit = [first, second].map(({ values }) => (rule === "own" ? magnitudeOf(values) : 1));
  const alike = sameCells(first, second), step = Math.max(source.w, source.h) / MOST_SIDE;
  const h = alike ? first.h : Math.max(1, Math.round(source.h / step)), w = alike ? first.w : Math.max(1, Math.round(source.w / step));
  const read = (/** @type {Field} */ field, /** @type {MapData} */ map) => (alike ? field.values : rasterOf(field, h, w, source, map));
  const [left, right] = [read(first, a), read(second, b)], values = left.map((value, i) => value / unit[0] - right[i] / unit[1]);
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) values[i] = NaN;
  const largest = rule === "own" ? 1 : Math.max(magnitudeOf(first.values), magnitudeOf(second.values));
  const some = values.some((value) => Math.abs(value) > NOTHING * largest), most = some ? magnitudeOf(values) : 0;
  const place = alike ? { m: first.m, limits: first.limits } : { m: [w / source.w, 0, 0, 0, h / source.h, 0], limits: [0, 0, w, h] };
  return { label: `${a.label} less ${b.label}`, kind: "relevance", signed: true, silent: some ? "" : "no difference", low: -most, high: most, beyond: false, lowest: -most, h, w, ...place, type: "f4", unit: 1, box: null, values };
}

/** What maps can be told apart by. @type {Record<string, (entry: Entry) => string>} */
export const TRAITS = {
  picture: ({ picture }) => picture.name,
  model: ({ map }) => map.model ?? "",
  method: ({ map }) => map.method ?? "",
  layer: ({ map }) => [map.layer ?? ""].flat().join(", "),
  map: ({ map, title }) => plainLabel(map.label ?? "") || title,
};

/** The traits by which some entries differ, the one with the most values last. @param {Entry[]} entries */
export function differing(entries) {
  const count = (/** @type {string} */ name) => new Set(entries.map(TRAITS[name])).size;
  return Object.keys(TRAITS).filter((name) => count(name) > 1).sort((a, b) => count(a) - count(b));
}

/**
 * A table of entries: a row for each value of one trait, a column for each of another; what differs by neither shares a cell.
 * @param {Entry[]} entries @param {string} across a trait, or "" @param {string} down
 */
export function arranged(entries, across, down) {
  const values = (/** @type {string} */ trait) => (trait ? [...new Set(entries.map(TRAITS[trait]))] : [""]);
  const columns = values(across), rows = values(down);
  const at = (/** @type {string} */ row, /** @type {string} */ column) => entries.filter((entry) => (!down || TRAITS[down](entry) === row) && (!across || TRAITS[across](entry) === column));
  return { columns, rows, cells: rows.map((row) => columns.map((column) => at(row, column))) };
}

/**
 * How a grid begins: columns and rows by the two traits with the most values, unless most of its cells would be empty, as
 * where every picture has findings of its own; then each row has what there is, side by side.
 * @param {Entry[]} entries @returns {{across: string, down: string}}
 */
export function layoutOf(entries) {
  const [across = "", down = ""] = differing(entries).reverse(), cells = arranged(entries, across, down).cells.flat();
  return down && 2 * cells.filter((one) => one.length).length < cells.length ? { across: "", down } : { across, down };
}
