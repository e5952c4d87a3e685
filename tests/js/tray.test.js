/* What is asked about, and of whom, outlives a reload and names that stand for one another. */
import assert from "node:assert/strict";
import test from "node:test";
import { offeredTo, NOTHING_SEEN } from "../../src/isotherm/studio/page/offered.js";
import { recalled, remembered } from "../../src/isotherm/studio/page/tray.js";

test("a tray is recalled as it was, with pictures that outlive the page", () => {
  const taken = [
    { id: "a", name: "cat.jpg", thumb: "blob:http://127.0.0.1/1" },
    { id: "b", name: "clip.mp4", kind: "video", seconds: 3, thumb: "/api/videos/b/strip?count=1", options: { every: 5 } },
  ];
  const [again, off] = recalled(remembered(taken, new Set(["b"])));
  assert.deepEqual(again, [{ ...taken[0], thumb: "/api/pictures/a/thumb" }, taken[1]]);
  assert.deepEqual([...off], ["b"]);
});

test("what is no tray is an empty one", () => {
  for (const text of [null, "", "{", "[]", "null", "3", '{"taken": 3}', '{"taken": [null, {"id": 1}], "off": [2]}']) {
    const [taken, off] = recalled(text);
    assert.deepEqual([taken, [...off]], [[], []], String(text));
  }
});

test("what the automatic model saw is offered to the model that it stood for, and the other way round", () => {
  const models = [{ name: "auto", stands_for: "imagenet" }, { name: "imagenet" }, { name: "scenes" }];
  const seen = { ...NOTHING_SEEN, labels: ["tabby 60 %"] };
  for (const [by, to, offered] of [["auto", "imagenet", true], ["imagenet", "auto", true], ["auto", "auto", true], ["auto", "scenes", false], ["scenes", "auto", false]])
    assert.equal(offeredTo({ ...seen, models: [by] }, to, models).labels.length, offered ? 1 : 0, `${by} to ${to}`);
});
