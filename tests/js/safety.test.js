/* What the content policy and the promise to work offline need of the page's own files. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

const FOLDERS = ["studio", "draw"].map((name) => new URL(`../../src/isotherm/${name}/page/`, import.meta.url));
const FILES = FOLDERS.flatMap((folder) => readdirSync(folder).map((name) => ({ name, text: readFileSync(new URL(name, folder), "utf8") })));
const MARKUP = /\b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTMLUnsafe|parseFromString|srcdoc)\b|document\.write|\beval\(|new Function\b|setAttribute\(\s*["'](style|on\w+)/;
const INLINE = /<[^>]*\s(style|on\w+)=|<style|<script(?![^>]*\ssrc=)/i;
const ELSEWHERE = /(https?:)?\/\/(?!www\.w3\.org\/2000\/svg)[a-z0-9-]+(\.[a-z0-9-]+)+\//i;

/** @param {string} end */
const files = (end) => FILES.filter(({ name }) => name.endsWith(end));

test("no script reads a string as markup or as a program", () => {
  for (const { name, text } of files(".js")) assert.equal(MARKUP.exec(text)?.[0], undefined, name);
  assert.match("node.innerHTML = label", MARKUP);
});

test("the page has no styles and no scripts of its own within its markup", () => {
  for (const { name, text } of files(".html")) assert.equal(INLINE.exec(text)?.[0], undefined, name);
  for (const bad of ['<p style="color: red">', "<button onclick='go()'>", "<script>go()</script>"]) assert.match(bad, INLINE);
});

test("nothing is fetched from elsewhere", () => {
  for (const end of [".js", ".html", ".css"]) for (const { name, text } of files(end)) assert.equal(ELSEWHERE.exec(text)?.[0], undefined, name);
  assert.match('@import "//fonts.example.org/a.css"', ELSEWHERE);
});

test("what most people never need is not loaded with the first screen", () => {
  const text = Object.fromEntries(files(".js").map((file) => [file.name, file.text]));
  const first = new Set();
  const visit = (/** @type {string} */ name) => {
    if (first.has(name)) return;
    first.add(name);
    for (const match of text[name].matchAll(/^import \{[^}]*\} from "\.\/([\w-]+\.js)"/gm)) visit(match[1]);
  };
  visit("main.js");
  for (const name of ["gallery.js", "layers.js", "marks.js", "pair.js", "room.js"]) assert.ok(!first.has(name) && name in text, name);
});
