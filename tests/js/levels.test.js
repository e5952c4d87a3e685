/* Levels and pixels by hand, where the numbers are small enough to be worked out. */
import assert from "node:assert/strict";
import test from "node:test";

import { sampleAt } from "../../src/isotherm/draw/page/field.js";
import { layoutOf, levelsOf } from "../../src/isotherm/draw/page/levels.js";
import { mixInto, mixTable, spansOf, tintInto } from "../../src/isotherm/draw/page/mix.js";

const scale = { low: 0, high: 10 }, COUNT = 11; // so that a level is one more than its value

function field(rows, changes = {}) {
  const h = rows.length, w = rows[0].length;
  return { values: Float32Array.from(rows.flat()), h, w, m: [1, 0, 0, 0, 1, 0], limits: [0, 0, w, h], ...changes };
}

function levels(map, part, size, of = scale) {
  return [...levelsOf(layoutOf(map, of, COUNT, part, size))];
}

test("values are interpolated before they are cut to levels", () => {
  assert.deepEqual(levels(field([[0, 10]]), { w: 2, h: 1 }, { w: 4, h: 1 }), [1, 4, 9, 11]); // 0, 2.5, 7.5, 10, halves up
  assert.deepEqual(levels(field([[0, 10]]), { x: 0.5, w: 1, h: 1 }, { w: 2, h: 1 }), [4, 9]);
});

test("cells without a value are left out, and infinities count as the ends", () => {
  assert.deepEqual(levels(field([[0, NaN, 10]]), { w: 3, h: 1 }, { w: 6, h: 1 }), [1, 1, 0, 0, 11, 11]);
  assert.deepEqual(levels(field([[Infinity, -Infinity]]), { w: 2, h: 1 }, { w: 2, h: 1 }), [11, 1]);
  assert.deepEqual(levels(field([[3, 4]], { limits: [1, 0, 2, 1] }), { w: 2, h: 1 }, { w: 2, h: 1 }), [0, 5]);
});

test("an empty scale draws nothing, and values beyond a scale have the colours of its ends", () => {
  assert.deepEqual(levels(field([[1, 2]]), { w: 2, h: 1 }, { w: 2, h: 1 }, { low: 0, high: 0 }), [0, 0]);
  assert.deepEqual(levels(field([[-1e30, 1e30]]), { w: 2, h: 1 }, { w: 2, h: 1 }, { low: 0, high: 1e-20 }), [1, 11]);
});

test("a turned map has the levels of its values", () => {
  const turned = field([[0, 1, 2], [3, 4, 5], [6, 7, NaN]], { m: [0, 1, 0, 1, 0, 0] });
  const got = levels(turned, { w: 3, h: 3 }, { w: 6, h: 6 });
  got.forEach((level, k) => {
    const value = sampleAt(turned, ((k % 6) + 0.5) / 2, (Math.floor(k / 6) + 0.5) / 2);
    assert.equal(level, Number.isNaN(value) ? 0 : Math.floor(value + 1.5));
  });
});

test("a pixel is greyed, then coloured", () => {
  const ink = { colour: Uint8Array.from([0, 0, 0, 200, 100, 0]), alpha: Float64Array.from([0, 0.5]), grey: Float64Array.from([0, 1]), count: 1 };
  const out = new Uint32Array(2), picture = Uint32Array.from([0xff0000ff, 0xff0000ff]); // red, whose lightness is 76
  mixInto(picture, Uint16Array.from([0, 1]), mixTable(ink), out);
  assert.equal(out[0], 0xff0000ff);
  assert.deepEqual([out[1] & 255, (out[1] >> 8) & 255, (out[1] >> 16) & 255], [138, 88, 38]);
});

test("a tint gives its colour and leaves the lightness", () => {
  const out = Uint32Array.from([0xff646464, 0xff646464]);
  tintInto(out, Uint32Array.from([0xff0000ff, 0]));
  const [r, g, b] = [out[0] & 255, (out[0] >> 8) & 255, (out[0] >> 16) & 255];
  assert.deepEqual([r, g, b], [255, 24, 24]); // 100 - 76 lighter, cut at white
  assert.equal(out[1], 0xff646464);
});

test("of each row only what changes the picture is worked on", () => {
  assert.deepEqual([...spansOf(Uint16Array.from([1, 2, 1, 1, 1, 1, 3, 1, 2]), 3, Uint8Array.from([1, 1, 0, 0]))], [1, 2, 6, 6, 6, 9]);
  assert.deepEqual([...spansOf(Uint32Array.from([0, 7, 0, 0]), 2)], [1, 2, 4, 4]);
});
