/* What can be taken along: files of a map, of a run, and the command and the Python that make it again. */
import { query, request } from "./api.js";
import { el, fail } from "./dom.js";
import { nameIn, urlOf, FORMS } from "./forms.js";

const KEEP_MS = 60_000; // a file that the browser may still be saving

/**
 * The links that download a map or a run.
 * @param {any} run
 * @param {number} picture
 * @param {number | null} map null where the picture has none
 * @returns {HTMLElement[]}
 */
export function exportsOf(run, picture, map) {
  const there = (run.files ?? []).some((/** @type {string} */ name) => name.endsWith(".mp4")), film = there || (run.pictures ?? []).length > 1;
  const list = FORMS.filter((form) => form.form !== "mp4" || film).map((form) => (form.form === "mp4" && there ? { ...form, large: true } : form));
  /** @param {string} of */
  const links = (of) => el("ul", { class: "files" }, ...list.filter((form) => form.of === of).map((form) => el("li", {}, linkOf(form, urlOf(run.id, form, picture, map ?? 0)))));
  return [el("div", { class: "label" }, el("span", { text: "Files" })), ...(map === null ? [] : [el("div", { class: "pair" }, el("span", { class: "hint", text: "this map" }), links("map"))]), el("div", { class: "pair" }, el("span", { class: "hint", text: "the whole run" }), links("run")), ...(film ? [] : [el("p", { class: "hint", text: "MP4: of videos, and of several pictures." })])];
}

/** @param {import("./forms.js").Form} form @param {string} href */
function linkOf(form, href) {
  const link = el("a", { href, download: "", title: form.text }, form.title);
  if (form.large) return link; // the browser shows how far it is, and this page holds none of it
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.getAttribute("aria-busy") !== "true") void save(link);
  });
  return link;
}

/** Save a file when the studio has made it, which its link says meanwhile. @param {HTMLAnchorElement} link */
async function save(link) {
  const title = link.textContent ?? "";
  link.setAttribute("aria-busy", "true");
  link.textContent = "Making the file…";
  try {
    const response = await request(link.href), address = URL.createObjectURL(await response.blob());
    el("a", { href: address, download: nameIn(response.headers.get("content-disposition") ?? "") }).click();
    setTimeout(() => URL.revokeObjectURL(address), KEEP_MS);
  } catch (error) {
    fail(error);
  } finally {
    link.removeAttribute("aria-busy");
    link.textContent = title;
  }
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
