import assert from "node:assert/strict";
import test from "node:test";

import { nothingText } from "../../src/isotherm/studio/page/nothing.js";
import { aboutWord, modelsOf, NOTHING_SEEN, offeredTo } from "../../src/isotherm/studio/page/offered.js";
import { BLANK, exampleQuestion, fieldsFor, formOf, methodsFor, missing, optionsOf, partsOf } from "../../src/isotherm/studio/page/options.js";

const CLASSIFIER = { name: "imagenet", kind: "classifier", prompts: "none" };
const YOLOE = { name: "yoloe.pt", kind: "detector", masks: true, prompts: "visual" };
const DETECTOR = { name: "detector", kind: "detector", prompts: "none" };
const MAPS = { name: "depth", kind: "maps", prompts: "none" };
const VLM = { name: "tiny-vlm", kind: "question", prompts: "none" };

/** @param {any} changes */
const form = (changes) => ({ ...BLANK, ...changes });

test("an untouched form says nothing but the model", () => {
  for (const model of [CLASSIFIER, YOLOE, DETECTOR]) assert.deepEqual(optionsOf(form({ model: model.name }), model), { model: model.name });
});

test("a class of a classifier, rather than another one", () => {
  const said = form({ model: "imagenet", what: "class", cls: " tabby cat ,, tiger cat", versus: " dog " });
  assert.deepEqual(optionsOf(said, CLASSIFIER), { model: "imagenet", cls: "tabby cat,tiger cat", versus: "dog" });
});

test("what a detector is asked never reaches a classifier, nor the other way round", () => {
  const said = form({ model: "imagenet", what: "box", box: [1, 2, 3, 4], parts: ["box", "mask"], confidence: "0.3", classes: "cup", like: "1,2,3,4", versus: "x" });
  assert.deepEqual(optionsOf(said, CLASSIFIER), { model: "imagenet" });
  assert.deepEqual(optionsOf(form({ what: "top", top: 5, versus: "x", model: "detector" }), DETECTOR), { model: "detector" });
});

test("a finding, its parts, text classes and boxes to look like", () => {
  const said = form({ model: "yoloe.pt", what: "box", box: [1.04, 2.06, 30, 40], parts: ["left", "mask"], classes: "cup, red car\nperson", like: "cup=1,2,3,4; 5,6,7,8", confidence: "0.1", showBoxes: false, renormalise: true });
  assert.deepEqual(optionsOf(said, YOLOE), { model: "yoloe.pt", classes: "cup,red car,person", like: "cup=1,2,3,4; 5,6,7,8", confidence: 0.1, show_boxes: false, renormalise: true, box: "1,2.1,30,40", target: "left,mask" });
});

test("a mask is a segmenter's, and all stands alone", () => {
  assert.ok(!partsOf(DETECTOR).some(([name]) => name === "mask"));
  assert.equal(optionsOf(form({ model: "detector", parts: ["mask"] }), DETECTOR).target, undefined);
  assert.equal(optionsOf(form({ model: "detector", parts: ["box", "all"] }), DETECTOR).target, "all");
});

test("one method is a method, several are compared, layers are joined", () => {
  assert.equal(optionsOf(form({ methods: ["gradcam"] }), CLASSIFIER).method, "gradcam");
  const both = optionsOf(form({ methods: ["gradcam", "eigencam"], layers: ["a", "b"], fuse: "max" }), CLASSIFIER);
  assert.deepEqual([both.method, both.compare, both.layer, both.fuse], [undefined, "gradcam,eigencam", "a,b", "max"]);
});

test("a question has no layers, classes or confidence", () => {
  const said = form({ model: "tiny-vlm", prompt: " How many cups? ", answer: "two", versus: "three", answerPart: "word:two", layers: ["a"], cls: "cup", what: "class", confidence: "0.2", trust: "off" });
  assert.deepEqual(optionsOf(said, VLM), { model: "tiny-vlm", prompt: "How many cups?", answer: "two", versus: "three", target: "word:two", trust: "off" });
});

test("an answer is compared with another one only where it is written", () => {
  assert.equal(optionsOf(form({ model: "tiny-vlm", prompt: "Why?", versus: "three" }), VLM).versus, undefined);
});

test("a place is asked of a model that gives maps, and of no other", () => {
  const said = form({ model: "depth", what: "point", point: " 12, 34.5 ", top: 5, versus: "x", classes: "cup", box: [1, 2, 3, 4] });
  assert.deepEqual(optionsOf(said, MAPS), { model: "depth", point: "12,34.5" });
  assert.deepEqual(optionsOf({ ...said, model: "imagenet" }, CLASSIFIER), { model: "imagenet" });
  assert.equal(missing(said, MAPS), null);
  for (const point of ["", "12", "a,b", "1,2,3", "-1,2"]) assert.equal(missing({ ...said, point }, MAPS)?.field, "point");
});

test("one scale for all is for several pictures alone", () => {
  assert.equal(optionsOf(form({ sharedScale: true }), CLASSIFIER).shared_scale, undefined);
  assert.equal(optionsOf(form({ sharedScale: true }), CLASSIFIER, { pictures: 2 }).shared_scale, true);
  assert.ok(fieldsFor(VLM, { pictures: 2 }).has("together") && !fieldsFor(VLM).has("together"));
});

test("a form comes back from the options that it made", () => {
  const forms = [
    [form({ model: "imagenet", what: "class", cls: "cat", versus: "dog", methods: ["gradcam"], seed: "7" }), CLASSIFIER],
    [form({ model: "imagenet", what: "top", top: 4, smooth: "both", style: "grey", device: "cpu", size: "320" }), CLASSIFIER],
    [form({ model: "yoloe.pt", what: "box", box: [1, 2, 3, 4], parts: ["left", "size"], classes: "cup", like: "1,2,3,4", renormalise: true, showBoxes: false, confidence: "0.1", layers: ["m.1", "m.2"] }), YOLOE],
    [form({ model: "depth", what: "point", point: "12,34.5" }), MAPS],
    [form({ model: "tiny-vlm", prompt: "Why?", answerPart: "count", methods: ["chefer", "attention"] }), VLM],
  ];
  for (const [one, model] of forms) assert.deepEqual(formOf(optionsOf(/** @type {any} */ (one), /** @type {any} */ (model))), one);
});

test("what is missing is named with its field", () => {
  assert.equal(missing(form({}), CLASSIFIER), null);
  assert.equal(missing(form({ what: "class" }), CLASSIFIER)?.field, "cls");
  assert.equal(missing(form({ what: "box" }), DETECTOR)?.field, "what");
  assert.equal(missing(form({}), VLM)?.field, "prompt");
  assert.equal(missing(form({}), YOLOE), null); // it may have a list of its own
  assert.equal(missing(form({}), { ...YOLOE, lacks_classes: true })?.field, "classes");
  for (const told of [{ classes: "cup" }, { like: "1,1,9,9" }]) assert.equal(missing(form(told), { ...YOLOE, lacks_classes: true }), null);
  assert.equal(missing(form({ prompt: "Why?", versus: "no" }), VLM)?.field, "answer");
  assert.equal(missing(form({ confidence: "1.5" }), DETECTOR)?.field, "confidence");
  assert.equal(missing(form({ confidence: "1.5" }), CLASSIFIER), null);
  assert.equal(missing(form({ seed: "-1" }), CLASSIFIER)?.field, "seed");
  assert.equal(missing(form({ size: "big" }), CLASSIFIER)?.field, "size");
});

test("a model that cannot be opened is not asked, and says why", () => {
  const shut = { ...VLM, error: "the file is damaged" };
  assert.deepEqual(missing(form({ prompt: "Why?" }), shut), { field: "model", text: "This model cannot be opened: the file is damaged. Choose another one." });
});

test("methods are those of the subject", () => {
  const methods = [{ name: "a", subject: "pictures" }, { name: "b", subject: "answers" }, { name: "c", explains: ["answers", "pictures"] }];
  assert.deepEqual(methodsFor(methods, CLASSIFIER).map((one) => one.name), ["a", "c"]);
  assert.deepEqual(methodsFor(methods, VLM).map((one) => one.name), ["b", "c"]);
});

test("the question that is suggested is one that the model can answer", () => {
  assert.equal(exampleQuestion({ ...VLM, family: "tiny-vlm" }), "how many red ?");
  assert.match(missing(form({ model: "tiny-vlm" }), { ...VLM, family: "tiny-vlm" })?.text ?? "", /how many red/);
  assert.equal(exampleQuestion({ ...VLM, family: "transformers" }), "How many cups are there?");
});

const SEEN = { labels: ["red"], boxes: [], words: [{ text: "two", index: 0 }], options: { model: "auto", prompt: "how many red ?" }, models: ["auto", "imagenet"] };

test("what the shown picture has is offered to the model that saw it alone", () => {
  assert.deepEqual(modelsOf({ model: "auto", options: {} }, { maps: [{ model: "imagenet" }, { model: "imagenet" }, {}] }), ["auto", "imagenet"]);
  assert.deepEqual(modelsOf({ model: "detector" }, null), ["detector"]);
  assert.equal(offeredTo(SEEN, "imagenet"), SEEN);
  assert.equal(offeredTo(SEEN, "auto"), SEEN);
  assert.deepEqual(offeredTo(SEEN, "detector"), NOTHING_SEEN);
});

test("a word of an answer brings its question", () => {
  assert.deepEqual(aboutWord(SEEN, "two"), { prompt: "how many red ?", answer: "", versus: "", answerPart: "word:two" });
  assert.deepEqual(aboutWord(NOTHING_SEEN, "two"), { answerPart: "word:two" });
});

test("a picture without a map says why, and what a model of generated scenes knows", () => {
  assert.equal(nothingText({ kind: "detector", family: "ultralytics" }), "The detector found nothing here.");
  assert.match(nothingText({ kind: "detector", family: "detector" }), /found nothing here\. It knows generated scenes: try the sample Scene 1\.$/);
  assert.equal(nothingText(undefined), "There is no map of this picture.");
});
