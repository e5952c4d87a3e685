/* Boxes on a picture: as text and back, drawn, moved, made larger, and never off the picture. */
import assert from "node:assert/strict";
import test from "node:test";

import { between, dragged, examplesOf, gripAt, hit, likeOf, placed, plainName } from "../../src/isotherm/studio/page/boxes.js";

/** @typedef {import("../../src/isotherm/studio/page/boxes.js").Box} Box */

const SIZE = { w: 200, h: 100 };
/** @type {Box} */
const BOX = [20, 10, 60, 50];

test("text and boxes go to and fro as the command line has them", () => {
  const like = "a bus=1,2,30,40.5;5,6,7.3,8.9;wheel=-1,0,9,9";
  assert.deepEqual(examplesOf(like), [
    { name: "a bus", box: [1, 2, 30, 40.5] }, { name: "this", box: [5, 6, 7.3, 8.9] }, { name: "wheel", box: [-1, 0, 9, 9] },
  ]);
  assert.equal(likeOf(examplesOf(like)), like);
  assert.deepEqual(examplesOf(""), []);
  assert.deepEqual(examplesOf("1,2,3;9,2,3,4;x=1,2,3,y;1,2,3,4"), [{ name: "this", box: [1, 2, 3, 4] }]);
  assert.equal(likeOf([{ name: " red; cup=2 ", box: [0, 0, 10.04, 10] }]), "red  cup 2=0,0,10,10");
  assert.equal(plainName(" ;= "), "this");
});

test("a box is drawn from any corner to any other, within the picture", () => {
  for (const [ax, ay, bx, by] of [[20, 10, 60, 50], [60, 50, 20, 10], [20, 50, 60, 10], [60, 10, 20, 50]])
    assert.deepEqual(between(ax, ay, bx, by, SIZE), BOX);
  assert.deepEqual(between(-50, 90, 500, 500, SIZE), [0, 90, 200, 100]);
  assert.equal(between(20, 10, 21, 80, SIZE), null); // a click is no box
  assert.equal(between(-50, -50, -10, 80, SIZE), null);
});

test("sides follow what they are dragged by, and stop at the edge and at each other", () => {
  assert.deepEqual(dragged(BOX, "all", 5, -5, SIZE), [25, 5, 65, 45]);
  assert.deepEqual(dragged(BOX, "all", -500, 500, SIZE), [0, 60, 40, 100]);
  assert.deepEqual(dragged(BOX, "nw", -5, -5, SIZE), [15, 5, 60, 50]);
  assert.deepEqual(dragged(BOX, "se", 500, 5, SIZE), [20, 10, 200, 55]);
  assert.deepEqual(dragged(BOX, "e", -500, 99, SIZE), [20, 10, 24, 50]);
  assert.deepEqual(dragged(BOX, "n", 99, 500, SIZE), [20, 46, 60, 50]);
  assert.deepEqual(dragged(BOX, "sw", -500, 500, SIZE), [0, 10, 60, 100]);
});

test("a place takes hold of an edge, a corner or all of a box", () => {
  for (const [x, y, grip] of /** @type {[number, number, string | null][]} */ ([
    [40, 30, "all"], [20, 10, "nw"], [62, 30, "e"], [40, 52, "s"], [18, 51, "sw"], [70, 30, null], [40, 0, null],
  ])) assert.equal(gripAt(BOX, x, y, 5), grip);
  assert.equal(gripAt([10, 10, 14, 14], 12, 12, 50), "all"); // a small box can still be moved
  const two = [{ name: "a", box: BOX }, { name: "b", box: /** @type {Box} */ ([30, 20, 90, 80]) }];
  assert.deepEqual(hit(two, 50, 40, 3), { index: 1, grip: "all" });
  assert.deepEqual(hit(two, 25, 15, 3), { index: 0, grip: "all" });
  assert.equal(hit(two, 150, 40, 3), null);
});

test("boxes placed without a pointer lie on the picture and beside each other", () => {
  const one = placed([], SIZE), two = placed([{ name: "a", box: one }], SIZE);
  assert.deepEqual(one, [75, 37.5, 125, 62.5]);
  assert.notDeepEqual(one, two);
  for (const [x0, y0, x1, y1] of [one, two, placed([], { w: 3, h: 3 })]) assert.ok(x0 <= x1 && y0 <= y1 && x1 <= 200 && y1 <= 100);
});
