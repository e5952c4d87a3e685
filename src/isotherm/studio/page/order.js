/* The gallery's order and filters. Nothing here touches the page. */
import { plainLabel, VERDICTS } from "./names.js";

/**
 * A picture of a run, as the studio lists it.
 * @typedef {{index: number, name: string, verdicts: string[], checking?: boolean, labels: string[], maps: number, peak: number | null, score: number | null, thumb: string, status: string, error: string | null, moment_s?: number | null}} Item
 */

/** The orders of a gallery, with their words. */
export const ORDERS = [["taken", "as they came"], ["name", "by name"], ["worst", "worst score first"], ["best", "best score first"], ["doubtful", "most doubtful first"], ["peak", "strongest first"]];

/**
 * Pictures in an order; those without what decides come last, and equal ones as they came.
 * @template {Item} T
 * @param {T[]} items
 * @param {string} order
 * @returns {T[]}
 */
export function sorted(items, order) {
  const keys = /** @type {Record<string, (item: Item) => number | null>} */ ({ worst: (item) => item.score, best: (item) => negative(item.score), doubtful: (item) => doubt(item), peak: (item) => negative(item.peak) });
  const key = keys[order];
  if (order === "name") return [...items].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || a.index - b.index);
  if (!key) return [...items];
  return [...items].sort((a, b) => number(key(a)) - number(key(b)) || a.index - b.index);
}

/**
 * Pictures of a class and a verdict; empty words do not narrow.
 * @template {Item} T
 * @param {T[]} items
 * @param {{label?: string, verdict?: string}} filters
 * @returns {T[]}
 */
export function narrowed(items, { label = "", verdict = "" }) {
  return items.filter((item) => (!label || item.labels.some((one) => plainLabel(one) === label)) && (!verdict || item.verdicts.includes(verdict) || (verdict === "failed" && Boolean(item.error))));
}

/**
 * The pictures of one run, or of several over the same pictures: each with what any of them says of it, and the first one's figures.
 * @param {Item[][]} runs
 * @returns {Item[]}
 */
export function together([first, ...others]) {
  return first.map((item, i) => {
    const all = [item, ...others.map((items) => items[i]).filter(Boolean)];
    return { ...item, verdicts: all.flatMap((one) => one.verdicts), labels: all.flatMap((one) => one.labels), error: all.find((one) => one.error)?.error ?? null };
  });
}

/** The words that a gallery can be narrowed to. @param {Item[]} items */
export function wordsOf(items) {
  const labels = [...new Set(items.flatMap((item) => item.labels.map(plainLabel)))].sort((a, b) => a.localeCompare(b, "en"));
  const verdicts = VERDICTS.filter((verdict) => items.some((item) => item.verdicts.includes(verdict)));
  return { labels, verdicts: [...verdicts, ...(items.some((item) => item.error) ? ["failed"] : [])] };
}

/** The worst verdict of an item's maps, as a number; null where there is none. @param {Item} item */
function doubt(item) {
  const ranks = item.verdicts.map((verdict) => VERDICTS.indexOf(verdict)).filter((rank) => rank >= 0);
  return ranks.length ? Math.min(...ranks) : null;
}

/** @param {number | null} value */
function negative(value) {
  return value === null ? null : -value;
}

/** @param {number | null} value */
function number(value) {
  return value === null || Number.isNaN(value) ? Infinity : value;
}

/**
 * Where a key leads in a grid.
 * @param {number} at
 * @param {string} key
 * @param {number} columns
 * @param {number} count
 * @returns {number | null} null for keys that lead nowhere
 */
export function moved(at, key, columns, count) {
  const to = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: count - 1, PageDown: at + 4 * columns, PageUp: at - 4 * columns })[key];
  if (to === undefined) return null;
  if ((key === "ArrowDown" || key === "ArrowUp") && (to < 0 || to >= count)) return at;
  return Math.min(Math.max(to, 0), count - 1);
}
