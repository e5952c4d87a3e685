/* Figures, charts and comparisons of the studio's viewer, as numbers. */
import assert from "node:assert/strict";
import test from "node:test";

import { axisRange, axisText, barsOf, pathOf } from "../../src/isotherm/studio/page/chart.js";
import { arranged, differenceOf, differing, layoutOf, sameUnits } from "../../src/isotherm/studio/page/difference.js";
import { csvOf } from "../../src/isotherm/studio/page/readings.js";
import { entropyOf, entropyText, factsOf, histogramOf } from "../../src/isotherm/studio/page/statistics.js";
import { besideText, meaningOf, percentText, verdictLine, whyNotJudged, gainOf, gainText } from "../../src/isotherm/studio/page/judged.js";
import { figureRows, weightsText, gainCurves } from "../../src/isotherm/studio/page/verdict.js";

const FRAME = { x: 10, y: 0, w: 100, h: 50 };
const SOURCE = { h: 2, w: 4 };

function map(rows, changes = {}) {
  const h = rows.length, w = rows[0].length;
  return { label: "a", kind: "relevance", signed: false, silent: "", low: 0, high: Math.max(...rows.flat()), lowest: 0, h, w, m: [w / SOURCE.w, 0, 0, 0, h / SOURCE.h, 0], limits: [0, 0, w, h], type: "f4", unit: 1, values: Float32Array.from(rows.flat()), ...changes };
}

test("a curve runs from the lower left of its frame to the upper right", () => {
  assert.equal(pathOf([[0, 0], [0.5, 1], [1, 0.5]], FRAME, [0, 1]), "M10.0 50.0L60.0 0.0L110.0 25.0");
  assert.deepEqual(axisRange([0.2, 1.3, -0.1]), [-0.1, 1.3]);
  assert.deepEqual(axisRange([]), [0, 1]);
  assert.deepEqual([0, 1, -0.5806, 906, 0.216].map(axisText), ["0", "1", "-0.6", "906", "0.2"]);
});

test("bars are as high as their counts", () => {
  assert.deepEqual(barsOf([0, 1, 2], { x: 0, y: 0, w: 30, h: 10 }).map(({ y, h }) => [y, h]), [[10, 0], [5, 5], [0, 10]]);
});

test("a histogram counts finite cells, the largest too", () => {
  const { counts, edges } = histogramOf(Float32Array.from([0, 1, 2, 4, NaN, Infinity]), 4);
  assert.deepEqual(counts, [1, 1, 1, 1]);
  assert.deepEqual(edges, [0, 1, 2, 3, 4]);
  assert.equal(histogramOf(Float32Array.from([NaN])), null);
  assert.equal(histogramOf(Float32Array.from([3, 3]), 2).counts.reduce((a, b) => a + b), 2);
});

test("entropy is the logarithm of how many cells share evenly", () => {
  assert.ok(Math.abs(entropyOf(Float32Array.from([2, 2, 2, 2, -1, NaN])) - Math.log(4)) < 1e-12);
  assert.equal(entropyOf(Float32Array.from([5, 0])), -0);
  assert.ok(Number.isNaN(entropyOf(Float32Array.from([-1]))));
  assert.equal(entropyText(Math.log(4), 9), "1.39 nats, as if over 4 of 9 cells");
  assert.equal(entropyText(NaN, 9), "no positive value");
});

test("facts are there for a map without any value", () => {
  const facts = Object.fromEntries(factsOf(map([[NaN, NaN]])).map(([name, value]) => [name, value]));
  assert.equal(facts["Smallest and largest value"], "no value to no value");
  assert.equal(facts.Peak, "none");
  const silent = map([[0, 0]], { statistics: { min: null, max: null, sum: null, entropy_nats: null, peak_xy: [null, null] } });
  assert.equal(Object.fromEntries(factsOf(silent).map(([name, value]) => [name, value])).Peak, "none");
});

const beside = (changes) => ({ value: 0.2, random: 0.5, spread: 0.1, orders: 5, centre: null, lower_is_better: true, lost: 0, ...changes });

test("figures are told beside random ones, whichever way is better", () => {
  assert.equal(besideText(beside()), "30 % better than random, which differs by 10 %");
  assert.equal(besideText(beside({ lower_is_better: false })), "30 % worse than random, which differs by 10 %");
  assert.equal(besideText(beside({ value: null })), "unknown");
  assert.equal(percentText(NaN), "–");
  assert.deepEqual(figureRows({ deletion: beside(), insertion: beside({ centre: 1.03 }) }), [["Deletion", "20 %", "50 % ± 10 %", "–"], ["Insertion", "20 %", "50 % ± 10 %", "103 %"]]);
});

test("a verdict says why, and how often it errs by the level of its own figures", () => {
  const judgement = { deletion: beside({ level: 0.95 }), insertion: beside({ level: 0.95 }) };
  const line = verdictLine({ verdict: "doubtful", trust: "trust: deletion 0.2 (better) → doubtful (weights not checked)", judgement });
  assert.equal(line.reason, "Weights not checked.");
  assert.match(line.errs, /fewer than 1 random map in 20 pass/);
  assert.match(verdictLine({ verdict: "believable", trust: "trust: … → believable", judgement }).errs, /^Fewer than 1 random map in 20 would/);
  assert.equal(verdictLine({ verdict: "believable", judgement: { deletion: beside(), insertion: beside() } }).errs, "");
  assert.deepEqual(verdictLine({ verdict: null, judgement: null }), { word: "", reason: "This map was not judged.", errs: "" });
});

test("what a map failed is told, and nothing that its figures deny", () => {
  const judged = (/** @type {number | null} */ similarity) => ({ deletion: beside(), insertion: beside(), similarity });
  assert.match(meaningOf("do not trust", judged(0.9)), /hardly depends/);
  assert.match(meaningOf("do not trust", judged(0.1)), /^The map depends on what the model has learned, but failed/);
  assert.doesNotMatch(meaningOf("do not trust", judged(null)), /depends/);
  assert.match(meaningOf("believable", judged(0.1)), /^What the map marks shows/);
  assert.equal(verdictLine({ verdict: "do not trust", trust: "trust: … → do not trust (deletion worse than random, insertion better)", judgement: judged(0.1) }).reason, "Deletion worse than random, insertion better.");
});

test("the evidence gain is the mean distance of two curves, and says how often it errs", () => {
  const gain = { whole: 3, empty: 0, kept: [3, 2, 1], cut: [1, 0.5, 0], fractions: [0.25, 0.5, 0.75], halves: [] };
  const judgement = { deletion: beside({ value: null, orders: 0 }), insertion: beside({ value: null, orders: 0 }), similarity: null, stages: [], evidence: true, untrained: false, gain };
  assert.equal(gainOf(gain), 1.5);
  assert.equal(gainOf({ ...gain, cut: [1, null, 0] }), null);
  assert.equal(gainOf(null), null);
  assert.deepEqual([0.9496, 0.6999, 0.95, 2.778, -0.296].map(gainText), ["0.94", "0.69", "0.95", "2.78", "-0.30"]);
  assert.deepEqual(gainCurves(gain), [[[0, 3], [0.25, 3], [0.5, 2], [0.75, 1], [1, 0]], [[0, 3], [0.25, 1], [0.5, 0.5], [0.75, 0], [1, 0]]]);
  assert.deepEqual(gainCurves({ ...gain, empty: null })[0], [[0, 3], [0.25, 3], [0.5, 2], [0.75, 1]]);
  assert.deepEqual(gainCurves({ ...gain, whole: null }), [[], []]);
  assert.match(verdictLine({ verdict: "believable", trust: "trust: … → believable", judgement }).errs, /in 100 come this far/);
  assert.match(meaningOf("do not trust", judgement), /no better than the rest/);
});

test("why a map was not judged follows from those beside it", () => {
  assert.match(whyNotJudged([{ verdict: "doubtful" }, { verdict: null }]), /two surest findings/);
  assert.match(whyNotJudged([{ verdict: null }]), /without a check/);
});

test("what random weights say is told, and that they were not tried", () => {
  assert.match(weightsText({ similarity: 0.1 }), /depends on what the model has learned/);
  assert.match(weightsText({ similarity: 0.9 }), /hardly depends/);
  assert.match(weightsText({ similarity: null }), /not checked/);
  assert.match(weightsText({ untrained: true, similarity: 0.1 }), /nothing was learned/);
});

test("a difference of maps on the same cells is that of their cells, in units of each one's largest", () => {
  const made = differenceOf(map([[4, 0]]), map([[1, 2]]), SOURCE, "own");
  assert.deepEqual([...made.values], [0.5, -1]);
  assert.deepEqual([made.low, made.high, made.signed], [-1, 1, true]);
  assert.deepEqual([...differenceOf(map([[4, 0]]), map([[1, 2]]), SOURCE, "plain").values], [3, -2]);
});

test("maps with other cells are compared where they lie, and where one has no value there is none", () => {
  const made = differenceOf(map([[1, 1]]), map([[2, 2, NaN], [2, 2, 2]]), SOURCE, "plain");
  assert.equal(made.w, 256);
  assert.equal(made.values[0], -1);
  assert.ok(Number.isNaN(made.values[255]));
  assert.deepEqual(made.m.map((v) => v / 64), [1, 0, 0, 0, 1, 0]);
});

test("what rounding leaves is no difference", () => {
  const made = differenceOf(map([[1, 0.5]]), map([[1.0005, 0.5]]), SOURCE, "plain");
  assert.deepEqual([made.low, made.high, made.silent], [-0, 0, "no difference"]);
});

test("values are compared as they are only where they mean the same", () => {
  assert.ok(sameUnits({ kind: "probability", method: "a" }, { kind: "probability", method: "b" }));
  assert.ok(!sameUnits({ kind: "relevance", method: "a" }, { kind: "relevance", method: "b" }));
  assert.ok(sameUnits({ kind: "relevance", method: "a", layer: ["x"] }, { kind: "relevance", method: "a", layer: ["x"] }));
});

test("a grid of pictures with findings of their own has no empty cells, one of methods has columns", () => {
  const entry = (picture, label, method = "cam") => ({ title: label, run: "", picture: { name: picture }, map: { method, label, model: "m" } });
  const own = [entry("a", "gear 0.9"), entry("a", "ring 0.8"), entry("a", "star 0.5"), entry("b", "arrow 0.9"), entry("b", "bolt 0.8"), entry("c", "cross 0.7")];
  assert.deepEqual(layoutOf(own), { across: "", down: "picture" });
  const same = ["a", "b"].flatMap((picture) => ["cam", "rise", "ig"].map((method) => entry(picture, "dog", method)));
  assert.deepEqual(layoutOf(same), { across: "method", down: "picture" });
  assert.deepEqual(layoutOf(own.slice(0, 3)), { across: "map", down: "" });
});

test("entries are laid out by what they differ in", () => {
  const entry = (method, label) => ({ title: `${method} ${label}`, run: "", picture: { name: "p" }, map: { method, label, model: "m" } });
  const entries = [entry("cam", "dog 0.93"), entry("cam", "cat"), entry("rise", "dog 0.81"), entry("ig", "dog 54 %")]; // a dog is a dog, however sure
  assert.deepEqual(differing(entries), ["map", "method"]);
  const { columns, rows, cells } = arranged(entries, "method", "map");
  assert.deepEqual([columns, rows], [["cam", "rise", "ig"], ["dog", "cat"]]);
  assert.deepEqual(cells.map((row) => row.map((cell) => cell.length)), [[1, 1, 1], [1, 0, 0]]);
  assert.deepEqual(arranged(entries, "", "").cells.map((row) => row.map((cell) => cell.length)), [[4]]);
});

test("readings are copied whole, and a label with a comma stays one cell", () => {
  const pin = { x: 1.5, y: 2, value: 0.1, column: 0, row: 1, inside: true };
  assert.equal(csvOf([pin, { ...pin, value: NaN }], 'a "b", c'), 'pin,map,value,x_px,y_px,cell_column,cell_row\n1,"a ""b"", c",0.1,1.5,2,0,1\n2,"a ""b"", c",,1.5,2,0,1\n');
});
