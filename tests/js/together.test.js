/* Two tabs over one run: what each said is kept. */
import assert from "node:assert/strict";
import test from "node:test";

import { together } from "../../src/isotherm/studio/page/together.js";

const known = { note: "a", tags: ["x", "y"], marks: [{ kind: "box", points: [[1, 2]] }] };

test("a change that nobody else met is as it is", () => {
  const mine = { star: true, note: "b", tags: ["y"], marks: [] };
  assert.deepEqual(together(known, mine, known), mine);
  assert.deepEqual(together(known, { note: "" }, known), { note: "" });
});

test("what another tab added stays, and what it took away stays away", () => {
  const now = { ...known, tags: ["y", "z"], marks: [...known.marks, { kind: "text", points: [[3, 4]] }] };
  assert.deepEqual(together(known, { tags: ["x", "y", "new"] }, now).tags, ["y", "z", "new"]);
  assert.deepEqual(together(known, { tags: ["x"] }, now).tags, ["z"]); // y was taken away here, x there
  assert.deepEqual(together(known, { marks: [] }, now).marks, [{ kind: "text", points: [[3, 4]] }]);
  assert.deepEqual(together(known, { tags: ["x", "y", "z"] }, now).tags, ["y", "z"]); // both added the same
});

test("two notes are both kept, and one that did not change is not doubled", () => {
  assert.equal(together(known, { note: "mine" }, { ...known, note: "theirs" }).note, "theirs\nmine");
  assert.equal(together(known, { note: "same" }, { ...known, note: "same" }).note, "same");
  assert.equal(together(known, { note: "" }, { ...known, note: "theirs" }).note, "theirs");
});
