/* "Keep": what people say about a run (star, tags, note, drawn marks), and ways to take it along. */
import { get, request, send } from "./api.js";
import { confirmed, copyable, doing, el, fail, say } from "./dom.js";
import { codeOf, exportsOf } from "./exports.js";
import { together } from "./together.js";

/** The part of the page that keeps a run. */
export class Remarks {
  /**
   * @param {HTMLElement} root
   * @param {{changed: (run: any) => void, removed: (id: string) => void, again: (run: any) => void, stage: () => any, place: () => {picture: number, map: number}}} on
   */
  constructor(root, on) {
    this.on = on;
    /** @type {any} */
    this.run = null;
    this.waiting = 0;
    /** @type {Promise<unknown>} */
    this.changes = Promise.resolve();
    /** @type {{run: any, note: string} | null} */
    this.unsent = null; // a note that is on its way
    addEventListener("pagehide", () => this.leave());
    this.mapped = false; // whether the picture that is shown has a map
    this.size = { w: 1, h: 1 }; // of the picture that is shown
    /** @type {{close: () => void} | null} */
    this.marks = null;
    this.drawing = ""; // the run and the picture whose tools for drawing are there
    this.star = el("button", { type: "button", class: "tool star", "aria-pressed": "false", on: { click: doing(() => this.patch({ star: !this.run.star })) } });
    this.tags = el("ul", { class: "tags", "aria-label": "Tags" });
    this.tag = el("input", { type: "text", id: "keep-tag", placeholder: "Add a tag", maxLength: 64, autocomplete: "off", "aria-label": "Add a tag" });
    this.note = el("textarea", { id: "keep-note", rows: 3, maxLength: 20000, placeholder: "What do you see?" });
    this.kept = el("small", { role: "status" });
    this.draws = el("div", { class: "marks" });
    this.exports = el("div", { class: "exports" });
    this.code = el("details", { class: "quiet code" }, el("summary", {}, "Command and Python"));
    this.code.addEventListener("toggle", () => { if (this.code.open) void this.drawCode(); });
    this.body = el("div", { class: "fields", hidden: true },
      el("div", { class: "row" }, this.star, el("button", { type: "button", class: "tool", on: { click: () => this.on.again(this.run) } }, "Ask again"), el("button", { type: "button", class: "tool quiet-danger", on: { click: doing(() => this.remove()) } }, "Delete…")),
      el("form", { class: "tagging", on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); void this.addTag(); } } }, this.tags, el("div", { class: "row" }, this.tag, el("button", { type: "submit", class: "tool" }, "Add"))),
      el("div", { class: "field" }, el("div", { class: "label" }, el("label", { for: "keep-note", text: "Note" }), this.kept), this.note),
      this.draws, this.exports, this.code);
    this.none = el("p", { class: "hint" }, "Notes, tags and files of the run that is shown.");
    root.append(el("h2", {}, "Keep"), this.none, this.body);
    this.note.addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.kept.textContent = "";
      this.waiting = window.setTimeout(() => void this.keepNote(), 800);
    });
    document.addEventListener("visibilitychange", () => { if (document.hidden && this.waiting) void this.keepNote(); }); // the page may be closed next
    this.note.addEventListener("blur", () => { if (this.waiting) void this.keepNote(); });
  }

  /** @param {any} run @param {any} picture that is shown; null where there is none */
  show(run, picture) {
    if (this.run && this.run.id !== run.id && this.waiting) void this.keepNote();
    const other = this.run?.id !== run.id;
    this.run = run;
    this.none.hidden = true;
    this.body.hidden = false;
    if (other) {
      this.note.value = run.note;
      this.kept.textContent = "";
      this.code.open = false;
    }
    this.draw();
    const at = picture ? `${run.id}/${this.on.place().picture}` : "", drawing = this.drawing === at && at !== ""; // the verdict may come while somebody draws
    if (!drawing) this.putAway();
    this.mapped = Boolean(picture?.maps.length);
    this.size = picture ? { w: picture.w, h: picture.h } : { w: 1, h: 1 };
    const finished = picture !== null;
    this.draws.hidden = this.exports.hidden = this.code.hidden = !finished;
    if (!finished) return;
    if (!drawing) this.drawMarks();
    this.drawExports();
  }

  /** The marks of the picture as far as there are any, and a button that draws more. */
  drawMarks() {
    this.draws.replaceChildren(el("div", { class: "label" }, el("span", { text: "Marks" })), el("button", { type: "button", class: "tool", on: { click: doing(() => this.openMarks()) } }, this.own().length ? `Drawn: ${this.own().length}. Change…` : "Draw on the picture…"));
    if (this.own().length) void this.openMarks(false);
  }

  putAway() {
    this.marks?.close();
    this.marks = null;
    this.drawing = "";
  }

  /** Marks of the picture that is shown. */
  own() {
    const { picture } = this.on.place();
    return (this.run.marks ?? []).filter((/** @type {any} */ mark) => mark.picture === picture);
  }

  draw() {
    const { run } = this;
    this.star.setAttribute("aria-pressed", String(run.star));
    this.star.textContent = run.star ? "★ Star" : "☆ Star";
    this.tags.hidden = !run.tags.length;
    this.tags.replaceChildren(...run.tags.map((/** @type {string} */ name) => el("li", {}, el("span", { translate: false, text: name }), el("button", { type: "button", "aria-label": `Remove the tag ${name}`, on: { click: doing(async () => {
      await this.patch({ tags: run.tags.filter((/** @type {string} */ one) => one !== name) });
      this.tag.focus();
    }) } }, "×"))));
  }

  /** One change after the other, each on top of what is kept by then. @param {Record<string, any>} changes */
  patch(changes, run = this.run) {
    const done = this.changes.then(() => this.keep(changes, run));
    this.changes = done.catch(() => {});
    return done;
  }

  /** @param {Record<string, any>} changes @param {any} run */
  async keep(changes, run) {
    const path = `/api/runs/${run.id}`, there = document.hidden ? run : await get(path); // a page that may be closed next has no time to ask
    const now = await send("PATCH", path, together(run, changes, there));
    const kept = { star: now.star, tags: now.tags, note: now.note, marks: now.marks };
    Object.assign(run, kept);
    if (run.id === this.run.id) {
      Object.assign(this.run, kept); // the run may have ended meanwhile, and was read again then
      this.draw();
    }
    this.on.changed(run);
  }

  async addTag() {
    const names = this.tag.value.split(",").map((name) => name.trim()).filter(Boolean);
    if (!names.length) return;
    try {
      await this.patch({ tags: [...this.run.tags, ...names] });
      this.tag.value = "";
    } catch (error) {
      fail(error);
    }
  }

  async keepNote() {
    clearTimeout(this.waiting);
    this.waiting = 0;
    const { run } = this;
    const mine = this.note.value, unsent = { run, note: mine };
    if (mine === run.note) return;
    this.unsent = unsent;
    try {
      await this.patch({ note: mine }, run);
      if (run.id !== this.run.id) return;
      if (this.note.value === mine) this.note.value = run.note;
      this.kept.textContent = run.note === mine ? "kept" : "kept, below another note";
    } catch (error) {
      fail(error);
    } finally {
      if (this.unsent === unsent) this.unsent = null;
    }
  }

  /** The page goes away: a note that is on its way, or not sent yet, is sent by the browser itself, which needs no page for that. */
  leave() {
    const last = this.waiting ? { run: this.run, note: this.note.value } : this.unsent;
    if (!last || last.note === last.run.note) return;
    const { run, note } = last;
    void request(`/api/runs/${run.id}`, { method: "PATCH", keepalive: true, headers: { "content-type": "application/json" }, body: JSON.stringify({ note }) }).catch(() => {});
  }

  /** @param {boolean} [drawing] false: only show them */
  async openMarks(drawing = true) {
    const stage = this.on.stage();
    if (!stage) return;
    const { run } = this, { picture } = this.on.place();
    const { mountMarks } = await import("./marks.js");
    if (run.id !== this.run.id || picture !== this.on.place().picture) return;
    this.putAway();
    this.drawing = drawing ? `${run.id}/${picture}` : "";
    const keep = async (/** @type {any[]} */ marks) => {
      const own = this.run.id === run.id ? this.run : run; // what is known of a run is read anew at its end
      await this.patch({ marks }, own);
      return own.marks;
    };
    this.marks = mountMarks(stage, this.draws, this.run.marks ?? [], picture, { drawing, size: this.size, keep });
  }

  drawExports() {
    const { picture, map } = this.on.place();
    this.exports.replaceChildren(...exportsOf(this.run, picture, this.mapped ? map : null));
  }

  async drawCode() {
    const { run } = this, { picture, map } = this.on.place();
    const blocks = await codeOf(run, picture, map).catch((error) => { fail(error); return []; });
    if (run !== this.run) return;
    this.code.replaceChildren(el("summary", {}, "Command and Python"), ...blocks.map(({ name, text }) => el("div", {}, el("p", { class: "hint", text: name }), copyable(text, name.toLowerCase()))));
  }

  async remove() {
    const { run } = this;
    if (!(await confirmed("Delete this run?", `“${run.title}”, its maps, notes and files are removed for good.`, "Delete it"))) return;
    await send("DELETE", `/api/runs/${run.id}`);
    say("The run was deleted.");
    this.on.removed(run.id);
  }
}
