/* How far a map may be believed: the verdict, its reasons, and the curves that it comes from. */
import { curveChart, tableOf } from "./chart.js";
import { el } from "./dom.js";
import { BELIEVABLE, besideText, DEPENDS_BELOW, gainOf, gainText, meaningOf, percentText, whyUnchecked } from "./judged.js";

/** @typedef {import("./judged.js").Judgement} Judgement */

const WAYS = /** @type {["deletion" | "insertion", string, string][]} */ ([
  ["deletion", "Deletion: the marked pixels are taken away first. A curve that falls early is good.", "part taken away"],
  ["insertion", "Insertion: the marked pixels are put back first. A curve that rises early is good.", "part put back"],
]);

/** Rows of figures of a judgement. @param {Judgement} judgement @returns {string[][]} */
export function figureRows(judgement) {
  return WAYS.map(([name]) => {
    const { value, random, spread, centre } = judgement[name];
    return [name[0].toUpperCase() + name.slice(1), percentText(value), `${percentText(random)} ± ${percentText(spread)}`, percentText(centre)];
  });
}

/** The table of a judgement's figures. @param {Judgement} judgement */
export function figureTable(judgement) {
  return tableOf("Area below the curve, of what there is to lose", ["What is done", "This map", "Random maps", "The centre"], figureRows(judgement));
}

/** @param {HTMLElement} root @param {any} map */
export function showVerdict(root, map) {
  /** @type {Judgement | null} */
  const judgement = map.judgement;
  const why = whyUnchecked(map);
  if (map.checking) return root.replaceChildren(el("p", { class: "hint", text: "The map is being checked: what it marks is covered, and all but that. The curves come here when it has ended." }));
  if (why) return root.replaceChildren(el("p", { class: "hint", text: `This map was to be checked, and was not: ${why}. Ask again to have it checked.` }));
  if (!judgement) return root.replaceChildren(el("p", { class: "hint", text: "This map was not checked. Ask again with “Check” set to fast or full; fast checks the two surest findings of a picture." }));
  const curves = !judgement.gain || judgement.deletion.orders > 0;
  root.replaceChildren(el("p", { class: "line", text: meaningOf(map.verdict, judgement) }), ...(judgement.gain ? [gainFigure(judgement.gain)] : []),
    ...(curves ? [el("div", { class: "charts" }, ...WAYS.map((way) => chartOf(way, judgement))), figureTable(judgement), el("p", { class: "hint", text: weightsText(judgement) })]
      : [el("p", { class: "hint", text: "The full check adds deletion, insertion and random weights." })]));
}

/** The curves whose distance is the evidence gain. @param {import("./judged.js").Gain} gain */
function gainFigure(gain) {
  const value = gainOf(gain);
  const what = value === null ? "Evidence gain: not checked." : `Evidence gain ${gainText(value)}, believable from ${BELIEVABLE}.`;
  const [own, random] = gainCurves(gain);
  const words = el("figcaption", { class: "hint", text: `${what} Parts of the picture are covered, those first that the map marks most, or all others first. The more the two curves differ, the more of what was asked about is where the map says.` });
  if (!own.length) return el("figure", {}, words);
  const chart = curveChart(what, "part covered", [{ kind: "random", points: random }, { kind: "own", points: own }]);
  const key = el("p", { class: "key" }, el("span", { class: "own" }, "others first"), el("span", { class: "random" }, "marked first"));
  return el("div", { class: "charts" }, el("figure", {}, chart, key, words));
}

/** Both curves as points (part covered, how well it is known), the last one only where it was looked at; empty where another value is not finite. @param {import("./judged.js").Gain} gain @returns {[number, number][][]} */
export function gainCurves({ whole, empty, kept, cut, fractions }) {
  const ways = [kept, cut].map((values) => [whole, ...values, ...(typeof empty === "number" ? [empty] : [])]);
  if (ways.flat().some((value) => typeof value !== "number")) return [[], []];
  return ways.map((values) => values.map((value, i) => /** @type {[number, number]} */ ([[0, ...fractions, 1][i], value])));
}

/** @param {["deletion" | "insertion", string, string]} way @param {Judgement} judgement */
function chartOf([name, words, below], judgement) {
  const { curve = [], ...figure } = judgement[name];
  const what = `${name}: ${besideText(figure)}`;
  if (!curve.length) return el("figure", {}, el("figcaption", { class: "hint", text: `${words} ${what}.` }));
  const chart = curveChart(`Curve of ${what}.`, below, [{ kind: "random", points: curve.map(([at, , y]) => [at, y]) }, { kind: "own", points: curve.map(([at, y]) => [at, y]) }]);
  const key = el("p", { class: "key" }, el("span", { class: "own" }, "this map"), el("span", { class: "random" }, "random maps, average"));
  return el("figure", {}, chart, key, el("figcaption", { class: "hint", text: words }));
}

/** @param {Judgement} judgement */
export function weightsText({ similarity, untrained }) {
  if (untrained) return "The model's weights are random: nothing was learned that a map could show.";
  if (typeof similarity !== "number") return "Whether the map depends on what the model has learned was not checked.";
  const means = similarity < DEPENDS_BELOW ? "the map depends on what the model has learned" : "the map hardly depends on what the model has learned";
  return `With random weights the map is alike by ${similarity.toFixed(2)} of 1: ${means}.`;
}
