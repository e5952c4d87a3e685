/* Maps beside each other: all of them as a table, or two as a slider, side by side, or one less the other. Zoom, place and
   cursor are one for all. */
import { drawnWith, firstLook, numberText, sharedScale, Stage } from "../../draw/page/stage.js";
import { badgeOf } from "./badge.js";
import { arranged, differenceOf, layoutOf, sameUnits, TRAITS } from "./difference.js";
import { el, field } from "./dom.js";

/** @typedef {import("../../draw/page/types.js").Settings} Settings */
/** @typedef {import("../../draw/page/types.js").MapData} MapData */
/** @typedef {import("./difference.js").Entry} Entry */

const MODES = { grid: "Grid", sides: "Side by side", slider: "Slider", difference: "Difference" };
const RULES = {
  own: "Each map is divided by its own largest value, since values of different methods, layers or models have no common unit.",
  plain: "Values are compared as they are.",
};

/** Mount the comparison. @param {HTMLElement} root @param {Settings} settings @param {Entry[]} entries */
export function mountCompare(root, settings, entries) {
  return new Comparing(root, settings, entries);
}

class Comparing {
  /** @param {HTMLElement} root @param {Settings} settings @param {Entry[]} entries */
  constructor(root, settings, entries) {
    this.settings = settings;
    this.entries = entries;
    this.looks = { ...firstLook(settings), boxes: false }; // small pictures would be full of labels
    this.share = entries.every(({ map }) => sameUnits(map, entries[0].map)) ? "all" : "map";
    this.pair = [0, Math.min(1, entries.length - 1)];
    /** @type {"own" | "plain"} */
    this.rule = "own";
    /** @type {{stage: Stage, entry: Entry, out: HTMLElement, difference?: boolean}[]} */
    this.panes = [];
    const { across, down } = layoutOf(entries);
    this.across = across;
    this.down = down;
    this.area = el("div", { class: "compare-area" });
    this.options = el("div", { class: "look-controls" });
    this.modes = el("div", { class: "row modes", role: "group", "aria-label": "How they are compared" }, ...Object.entries(MODES).map(([mode, text]) =>
      el("button", { type: "button", class: "tool", "data-mode": mode, "aria-pressed": "false", on: { click: () => this.show(mode) } }, text)));
    this.mode = "";
    this.root = el("div", { class: "compare" }, this.modes, this.options, this.area);
    root.append(this.root);
    this.show(entries.length === 2 ? "sides" : "grid");
  }

  close() {
    this.root.remove();
    this.panes = [];
  }

  /** @param {string} mode */
  show(mode) {
    this.mode = mode;
    for (const button of this.modes.children) button.setAttribute("aria-pressed", String(button.getAttribute("data-mode") === mode));
    this.options.replaceChildren(...this.makeOptions(mode));
    this.fill();
  }

  /** Build the panes anew. */
  fill() {
    const seen = this.panes[0]?.stage.seen, size = this.panes[0]?.entry.picture;
    this.panes = [];
    const { mode } = this;
    if (mode !== "grid" && !this.samePicture()) this.area.replaceChildren(el("p", { class: "empty", text: "A slider and a difference need two maps of one picture, or of pictures of one size. Choose two such maps, or see them side by side." }));
    else this.area.replaceChildren(mode === "grid" ? this.makeGrid() : mode === "slider" ? this.makeSlider() : mode === "difference" ? this.makeDifference() : this.makeSides());
    this.draw();
    if (seen && size) for (const { stage, entry } of this.panes) stage.view({ x: (seen.x / size.w) * entry.picture.w, y: (seen.y / size.h) * entry.picture.h, scale: seen.scale }, true);
  }

  /** Whether the two can lie over each other; beside each other all can stand. */
  samePicture() {
    const [a, b] = this.two();
    return this.mode === "sides" || (a.picture.w === b.picture.w && a.picture.h === b.picture.h);
  }

  two() {
    return this.pair.map((i) => this.entries[i]);
  }

  /** @param {string} mode */
  makeOptions(mode) {
    const select = (/** @type {[string, string][]} */ choices, /** @type {string} */ value, /** @type {(value: string) => void} */ set, own = true) => {
      const node = el("select", { on: { change: (/** @type {any} */ event) => set(event.target.value) } }, ...choices.map(([key, text]) => el("option", { value: key, translate: own }, text)));
      node.value = value;
      return node;
    };
    const opacity = el("input", { type: "range", min: "0", max: "100", value: String(Math.round(100 * this.looks.opacity)), on: { input: (/** @type {any} */ event) => { this.looks.opacity = event.target.value / 100; this.draw(); } } });
    const style = select(/** @type {[string, string][]} */ (Object.keys(this.settings.styles).map((name) => [name, name])), this.looks.style, (name) => {
      Object.assign(this.looks, { style: name, opacity: this.settings.styles[name].opacity });
      opacity.value = String(Math.round(100 * this.looks.opacity));
      this.draw();
    }, false);
    const boxes = field("Boxes", el("input", { type: "checkbox", checked: this.looks.boxes, on: { change: (/** @type {any} */ event) => { this.looks.boxes = event.target.checked; this.draw(); } } }), { inline: true });
    const nodes = [field("Opacity", opacity), ...(mode === "difference" ? [] : [field("Style", style), field("Scale", select(/** @type {[string, string][]} */ ([["map", "of each map"], ["all", "shared by all of one kind"]]), this.share, (/** @type {string} */ value) => { this.share = value; this.draw(); }))])];
    if (mode === "grid") {
      const traits = /** @type {[string, string][]} */ ([["", "nothing"], ...Object.keys(TRAITS).map((name) => [name, name])]);
      nodes.push(field("Columns by", select(traits, this.across, (value) => { this.across = value; this.fill(); })), field("Rows by", select(traits, this.down, (value) => { this.down = value; this.fill(); })));
    } else if (this.entries.length > 2) {
      const names = /** @type {[string, string][]} */ (this.entries.map(({ title }, i) => [String(i), title]));
      ["First", "Second"].forEach((text, side) => nodes.push(field(text, select(names, String(this.pair[side]), (value) => { this.pair[side] = Number(value); this.show(mode); }, false), { name: "side" })));
    }
    if (mode === "difference") {
      const [a, b] = this.two();
      this.rule = sameUnits(a.map, b.map) ? this.rule : "own";
      const rules = /** @type {[string, string][]} */ ([["own", "each by its largest"], ...(sameUnits(a.map, b.map) ? [["plain", "as they are"]] : [])]);
      nodes.push(field("Values", select(rules, this.rule, (value) => { this.rule = value === "plain" ? "plain" : "own"; this.fill(); })));
    }
    return this.entries.some(({ picture }) => picture.boxes.length) ? [...nodes, boxes] : nodes;
  }

  /** A picture with one map, linked to the others. @param {Entry} entry @param {{difference?: boolean}} [how] */
  makePane(entry, { difference = false } = {}) {
    const node = el("div", { class: "stage" }), out = el("span", { class: "num" });
    const stage = new Stage(node, this.settings, { tools: false });
    node.ariaLabel = `${entry.title}. ${node.ariaLabel}`;
    const pane = { stage, entry, out, difference };
    stage.show({ ...entry.picture, labels: entry.picture.labels ?? [] }, [entry.map]);
    stage.on("view", (view) => this.follow(pane, (other, x, y) => other.stage.view({ x: x(view.x), y: y(view.y), scale: view.scale }, true)));
    stage.on("point", (reading) => {
      this.follow(pane, (other, x, y) => other.stage.point(reading && [x(reading.x), y(reading.y)], true));
      for (const one of this.panes) one.out.textContent = one.stage.cursor ? numberText(one.stage.reading(...one.stage.cursor).value) : "";
    });
    this.panes.push(pane);
    return pane;
  }

  /**
   * Do the same in all other panes, at the same place of their pictures.
   * @param {{stage: Stage, entry: Entry}} leader
   * @param {(other: {stage: Stage, entry: Entry}, x: (x: number) => number, y: (y: number) => number) => void} act
   */
  follow(leader, act) {
    const from = leader.entry.picture;
    for (const other of this.panes) {
      const to = other.entry.picture;
      if (other.stage !== leader.stage) act(other, (x) => (x / from.w) * to.w, (y) => (y / from.h) * to.h);
    }
  }

  /** @param {Entry} entry @param {{difference?: boolean}} [how] */
  makeFigure(entry, how) {
    const { stage, out } = this.makePane(entry, how);
    return el("figure", {}, stage.root, el("figcaption", {}, el("b", { translate: false, text: entry.title }), how?.difference ? null : badgeOf(entry.map, this.entries.map(({ map }) => map)), out));
  }

  makeGrid() {
    const { columns, rows, cells } = arranged(this.entries, this.across, this.down);
    const head = el("thead", { hidden: !this.across }, el("tr", {}, this.down ? el("td", {}) : null, ...columns.map((text) => el("th", { scope: "col", translate: this.across === "method", text: text || "none" }))));
    const body = rows.map((text, i) => el("tr", {}, this.down ? el("th", { scope: "row", translate: this.down === "method", text: text || "none" }) : null, ...cells[i].map((entries) => el("td", {}, el("div", { class: this.across ? "" : "beside-each-other" }, ...entries.map((entry) => this.makeFigure(entry)))))));
    const table = el("table", { class: "compare-grid", css: { "min-width": `${190 * columns.length + (this.down ? 110 : 0)}px` } }, head, el("tbody", {}, ...body));
    return el("div", { class: "compare-scroll", tabIndex: 0, role: "region", "aria-label": "Maps beside each other" }, table);
  }

  makeSides() {
    return el("div", { class: "sides" }, ...this.two().map((entry) => this.makeFigure(entry)));
  }

  makeSlider() {
    const [a, b] = this.two(), below = this.makePane(a), above = this.makePane(b);
    const place = el("input", { type: "range", min: "0", max: "1000", value: "500", "aria-label": `Where ${b.title} begins`, on: { input: () => cut() } });
    const line = el("div", { class: "divider", "aria-hidden": "true" });
    const cut = () => {
      const share = `${Number(place.value) / 10}%`;
      above.stage.root.style.clipPath = `inset(0 0 0 ${share})`;
      line.style.left = share;
      place.setAttribute("aria-valuetext", `${Math.round(Number(place.value) / 10)} percent from the left`);
    };
    cut();
    const caption = (/** @type {{entry: Entry, out: HTMLElement}} */ { entry, out }) => el("span", {}, el("b", { translate: false, text: entry.title }), " ", out);
    return el("figure", { class: "slider", css: { "--aspect": String(a.picture.w / a.picture.h) } }, el("div", { class: "over-each-other" }, below.stage.root, above.stage.root, line), place, el("figcaption", { class: "ends" }, caption(below), caption(above)));
  }

  makeDifference() {
    const [a, b] = this.two(), map = differenceOf(a.map, b.map, a.picture, this.rule);
    const figure = this.makeFigure({ ...a, title: map.label, map }, { difference: true });
    const rule = ` ${RULES[this.rule]} The colours reach from ${numberText(map.low)} (the second is stronger) to ${numberText(map.high)} (the first is stronger).`;
    return el("div", { class: "sides" }, figure, el("div", {}, el("p", { class: "hint" }, ...(map.silent ? ["The two maps do not differ."] : [el("span", { translate: false, text: `${a.title} less ${b.title}.` }), rule])), this.makeLegend(map, a.picture)));
  }

  /** The colours of a difference, from end to end. @param {MapData} map @param {any} picture */
  makeLegend(map, picture) {
    const { ink } = drawnWith(map, picture, { ...this.looks, style: "grey", opacity: 1 }, this.settings), canvas = el("canvas", { class: "ramp", width: ink.count, height: 1, "aria-hidden": "true" });
    const image = new ImageData(ink.count, 1);
    for (let i = 0; i < ink.count; i++) image.data.set([...ink.colour.subarray(3 * i + 3, 3 * i + 6), 255], 4 * i);
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    return el("div", { class: "bar" }, canvas, el("span", { class: "low num", text: numberText(map.low) }), el("span", { class: "mid num", text: "0" }), el("span", { class: "high num", text: numberText(map.high) }));
  }

  /** Draw all panes as the options say. */
  draw() {
    for (const { stage, entry: { map }, difference } of this.panes) {
      const alike = this.panes.filter((other) => !other.difference && sameUnits(other.entry.map, map) && other.entry.map.signed === map.signed).map(({ entry }) => entry.map);
      const scale = this.share === "all" && !difference ? sharedScale(alike, map.kind) : null;
      stage.look({ ...this.looks, scale, ...(difference ? { style: "grey" } : {}) });
    }
  }
}
