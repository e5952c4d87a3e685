/* The pages work without a network and without a build step: what a script imports is a file that the page serves. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import test from "node:test";

const SRC = new URL("../../src/isotherm/", import.meta.url);
const FOLDERS = { "/page/draw/": new URL("draw/page/", SRC), "/page/": new URL("studio/page/", SRC) };
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*(["'`])([^"'`]+)\1/g;

/** @param {string} text @param {URL} folder where the script lies */
function lost(text, folder) {
  const names = [...text.replace(/\/\*.*?\*\//gs, "").matchAll(IMPORT)].map((match) => match[2]);
  return names.filter((name) => {
    const start = Object.keys(FOLDERS).find((one) => name.startsWith(one));
    if (!start && !/^\.\.?\//.test(name)) return true; // a package, or an address elsewhere
    return !existsSync(start ? new URL(name.slice(start.length), FOLDERS[start]) : new URL(name, folder));
  });
}

test("every import is a file of the pages", () => {
  let scripts = 0;
  for (const folder of Object.values(FOLDERS).filter(existsSync)) {
    for (const name of readdirSync(folder).filter((one) => one.endsWith(".js"))) {
      assert.deepEqual(lost(readFileSync(new URL(name, folder), "utf8"), folder), [], name);
      scripts += 1;
    }
  }
  assert.ok(scripts > 0);
});

test("an import of what is not there is seen", () => {
  const folder = FOLDERS["/page/draw/"];
  const text = 'import { a } from "./nowhere.js";\nimport("https://example.org/x.js");\nimport "left-pad";\nimport { f } from "/page/draw/field.js";';
  assert.deepEqual(lost(text, folder), ["./nowhere.js", "https://example.org/x.js", "left-pad"]);
});
