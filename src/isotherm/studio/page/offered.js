/* What the shown picture has, offered to be asked about. Nothing here touches the page. */

/**
 * What a picture that is shown has: findings, classes and words of an answer, and of which run and model.
 * @typedef {{labels: string[], boxes: number[][], words: {text: string, index: number}[], options: Record<string, any>, models: string[]}} Seen
 */

/** @type {Seen} */
export const NOTHING_SEEN = { labels: [], boxes: [], words: [], options: {}, models: [] };

/**
 * The names of the model that a run was explained by: the one that was asked for, and what that stood for.
 * @param {{model: string, options?: Record<string, any>}} run
 * @param {{maps?: {model?: string | null}[]} | null} picture
 * @returns {string[]}
 */
export function modelsOf(run, picture) {
  const stood = (picture?.maps ?? []).map((map) => map.model ?? "");
  return [...new Set([run.options?.model ?? run.model, run.model, ...stood])].filter(Boolean);
}

/**
 * What of it can be asked of a model: only what this model itself saw, by whichever of its names.
 * @param {Seen} seen
 * @param {string} model
 * @param {{name: string, stands_for?: string}[]} [models] those that may be asked for
 */
export function offeredTo(seen, model, models = []) {
  const really = (/** @type {string} */ name) => models.find((one) => one.name === name)?.stands_for ?? name;
  return seen.models.some((name) => really(name) === really(model)) ? seen : NOTHING_SEEN;
}

/**
 * What the form says once a word of an answer is chosen: the question comes with it, and an answer that was asked for.
 * @param {Seen} seen
 * @param {string} word
 */
export function aboutWord({ options }, word) {
  const question = options.prompt ? { prompt: String(options.prompt), answer: String(options.answer ?? ""), versus: String(options.versus ?? "") } : {};
  return { ...question, answerPart: `word:${word}` };
}
