/* What a verdict says, in words. Nothing here touches the page. */
import { meaningIn } from "./glossary.js";
import { VERDICTS } from "./names.js";

/** One figure beside those of random maps, as isotherm.metrics.trust.Beside.
 * @typedef {{value: number | null, random: number | null, spread: number | null, orders: number, centre: number | null, lower_is_better: boolean, lost: number, curve?: [number, number, number][], level?: number}} Beside */
/** How well a class is known as parts of the picture are covered, as isotherm.metrics.gain.Gain.
 * @typedef {{whole: number | null, empty: number | null, kept: (number | null)[], cut: (number | null)[], fractions: number[], halves: (number | null)[]}} Gain */
/** @typedef {{deletion: Beside, insertion: Beside, similarity: number | null, stages: [number, number][], evidence: boolean, untrained: boolean, gain?: Gain | null}} Judgement */

/** The evidence gain from which on a map is believable, as isotherm.metrics.trust has it. */
export const BELIEVABLE = 0.95;
/** The one from which on it is doubtful, and below which it is not to be trusted. */
export const DOUBTFUL = 0.7;

/** The evidence gain; null where it is not known. @param {Gain | null | undefined} gain @returns {number | null} */
export function gainOf(gain) {
  const { kept = [], cut = [] } = gain ?? {};
  const apart = kept.map((value, i) => (value ?? NaN) - (cut[i] ?? NaN));
  const mean = apart.reduce((sum, value) => sum + value, 0) / apart.length;
  return Number.isFinite(mean) ? mean : null;
}

/** A gain to two decimals, rounded down where it would read as a limit that it does not reach, as isotherm.metrics.trust writes it. @param {number} value */
export function gainText(value) {
  const rounded = Number(value.toFixed(2));
  return [DOUBTFUL, BELIEVABLE].some((limit) => value < limit && limit <= rounded) ? (Math.floor(100 * value) / 100).toFixed(2) : value.toFixed(2);
}

/** A share in per cent; a dash where there is none. @param {number | null | undefined} value */
export function percentText(value) {
  return typeof value === "number" && Number.isFinite(value) ? `${Math.round(100 * value)} %` : "–";
}

/** What a figure comes to beside random ones, in a few words. @param {Beside} beside */
export function besideText({ value, random, spread, lower_is_better: lower }) {
  if (typeof value !== "number" || typeof random !== "number") return "unknown";
  const gain = lower ? random - value : value - random;
  return `${percentText(Math.abs(gain))} ${gain >= 0 ? "better" : "worse"} than random, which differs by ${percentText(spread)}`;
}

/** The largest likeness to the map of random weights at which a map depends on what was learned, as isotherm.metrics.cascade has it. */
export const DEPENDS_BELOW = 0.5;

/**
 * What a verdict means, in a sentence; where a map failed, what it failed.
 * @param {string} verdict
 * @param {Judgement} judgement
 */
export function meaningOf(verdict, { similarity, gain }) {
  if (gain && verdict === "do not trust") return "What the map marks shows what was asked about no better than the rest of the picture does.";
  if (verdict !== "do not trust" || typeof similarity !== "number") return VERDICTS.includes(verdict) ? meaningIn(verdict) : "";
  const hardly = similarity >= DEPENDS_BELOW;
  return hardly ? "The map hardly depends on what the model has learned: with random weights it stays much the same." : "The map depends on what the model has learned, but failed where parts were taken away or put back; the figures below say by how much.";
}

/** The word that stands for a verdict that is being found out. */
export const CHECKING = "being checked…";

/** Why a check came to no end, as the line of a map that was to be checked says it; empty of any other. @param {{verdict?: string | null, trust?: string, judgement?: Judgement | null}} map */
export function whyUnchecked({ verdict, trust, judgement }) {
  return verdict && !judgement ? (/^trust: not checked \((.*)\)$/s.exec(trust ?? "")?.[1] ?? "") : "";
}

/**
 * What a person is told when maps were checked.
 * @param {(string | null | undefined)[]} verdicts
 */
export function checkedText(verdicts) {
  const words = [...new Set(verdicts.filter(Boolean))];
  return words.length ? `checked: ${words.join(", ")}` : "";
}

/**
 * Why a map has no verdict, as far as those beside it tell.
 * @param {{verdict?: string | null, checking?: boolean}[]} beside
 */
export function whyNotJudged(beside) {
  return beside.some(({ verdict, checking }) => verdict || checking) ? "The fast check looks at the two surest findings of a picture; ask with the full check to judge every map." : "It was made without a check.";
}

/**
 * The verdict of a map in a line: the word, why, and how often it errs.
 * @param {{verdict?: string | null, trust?: string, judgement?: Judgement | null, checking?: boolean}} map
 * @returns {{word: string, reason: string, errs: string}}
 */
export function verdictLine({ verdict, trust, judgement, checking }) {
  if (checking) return { word: CHECKING, reason: "The map is there; its verdict comes here by itself.", errs: "" };
  const why = whyUnchecked({ verdict, trust, judgement });
  if (verdict && why) return { word: verdict, reason: `(${why})`, errs: "" };
  if (!verdict || !judgement) return { word: "", reason: "This map was not judged.", errs: "" };
  const reason = /\(([^()]*)\)$/.exec(trust ?? "")?.[1] ?? "";
  return { word: verdict, reason: reason && `${reason[0].toUpperCase()}${reason.slice(1)}.`, errs: errorText(verdict, judgement) };
}

/** How often a verdict of this kind errs, as far as its own figures say. @param {string} verdict @param {Judgement} judgement */
function errorText(verdict, { deletion, insertion, gain }) {
  if (gain) return GAIN_ERRS[verdict] ?? "";
  const level = deletion.level ?? insertion.level;
  if (!level) return "";
  const rate = `1 random map in ${Math.round(1 / (1 - level))}`;
  if (verdict === "believable") return `Fewer than ${rate} would pass each of the two tests. Believable is not the same as right.`;
  return verdict === "doubtful" || verdict === "do not trust" ? `The tests let fewer than ${rate} pass, and miss some good maps: take it for not shown, not for wrong.` : "";
}

/** How often a word that comes from the evidence gain is wrong, as bench/trust.py measured. @type {Record<string, string>} */
const GAIN_ERRS = {
  believable: "Of maps that rest on something else, 1 to 3 in 100 come this far. Believable is not the same as right.",
  doubtful: "Of maps that rest on what they should, up to 7 in 100 come no farther: take it for not shown, not for wrong.",
  "do not trust": "Of maps that rest on what they should, up to 8 in 100 are no better.",
};
