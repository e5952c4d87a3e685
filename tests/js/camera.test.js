/* What a camera's panel says: why there is no picture, and what is in it. */
import assert from "node:assert/strict";
import test from "node:test";

import { cameraWords, summary } from "../../src/isotherm/studio/page/camera.js";
import { stamp, takenPicture, takenVideo } from "../../src/isotherm/studio/page/sending.js";

test("a camera that cannot be opened says what to do", () => {
  for (const [name, words] of [["NotAllowedError", /not allowed.*beside the page/], ["NotFoundError", /no camera/], ["NotReadableError", /another program/]])
    assert.match(cameraWords(new DOMException("x", /** @type {string} */ (name))), /** @type {RegExp} */ (words));
  assert.equal(cameraWords(new Error("else")), "else");
});

test("findings are told by their names, with how many there are", () => {
  assert.equal(summary([{ label: "cup", confidence: 1 }, { label: "dog", confidence: 1 }, { label: "cup", confidence: 0.5 }]), "2 × cup, dog");
  assert.equal(summary([]), "");
});

test("what was kept goes into the tray with a small picture and its part", () => {
  assert.equal(stamp(new Date(2026, 0, 2, 3, 4, 5)), "2026-01-02 03.04.05");
  assert.deepEqual(takenPicture({ id: "a", name: "b.png" }), { id: "a", name: "b.png", thumb: "/api/pictures/a/thumb" });
  const video = /** @type {const} */ ({ id: "v", name: "c.webm", kind: "video", h: 1, w: 1, frames: 9, seconds: 3, fps: 3 });
  assert.deepEqual(takenVideo(video, { every: 2 }), { id: "v", name: "c.webm", kind: "video", seconds: 3, thumb: "/api/videos/v/strip?count=1", options: { every: 2 } });
});
