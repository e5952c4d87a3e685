import assert from "node:assert/strict";
import test from "node:test";

import { moved, narrowed, sorted, together, wordsOf } from "../../src/isotherm/studio/page/order.js";

/** @param {number} index @param {string} name @param {number | null} score @param {string[]} verdicts @param {any} [more] */
const item = (index, name, score, verdicts, more = {}) => ({ index, name, score, verdicts, peak: score, labels: ["cat"], maps: 1, thumb: "", status: "done", error: null, ...more });
const ITEMS = [item(0, "p10", 3, ["believable"]), item(1, "p2", 9, ["believable", "doubtful"]), item(2, "p1", null, [], { error: "broken", labels: [] }), item(3, "p3", 1, ["do not trust"], { labels: ["dog 0.8", "cat 12 %"] })];
/** @param {string} order */
const names = (order) => sorted(ITEMS, order).map((one) => one.name);

test("each order puts first what it promises, and last what has no figure", () => {
  assert.deepEqual(names("taken"), ["p10", "p2", "p1", "p3"]);
  assert.deepEqual(names("name"), ["p1", "p2", "p3", "p10"]);
  assert.deepEqual(names("worst"), ["p3", "p10", "p2", "p1"]);
  assert.deepEqual(names("best"), ["p2", "p10", "p3", "p1"]);
  assert.deepEqual(names("doubtful"), ["p3", "p2", "p10", "p1"]);
  assert.deepEqual(names("peak"), ["p2", "p10", "p3", "p1"]);
});

test("filters go together, and what failed can be picked out", () => {
  /** @param {any} filters */
  const left = (filters) => narrowed(ITEMS, filters).map((one) => one.index);
  assert.deepEqual(left({}), [0, 1, 2, 3]);
  assert.deepEqual(left({ label: "cat" }), [0, 1, 3]);
  assert.deepEqual(left({ label: "cat", verdict: "doubtful" }), [1]);
  assert.deepEqual(left({ verdict: "failed" }), [2]);
  assert.deepEqual(wordsOf(ITEMS), { labels: ["cat", "dog"], verdicts: ["do not trust", "doubtful", "believable", "failed"] });
});

test("keys move in a grid of five pictures in rows of two", () => {
  assert.equal(moved(0, "ArrowRight", 2, 5), 1);
  assert.equal(moved(0, "ArrowLeft", 2, 5), 0);
  assert.equal(moved(1, "ArrowDown", 2, 5), 3);
  assert.equal(moved(3, "ArrowDown", 2, 5), 3);
  assert.equal(moved(1, "ArrowUp", 2, 5), 1);
  assert.equal(moved(2, "End", 2, 5), 4);
  assert.equal(moved(2, "x", 2, 5), null);
});

test("a picture of two runs is as doubtful as the worse of them", () => {
  const second = [item(0, "p10", 7, ["do not trust"]), item(1, "p2", 7, [], { error: "broken" })];
  const both = together([ITEMS, second]);
  assert.deepEqual(both[0].verdicts, ["believable", "do not trust"]);
  assert.deepEqual([both[0].score, both[1].error, both[3].verdicts], [3, "broken", ["do not trust"]]);
  assert.deepEqual(together([ITEMS]).map((one) => one.name), ITEMS.map((one) => one.name));
});
