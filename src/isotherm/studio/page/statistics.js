/* A map in numbers: its values, how they are spread, how much of them lies in each box, and how it stands beside random maps. */
import { fieldOf, numberText } from "../../draw/page/stage.js";
import { histogramChart, tableOf } from "./chart.js";
import { el } from "./dom.js";
import { percentText } from "./judged.js";

const BINS = 32;

/** How many finite values lie between evenly spaced edges; null where there are none. @param {Float32Array} values @param {number} [bins] */
export function histogramOf(values, bins = BINS) {
  const finite = [...values].filter(Number.isFinite);
  if (!finite.length) return null;
  const low = finite.reduce((a, b) => Math.min(a, b)), high = finite.reduce((a, b) => Math.max(a, b)), step = (high - low) / bins || 1 / bins;
  const counts = new Array(bins).fill(0);
  for (const value of finite) counts[Math.min(bins - 1, Math.floor((value - low) / step))] += 1;
  return { counts, edges: Array.from({ length: bins + 1 }, (_, i) => low + i * step) };
}

/**
 * How evenly the positive values are spread, in nats: 0 where one cell has all, the logarithm of the number of cells where
 * each has the same; NaN where none is positive.
 * @param {Float32Array} values
 */
export function entropyOf(values) {
  const positive = [...values].filter((value) => value > 0 && Number.isFinite(value)), sum = positive.reduce((a, b) => a + b, 0);
  return positive.length ? -positive.reduce((all, value) => all + (value / sum) * Math.log(value / sum), 0) : NaN;
}

/** Facts of a map, each with its name and an explanation. @param {any} map @returns {[string, string, string][]} */
export function factsOf(map) {
  const { values } = fieldOf(map), known = map.statistics ?? {};
  const finite = [...values].filter(Number.isFinite), entropy = known.entropy_nats ?? entropyOf(values), [x, y] = known.peak_xy ?? [NaN, NaN];
  const ends = finite.length ? [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))] : [NaN, NaN];
  const least = known.min ?? ends[0], most = known.max ?? ends[1];
  return [
    ["Smallest and largest value", `${numberText(least)} to ${numberText(most)}`, ""],
    ["Sum", numberText(known.sum ?? finite.reduce((a, b) => a + b, 0)), "of all cells"],
    ["Peak", typeof x !== "number" || Number.isNaN(x) ? "none" : `${x.toFixed(1)}, ${y.toFixed(1)} px`, "the middle of the largest cell"],
    ["Entropy", entropyText(entropy, values.length), "how evenly the positive values are spread"],
    ["Cells", `${map.w} × ${map.h}`, finite.length < values.length ? `${values.length - finite.length} without a finite value` : ""],
  ];
}

/** @param {number} entropy @param {number} cells */
export function entropyText(entropy, cells) {
  if (!Number.isFinite(entropy)) return "no positive value";
  return `${entropy.toFixed(2)} nats, as if over ${numberText(Number(Math.exp(entropy).toPrecision(3)))} of ${cells} cells`;
}

/** @param {HTMLElement} root @param {any} map @param {any} picture */
export function showStatistics(root, map, picture) {
  const histogram = map.statistics?.histogram ?? histogramOf(fieldOf(map).values), masses = /** @type {(number | null)[]} */ (map.statistics?.mass_per_box ?? []);
  const facts = el("dl", { class: "facts-list" }, ...factsOf(map).flatMap(([name, value, note]) => [el("dt", { text: name }), el("dd", {}, value, note ? el("small", { text: ` ${note}` }) : null)]));
  root.replaceChildren(...[
    facts,
    histogram ? el("figure", {}, histogramChart(histogramName(histogram), "value of a cell", histogram.counts, histogram.edges), el("figcaption", { class: "hint", text: "Histogram: how many cells have which value." }), histogramTable(histogram)) : null,
    masses.length ? tableOf("Share of the positive values in each box", ["Box", "Share"], masses.map((mass, i) => [picture.labels[i] || `Box ${i + 1}`, percentText(mass)]), false) : null,
    el("p", { class: "hint", text: map.judgement || map.checking ? "Deletion and insertion stand under “Can this map be believed?”." : "Deletion and insertion were not measured for this map." }),
  ].filter((node) => node !== null));
}

/** @param {{counts: number[], edges: number[]}} histogram */
function histogramName({ counts, edges }) {
  const most = counts.indexOf(Math.max(...counts));
  return `Histogram of ${counts.reduce((a, b) => a + b, 0)} cells; most of them, ${counts[most]}, lie between ${numberText(edges[most])} and ${numberText(edges[most + 1])}.`;
}

/** @param {{counts: number[], edges: number[]}} histogram */
function histogramTable({ counts, edges }) {
  const rows = counts.map((count, i) => [`${numberText(edges[i])} to ${numberText(edges[i + 1])}`, count]).filter(([, count]) => count);
  return el("details", { class: "quiet" }, el("summary", {}, "The same as a table"), tableOf("Cells by value", ["Value", "Cells"], rows));
}
