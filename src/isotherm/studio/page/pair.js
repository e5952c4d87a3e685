/* Maps beside each other: the same picture as two models explained it, or whatever was put into the comparison. */
import { get, request } from "./api.js";
import { el } from "./dom.js";
import { valuesOf } from "./values.js";

/**
 * What is compared: a picture with one map, and where it comes from.
 * @typedef {{run: string, index: number, map: number, title: string}} Part
 */

/**
 * Pictures and maps of parts, each asked for once.
 * @param {Part[]} parts
 * @param {AbortSignal} [signal]
 * @returns {Promise<{title: string, run: string, picture: any, map: any}[]>}
 */
export async function entriesOf(parts, signal) {
  /** @type {Map<string, Promise<{picture: any, maps: any[]}>>} */
  const loads = new Map();
  return Promise.all(parts.map(async ({ run, index, map, title }) => {
    const path = `/api/runs/${run}/view/${index}`;
    const load = loads.get(path) ?? Promise.all([get(path, signal), request(`${path}/values`, { signal }).then((answer) => answer.arrayBuffer())]).then(([picture, buffer]) => ({ picture, maps: valuesOf(buffer, picture.maps) }));
    loads.set(path, load);
    const { picture, maps } = await load;
    return { title: title || maps[map]?.label || picture.name, run, picture, map: maps[Math.min(map, maps.length - 1)] };
  }));
}

/**
 * Mount the comparison.
 * @param {HTMLElement} root
 * @param {any} state of the studio
 * @param {Part[]} parts
 * @param {AbortSignal} [signal]
 * @returns {Promise<{close: () => void}>}
 */
export async function compare(root, state, parts, signal) {
  const [{ mountCompare }, entries] = await Promise.all([import("./compare.js"), entriesOf(parts, signal)]);
  const drawn = entries.filter((entry) => entry.map);
  if (!drawn.length) {
    root.replaceChildren(el("p", { class: "empty", text: "Neither of the two has a map of this picture." }));
    return { close: () => root.replaceChildren() };
  }
  root.replaceChildren();
  return mountCompare(root, state.settings, drawn);
}
