/* The pages work without a network and without a build step: what a script imports is a file beside it, or the viewer. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import test from "node:test";

const SRC = new URL("../../src/isotherm/", import.meta.url);
const FOLDERS = [new URL("draw/page/", SRC), new URL("studio/page/", SRC)];
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*(["'`])([^"'`]+)\1/g;

/** What a script imports that no page has: a package, an address elsewhere, a file that is not there.
 * @param {string} text @param {URL} folder where the script lies */
function lost(text, folder) {
  const names = [...text.replace(/\/\*.*?\*\//gs, "").matchAll(IMPORT)].map((match) => match[2]);
  return names.filter((name) => !/^\.\.?\//.test(name) || !existsSync(new URL(name, folder)));
}

test("every import is a file of the pages", () => {
  const scripts = FOLDERS.filter(existsSync).flatMap((folder) =>
    readdirSync(folder).filter((name) => name.endsWith(".js")).map((name) => ({ name, folder })));
  assert.ok(scripts.length > 0);
  for (const { name, folder } of scripts) assert.deepEqual(lost(readFileSync(new URL(name, folder), "utf8"), folder), [], name);
});

test("an import of what is not there is seen", () => {
  const text = `import { a } from "./nowhere.js"; import("https://example.org/x.js"); import "left-pad";
    import { f } from "./field.js"; const later = () => import('../page/ink.js');`;
  assert.deepEqual(lost(text, FOLDERS[0]), ["./nowhere.js", "https://example.org/x.js", "left-pad"]);
});
