/* Every word that the page says is a plain one, or is explained. A technical word that was forgotten is in neither list. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { GLOSSARY, isExplained, meaningIn, technicalWords } from "../../src/isotherm/studio/page/glossary.js";
import { ANSWER_PARTS, PARTS } from "../../src/isotherm/studio/page/options.js";
import { VERDICTS } from "../../src/isotherm/studio/page/names.js";

const PAGE = new URL("../../src/isotherm/studio/page/", import.meta.url);
const PLAIN = new Set(readFileSync(new URL("plain-words.txt", import.meta.url), "utf8").split(/\s+/).filter(Boolean));

const CODE = new Set(("aborterror apierror async await notallowederror notfounderror notreadableerror overconstrainederror arrowdown arrowleft arrowright arrows arrowup " +
  "const export legend noscript script scripts svg tbody td textarea th tr ul caption summary select").split(" ")); // names in selectors, errors and keys

/** The texts for people in a script: strings that have several words, or begin with a capital. @param {string} script */
function textsOf(script) {
  const code = script.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
  const strings = [...code.matchAll(/"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)].map((match) => (match[1] ?? match[2]).replace(/\\n/g, " ").replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, " | "));
  return strings.filter((text) => / /.test(text.trim()) || /^[A-Z][a-z]/.test(text));
}

/** The words of a text that the glossary does not explain; parts of code are none. @param {string} text */
function plainWordsOf(text) {
  let rest = text;
  for (const { start, end } of technicalWords(text).reverse()) rest = `${rest.slice(0, start)}|${rest.slice(end)}`;
  return [...rest.matchAll(/(?<![\w.#=:[/-])[A-Za-z][A-Za-z]+(?:[’'][a-z]+)?(?![\w=(:[/-]|\.\w)/g)].map(([word]) => word.toLowerCase().replace(/[’']s$/, ""));
}

/** Words that are neither plain nor explained. @param {string[]} texts */
function forgotten(texts) {
  return [...new Set(texts.flatMap(plainWordsOf))].filter((word) => !PLAIN.has(word) && !CODE.has(word)).sort();
}

test("every word of the page is a plain one or explained", () => {
  for (const name of readdirSync(PAGE).filter((one) => one.endsWith(".js"))) assert.deepEqual(forgotten(textsOf(readFileSync(new URL(name, PAGE), "utf8"))), [], name);
  const markup = readFileSync(new URL("index.html", PAGE), "utf8").replace(/<head>[\s\S]*<\/head>/, "").replace(/<[^>]*>/g, " ");
  assert.deepEqual(forgotten([markup]), []);
});

test("a technical word that was forgotten is found", () => {
  assert.deepEqual(forgotten(textsOf('el("p", { text: "The epochs of the last layer." }); field("Perplexity", input);')), ["epochs", "perplexity"]);
});

test("explanations are made of plain words and of words that are explained", () => {
  assert.deepEqual(forgotten(Object.keys(GLOSSARY).map(meaningIn)), []);
});

test("no explained word counts as plain", () => {
  assert.deepEqual([...PLAIN].filter((word) => technicalWords(word).length), []);
});

test("every verdict, and every part of a finding and of an answer, is explained or plain", () => {
  for (const verdict of VERDICTS) assert.ok(GLOSSARY[verdict], verdict);
  assert.deepEqual(forgotten([...PARTS.flat(), ...ANSWER_PARTS.map(([, text]) => text)]), []);
});

test("technical words are found whole, in any form, the longest first", () => {
  const words = (text) => technicalWords(text).map(({ word }) => word);
  assert.deepEqual(words("Several layers of two Layers, by GradCAM++ and GradCAM."), ["several layers", "layers", "GradCAM++", "GradCAM"]);
  assert.deepEqual(words("A curve that rises may rise by RISE, or by D-RISE."), ["RISE", "D-RISE"]);
  assert.deepEqual(words("bitmaps, map-list, remodel"), []);
  assert.deepEqual(technicalWords("its cells").map(({ start, end }) => [start, end]), [[4, 9]]);
});

test("common kinds of layers are explained by their names, and no others", () => {
  for (const kind of ["Conv2d", "BatchNorm2d", "ReLU6", "SiLU", "Linear", "MaxPool2d", "AdaptiveAvgPool2d", "LayerNorm", "Attention", "Sequential"]) assert.ok(isExplained(kind), kind);
  for (const kind of ["SceneNet", "C3k2", "Conv2dOfMine", "EfficientNet model"]) assert.ok(!isExplained(kind), kind);
});
