/* What can be taken along: files of a map, of a run, and the command and the Python that make it again. */
import { query, request } from "./api.js";
import { el } from "./dom.js";
import { urlOf, FORMS } from "./forms.js";

/**
 * The links that download a map or a run.
 * @param {any} run
 * @param {number} picture
 * @param {number | null} map null where the picture has none
 * @returns {HTMLElement[]}
 */
export function exportsOf(run, picture, map) {
  const video = (run.files ?? []).some((/** @type {string} */ name) => name.endsWith(".mp4"));
  const list = FORMS.filter((form) => form.form !== "mp4" || video);
  /** @param {string} of */
  const links = (of) => el("ul", { class: "files" }, ...list.filter((form) => form.of === of).map((form) => el("li", {}, el("a", { href: urlOf(run.id, form, picture, map ?? 0), download: "", title: form.text }, form.title))));
  return [el("div", { class: "label" }, el("span", { text: "Files" })), ...(map === null ? [] : [el("div", { class: "pair" }, el("span", { class: "hint", text: "this map" }), links("map"))]), el("div", { class: "pair" }, el("span", { class: "hint", text: "the whole run" }), links("run"))];
}

/**
 * The command and the Python that make a run again.
 * @param {any} run
 * @param {number} picture
 * @param {number} map
 * @returns {Promise<{name: string, text: string}[]>}
 */
export async function codeOf(run, picture, map) {
  const ask = async (/** @type {string} */ form) => (await request(`/api/runs/${run.id}/export${query({ form, index: picture, map })}`)).text();
  const [command, python] = await Promise.all([ask("command"), ask("python")]);
  return [{ name: "Command", text: command.trim() }, { name: "Python", text: python.trim() }];
}
