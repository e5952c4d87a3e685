import assert from "node:assert/strict";
import test from "node:test";

import { arrowHead, linesOf, marksOf, simpler, within } from "../../src/isotherm/studio/page/geometry.js";

test("an arrow's head is at its head, open towards its tail, of the size asked for", () => {
  const [a, head, b] = arrowHead([0, 0], [100, 0], 10);
  assert.deepEqual(head, [100, 0]);
  for (const end of [a, b]) assert.ok(Math.abs(Math.hypot(end[0] - 100, end[1]) - 10) < 1e-9 && end[0] < 100);
  assert.ok(Math.abs(a[1] + b[1]) < 1e-9 && a[1] !== b[1]);
});

test("lines are drawn where the picture is, whatever the zoom", () => {
  const place = (/** @type {number[]} */ [x, y]) => [2 * x + 5, 2 * y];
  assert.deepEqual(linesOf({ picture: 0, kind: "box", points: [[1, 2], [3, 4]] }, place), [[[7, 4], [11, 4], [11, 8], [7, 8], [7, 4]]]);
  assert.deepEqual(linesOf({ picture: 0, kind: "free", points: [[0, 0], [1, 1], [2, 0]] }, place), [[[5, 0], [7, 2], [9, 0]]]);
  assert.deepEqual(linesOf({ picture: 0, kind: "arrow", points: [[0, 0], [1, 1]] }, place)[0], [[5, 0], [7, 2]]);
  assert.deepEqual(linesOf({ picture: 0, kind: "text", points: [[0, 0]], text: "x" }, place), []);
});

test("a line by free hand keeps its corners and loses what lies on the way", () => {
  const corner = [...Array.from({ length: 50 }, (_, i) => [i, 0]), ...Array.from({ length: 50 }, (_, i) => [50, i])];
  assert.deepEqual(simpler(corner, 0.5), [[0, 0], [50, 0], [50, 49]]);
  assert.deepEqual(simpler([[0, 0], [1, 0.2], [2, 0]], 0.1), [[0, 0], [1, 0.2], [2, 0]]);
  assert.deepEqual(simpler([[3, 3], [4, 4], [3, 3]], 0.1), [[3, 3], [4, 4], [3, 3]]);
});

test("points stay inside of the picture", () => {
  assert.deepEqual(within({ x: -4, y: 12.345 }, { w: 10, h: 20 }), [0, 12.3]);
  assert.deepEqual(within({ x: 11, y: 21 }, { w: 10, h: 20 }), [10, 20]);
});

test("what is no mark is left out", () => {
  const mark = { picture: 0, kind: "arrow", points: [[0, 0], [1, 1]] };
  const wrong = [null, "x", {}, { ...mark, points: [[0, 0]] }, { ...mark, points: [[0, "1"], [1, 1]] }, { ...mark, kind: "star" }, { picture: 0, kind: "text", points: [[0, 0]] }, { ...mark, picture: -0.5 }];
  assert.deepEqual(marksOf([mark, ...wrong]), [mark]);
  assert.deepEqual(marksOf({ a: 1 }), []);
});
