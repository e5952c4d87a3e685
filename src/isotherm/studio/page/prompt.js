/* "Find things like this": boxes are drawn around things on the picture, and a model looks for more of their kind. By
   mouse, finger or keyboard. */
import { get } from "./api.js";
import { between, dragged, examplesOf, hit, likeOf, ONE_KIND, placed, plainName } from "./boxes.js";
import { doing, el, style } from "./dom.js";

/** @typedef {import("./boxes.js").Example} Example */
/** @typedef {import("./boxes.js").Box} Box */
/** @typedef {{id: string, name: string, kind?: string, options?: Record<string, any>}} Taken */
/** @typedef {{grip: string, index: number, from: {x: number, y: number}, box: Box} | null} Drag */

const REACH = 11; // CSS pixels around an edge that take hold of it
const CURSORS = /** @type {Record<string, string>} */ ({ n: "ns-resize", s: "ns-resize", e: "ew-resize", w: "ew-resize", nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", all: "move" });
const SHOWN_SIDE = 2560; // of a picture as the studio shows it, at most

/**
 * @param {HTMLElement} root
 * @param {{say: (text: string) => void, fail: (error: unknown) => void}} ctx
 * @param {{picture: Taken, like: string, change: (like: string) => void}} how
 * @returns {{close: () => void}}
 */
export function mountPrompt(root, ctx, how) {
  style("live.css");
  const prompt = new Prompt(root, ctx, how);
  void prompt.open().catch(ctx.fail);
  return { close: () => {} };
}

class Prompt {
  /**
   * @param {HTMLElement} root
   * @param {{say: (text: string) => void, fail: (error: unknown) => void}} ctx
   * @param {{picture: Taken, like: string, change: (like: string) => void}} how
   */
  constructor(root, ctx, { picture, like, change }) {
    this.ctx = ctx;
    this.picture = picture;
    this.change = change;
    this.examples = examplesOf(like);
    this.size = { w: 1, h: 1 };
    /** @type {Drag} */
    this.drag = null;
    this.image = el("img", { alt: `The picture ${picture.name}`, draggable: false });
    this.layer = el("div", { class: "like-layer" });
    this.plate = el("div", { class: "like-plate", hidden: true }, this.image, this.layer);
    this.list = el("ul", { class: "like-list" });
    this.count = el("p", { class: "hint", role: "status" });
    this.add = el("button", { type: "button", class: "tool", on: { click: doing(() => this.place()) } }, "Add a box");
    this.none = el("button", { type: "button", class: "tool", on: { click: doing(() => { this.examples = []; this.changed(); this.add.focus(); }) } }, "Remove all");
    root.append(
      el("p", { class: "hint" }, "Draw a box around each thing you mean. Give boxes of one kind the same name. Drag a box to move it, its edges to change its size. By keyboard: Tab to a box, arrow keys move it, with Shift they change its size, Delete removes it."),
      this.plate, el("div", { class: "row" }, this.add, this.none, this.count), this.list);
    this.listen();
  }

  /** Load the picture, and learn how many pixels it really has. */
  async open() {
    const { id, kind, options } = this.picture;
    const path = kind === "video" ? `/api/videos/${id}/frame?at=${options?.start_s ?? 0}` : `/api/pictures/${id}/image`;
    const loaded = new Promise((resolve, reject) => {
      this.image.addEventListener("load", resolve, { once: true });
      this.image.addEventListener("error", () => reject(new Error(`${this.picture.name} cannot be shown.`)), { once: true });
    });
    this.image.src = path;
    await loaded;
    this.size = kind === "video" ? sizeOf(await get(`/api/videos/${id}`)) : await this.pictureSize();
    this.plate.hidden = false;
    this.changed();
  }

  /** A large picture is shown smaller than it is; boxes are in its own pixels. */
  async pictureSize() {
    const shown = { w: this.image.naturalWidth, h: this.image.naturalHeight };
    if (Math.max(shown.w, shown.h) < SHOWN_SIDE) return shown;
    const answer = await fetch(`/api/pictures/${this.picture.id}`, { credentials: "same-origin" });
    const bitmap = await createImageBitmap(await answer.blob()).catch(() => null);
    if (!bitmap) throw new Error(`This browser cannot tell how large ${this.picture.name} is; give a picture of at most ${SHOWN_SIDE} pixels, or a JPEG or PNG.`);
    const size = { w: bitmap.width, h: bitmap.height };
    bitmap.close();
    return size;
  }

  listen() {
    const { layer } = this;
    layer.addEventListener("pointerdown", (event) => this.take(event));
    layer.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) layer.addEventListener(end, (event) => this.drop(/** @type {PointerEvent} */ (event)));
    layer.addEventListener("keydown", (event) => this.key(event));
  }

  /** Where a pointer is, in pixels of the picture. @param {PointerEvent} event */
  at(event) {
    const { left, top, width, height } = this.layer.getBoundingClientRect();
    return { x: ((event.clientX - left) * this.size.w) / width, y: ((event.clientY - top) * this.size.h) / height };
  }

  get reach() {
    return (REACH * this.size.w) / Math.max(1, this.layer.clientWidth);
  }

  /** @param {PointerEvent} event */
  take(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    const from = this.at(event), there = hit(this.examples, from.x, from.y, this.reach);
    this.layer.setPointerCapture(event.pointerId);
    if (there) this.drag = { ...there, from, box: this.examples[there.index].box };
    else this.drag = { grip: "new", index: this.examples.length, from, box: [from.x, from.y, from.x, from.y] };
  }

  /** @param {PointerEvent} event */
  move(event) {
    const now = this.at(event);
    if (!this.drag) {
      const there = hit(this.examples, now.x, now.y, this.reach);
      this.layer.style.cursor = there ? CURSORS[there.grip] : "crosshair";
      return;
    }
    const { grip, index, from, box } = this.drag;
    const moved = grip === "new" ? between(from.x, from.y, now.x, now.y, this.size) : dragged(box, grip, now.x - from.x, now.y - from.y, this.size);
    if (!moved) return;
    this.examples[index] = { name: this.examples[index]?.name ?? this.lastName(), box: moved };
    this.draw();
  }

  /** @param {PointerEvent} event */
  drop(event) {
    if (!this.drag) return;
    this.layer.releasePointerCapture(event.pointerId);
    const { index, grip } = this.drag, made = grip === "new" && index < this.examples.length;
    this.drag = null;
    this.changed();
    if (made) this.ctx.say(`Box ${index + 1} is drawn.`);
    this.boxes[index]?.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const index = this.boxes.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (index < 0) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.remove(index);
      return;
    }
    const step = Math.max(1, Math.round(Math.max(this.size.w, this.size.h) / (event.altKey ? 1000 : 100)));
    const by = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] })[event.key];
    if (!by) return;
    event.preventDefault();
    this.examples[index] = { ...this.examples[index], box: dragged(this.examples[index].box, event.shiftKey ? "se" : "all", by[0], by[1], this.size) };
    this.changed();
    this.boxes[index].focus();
  }

  /** A new box for who has no pointer. */
  place() {
    this.examples.push({ name: this.lastName(), box: placed(this.examples, this.size) });
    this.changed();
    this.boxes.at(-1)?.focus();
  }

  /** @param {number} index */
  remove(index) {
    this.examples.splice(index, 1);
    this.changed();
    this.ctx.say(`Box ${index + 1} is removed.`);
    (this.boxes[Math.min(index, this.examples.length - 1)] ?? this.add).focus();
  }

  lastName() {
    return this.examples.at(-1)?.name ?? ONE_KIND;
  }

  /** @returns {HTMLButtonElement[]} */
  get boxes() {
    return /** @type {HTMLButtonElement[]} */ ([...this.layer.querySelectorAll("button")]);
  }

  /** The boxes are others now: say so, and draw them. */
  changed() {
    this.change(likeOf(this.examples));
    const kinds = new Set(this.examples.map((one) => one.name)).size;
    this.count.textContent = this.examples.length ? `${counted(this.examples.length, "box", "boxes")}, ${counted(kinds, "kind", "kinds")} of thing` : "No box yet: without one, the model has nothing to look for.";
    this.none.hidden = !this.examples.length;
    this.draw();
    this.list.replaceChildren(...this.examples.map((one, i) => this.row(one, i)));
  }

  draw() {
    const { w, h } = this.size;
    this.layer.replaceChildren(...this.examples.map(({ name, box: [x0, y0, x1, y1] }, i) => el("button", {
      type: "button", class: "like-box", "aria-label": `Box ${i + 1}, ${name}: from ${Math.round(x0)}, ${Math.round(y0)} to ${Math.round(x1)}, ${Math.round(y1)}`,
      css: { left: `${(100 * x0) / w}%`, top: `${(100 * y0) / h}%`, width: `${(100 * (x1 - x0)) / w}%`, height: `${(100 * (y1 - y0)) / h}%` },
    }, el("span", { text: name === ONE_KIND ? String(i + 1) : `${i + 1} ${name}` }))));
  }

  /** @param {Example} example @param {number} i */
  row(example, i) {
    const input = el("input", { type: "text", value: example.name === ONE_KIND ? "" : example.name, placeholder: ONE_KIND, maxLength: 60, "aria-label": `Name of what box ${i + 1} shows` });
    input.addEventListener("change", () => { this.examples[i] = { ...example, name: plainName(input.value) }; this.changed(); });
    return el("li", {}, el("b", { text: i + 1 }), input,
      el("button", { type: "button", class: "close", "aria-label": `Remove box ${i + 1}`, on: { click: doing(() => this.remove(i)) } }, "×"));
  }
}

/** @param {number} count @param {string} one @param {string} several */
function counted(count, one, several) {
  return `${count} ${count === 1 ? one : several}`;
}

/** @param {{w: number, h: number}} facts */
function sizeOf({ w, h }) {
  return { w, h };
}
