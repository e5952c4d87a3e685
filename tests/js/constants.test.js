/* Numbers that Python and the page both have. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BELIEVABLE, DEPENDS_BELOW } from "../../src/isotherm/studio/page/judged.js";

/** @param {string} file @param {string} name */
function inPython(file, name) {
  const text = readFileSync(new URL(`../../src/isotherm/metrics/${file}`, import.meta.url), "utf8");
  return Number(new RegExp(`^${name} = ([\\d.]+)$`, "m").exec(text)?.[1]);
}

test("the page's thresholds are those of the verdict", () => {
  assert.equal(BELIEVABLE, inPython("trust.py", "BELIEVABLE"));
  assert.equal(DEPENDS_BELOW, inPython("cascade.py", "DEPENDS_BELOW"));
});
