/* Names and numbers for people. Nothing here touches the page. */

/** @param {number} bytes */
export function sizeText(bytes) {
  for (const [unit, size] of /** @type {[string, number][]} */ ([["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 2 ** 10]]))
    if (bytes >= size) return `${Number((bytes / size).toPrecision(2))} ${unit}`;
  return `${bytes} bytes`;
}

/**
 * How long ago, or when.
 * @param {number} thenSeconds since 1970
 * @param {number} nowSeconds
 * @param {string} [locale]
 */
export function whenText(thenSeconds, nowSeconds, locale) {
  const ago = nowSeconds - thenSeconds;
  if (ago < 60) return "just now";
  if (ago < 3600) return `${Math.floor(ago / 60)} min ago`;
  const then = new Date(1000 * thenSeconds), today = new Date(1000 * nowSeconds);
  const clock = then.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (then.toDateString() === today.toDateString()) return `today, ${clock}`;
  return `${then.toLocaleDateString(locale, { day: "numeric", month: "short", year: then.getFullYear() === today.getFullYear() ? undefined : "numeric" })}, ${clock}`;
}

/** @param {number} seconds */
export function durationText(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** A picture's name, of a frame of a video with its time. @param {{name: string, moment_s?: number | null}} picture */
export function momentText({ name, moment_s: moment }) {
  return moment === null || moment === undefined ? name : `${name.replace(/#.*$/, "")}, ${moment.toFixed(2)} s`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/**
 * Files in the order that people expect: picture 2 before picture 10.
 * @template {{name: string}} T
 * @param {T[]} files
 * @returns {T[]}
 */
export function inOrder(files) {
  return [...files].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** Whether a file is a picture, by its kind or, where the system knows none, its name. @param {{name: string, type: string}} file */
export function isPicture(file) {
  return /^image\//.test(file.type) || (!file.type && /\.(jpe?g|png|webp|bmp|tiff?|gif|avif|heic)$/i.test(file.name));
}

/** @param {{name: string, type: string}} file */
export function isVideo(file) {
  return /^video\//.test(file.type) || (!file.type && /\.(mp4|mov|avi|mkv|webm|m4v)$/i.test(file.name));
}

const TONES = /** @type {Record<string, string>} */ ({ believable: "good", doubtful: "mixed", "do not trust": "bad" });

/** The verdicts from the worst to the best, as isotherm.metrics.trust has them. */
export const VERDICTS = ["do not trust", "doubtful", "cannot be judged", "no evidence", "not checked", "believable"];

/** A label without its score: "person 0.87" and "tabby cat 39 %" are of a person and of a tabby cat. @param {string} label */
export function plainLabel(label) {
  return label.replace(/\s+(\d+(\.\d+)?\s*%|\d?\.\d+)$/, "").trim();
}

/** The verdict's class for its colour: how far a map may be believed. @param {string | null | undefined} verdict */
export function verdictTone(verdict) {
  return TONES[verdict ?? ""] ?? "none";
}

/** What is said of files that are neither pictures nor videos. @param {{name: string}[]} files */
export function leftOut(files) {
  const rest = files.length > 3 ? ` and ${files.length - 3} more` : "";
  return `Left out, neither a picture nor a video: ${files.slice(0, 3).map((file) => file.name).join(", ")}${rest}. Take JPEG, PNG, WebP or the like.`;
}
