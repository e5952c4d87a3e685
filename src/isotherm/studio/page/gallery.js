/* Many pictures at a glance: those of a run, sorted and narrowed, or the same pictures as two models explained them. */
import { el } from "./dom.js";
import { counted, momentText, verdictTone } from "./names.js";
import { CHECKING } from "./judged.js";
import { moved, narrowed, ORDERS, sorted, together, wordsOf } from "./order.js";

/** @typedef {import("./order.js").Item} Item */

const SOON = 24; // pictures that are loaded at once: of a batch of a thousand the others wait until they are near

/** The gallery of a run. */
export class Gallery {
  /**
   * @param {HTMLElement} root
   * @param {(index: number) => void} open
   */
  constructor(root, open) {
    this.root = root;
    this.open = open;
    /** @type {{run: any, pictures: Item[]}[]} */
    this.sets = [];
    this.order = el("select", { id: "gallery-order", "aria-label": "Order" }, ...ORDERS.map(([value, text]) => el("option", { value, text })));
    this.label = el("select", { id: "gallery-label", "aria-label": "Class" });
    this.verdict = el("select", { id: "gallery-verdict", "aria-label": "Verdict" });
    this.count = el("p", { class: "hint", role: "status" });
    this.title = el("h2", {}, "Gallery");
    this.grid = el("ul", { class: "grid", "aria-label": "Pictures", on: { keydown: (event) => this.key(event) } });
    for (const control of [this.order, this.label, this.verdict]) control.addEventListener("change", () => this.draw());
    root.append(this.title, el("div", { class: "filters" }, this.order, this.label, this.verdict, this.count), this.grid);
  }

  /**
   * Show the pictures of one run, or of two over the same pictures; nothing where there are fewer than two.
   * @param {{run: any, pictures: Item[]}[]} sets
   * @param {number} index of the picture that is shown large
   */
  show(sets, index) {
    const same = sets.length === this.sets.length && sets.every((set, i) => set.pictures === this.sets[i].pictures);
    this.sets = sets;
    this.index = index;
    this.root.hidden = (sets[0]?.pictures.length ?? 0) < 2;
    if (this.root.hidden) return;
    if (same) return this.mark();
    const { labels, verdicts } = wordsOf(sets.flatMap((set) => set.pictures));
    this.label.replaceChildren(el("option", { value: "", text: "Any class" }), ...labels.map((text) => el("option", { value: text, text, translate: false })));
    this.verdict.replaceChildren(el("option", { value: "", text: "Any verdict" }), ...verdicts.map((text) => el("option", { value: text, text })));
    this.title.textContent = sets.length > 1 ? `Gallery: ${sets.map((set) => set.run.model).join(" beside ")}` : "Gallery";
    this.draw();
  }

  draw() {
    const items = narrowed(sorted(together(this.sets.map((set) => set.pictures)), this.order.value), { label: this.label.value, verdict: this.verdict.value });
    this.count.textContent = items.length === this.sets[0].pictures.length ? counted(items.length, "picture") : `${items.length} of ${this.sets[0].pictures.length} pictures`;
    this.grid.replaceChildren(...items.map((item) => this.tile(item)));
    this.grid.classList.toggle("pairs", this.sets.length > 1);
    this.mark();
  }

  /** @param {Item} item */
  tile(item) {
    const parts = this.sets.map((set) => ({ set, item: set.pictures[item.index] ?? item }));
    const name = [momentText(item), ...parts.map(({ item: one }) => [one.labels[0], one.verdicts.filter(Boolean).join(", "), one.checking ? CHECKING : "", one.error].filter(Boolean).join(", "))].join("; ");
    const loading = item.index < SOON ? "eager" : "lazy";
    return el("li", {}, el("button", { type: "button", tabIndex: -1, "data-index": item.index, "aria-label": name, title: item.name, on: { click: () => this.open(item.index) } },
      el("span", { class: "thumbs" }, ...parts.map(({ item: one }) => (one.error || !one.thumb ? el("span", { class: "blank", "aria-hidden": "true" }, "!") : el("img", { src: one.thumb, alt: "", loading, width: 150, height: 112 })))),
      el("span", { class: "name", translate: false, text: momentText(item) }),
      ...parts.map(({ item: one }) => el("span", { class: "facts" }, el("span", { class: "what-it-is", translate: false, text: one.error ?? one.labels[0] ?? "no maps" }), one.score === null || one.error ? null : el("span", { class: "num", title: "Score: how strongly the model says it", text: `score ${Number(one.score.toPrecision(3))}` }),
        worst(one) ? el("i", { class: `verdict ${verdictTone(worst(one))}`, text: worst(one) }) : one.checking ? el("i", { class: "verdict", text: CHECKING }) : null))));
  }

  mark() {
    const buttons = [...this.grid.querySelectorAll("button")];
    let stop = buttons.find((button) => Number(button.dataset.index) === this.index) ?? buttons[0];
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === this.index));
      button.tabIndex = button === stop ? 0 : -1;
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const buttons = [...this.grid.querySelectorAll("button")], at = buttons.indexOf(/** @type {any} */ (document.activeElement));
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const top = buttons[0].getBoundingClientRect().top, columns = Math.max(1, buttons.findIndex((button) => button.getBoundingClientRect().top > top + 4));
    const to = moved(at, event.key, buttons.at(-1)?.getBoundingClientRect().top === top ? buttons.length : columns, buttons.length);
    if (to === null) return;
    event.preventDefault();
    buttons[at].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  }
}

/** The verdict that speaks most against a picture's maps. @param {Item} item */
function worst(item) {
  return sorted(item.verdicts.map((verdict, index) => ({ ...item, index, verdicts: [verdict] })), "doubtful")[0]?.verdicts[0] ?? "";
}
