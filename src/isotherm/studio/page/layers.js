/* The layers of a model as a tree, in a dialog: their shapes, which one is taken without a choice, and why. */
import { get } from "./api.js";
import { dialog, el } from "./dom.js";
import { isExplained } from "./glossary.js";
import { flat, shapeText } from "./tree.js";

/** @typedef {import("./tree.js").Layer} Layer */

/**
 * Let somebody choose layers.
 * @param {string} model
 * @param {string[]} chosen
 * @returns {Promise<string[] | null>} an empty list: automatic; null where it was closed without a choice
 */
export async function chooseLayers(model, chosen) {
  const roots = /** @type {Layer[]} */ (await get(`/api/models/${encodeURIComponent(model)}/layers`));
  return new Promise((resolve) => {
    const tree = new Tree(roots, chosen);
    /** @type {string[] | null} */
    let result = null;
    /** @param {string} text @param {string} kind @param {() => string[]} value */
    const button = (text, kind, value) => el("button", { type: "button", class: kind, on: { click: () => { result = value(); box.close(); } } }, text);
    const automatic = flat(roots, () => true).filter(({ layer }) => layer.automatic).map(({ layer }) => layer);
    const why = automatic.length ? `Without a choice: ${automatic.map((one) => one.name).join(", ")}${automatic[0].why ? `, ${automatic[0].why}` : ""}.` : "";
    const content = el("div", { class: "layers" }, el("p", { class: "hint", text: `${why} Shapes are channels × height × width: fewer cells see larger things. Arrow keys move, Enter or Space chooses.` }), tree.root,
      el("div", { class: "row end" }, button("Automatic", "tool", () => []), button("Take these", "go", () => tree.names())));
    const box = dialog(`Layers of ${model === "auto" ? "the automatic model" : model}`, content, { wide: true, closed: () => resolve(result) });
    tree.focus();
  });
}

/** A tree by the pattern of the same name: one stop of the tab key, arrows within. */
class Tree {
  /** @param {Layer[]} roots @param {string[]} chosen */
  constructor(roots, chosen) {
    this.roots = roots;
    this.chosen = new Set(chosen);
    const marked = (/** @type {Layer} */ layer) => layer.automatic || this.chosen.has(layer.name);
    /** @type {Set<string>} */
    this.open = new Set(flat(roots, () => true).filter(({ layer }) => flat(layer.children, () => true).some((one) => marked(one.layer))).map(({ layer }) => layer.name));
    for (const root of roots) this.open.add(root.name);
    this.at = flat(roots, () => true).find(({ layer }) => marked(layer))?.layer.name ?? roots[0]?.name ?? "";
    this.root = el("ul", { class: "tree", role: "tree", "aria-label": "Layers", "aria-multiselectable": "true", on: { keydown: (event) => this.key(event) } });
    this.draw();
  }

  /** Chosen layers in the model's order. */
  names() {
    return flat(this.roots, () => true).filter(({ layer }) => this.chosen.has(layer.name)).map(({ layer }) => layer.name);
  }

  get rows() {
    return flat(this.roots, (layer) => this.open.has(layer.name));
  }

  draw() {
    this.root.replaceChildren(...this.rows.map(({ layer, level, index, count, short }) => {
      const branch = layer.children.length > 0, open = this.open.has(layer.name), on = this.chosen.has(layer.name);
      return el("li", {
        role: "treeitem", "aria-level": level, "aria-setsize": count, "aria-posinset": index + 1, "aria-expanded": branch ? String(open) : undefined, "aria-selected": String(on),
        tabIndex: layer.name === this.at ? 0 : -1, "data-name": layer.name, title: layer.name, class: on ? "on" : "", css: { "--level": String(level) },
        on: { click: (event) => { this.at = layer.name; if (branch && event.target instanceof Element && event.target.closest(".twist")) this.turn(layer); else this.choose(layer); this.focus(); } },
      }, el("span", { class: "twist", "aria-hidden": "true", text: branch ? (open ? "▾" : "▸") : "" }), el("span", { class: "tickmark", "aria-hidden": "true", text: on ? "✓" : "" }),
        el("code", { text: short }), el("span", { class: "kind", ...(isExplained(layer.type) ? {} : { translate: false }), text: layer.type }), layer.automatic ? el("i", { class: "verdict good", title: layer.why, text: "automatic" }) : null,
        el("span", { class: "shape num", text: shapeText(layer.shape) }));
    }));
  }

  focus() {
    const row = [...this.root.children].find((one) => one instanceof HTMLElement && one.dataset.name === this.at);
    if (row instanceof HTMLElement) {
      row.focus();
      row.scrollIntoView({ block: "nearest" });
    }
  }

  /** @param {Layer} layer */
  turn(layer) {
    if (this.open.has(layer.name)) this.open.delete(layer.name);
    else this.open.add(layer.name);
    this.draw();
  }

  /** @param {Layer} layer */
  choose(layer) {
    if (this.chosen.has(layer.name)) this.chosen.delete(layer.name);
    else this.chosen.add(layer.name);
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { rows } = this, i = rows.findIndex(({ layer }) => layer.name === this.at), { layer, level } = rows[i];
    const branch = layer.children.length > 0, open = this.open.has(layer.name);
    /** @param {number} to */
    const go = (to) => { this.at = rows[Math.min(Math.max(to, 0), rows.length - 1)].layer.name; };
    switch (event.key) {
      case "ArrowDown": go(i + 1); break;
      case "ArrowUp": go(i - 1); break;
      case "Home": go(0); break;
      case "End": go(rows.length - 1); break;
      case "ArrowRight": if (branch && !open) this.turn(layer); else if (branch) go(i + 1); break;
      case "ArrowLeft": if (branch && open) this.turn(layer); else go(rows.slice(0, i).findLastIndex((one) => one.level < level)); break;
      case "Enter": case " ": this.choose(layer); break;
      default: {
        const next = event.key.length === 1 ? [...rows.slice(i + 1), ...rows.slice(0, i + 1)].find((one) => one.layer.name.toLowerCase().split(".").at(-1)?.startsWith(event.key.toLowerCase())) : undefined;
        if (!next) return;
        this.at = next.layer.name;
      }
    }
    event.preventDefault();
    this.draw();
    this.focus();
  }
}
