/* Which run, picture and map the page shows, in its address, so that going back works and a place can be kept. */

/**
 * @typedef {{run: string, picture: number, map: number, versus: string}} Place
 * `versus`: a second run over the same pictures; empty where there is none.
 */

const ID = /^[0-9a-f]{32}$/;

/**
 * The place that a fragment names; null where it names no run.
 * @param {string} hash such as "#run=…&picture=2"
 * @returns {Place | null}
 */
export function placeOf(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const run = values.get("run") ?? "", versus = values.get("versus") ?? "";
  if (!ID.test(run)) return null;
  return { run, picture: whole(values.get("picture")), map: whole(values.get("map")), versus: ID.test(versus) ? versus : "" };
}

/**
 * @param {Partial<Place> & {run: string}} place
 * @returns {string} a fragment
 */
export function fragmentOf({ run, picture = 0, map = 0, versus = "" }) {
  const values = new URLSearchParams({ run });
  if (picture) values.set("picture", String(picture));
  if (map) values.set("map", String(map));
  if (versus) values.set("versus", versus);
  return `#${values}`;
}

/** @param {string | null} text */
function whole(text) {
  return /^\d{1,6}$/.test(text ?? "") ? Number(text) : 0;
}
