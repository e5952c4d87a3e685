/* The arithmetic of a time line: moments of frames, parts of a video, and how many frames they have. */
import assert from "node:assert/strict";
import test from "node:test";

import { clock, firstEvery, fitting, frameCount, nearest, optionsOf } from "../../src/isotherm/studio/page/times.js";

const CLIP = { frames: 12, seconds: 1.2, fps: 10 };

test("moments are told as a clock tells them", () => {
  assert.deepEqual([0, 1.005, 59.999, 61.5, -1].map(clock), ["0:00.00", "0:01.00", "1:00.00", "1:01.50", "0:00.00"]);
});

test("a moment goes to the nearest frame", () => {
  assert.deepEqual([0, 0.04, 0.06, 1.14, 9, -1].map((at) => Math.round(10 * nearest(at, CLIP))), [0, 0, 1, 11, 11, 0]);
  assert.equal(nearest(3, { frames: 1, seconds: 0, fps: 0 }), 0);
});

test("a part lies within the video and has a frame at least", () => {
  assert.deepEqual(fitting({ start: -1, end: 99, every: 2.4 }, CLIP), { start: 0, end: 1.2, every: 2 });
  assert.deepEqual(fitting({ start: 0.8, end: 0.3, every: 1 }, CLIP, "end"), { start: 0.3 - 0.1, end: 0.3, every: 1 });
  assert.deepEqual(fitting({ start: 0.8, end: 0.3, every: 0 }, CLIP, "start"), { start: 0.8, end: 0.9, every: 1 });
  const nothing = fitting({ start: Number.NaN, end: Number.NaN, every: Number.NaN }, CLIP);
  assert.ok(nothing.start === 0 && Math.abs(nothing.end - 0.1) < 1e-9 && nothing.every === 1);
});

test("frames of a part are counted as the job reads them", () => {
  // those of isotherm.data.video.FrameChoice.expected
  for (const [start, end, every, count] of [[0, 1.2, 1, 12], [0, 1.2, 5, 3], [0.3, 0.6, 1, 3], [0.35, 1.2, 4, 2], [0, 0.25, 1, 3], [1.1, 1.2, 1, 1], [1.0, 1.2, 7, 1]])
    assert.equal(frameCount({ start, end, every }, CLIP), count, `${start} to ${end} by ${every}`);
  assert.equal(firstEvery({ frames: 48, seconds: 2, fps: 24 }), 1);
  assert.equal(firstEvery({ frames: 900, seconds: 30, fps: 30 }), 19);
});

test("options leave out what is the default", () => {
  assert.deepEqual(optionsOf({ start: 0, end: 1.2, every: 1 }, CLIP), {});
  assert.deepEqual(optionsOf({ start: 0.30000001, end: 0.9, every: 3 }, CLIP), { start_s: 0.3, end_s: 0.9, every: 3 });
});
