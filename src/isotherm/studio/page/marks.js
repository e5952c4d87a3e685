/* Drawing on the picture: arrows, boxes, free hand and text, by pointer or by keys. Marks are kept in picture pixels, so
   that they stay where they belong whatever the zoom. */
import { el, fail, say } from "./dom.js";
import { KINDS, linesOf, marksOf, simpler, within } from "./geometry.js";

/** @typedef {import("./geometry.js").Mark} Mark */
/** @typedef {{root: HTMLElement, toPicture: (x: number, y: number) => {x: number, y: number}, toStage: (x: number, y: number) => {x: number, y: number}, on: (event: string, listener: (event: any) => void) => void}} Stage */

const SVG = "http://www.w3.org/2000/svg";
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Show the marks of a picture over the stage, with the tools to draw more.
 * @param {Stage} stage
 * @param {HTMLElement} tools where the buttons go
 * @param {unknown} marks of the run
 * @param {number} picture
 * @param {{drawing: boolean, size: {w: number, h: number}, keep: (marks: Mark[]) => Promise<unknown>}} how
 * @returns {{close: () => void}}
 */
export function mountMarks(stage, tools, marks, picture, how) {
  const pad = new Pad(stage, tools, marksOf(marks), picture, how);
  if (how.drawing) pad.open();
  return { close: () => pad.close() };
}

/** The sheet over the picture. */
class Pad {
  /** @param {Stage} stage @param {HTMLElement} tools @param {Mark[]} marks @param {number} picture @param {{size: {w: number, h: number}, keep: (marks: Mark[]) => Promise<unknown>}} how */
  constructor(stage, tools, marks, picture, how) {
    this.stage = stage;
    this.tools = tools;
    this.marks = marks;
    this.picture = picture;
    this.how = how;
    /** @type {Mark["kind"] | ""} */
    this.kind = "";
    /** @type {number[][]} */
    this.draft = [];
    /** @type {number[] | null} */
    this.cursor = null; // where keys have brought the pen
    this.sheet = document.createElementNS(SVG, "svg");
    this.sheet.setAttribute("class", "pad");
    this.sheet.setAttribute("aria-hidden", "true");
    stage.root.append(this.sheet);
    this.redraw = () => this.draw();
    stage.on("view", this.redraw);
    this.watch = new ResizeObserver(this.redraw);
    this.watch.observe(stage.root);
    this.sheet.addEventListener("pointerdown", (event) => this.press(event));
    this.sheet.addEventListener("pointermove", (event) => this.drag(event));
    this.sheet.addEventListener("pointerup", (event) => this.release(event));
    this.sheet.addEventListener("pointercancel", () => { this.draft = []; this.draw(); });
    this.sheet.addEventListener("keydown", (event) => this.key(event));
    this.draw();
  }

  close() {
    this.closed = true;
    this.tools.classList.remove("at-work");
    this.watch.disconnect();
    this.sheet.remove();
  }

  /** Show the tools. */
  open() {
    this.words = el("input", { type: "text", maxLength: 200, placeholder: "The text", "aria-label": "Text to place", hidden: true });
    this.hint = el("p", { class: "hint", role: "status" });
    this.kinds = KINDS.map(([kind, name]) => el("button", { type: "button", class: "tool", "aria-pressed": "false", "data-kind": kind, on: { click: () => this.take(this.kind === kind ? "" : kind) } }, name));
    this.undo = el("button", { type: "button", class: "tool", on: { click: () => void this.back() } }, "Undo");
    this.done = el("button", { type: "button", class: "tool", on: { click: () => { this.take(""); this.kinds?.[0].focus({ preventScroll: true }); } } }, "Done");
    this.tools.replaceChildren(el("div", { class: "label" }, el("span", { text: "Marks" })), el("div", { class: "row" }, ...this.kinds, this.undo, this.done), this.words, this.hint);
    this.take("arrow");
  }

  /** @param {Mark["kind"] | ""} kind */
  take(kind) {
    this.kind = kind;
    this.draft = [];
    for (const button of this.kinds ?? []) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    this.sheet.classList.toggle("drawing", Boolean(kind));
    this.tools.classList.toggle("at-work", Boolean(kind)); // on a phone the tools then float over the picture's page
    if (this.done) this.done.hidden = !kind;
    if (kind && !inSight(this.stage.root)) this.stage.root.scrollIntoView({ block: "start" });
    if (kind) {
      this.sheet.setAttribute("tabindex", "0");
      this.sheet.setAttribute("role", "application");
      this.sheet.setAttribute("aria-label", "Drawing on the picture: arrow keys move the pen, Enter sets a point, Escape ends");
      this.sheet.removeAttribute("aria-hidden");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) this.sheet.removeAttribute(name);
      this.sheet.setAttribute("aria-hidden", "true");
      this.cursor = null;
    }
    if (this.words) this.words.hidden = kind !== "text";
    if (this.hint) this.hint.textContent = kind ? `${KINDS.find(([one]) => one === kind)?.[2]} By keys: focus the picture, arrows move, Enter sets a point.` : "Choose what to draw.";
    if (kind === "text") this.words?.focus();
    this.draw();
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (!this.kind || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation(); // the stage below would pan
    this.sheet.setPointerCapture(event.pointerId);
    this.cursor = null;
    this.point(this.at(event));
  }

  /** @param {PointerEvent} event */
  drag(event) {
    if (!this.draft.length || this.cursor) return;
    event.stopPropagation();
    const point = this.at(event);
    if (this.kind === "free") this.draft.push(point);
    else this.draft = [this.draft[0], point];
    this.draw();
  }

  /** @param {PointerEvent} event */
  release(event) {
    if (this.kind) event.stopPropagation();
    if (this.draft.length > 1 && !this.cursor) void this.finish();
    else if (!this.cursor) this.draft = [];
  }

  /** Set a point: the first begins a mark, the second one ends it. @param {number[]} point */
  point(point) {
    if (this.kind === "text") {
      this.draft = [point];
      void this.finish();
    } else if (!this.draft.length) this.draft = [point];
    else {
      this.draft = this.kind === "free" ? [...this.draft, point] : [this.draft[0], point];
      void this.finish();
    }
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = STEP[/** @type {keyof typeof STEP} */ (event.key)], { w, h } = this.how.size;
    if (step) {
      const far = event.shiftKey ? Math.max(w, h) / 20 : Math.max(1, Math.max(w, h) / 200);
      const [x, y] = this.cursor ?? [w / 2, h / 2];
      this.cursor = within({ x: x + far * step[0], y: y + far * step[1] }, this.how.size);
      if (this.draft.length) this.draft = this.kind === "free" ? [...this.draft, this.cursor] : [this.draft[0], this.cursor];
      this.draw();
    } else if (event.key === "Enter") this.point((this.cursor ??= [w / 2, h / 2]));
    else if (event.key === "Escape" && this.draft.length) {
      this.draft = [];
      this.draw();
    } else if (event.key === "Escape") this.take("");
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) void this.back();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  async finish() {
    const points = this.kind === "free" ? simpler(this.draft, Math.max(this.how.size.w, this.how.size.h) / 1000) : this.draft;
    const text = this.words?.value.trim() ?? "", kind = /** @type {Mark["kind"]} */ (this.kind);
    this.draft = [];
    if (kind === "text" && !text) {
      if (this.hint) this.hint.textContent = "Write the text first.";
      this.words?.focus();
      return this.draw();
    }
    const tiny = kind !== "text" && points.length === 2 && Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]) < Math.max(this.how.size.w, this.how.size.h) / 200;
    if (!tiny) await this.set([...this.marks, { picture: this.picture, kind, points, ...(kind === "text" ? { text } : {}) }], "The mark is kept.");
    this.draw();
  }

  async back() {
    const last = this.marks.findLastIndex((mark) => mark.picture === this.picture);
    if (last >= 0) await this.set(this.marks.filter((_, i) => i !== last), "The last mark is gone.");
  }

  /** @param {Mark[]} marks @param {string} news */
  async set(marks, news) {
    const before = this.marks;
    this.marks = marks;
    this.draw();
    try {
      const kept = marksOf(await this.how.keep(marks));
      if (this.marks === marks) this.marks = kept; // with those that were drawn elsewhere
      this.draw();
      say(news);
    } catch (error) {
      this.marks = before;
      this.draw();
      fail(error);
    }
  }

  /** @param {PointerEvent} event */
  at(event) {
    return within(this.stage.toPicture(event.clientX, event.clientY), this.how.size);
  }

  draw() {
    if (this.closed) return;
    const place = (/** @type {number[]} */ [x, y]) => { const at = this.stage.toStage(x, y); return [at.x, at.y]; };
    const own = this.marks.filter((mark) => mark.picture === this.picture);
    const draft = this.draft.length > 1 && this.kind ? [{ picture: this.picture, kind: this.kind, points: this.draft }] : [];
    this.sheet.replaceChildren(...[...own, ...draft].flatMap((mark) => [...lines(mark, place), ...words(mark, place)]), ...(this.cursor && this.kind ? [pen(place(this.cursor))] : []));
    if (this.undo) this.undo.disabled = !own.length;
  }
}

/** @param {any} mark @param {(point: number[]) => number[]} place */
function lines(mark, place) {
  return linesOf(mark, place).flatMap((line) => ["shade", "line"].map((name) => shape("polyline", { class: name, points: line.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" ") })));
}

/** @param {any} mark @param {(point: number[]) => number[]} place */
function words(mark, place) {
  if (mark.kind !== "text") return [];
  const [x, y] = place(mark.points[0]);
  return ["shade", "words"].map((name) => {
    const node = shape("text", { class: name, x: x.toFixed(1), y: y.toFixed(1) });
    node.textContent = mark.text ?? "";
    return node;
  });
}

/** @param {number[]} at */
function pen([x, y]) {
  return shape("circle", { class: "pen", cx: x.toFixed(1), cy: y.toFixed(1), r: "6" });
}

/** @param {string} name @param {Record<string, string>} attributes */
function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** Whether enough of something is seen to draw on it. @param {HTMLElement} node */
function inSight(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return top >= 0 && top < innerHeight / 2 && bottom > 120;
}
