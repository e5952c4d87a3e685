/* Moments and parts of a video: which frames are meant, and how they are called. Nothing here touches the page. */

/** @typedef {{frames: number, seconds: number, fps: number}} Length */
/** @typedef {{start: number, end: number, every: number}} Part */

/** Frames that make a heatmap video which takes longer than a person waits. */
export const MANY = 300;

/**
 * Seconds as minutes and seconds, to a hundredth.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.round(Math.max(0, seconds) * 100), minutes = Math.floor(whole / 6000);
  return `${minutes}:${((whole % 6000) / 100).toFixed(2).padStart(5, "0")}`;
}

/**
 * The moment of a frame that is nearest to a moment.
 * @param {number} seconds @param {Length} length
 */
export function nearest(seconds, { frames, fps }) {
  if (!(fps > 0)) return 0;
  const index = Math.round(seconds * fps);
  return Math.min(Math.max(index, 0), Math.max(0, frames - 1)) / fps;
}

/**
 * A part within the video, of at least one frame; the end that was not touched gives way.
 * @param {Part} part @param {Length} length @param {"start" | "end"} [touched]
 * @returns {Part}
 */
export function fitting({ start, end, every }, { seconds, fps }, touched = "end") {
  const least = fps > 0 ? 1 / fps : seconds;
  const clean = { start: Math.min(Math.max(0, start || 0), Math.max(0, seconds - least)), end: Math.min(Math.max(end || 0, least), seconds), every: Math.max(1, Math.round(every) || 1) };
  if (clean.end - clean.start < least - 1e-9) {
    if (touched === "start") clean.end = Math.min(seconds, clean.start + least);
    else clean.start = Math.max(0, clean.end - least);
  }
  return clean;
}

/**
 * How many frames of a part are explained.
 * @param {Part} part @param {Length} length
 */
export function frameCount({ start, end, every }, { frames, seconds, fps }) {
  const first = Math.ceil(start * fps - 1e-6), last = end >= seconds - 1e-6 ? frames : Math.min(frames, Math.ceil(end * fps - 1e-6));
  return Math.max(0, Math.ceil((last - first) / every));
}

/**
 * The options of the job `explain` that mean a part; what is the default is left out.
 * @param {Part} part @param {Length} length
 * @returns {Record<string, number>}
 */
export function optionsOf({ start, end, every }, { seconds }) {
  const round = (/** @type {number} */ value) => Number(value.toFixed(3));
  return {
    ...(start > 0.0005 ? { start_s: round(start) } : {}),
    ...(end < seconds - 0.0005 ? { end_s: round(end) } : {}),
    ...(every > 1 ? { every } : {}),
  };
}

/**
 * Every how many frames to begin with: so that some dozens are explained.
 * @param {Length} length
 */
export function firstEvery({ frames }) {
  return Math.max(1, Math.ceil(frames / 48));
}
