import assert from "node:assert/strict";
import test from "node:test";

import { Later } from "../../src/isotherm/studio/page/later.js";

test("every name's work is done once, and none swallows another's", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const later = new Later(700), done = [];
  later.once("a", () => done.push("a"));
  later.once("b", () => done.push("b"));
  later.once("a", () => done.push("again"));
  context.mock.timers.tick(699);
  assert.deepEqual(done, []);
  context.mock.timers.tick(1);
  assert.deepEqual(done, ["a", "b"]);
  later.once("a", () => done.push("later"));
  context.mock.timers.tick(700);
  assert.deepEqual(done, ["a", "b", "later"]);
});
