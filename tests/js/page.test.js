import assert from "node:assert/strict";
import test from "node:test";

import { fragmentOf, placeOf } from "../../src/isotherm/studio/page/address.js";
import { inTurn, query, reason } from "../../src/isotherm/studio/page/api.js";
import { watcher } from "../../src/isotherm/studio/page/away.js";
import { nameIn, urlOf, FORMS } from "../../src/isotherm/studio/page/forms.js";
import { counted, durationText, inOrder, isPicture, isVideo, leftOut, momentText, plainLabel, sizeText, verdictTone, whenText } from "../../src/isotherm/studio/page/names.js";
import { searchOf } from "../../src/isotherm/studio/page/search.js";
import { BEGUN, next } from "../../src/isotherm/studio/page/stages.js";
import { flat, shapeText } from "../../src/isotherm/studio/page/tree.js";
import { valuesOf } from "../../src/isotherm/studio/page/values.js";

const ID = "0123456789abcdef0123456789abcdef", OTHER = "f".repeat(32);

test("a place goes through the address and back, and nonsense is none", () => {
  const place = { run: ID, picture: 3, map: 1, versus: OTHER };
  assert.deepEqual(placeOf(fragmentOf(place)), place);
  assert.equal(fragmentOf({ run: ID }), `#run=${ID}`);
  assert.equal(placeOf("#look"), null);
  assert.equal(placeOf("#run=../../etc/passwd"), null);
  assert.deepEqual(placeOf(`#run=${ID}&picture=-1&map=1e9&versus=x`), { run: ID, picture: 0, map: 0, versus: "" });
});

test("a query leaves out what is empty and escapes the rest", () => {
  assert.equal(query({ words: "a&b ü", model: "", label: null, starred: false, limit: 5 }), "?words=a%26b+%C3%BC&limit=5");
  assert.equal(query({}), "");
});

test("a refusal's words are the studio's, or name the field", () => {
  assert.equal(reason({ error: "no such layer" }, 422), "no such layer");
  assert.equal(reason({ detail: "too large" }, 413), "too large");
  assert.equal(reason({ detail: [{ loc: ["body", "options", "top"], msg: "is no number" }] }, 422), "options.top: is no number");
  assert.match(reason(null, 502), /502/);
});

test("a file has the name that the studio gave it", () => {
  assert.equal(nameIn('attachment; filename="bus report.pdf"'), "bus report.pdf");
  assert.equal(nameIn("attachment; filename*=utf-8''Stra%C3%9Fe.pdf"), "Straße.pdf");
  assert.equal(nameIn(""), "map");
});

test("a studio that is gone is noticed, and looked for no more often than every half minute", async () => {
  let time = 0, looks = 0;
  const told = [], gone = new Error("gone");
  const glance = watcher(() => { looks += 1; return looks === 1 ? Promise.resolve() : Promise.reject(gone); }, (error) => told.push(error), { now: () => time });
  for (time of [29_999, 30_000, 59_999]) await glance();
  assert.deepEqual([looks, told], [1, []]);
  time = 60_000;
  await glance();
  assert.deepEqual([looks, told], [2, [gone]]);
});

test("several things at a time, all of them, in order", async () => {
  let now = 0, most = 0;
  const results = await inTurn([5, 1, 4, 2], 2, async (item, i) => {
    most = Math.max(most, ++now);
    await null;
    now--;
    return 10 * item + i;
  });
  assert.deepEqual(results, [50, 11, 42, 23]);
  assert.equal(most, 2);
  await assert.rejects(inTurn([1], 2, async () => { throw new Error("no"); }), /no/);
});

test("a run's events become a line, a share and an end", () => {
  const lines = [];
  let stage = BEGUN;
  for (const event of [{ event: "queued", place: 3 }, { event: "queued", place: 1 }, { event: "running" }, { event: "message", text: "layers: x", kind: "note" }, { event: "progress", step: 1, total: 4, text: "a.jpg", stage: "explaining" }, { event: "item" }, { event: "finished", status: "finished", failures: [] }]) {
    stage = next(stage, event);
    lines.push(stage.line);
  }
  assert.deepEqual(lines, ["Place 3 in the queue", "Next in the queue", "Opening the model", "Opening the model", "Explaining 1 of 4: a.jpg", "Explaining 1 of 4: a.jpg", "Finished"]);
  assert.deepEqual([stage.items, stage.notes, stage.ended, stage.share], [1, ["layers: x"], true, 1]);
  assert.equal(next(stage, { event: "running" }), stage);
});

test("failures keep their words, and who cancelled needs none", () => {
  const failed = next(BEGUN, { event: "failed", status: "failed", error: "no memory" });
  assert.deepEqual([failed.status, failed.error, failed.ended], ["failed", "no memory", true]);
  assert.equal(next(BEGUN, { event: "failed", status: "cancelled", error: "it was cancelled" }).error, "");
  assert.equal(next(BEGUN, { event: "progress", step: 3, total: null }).share, null);
});

test("filters narrow only by what they say", () => {
  assert.deepEqual(searchOf({ words: "  ", model: "", starred: false, days: "" }, 0), {});
  assert.deepEqual(searchOf({ words: " cat ", model: "m", starred: true }, 0), { words: "cat", model: "m", starred: true });
  const noon = new Date(2026, 10, 29, 12).getTime() / 1000, midnight = new Date(2026, 10, 29).getTime() / 1000;
  assert.equal(searchOf({ days: "1" }, noon).since_s, midnight);
  assert.equal(searchOf({ days: "7" }, noon).since_s, new Date(2026, 10, 23).getTime() / 1000);
  assert.deepEqual(searchOf({ days: "range", from: "2026-11-23", until: "2026-11-28" }, noon), { since_s: new Date(2026, 10, 23).getTime() / 1000, until_s: midnight });
  assert.deepEqual(searchOf({ days: "range" }, noon), {});
});

test("values are float16 in units of their map, and NaN where nothing came", () => {
  const bits = [0x0000, 0x3c00, 0xc000, 0x0001, 0x7c00, 0xfc00, 0x7e00, 0x3555], buffer = new Uint16Array(bits).buffer;
  const map = { h: 2, w: 2, unit: 10, offset: 0, bytes: 8 }, second = { h: 1, w: 4, unit: 1, offset: 8, bytes: 8 };
  const [one, two] = valuesOf(buffer, [map, second]);
  assert.deepEqual([...one.values], [0, 10, -20, Math.fround(10 * 2 ** -24)]);
  assert.deepEqual([...two.values].slice(0, 3), [Infinity, -Infinity, NaN]);
  assert.ok(Math.abs(two.values[3] - 1 / 3) < 1e-4);
  assert.ok(valuesOf(new ArrayBuffer(0), [map])[0].values.every(Number.isNaN));
});

test("names and numbers for people", () => {
  assert.equal(sizeText(64 * 2 ** 20), "64 MB");
  assert.equal(sizeText(1536), "1.5 KB");
  assert.equal(durationText(3.44), "3.4 s");
  assert.equal(durationText(125), "2 min 5 s");
  assert.equal(counted(1, "picture"), "1 picture");
  assert.equal(momentText({ name: "a.mp4#12", moment_s: 0.5 }), "a.mp4, 0.50 s");
  assert.equal(momentText({ name: "a#1.jpg", moment_s: null }), "a#1.jpg");
  assert.equal(whenText(100, 130), "just now");
  assert.equal(whenText(0, 600), "10 min ago");
  assert.deepEqual(inOrder([{ name: "p10" }, { name: "p2" }]).map((one) => one.name), ["p2", "p10"]);
  assert.ok(isPicture({ name: "a.HEIC", type: "" }) && isPicture({ name: "x", type: "image/png" }) && !isPicture({ name: "a.txt", type: "text/plain" }));
  assert.ok(isVideo({ name: "a.mp4", type: "" }) && !isVideo({ name: "a.png", type: "image/png" }));
  assert.deepEqual(["believable", "doubtful", "do not trust", "not checked", null].map(verdictTone), ["good", "mixed", "bad", "none", "none"]);
});

test("a label's class is what is left without its score", () => {
  assert.deepEqual(["person 0.87", "tiger cat 39 %", "class 7", "red square", "Boeing 747", "gear .5"].map(plainLabel), ["person", "tiger cat", "class 7", "red square", "Boeing 747", "gear"]);
});

test("forms of a map name the map, those of a run do not", () => {
  const [map, run] = [FORMS.find((one) => one.of === "map"), FORMS.find((one) => one.of === "run")];
  assert.equal(urlOf(ID, /** @type {any} */ (map), 2, 1), `/api/runs/${ID}/export?form=overlay&index=2&map=1`);
  assert.equal(urlOf(ID, /** @type {any} */ (run), 2, 1), `/api/runs/${ID}/export?form=pdf`);
});

test("a tree's rows are those of open branches", () => {
  const leaf = /** @param {string} name */ (name) => ({ name, type: "Conv2d", shape: [8, 4, 4], automatic: false, why: "", children: [] });
  const tree = [{ ...leaf("a"), children: [leaf("a.0"), leaf("a.1")] }, leaf("b")];
  assert.deepEqual(flat(tree, () => false).map((row) => row.layer.name), ["a", "b"]);
  assert.deepEqual(flat(tree, () => true).map((row) => [row.layer.name, row.short, row.level, row.index, row.count]), [["a", "a", 1, 0, 2], ["a.0", "0", 2, 0, 2], ["a.1", "1", 2, 1, 2], ["b", "b", 1, 1, 2]]);
  assert.equal(shapeText([8, 4, 4]), "8 × 4 × 4");
});

test("files that are neither pictures nor videos are named, the first of many", () => {
  const names = (/** @type {string[]} */ ...all) => all.map((name) => ({ name }));
  assert.match(leftOut(names("notes.txt")), /neither a picture nor a video: notes\.txt\. Take/);
  assert.match(leftOut(names("a", "b", "c", "d", "e")), /: a, b, c and 2 more\. Take/);
});
