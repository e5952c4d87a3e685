/* Looking at a picture with its maps: the viewer, and everything that changes how it draws. Nothing here asks the server. */
import { Bar, drawnWith, find, firstLook, numberText, onPaper, sharedScale, showReading, Stage, thumbOf } from "../../draw/page/stage.js";
import { el, fail, field } from "./dom.js";
import { badgeOf } from "./badge.js";
import { meaningIn } from "./glossary.js";
import { verdictLine } from "./judged.js";
import { verdictTone } from "./names.js";

/** @typedef {import("../../draw/page/types.js").Settings} Settings */
/** @typedef {import("../../draw/page/types.js").MapData} MapData */
/** @typedef {import("../../draw/page/types.js").Reading} Reading */

const STEPS = 200; // of the sliders that set the ends of the scale

/** Make the viewer with its controls. @param {HTMLElement} root @param {Settings} settings */
export function mountLook(root, settings) {
  return new Look(root, settings);
}

class Look {
  /** @param {HTMLElement} root @param {Settings} settings */
  constructor(root, settings) {
    this.settings = settings;
    this.looks = firstLook(settings);
    this.share = "map";
    this.run = "";
    this.rest = "";
    /** @type {any} */
    this.picture = null;
    /** @type {any[]} */
    this.maps = [];
    /** @type {Record<string, ((event: any) => void)[]>} */
    this.handlers = {};
    const stage = el("div", { class: "stage" }), bar = el("div", { class: "bar", "aria-hidden": "true" });
    this.readout = el("p", { class: "readout", "aria-live": "polite" });
    this.range = this.makeRange();
    this.list = el("ul", { class: "map-list", "aria-label": "Maps of this picture", on: { keydown: (/** @type {KeyboardEvent} */ event) => this.along(event) } });
    this.readings = el("div", { class: "readings", hidden: true });
    this.judgement = this.makeDetails("", "./verdict.js", "showVerdict");
    this.judgement.classList.add("judged");
    this.statistics = this.makeDetails("Statistics", "./statistics.js", "showStatistics");
    this.bare = el("button", { type: "button", class: "tool", "aria-pressed": "false", title: "Key H", on: { click: () => this.toggleBare() } }, "Picture only");
    this.controls = this.makeControls();
    this.pinning = el("button", { type: "button", class: "tool", title: "Key P on the picture, or Shift and a click", on: { click: () => this.stage.pin() } }, "Pin a reading");
    const tools = el("div", { class: "row look-tools" }, this.pinning,
      el("button", { type: "button", class: "tool", on: { click: () => this.openFull() } }, "Open full size"), this.bare, this.whole);
    root.replaceChildren(el("div", { class: "look", on: { keydown: (/** @type {KeyboardEvent} */ event) => this.press(event) } },
      this.controls, el("figure", {}, stage, el("figcaption", { class: "under" }, bar, this.range, this.readout)), this.judgement, tools, this.readings, this.list, this.statistics));
    this.stage = new Stage(stage, settings);
    this.words = el("div", { class: "stage-words", role: "group", hidden: true });
    stage.append(this.words);
    this.bar = new Bar(bar);
    this.stage.on("point", (reading) => showReading(this.readout, reading, this.bar));
    this.stage.on("pick", (pick) => this.tell("pick", pick));
    this.stage.on("pin", () => this.showReadings());
  }

  /** Show a picture of a run, with its maps. @param {string} runId @param {any} picture @param {any[]} maps each with its values @param {number} [chosen] */
  show(runId, picture, maps, chosen = 0) {
    [this.run, this.picture, this.maps, this.rest] = [runId, picture, maps, ""];
    this.looks.range = null;
    this.stage.unpin();
    this.stage.show(picture, maps, Math.min(chosen, Math.max(0, maps.length - 1)));
    this.list.replaceChildren(...maps.map((map, i) => this.makeItem(map, i)));
    this.list.hidden = maps.length < 2;
    for (const node of [this.controls, this.judgement, this.statistics, this.range, this.bar.root, this.readout, this.pinning, this.bare]) node.hidden = !maps.length;
    if (!maps.length) /** @type {HTMLElement} */ (this.whole).hidden = this.readings.hidden = true;
    this.drawWords();
    const signed = maps.some((map) => map.signed), unsigned = maps.some((map) => !map.signed);
    find("[data-field=signed]", this.controls).hidden = !signed;
    find("[data-field=unsigned]", this.controls).hidden = !unsigned;
    find("[data-field=scale]", this.controls).hidden = maps.length < 2;
    find("[data-field=boxes]", this.controls).hidden = find("[data-field=renormalise]", this.controls).hidden = !picture.boxes.length && !maps.some((map) => map.box);
    this.redraw();
    this.stage.point(null);
    this.opened();
  }

  /** What the model said, in the picture: the words of its answer, or the classes where nothing has a box. */
  drawWords() {
    const { picture, maps } = this, answer = picture.words ?? [], classes = picture.boxes.length || answer.length ? [] : [...new Set(maps.map((map) => map.label).filter(Boolean))];
    const button = (/** @type {string} */ text, /** @type {"word" | "class"} */ kind) => el("button", { type: "button", class: "word", translate: false, title: `Explain this ${kind}`, on: { click: () => this.tell(kind, text) } }, text);
    this.words.ariaLabel = answer.length ? "Its answer, to be pressed" : "Classes seen, to be pressed";
    this.words.hidden = !answer.length && !classes.length;
    this.words.replaceChildren(...answer.map((/** @type {any} */ one) => button(one.text.trim(), "word")), ...classes.map((label) => button(label, "class")));
  }

  /** The shown picture's maps were checked. @param {any[]} facts of each map, by now */
  judge(facts) {
    this.maps.forEach((map, i) => {
      const { verdict, judgement, trust, checking } = facts[i];
      Object.assign(map, { verdict, judgement, trust, checking });
      find(".verdict", this.list.children[i]).replaceWith(badgeOf(map, this.maps));
    });
    if (!this.stage.map) return;
    this.showVerdict(this.stage.map);
    this.opened();
  }

  clear() {
    this.show("", { name: "", h: 1, w: 1, boxes: [], labels: [], image: null }, []);
  }

  /** The number of the map that is shown. */
  chosen() {
    return this.stage.chosen;
  }

  /** Show another map. @param {number} index */
  choose(index) {
    const last = this.maps.length - 1;
    if (last < 0 || index === this.stage.chosen) return;
    this.looks.range = null;
    this.stage.choose(Math.min(Math.max(index, 0), last));
    this.redraw();
    this.opened();
  }

  /** @param {"choose" | "pick" | "word" | "class"} name @param {(event: any) => void} handler */
  on(name, handler) {
    (this.handlers[name] ??= []).push(handler);
  }

  /** @param {string} name @param {any} event */
  tell(name, event) {
    for (const handler of this.handlers[name] ?? []) handler(event);
  }

  /** The scale that a map shares with others of its kind; null: its own. @param {MapData} map */
  scaleOf(map) {
    if (this.share === "map") return null;
    return sharedScale(this.maps.filter((one) => one.kind === map.kind && one.signed === map.signed), map.kind);
  }

  /** Draw with the look as it is now. */
  redraw() {
    const map = this.stage.map;
    this.stage.look({ ...this.looks, scale: map ? this.scaleOf(map) : null });
    if (!map) return;
    this.placeRange();
    // what has nothing below it has one opacity: dragging that changes the picture alone
    const rest = JSON.stringify([this.run, this.picture.name, this.stage.chosen, this.share, { ...this.looks, opacity: 0 }]);
    if (rest !== this.rest) this.redrawRest(map);
    this.rest = rest;
  }

  /** Draw what stands beside the picture: the colour bar, the small pictures and the readings. @param {MapData} map */
  redrawRest(map) {
    this.showVerdict(map);
    this.bar.show(drawnWith(map, this.picture, this.stage.looks, this.settings, onPaper(this.looks, this.settings)));
    [...this.list.children].forEach((item, i) => {
      find("button", item).setAttribute("aria-pressed", String(i === this.stage.chosen));
      find("button", item).tabIndex = i === this.stage.chosen ? 0 : -1;
    });
    cancelAnimationFrame(this.thumbs ?? 0);
    this.thumbs = requestAnimationFrame(() => this.drawThumbs());
    if (this.stage.cursor) this.stage.point(this.stage.cursor);
    this.showReadings();
  }

  /** The verdict stands beside every map, and unfolds to what it comes from. @param {any} map */
  showVerdict(map) {
    const { word, reason, errs } = verdictLine(map);
    find("summary", this.judgement).replaceChildren(...(word ? [el("span", { class: `verdict ${verdictTone(word)}`, text: word }), " "] : []),
      el("span", { class: "why" }, reason, " ", el("u", { text: "Can this map be believed?" })), ...(errs ? [el("small", { text: errs })] : []));
  }

  /** Change the look, and draw. @param {Partial<import("../../draw/page/types.js").Look>} changes */
  change(changes) {
    Object.assign(this.looks, changes);
    this.redraw();
  }

  drawThumbs() {
    if (this.list.hidden) return;
    this.maps.forEach((map, i) => {
      const canvas = /** @type {HTMLCanvasElement} */ (find("canvas", this.list.children[i]));
      const { h, w, bytes } = thumbOf(map, this.picture, { ...this.looks, range: null, scale: this.scaleOf(map) }, this.settings);
      Object.assign(canvas, { width: w, height: h });
      canvas.getContext("2d")?.putImageData(new ImageData(bytes, w, h), 0, 0);
    });
  }

  /** @param {any} map @param {number} i */
  makeItem(map, i) {
    const varies = (/** @type {string} */ key) => new Set(this.maps.map((one) => String(one[key]))).size > 1;
    const facts = ["method", "layer", "model"].filter((key) => map[key] && (key === "method" || varies(key))).flatMap((key, at) => [at ? " · " : "", el("span", { translate: key === "method", text: [map[key]].flat().join(", ") })]);
    return el("li", {}, el("button", { type: "button", on: { click: () => this.pickMap(i) } },
      el("canvas", { width: 1, height: 1, "aria-hidden": "true" }),
      el("span", { class: "words" }, el("b", { translate: false, text: map.label || `Map ${i + 1}` }), el("small", {}, ...facts),
        badgeOf(map, this.maps))));
  }

  /** @param {number} index */
  pickMap(index) {
    this.choose(index);
    this.tell("choose", index);
  }

  /** Arrow keys go along the maps. @param {KeyboardEvent} event */
  along(event) {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key], count = this.maps.length;
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.pickMap((this.stage.chosen + step + count) % count);
    find("button", this.list.children[this.stage.chosen]).focus();
  }

  /** H hides the map for as long as one likes. @param {KeyboardEvent} event */
  press(event) {
    const typing = event.target instanceof Element && /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key.toLowerCase() !== "h" || typing || event.ctrlKey || event.altKey || event.metaKey) return;
    this.toggleBare();
  }

  toggleBare() {
    this.change({ bare: !this.looks.bare });
    this.bare.setAttribute("aria-pressed", String(this.looks.bare));
  }

  makeControls() {
    const { settings } = this, looks = () => this.looks;
    const select = (/** @type {string[]} */ names, /** @type {(value: string) => void} */ set) => el("select", { on: { change: (/** @type {any} */ event) => { set(event.target.value); this.redraw(); } } }, names.map((name) => el("option", { value: name, translate: false }, name.replaceAll("_", " "))));
    const check = (/** @type {"boxes" | "renormalise" | "lines"} */ key, /** @type {string} */ label) => field(label, el("input", { type: "checkbox", checked: Boolean(looks()[key]), on: { change: (/** @type {any} */ event) => this.change({ [key]: event.target.checked }) } }), { name: key, inline: true });
    const opacity = this.makeSlider("opacity"), threshold = this.makeSlider("threshold");
    const style = select(Object.keys(settings.styles), (name) => {
      this.looks.style = name;
      opacity.set(settings.styles[name].opacity); // each has its own
    });
    style.value = this.looks.style;
    const scale = el("select", { on: { change: (/** @type {any} */ event) => { this.share = event.target.value; this.change({ range: null }); } } },
      el("option", { value: "map" }, "of each map"), el("option", { value: "picture" }, "shared by its maps"));
    return el("div", { class: "look-controls", role: "group", "aria-label": "How the map is drawn" },
      opacity.root, threshold.root,
      field("Style", style, { name: "style" }),
      field("Colours", select(settings.unsigned, (unsigned) => { this.looks.colours = { ...this.looks.colours, unsigned }; }), { name: "unsigned" }),
      field("Signed colours", select(settings.signed, (signed) => { this.looks.colours = { ...this.looks.colours, signed }; }), { name: "signed" }),
      field("Scale", scale, { name: "scale" }),
      el("div", { class: "checks" }, check("lines", "Lines of equal value"), check("boxes", "Boxes"), check("renormalise", "Renormalise in boxes")));
  }

  /** A slider for a share. @param {"opacity" | "threshold"} key */
  makeSlider(key) {
    const node = el("input", { type: "range", min: "0", max: "100", value: String(Math.round(100 * this.looks[key])), });
    const out = el("small", { class: "num", "aria-hidden": "true" });
    const show = () => {
      node.setAttribute("aria-valuetext", `${node.value} percent`);
      out.textContent = `${node.value} %`;
    };
    node.addEventListener("input", () => {
      this.change({ [key]: Number(node.value) / 100 });
      show();
    });
    show();
    const set = (/** @type {number} */ value) => {
      node.value = String(Math.round(100 * value));
      this.looks[key] = Number(node.value) / 100;
      show();
    };
    const root = field(key[0].toUpperCase() + key.slice(1), node, { name: key });
    find(".label", root).append(out);
    return { root, set };
  }

  /** Two handles on the colour bar, and a button that takes them back. */
  makeRange() {
    const handle = (/** @type {string} */ name) => el("input", { type: "range", min: "0", max: String(STEPS), class: name, "aria-label": `Value at the ${name} end of the colours`, title: meaningIn("range"), on: { input: () => this.setRange() } });
    this.low = handle("low");
    this.high = handle("high");
    this.whole = el("button", { type: "button", class: "tool", hidden: true, on: { click: () => { this.change({ range: null }); this.low?.focus(); } } }, "Take the range back");
    return el("div", { class: "range" }, this.low, this.high);
  }

  /** The values between which the handles move: those of the map, and of its scale. */
  rangeEnds() {
    const map = /** @type {any} */ (this.stage.map), scale = this.scaleOf(map) ?? map, most = map.statistics?.max ?? scale.high;
    return [Math.min(scale.low, map.lowest), Math.max(scale.high, most)];
  }

  setRange() {
    const [first, last] = this.rangeEnds(), low = /** @type {HTMLInputElement} */ (this.low), high = /** @type {HTMLInputElement} */ (this.high);
    if (Number(low.value) >= Number(high.value)) { // the one that moved pushes no further than the other
      if (document.activeElement === low) low.value = String(Number(high.value) - 1);
      else high.value = String(Number(low.value) + 1);
      if (low.value === high.value) [low.value, high.value] = Number(low.value) ? [String(STEPS - 1), String(STEPS)] : ["0", "1"]; // at an end
    }
    const at = (/** @type {HTMLInputElement} */ input) => first + (Number(input.value) / STEPS) * (last - first);
    this.change({ range: [at(low), at(high)] });
  }

  placeRange() {
    const map = /** @type {MapData} */ (this.stage.map), [first, last] = this.rangeEnds(), own = this.scaleOf(map) ?? map;
    const [low, high] = this.looks.range ?? [own.low, own.high];
    this.range.hidden = !(last > first) || this.looks.renormalise;
    for (const [input, value] of /** @type {[HTMLInputElement, number][]} */ ([[this.low, low], [this.high, high]])) {
      if (!this.looks.range) input.value = String(Math.round(((value - first) / (last - first)) * STEPS));
      input.setAttribute("aria-valuetext", numberText(value));
    }
    /** @type {HTMLElement} */ (this.whole).hidden = !this.looks.range;
  }

  async openFull() {
    try {
      const url = URL.createObjectURL(await this.stage.canvas(true));
      const opened = window.open(url, "_blank");
      if (!opened) throw new Error("The browser did not open a new tab. Allow this page to open tabs, then press the button again.");
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      fail(error);
    }
  }

  async showReadings() {
    const { pins } = this.stage;
    if (!pins.length && this.readings.hidden) return;
    const { showPins } = await import("./readings.js");
    showPins(this.readings, this.stage, () => this.showReadings());
  }

  /**
   * A part that is filled when it is opened, and whenever another map is shown while it is open.
   * @param {string} title @param {string} module @param {string} name of its function
   */
  makeDetails(title, module, name) {
    const body = el("div", { class: "details-body" });
    const node = el("details", { class: "quiet" }, el("summary", {}, title), body);
    node.addEventListener("toggle", () => { if (node.open) void this.fill(body, module, name); });
    return node;
  }

  /** @param {HTMLElement} body @param {string} module @param {string} name */
  async fill(body, module, name) {
    if (!this.stage.map) return body.replaceChildren();
    try {
      (await import(module))[name](body, this.stage.map, this.picture);
    } catch (error) {
      fail(error);
    }
  }

  /** Fill anew what is open. */
  opened() {
    for (const node of [this.judgement, this.statistics]) if (node.open) node.dispatchEvent(new Event("toggle"));
  }
}
