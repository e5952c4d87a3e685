/* What is to be compared: maps of any pictures, methods, layers and models, gathered while looking around. */
import { dialog, doing, el, say } from "./dom.js";

/** @typedef {import("./pair.js").Part} Part */

export const MOST = 16; // what still fits on a screen, and in its memory

/** The parts gathered so far, as a row of buttons. */
export class Comparison {
  /** @param {HTMLElement} root @param {any} state of the studio */
  constructor(root, state) {
    this.root = root;
    this.state = state;
    /** @type {Part[]} */
    this.parts = [];
    this.draw();
  }

  /** Gather maps; each once. @param {Part[]} parts */
  add(parts) {
    const key = (/** @type {Part} */ one) => `${one.run}/${one.index}/${one.map}`, there = new Set(this.parts.map(key));
    const fresh = parts.filter((one) => !there.has(key(one)));
    this.parts = [...this.parts, ...fresh].slice(0, MOST);
    say(fresh.length ? `${this.parts.length} to compare.` : "It is among those to compare already.");
    this.draw();
  }

  /** @param {Part} part */
  remove(part) {
    this.parts = this.parts.filter((one) => one !== part);
    this.draw();
    (this.root.querySelector("button") ?? document.getElementById("look"))?.focus();
  }

  /** Show them beside each other. @param {Part[]} [parts] by default those gathered */
  async open(parts = this.parts) {
    const { compare } = await import("./pair.js"), root = el("div", { class: "comparison-of" });
    const opened = dialog(`Compare ${parts.length} maps`, root, { wide: true, closed: () => mounted?.close() });
    let mounted = /** @type {{close: () => void} | null} */ (null);
    try {
      mounted = await compare(root, this.state, parts);
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  draw() {
    this.root.hidden = !this.parts.length;
    const go = el("button", { type: "button", class: "tool strong", disabled: this.parts.length < 2, on: { click: doing(() => this.open()) } }, this.parts.length < 2 ? "Compare: add another one" : `Compare ${this.parts.length}`);
    this.root.replaceChildren(go, ...this.parts.map((part) => el("span", { class: "part" }, el("span", { translate: false, text: part.title }), el("button", { type: "button", class: "close", "aria-label": `Take ${part.title} out of the comparison`, on: { click: () => this.remove(part) } }, "×"))));
  }
}
