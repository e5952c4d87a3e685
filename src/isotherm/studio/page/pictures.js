/* "Get a picture": dropped, pasted, picked, a folder, samples, a camera, a video. What was taken lies in a tray, and what
   is chosen there is what the next question is about. */
import { ApiError, inTurn, request, send, upload } from "./api.js";
import { doing, el, fail, dialog, say } from "./dom.js";
import { counted, inOrder, isPicture, isVideo, leftOut, sizeText } from "./names.js";
import { recalled, remembered } from "./tray.js";

/**
 * A picture or a video that the studio has. thumb: an address of a small picture of it; options: what it adds to a run, such as the part of a video.
 * @typedef {{id: string, name: string, kind?: string, thumb?: string, seconds?: number, options?: Record<string, any>}} Taken
 */

const AT_ONCE = 3;
const KEPT = "isotherm-tray"; // what this tab has taken so far, for when it is loaded again
const SHOWN = 60; // thumbnails in the tray; of a folder of thousands the rest is counted

/** The tray of pictures, with the ways to fill it. */
export class Tray {
  /**
   * @param {HTMLElement} root
   * @param {any} state of the studio
   * @param {{changed: () => void}} on
   */
  constructor(root, state, on) {
    this.state = state;
    this.on = on;
    /** @type {Taken[]} */
    this.taken = [];
    /** @type {Set<string>} */
    this.off = new Set(); // ids that are in the tray, but not part of the next question
    [this.taken, this.off] = recalled(keep());
    /** @type {{run: string, pictures: Taken[]} | null} */
    this.shown = null;
    this.list = el("ul", { class: "tray", "aria-label": "Pictures to ask about" });
    this.note = el("p", { class: "hint", role: "status" });
    this.samples = el("div", { class: "samples", role: "group", "aria-label": "Samples", hidden: true });
    this.root = root;
    root.append(...this.parts());
    this.listen();
    this.draw();
  }

  /** What the next question is about: what is chosen in the tray, or else the picture that is shown. @returns {Taken[]} */
  get chosen() {
    const own = this.taken.filter((one) => !this.off.has(one.id));
    return own.length ? own : this.taken.length ? [] : (this.shown?.pictures ?? []);
  }

  parts() {
    const pick = /** @param {Record<string, any>} how @param {string} label */ (how, label) => {
      const input = el("input", { type: "file", multiple: true, class: "away", tabIndex: -1, "aria-hidden": "true", ...how });
      input.addEventListener("change", () => { void this.take([...(input.files ?? [])]); input.value = ""; });
      return [el("button", { type: "button", class: "tool", on: { click: () => input.click() } }, label), input];
    };
    const more = el("button", { type: "button", class: "tool", "aria-expanded": "false", on: { click: () => this.openSamples(more) } }, "Samples");
    const drop = el("div", { class: "drop" },
      el("p", {}, el("b", { text: "Drop pictures here" }), " or paste one, or take"),
      el("div", { class: "row" },
        ...pick({ accept: "image/*,video/*" }, "Files…"), ...pick({ webkitdirectory: true }, "Folder…"), more,
        el("button", { type: "button", class: "tool", on: { click: doing(() => this.open("camera")) } }, "Camera…"),
        el("button", { type: "button", class: "tool", on: { click: doing(() => this.open("video")) } }, "Video…")));
    this.zone = drop;
    return [el("h2", {}, "Picture"), drop, this.samples, this.list, this.note];
  }

  /** Show the samples, or fold them away; their pictures are loaded when they are shown first. @param {HTMLButtonElement} button */
  openSamples(button) {
    if (!this.samples.children.length)
      this.samples.append(...(this.state.samples ?? []).map((/** @type {any} */ one) => el("button", { type: "button", title: one.source ?? one.title ?? one.name, on: { click: doing(() => this.sample(one)) } },
        one.url ? el("img", { src: one.url, alt: "", width: 60, height: 44 }) : null, el("span", { translate: false, text: one.title ?? one.name }))));
    this.samples.hidden = !this.samples.hidden;
    button.setAttribute("aria-expanded", String(!this.samples.hidden));
  }

  listen() {
    // anywhere on the page: who drops a picture beside the frame means the frame
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.zone?.classList.add("over");
    });
    addEventListener("dragleave", (event) => { if (event.relatedTarget === null) this.zone?.classList.remove("over"); });
    addEventListener("drop", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.zone?.classList.remove("over");
      void dropped(event.dataTransfer).then((files) => this.take(files)).catch(fail);
    });
    addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      void this.take(files);
    });
  }

  /**
   * Send files to the studio; what it refuses is told, and the others stay.
   * @param {File[]} files
   */
  async take(files) {
    const videos = files.filter(isVideo), pictures = inOrder(files.filter(isPicture));
    const others = files.filter((file) => !isVideo(file) && !isPicture(file));
    if (videos.length) await this.open("video", videos[0]).catch(fail);
    if (videos.length > 1) say(`Videos are taken one by one: ${videos[0].name} was.`);
    if (!pictures.length) {
      if (others.length) fail(leftOut(others));
      return;
    }
    const limits = this.state.limits ?? {}, most = limits.picture_bytes ?? Infinity;
    let done = 0;
    /** @type {string[]} */
    const refused = [];
    this.note.textContent = `Sending ${counted(pictures.length, "picture")}…`;
    const sent = await inTurn(pictures, AT_ONCE, async (file) => {
      try {
        if (file.size > most) throw new Error(`it has ${sizeText(file.size)}, more than ${sizeText(most)}`);
        const { id, name } = await upload(file, file.name || "pasted.png");
        return { id, name, thumb: pictures.length <= SHOWN ? URL.createObjectURL(file) : `/api/pictures/${id}/thumb` };
      } catch (error) {
        refused.push(`${file.name}: ${error instanceof Error ? error.message : error}`);
        return null;
      } finally {
        this.note.textContent = `Sending pictures: ${++done} of ${pictures.length}`;
      }
    });
    if (others.length) refused.push(leftOut(others));
    if (refused.length) fail(refused.slice(0, 3).join("\n") + (refused.length > 3 ? `\nand ${refused.length - 3} more` : ""));
    this.add(sent.filter((one) => one !== null));
  }

  /**
   * Put what the studio has already into the tray.
   * @param {Taken[]} pictures
   */
  add(pictures) {
    const fresh = pictures.filter((one) => !this.taken.some((other) => other.id === one.id));
    for (const one of pictures) this.off.delete(one.id);
    if (fresh.length === 1 && pictures.length === 1) for (const one of this.taken) this.off.add(one.id); // a new one is meant alone
    this.taken = [...fresh, ...this.taken];
    if (pictures.length) say(pictures.length === 1 ? `${pictures[0].name} is ready.` : `${pictures.length} pictures are ready.`);
    this.draw();
  }

  /** Ask about the picture that is shown and about no other. @param {Taken} shown */
  only(shown) {
    if (!this.taken.length) return; // then the question is about it anyway
    if (!this.taken.some((one) => one.id === shown.id)) this.taken = [shown, ...this.taken];
    this.off = new Set(this.taken.map((one) => one.id).filter((id) => id !== shown.id));
    this.draw();
  }

  /** @param {{name: string, title?: string, url?: string}} one */
  async sample(one) {
    const { id, name } = await send("POST", `/api/samples/${encodeURIComponent(one.name)}`);
    this.add([{ id, name, thumb: one.url }]);
  }

  /**
   * Ask about a run's pictures while the tray is empty.
   * @param {{run: string, pictures: Taken[]} | null} shown
   */
  show(shown) {
    this.shown = shown;
    this.draw();
  }

  /**
   * Open the camera or a video in a dialog.
   * @param {"camera" | "video"} kind
   * @param {File} [file]
   */
  async open(kind, file) {
    const root = el("div", { class: kind });
    const context = { state: this.state, add: (/** @type {Taken[]} */ pictures) => this.add(pictures), say, fail };
    const mounted = kind === "camera"
      ? (await import("./camera.js")).mountCamera(root, context)
      : (await import("./video.js")).mountVideo(root, context, file);
    dialog(kind === "camera" ? "Camera" : "Video", root, { wide: true, closed: () => mounted.close() });
  }

  draw() {
    const most = this.taken.slice(0, SHOWN);
    this.list.hidden = !most.length;
    this.list.replaceChildren(...most.map((one) => this.item(one)));
    const chosen = this.chosen.length;
    const more = this.taken.length > SHOWN ? ` ${this.taken.length - SHOWN} more are not drawn here.` : "";
    if (!this.taken.length) {
      const names = this.shown?.pictures ?? [];
      this.note.textContent = names.length ? `Nothing taken yet: questions are about ${names.length === 1 ? `${names[0].name}, which is` : `the ${names.length} pictures that are`} shown.` : "";
    } else this.note.textContent = chosen ? `The question is about ${counted(chosen, "picture")} of ${this.taken.length}.${more}` : "No picture is chosen: press one.";
    if (this.taken.length > 1) this.note.append(" ", el("button", { type: "button", class: "link", on: { click: () => this.all(chosen < this.taken.length) } }, chosen < this.taken.length ? "Choose all" : "Choose none"));
    if (this.taken.length) this.note.append(" ", el("button", { type: "button", class: "link", on: { click: () => this.clear() } }, "Empty the tray"));
    keep(remembered(this.taken, this.off));
    this.on.changed();
  }

  /** A picture that cannot be shown: where the studio no longer has it, it leaves the tray. @param {Taken} one */
  async missing(one) {
    const own = one.kind === "video" ? `/api/videos/${one.id}` : `/api/pictures/${one.id}/thumb`;
    try {
      await request(own);
      one.thumb = one.kind === "video" || one.thumb === own ? undefined : own; // it was of a run that is gone
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return;
      this.taken = this.taken.filter((other) => other !== one);
      say(`The studio no longer has ${one.name}; take it again.`);
    }
    this.draw();
  }

  /** @param {boolean} every */
  all(every) {
    this.off = new Set(every ? [] : this.taken.map((one) => one.id));
    this.draw();
  }

  clear() {
    for (const one of this.taken) if (one.thumb?.startsWith("blob:")) URL.revokeObjectURL(one.thumb);
    this.taken = [];
    this.off.clear();
    this.draw();
    this.root.querySelector("button")?.focus();
  }

  /** @param {Taken} one */
  item(one) {
    const on = !this.off.has(one.id);
    const button = el("button", { type: "button", "aria-pressed": String(on), title: one.name, on: { click: () => {
      if (this.off.has(one.id)) this.off.delete(one.id);
      else this.off.add(one.id);
      const at = this.taken.indexOf(one);
      this.draw();
      this.list.querySelectorAll("button")[at]?.focus();
    } } },
      one.thumb ? el("img", { src: one.thumb, alt: "", width: 56, height: 56, loading: "lazy", on: { error: () => void this.missing(one) } }) : el("span", { class: "blank", "aria-hidden": "true" }, one.kind === "video" ? "▶" : ""),
      el("span", { class: "name", translate: false, text: one.name }));
    return el("li", {}, button);
  }
}

/** What this tab keeps of its tray; with a text, that is kept instead. @param {string} [text] */
function keep(text) {
  try {
    if (text !== undefined) sessionStorage.setItem(KEPT, text);
    return sessionStorage.getItem(KEPT);
  } catch {
    return null; // the browser keeps nothing, or has no room: a reload then empties the tray
  }
}

/**
 * The files of what was dropped, those of folders as well.
 * @param {DataTransfer} data
 * @returns {Promise<File[]>}
 */
async function dropped(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.some((entry) => entry.isDirectory)) return [...data.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))];
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    // a reader gives a hundred at a time, and none at the end
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    all.push(...some);
  }
  return (await Promise.all(all.map(filesOf))).flat();
}
