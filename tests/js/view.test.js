/* Zooming and panning as numbers. */
import assert from "node:assert/strict";
import test from "node:test";

import { keptWithin, mostScale, pannedBy, partOf, showing, wholeView, zoomedAt, zoomFactor } from "../../src/isotherm/draw/page/view.js";

const size = { w: 200, h: 100 };

test("the whole picture is the first view", () => {
  assert.deepEqual(partOf(wholeView(size), size), { x: 0, y: 0, w: 200, h: 100 });
});

test("zooming keeps the place under the pointer", () => {
  const place = [150, 30], before = zoomedAt(wholeView(size), size, place, 2), after = zoomedAt(before, size, place, zoomFactor(3));
  const share = (view) => { const part = partOf(view, size); return [(place[0] - part.x) / part.w, (place[1] - part.y) / part.h]; };
  share(before).forEach((v, i) => assert.ok(Math.abs(v - share(after)[i]) < 1e-9));
  assert.equal(after.scale, 2 * 1.25 ** 3);
});

test("nothing beside the picture is ever shown", () => {
  for (const view of [{ x: -50, y: 500, scale: 4 }, { x: 199, y: 1, scale: 0.2 }, pannedBy({ x: 100, y: 50, scale: 3 }, size, 1e4, -1e4)]) {
    const { x, y, w, h } = partOf(keptWithin(view, size), size);
    assert.ok(x >= -1e-9 && y >= -1e-9 && x + w <= 200 + 1e-9 && y + h <= 100 + 1e-9, JSON.stringify(view));
  }
});

test("a place out of sight is brought into it by the shortest way", () => {
  const view = showing({ x: 50, y: 50, scale: 4 }, size, [120, 50]);
  assert.deepEqual(view, { x: 95, y: 50, scale: 4 });
  assert.deepEqual(showing(view, size, [100, 45]), view);
});

test("zooming goes down to the single cell, and to the source pixel", () => {
  const field = { h: 5, w: 10, m: [0.05, 0, 0, 0, 0.05, 0] };
  assert.equal(partOf({ x: 100, y: 50, scale: mostScale(field, size) }, size).w, 8);
  const fine = { h: 500, w: 1000, m: [5, 0, 0, 0, 5, 0] };
  assert.ok(partOf({ x: 100, y: 50, scale: mostScale(fine, size) }, size).w < 2 * 0.2);
});
