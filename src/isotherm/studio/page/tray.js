/* The tray as text, so that it outlives the page: what was taken lies in the studio, and its ids stay good. Nothing here
   touches the page. */

/** @typedef {import("./pictures.js").Taken} Taken */

/**
 * @param {Taken[]} taken
 * @param {Set<string>} off ids that are not part of the next question
 */
export function remembered(taken, off) {
  const plain = taken.map(({ thumb, ...one }) => ({ ...one, thumb: thumb?.startsWith("blob:") ? lasting(one) : thumb }));
  return JSON.stringify({ taken: plain, off: [...off] });
}

/**
 * What was remembered; an empty tray where nothing was, or something else.
 * @param {string | null} text
 * @returns {[Taken[], Set<string>]}
 */
export function recalled(text) {
  try {
    const { taken, off } = JSON.parse(text ?? "{}");
    const known = taken.filter((/** @type {any} */ one) => typeof one?.id === "string" && typeof one.name === "string");
    return [known, new Set(off.filter((/** @type {any} */ id) => typeof id === "string"))];
  } catch {
    return [[], new Set()];
  }
}

/** The address of a small picture that the studio makes. @param {{id: string}} one */
function lasting({ id }) {
  return `/api/pictures/${id}/thumb`;
}
