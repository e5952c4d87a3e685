/* The fields of the form, one function each, as fieldsFor names them. */
import { dialog, doing, el, fail, field, say } from "./dom.js";
import { plainLabel } from "./names.js";
import { ANSWER_PARTS, exampleQuestion, isDetector, methodsFor, partsOf, takes } from "./options.js";

/** @typedef {import("./ask.js").Ask} Ask */
/** @typedef {import("./options.js").Form} Form */
/** @typedef {import("./options.js").Model} Model */

const KINDS = /** @type {Record<string, string>} */ ({
  classifier: "says which class a picture is of", detector: "draws boxes around things", segmenter: "says which class each pixel is of", maps: "gives a number at every place of a picture",
  question: "answers questions about pictures", auto: "takes the best that is installed",
});

/** Makes the fields of a form. */
export class Fields {
  /** @param {Ask} ask */
  constructor(ask) {
    this.ask = ask;
  }

  get form() { return this.ask.form; }

  /** The fields that everybody sees. @param {Set<string>} has @returns {HTMLElement[]} */
  main(has) {
    return this.made(has, [
      ["model", () => this.model()], ["prompt", () => this.prompt()], ["classes", () => this.classes()], ["like", () => this.like()], ["what", () => this.what()],
      ["parts", () => this.parts()], ["answerPart", () => this.answerPart()], ["answer", () => this.answer()], ["methods", () => this.methods()],
    ]);
  }

  /** The fields that are folded away. @param {Set<string>} has @returns {HTMLElement[]} */
  more(has) {
    return this.made(has, [
      ["model", () => this.second()], ["layers", () => this.layers()],
      ["confidence", () => this.text("confidence", "Confidence", { inputMode: "decimal", placeholder: "0.25" })],
      ["fuse", () => this.choice("fuse", "Several layers", [["mean", "average"], ["max", "largest"], ["none", "a map each"]])],
      ["smooth", () => this.choice("smooth", "Smoothing", [["none", "none"], ["eigen", "principal direction"], ["augment", "changed copies"], ["both", "both"]])],
      ["trust", () => this.choice("trust", "Check", [["fast", "fast"], ["full", "full"], ["off", "off"]])],
      ["together", () => this.tick("together", "All pictures in one question")],
      ["style", () => this.choice("style", "Saved style", this.styles())],
      ["showBoxes", () => this.tick("showBoxes", "Show boxes in saved pictures")],
      ["renormalise", () => this.tick("renormalise", "Each box by its own strongest value")],
      ["sharedScale", () => this.tick("sharedScale", "One colour scale for all pictures")],
      ["size", () => this.text("size", "Input size", { placeholder: "640" })],
      ["device", () => this.choice("device", "Device", (this.ask.state.devices ?? ["auto"]).map((/** @type {string} */ one) => [one, one]))],
      ["seed", () => this.text("seed", "Seed", { placeholder: "0", inputMode: "numeric" })],
    ]);
  }

  /** @param {Set<string>} has @param {[string, () => HTMLElement | null][]} list */
  made(has, list) {
    return list.filter(([name]) => has.has(name)).map(([, make]) => make()).filter((node) => node !== null);
  }

  // --- what the question is ------------------------------------------------------------------------------------------

  model() {
    const models = /** @type {Model[]} */ (this.ask.state.models), now = this.ask.model;
    const select = this.select("ask-model", models.map((one) => [one.name, titleOf(one) + (one.error ? " (cannot be opened)" : ""), "name"]), this.form.model, (name) => {
      this.ask.set({ model: name, layers: [], methods: [], what: "auto", box: null, parts: ["class"], answerPart: "" });
      this.ask.turned = null;
      this.ask.draw();
    });
    const made = field("Model", select, { hint: sentence(now?.error ?? now?.why ?? `It ${KINDS[now?.kind ?? ""] ?? "says what it sees"}`), name: "model" });
    const { turned } = this.ask;
    if (turned) made.append(el("p", { class: "turned" }, `${turned.text} `, el("button", { type: "button", class: "link", id: "ask-back", on: { click: () => this.ask.turnBack() } }, `Back to ${turned.form.model}`)));
    return made;
  }

  prompt() {
    const area = el("textarea", { id: "ask-prompt", rows: 2, value: this.form.prompt, placeholder: exampleQuestion(this.ask.model), maxLength: 2000 });
    area.addEventListener("input", () => this.ask.set({ prompt: area.value }));
    return field("Question", area, { name: "prompt" });
  }

  classes() {
    // whether a YOLOE has classes of its own is known only when it is opened
    const { model } = this.ask, wants = model?.lacks_classes ? "It wants words, or boxes drawn below." : "It wants words, or boxes drawn below, unless its file has a list of its own.";
    const own = takes(model, "visual") ? wants : "Empty: its own list.";
    return this.text("classes", "Look for", { placeholder: "person, red cup, dog", hint: `Words for what it should find, separated by commas. ${own}` });
  }

  like() {
    const { like } = this.form, picture = this.ask.on.pictures()[0], drawn = like.split(";").filter((one) => one.trim()).length;
    const draw = el("button", { type: "button", class: "tool", id: "ask-like", on: { click: doing(async () => {
      if (!picture) return;
      const root = el("div", { class: "prompt" }), context = { state: this.ask.state, add: () => {}, say, fail };
      const mounted = (await import("./prompt.js")).mountPrompt(root, context, { picture, like, change: (/** @type {string} */ now) => { this.ask.set({ like: now }); this.ask.boxedOn = picture.id; } });
      dialog("Find things like this", root, { wide: true, closed: () => { mounted.close(); this.ask.draw(); document.getElementById("ask-like")?.focus(); } });
    }) } }, drawn ? `${drawn} drawn: change…` : "Draw boxes…");
    return field("Find things like this", draw, { name: "like", hint: "Draw a box around a thing, and the model looks for more of its kind." });
  }

  what() {
    const { form, ask } = this, detector = isDetector(ask.model), maps = ask.model?.kind === "maps", own = detector ? "every finding" : "what the model says";
    const choices = [["auto", own], ["class", maps ? "one of its maps" : "a class"], ...(maps ? [["point", "a place"]] : detector ? [["box", "one finding"]] : [["top", "the likeliest classes"]])];
    const select = this.select("ask-what", choices, form.what, (what) => { ask.set({ what }); ask.draw(); });
    const detail = form.what === "class" ? this.classNames(detector) : form.what === "top" ? this.howMany() : form.what === "box" ? this.finding() : form.what === "point" ? this.place() : null;
    return el("div", { class: "group" }, field("Explain", select, { name: "what" }), this.chips(), detail);
  }

  /** What is seen in the shown picture, to be pressed. */
  chips() {
    const { labels, boxes } = this.ask.offered, { form } = this;
    if (!labels.length) return null;
    const detector = isDetector(this.ask.model);
    return el("div", { class: "chips", role: "group", "aria-label": "Seen in the picture shown" }, ...labels.slice(0, 12).map((label, i) => {
      const on = boxes[i] && detector ? form.what === "box" && String(form.box) === String(boxes[i]) : form.what === "class" && form.cls === plainLabel(label);
      return el("button", { type: "button", class: "chip", translate: false, "aria-pressed": String(on), id: `ask-chip-${i}`, on: { click: () => {
        if (on) this.ask.set({ what: "auto", box: null, cls: "" });
        else if (boxes[i]) {
          this.ask.on.onlyShown();
          this.ask.pickBox(boxes[i], label);
        } else this.ask.pickClass(plainLabel(label));
        this.ask.draw();
      } } }, label);
    }));
  }

  /** @param {boolean} detector */
  classNames(detector) {
    const name = this.text("cls", "Class", { placeholder: "tabby cat, or its number", hint: "Several separated by commas." });
    return detector ? name : el("div", {}, name, this.text("versus", "Rather than", { placeholder: "another class", hint: "Why this class and not that one." }));
  }

  place() {
    return this.text("point", "Place", { placeholder: "320, 240", hint: "x, y in pixels of the picture, from its top left corner." });
  }

  howMany() {
    const input = el("input", { id: "ask-top", type: "number", min: "1", max: "20", value: String(this.form.top) });
    input.addEventListener("input", () => this.ask.set({ top: Math.max(1, Math.round(Number(input.value) || 1)) }));
    return field("How many", input, { name: "top" });
  }

  finding() {
    const { box } = this.form;
    return el("p", { class: "hint", "data-field": "box" }, box ? `${this.ask.boxLabel || "The finding"} at ${box.slice(0, 2).map(Math.round).join(", ")} px.` : "Click a finding in the picture, or press one above.");
  }

  parts() {
    const parts = partsOf(this.ask.model), several = new Set(this.form.parts);
    const main = parts.filter(([name]) => ["class", "box", "mask", "all"].includes(name)), sides = parts.filter((one) => !main.includes(one));
    const tick = /** @param {string[]} part */ ([name, text]) => {
      const input = el("input", { type: "checkbox", id: `ask-part-${name}`, checked: several.has(name) });
      input.addEventListener("change", () => {
        const now = new Set(this.form.parts);
        if (input.checked) now.add(name);
        else now.delete(name);
        if (input.checked && name === "all") now.forEach((one) => { if (one !== "all") now.delete(one); });
        if (input.checked && name !== "all") now.delete("all");
        this.ask.set({ parts: now.size ? [...now] : ["class"] });
        this.ask.draw();
      });
      return el("div", { class: "ticked" }, el("label", { class: "tick", title: text }, input, el("span", { text: name })));
    };
    const open = sides.some(([name]) => several.has(name));
    return el("fieldset", { "data-field": "parts" }, el("legend", {}, "What of a finding"), el("div", { class: "choices" }, ...main.map(tick)),
      el("details", { class: "quiet", open, "data-key": "sides" }, el("summary", {}, "A side of its box, or a measure"), el("div", { class: "choices" }, ...sides.map(tick))));
  }

  // --- questions -----------------------------------------------------------------------------------------------------

  answerPart() {
    const parts = [...ANSWER_PARTS], now = this.form.answerPart;
    if (now.startsWith("word:")) parts.push([now, `the word “${now.slice(5)}”`]);
    const select = this.select("ask-answerPart", parts, now, (answerPart) => { this.ask.set({ answerPart }); this.ask.draw(); });
    const { words } = this.ask.offered;
    const row = words.length ? el("div", { class: "chips", role: "group", "aria-label": "Words of the answer" }, ...words.map(({ text }, i) => {
      const word = text.trim(), on = now === `word:${word}`;
      return el("button", { type: "button", class: "chip", translate: false, id: `ask-word-${i}`, "aria-pressed": String(on), on: { click: () => (on ? (this.ask.set({ answerPart: "" }), this.ask.draw()) : this.ask.pickWord(word)) } }, word);
    })) : null;
    return el("div", { class: "group" }, field("Explain of the answer", select, { name: "answerPart" }), row);
  }

  answer() {
    const rest = el("div", {}, this.text("answer", "Answer to explain", { placeholder: "what the model says itself" }), this.text("versus", "Rather than", { placeholder: "another answer" }));
    return el("details", { class: "quiet", open: Boolean(this.form.answer || this.form.versus), "data-key": "answer" }, el("summary", {}, "Another answer than its own"), rest);
  }

  // --- how -----------------------------------------------------------------------------------------------------------

  methods() {
    const all = methodsFor(this.ask.state.methods ?? [], this.ask.model);
    const words = () => this.form.methods.map((name) => all.find((one) => one.name === name)?.title ?? name).join(", ") || "the best for this model";
    const summary = el("summary", { id: "ask-methods" }, words());
    const list = el("div", { class: "choices methods" }, ...all.map((one) => {
      const input = el("input", { type: "checkbox", id: `ask-method-${one.name}`, checked: this.form.methods.includes(one.name) });
      input.addEventListener("change", () => {
        const methods = input.checked ? [...this.form.methods, one.name] : this.form.methods.filter((name) => name !== one.name);
        this.ask.set({ methods });
        summary.textContent = words();
      });
      return el("div", { class: "ticked" }, el("label", { class: "tick" }, input, el("span", { text: one.title ?? one.name })));
    }));
    return this.folding("Method", summary, list, "methods");
  }

  layers() {
    const { layers } = this.form;
    const open = el("button", { type: "button", class: "tool wide", id: "ask-layers", on: { click: doing(async () => {
      const { chooseLayers } = await import("./layers.js");
      const chosen = await chooseLayers(this.form.model, this.form.layers);
      if (chosen) this.ask.set({ layers: chosen });
      this.ask.draw();
      document.getElementById("ask-layers")?.focus();
    }) } }, layers.length ? el("code", { text: layers.join(", ") }) : "automatic");
    return field("Layers", open, { name: "layers" });
  }

  second() {
    const others = this.ask.state.models.filter((/** @type {Model} */ one) => one.name !== this.form.model && !one.error);
    if (!others.length) return null;
    const select = this.select("ask-second", [["", "no other model"], ...others.map((/** @type {Model} */ one) => [one.name, titleOf(one), "name"])], this.ask.second, (name) => { this.ask.second = name; });
    return field("Compare with", select, { hint: "A second model is asked the same of the same pictures.", name: "second" });
  }

  styles() {
    return Object.keys(this.ask.state.settings?.styles ?? { isotherm: 0 }).map((name) => [name, name, "name"]);
  }

  // --- kinds of fields -----------------------------------------------------------------------------------------------

  /**
   * @param {string} id
   * @param {string[][]} choices values and their words; with a third entry where these are names and not the page's own words
   * @param {string} value
   * @param {(value: string) => void} changed
   */
  select(id, choices, value, changed) {
    const select = el("select", { id }, ...choices.map(([name, text, own]) => el("option", { value: name, text, translate: !own, selected: name === value })));
    select.addEventListener("change", () => changed(select.value));
    return select;
  }

  /**
   * @param {"fuse" | "smooth" | "trust" | "style" | "device"} name
   * @param {string} label
   * @param {string[][]} choices
   */
  choice(name, label, choices) {
    return field(label, this.select(`ask-${name}`, choices, this.form[name], (value) => this.ask.set({ [name]: value })), { name });
  }

  /**
   * @param {"classes" | "cls" | "versus" | "point" | "answer" | "confidence" | "size" | "seed"} name
   * @param {string} label
   * @param {{hint?: string, placeholder?: string, inputMode?: string}} [how]
   */
  text(name, label, { hint, ...how } = {}) {
    const input = el("input", { type: "text", id: `ask-${name}`, value: this.form[name], autocomplete: "off", spellcheck: false, ...how });
    input.addEventListener("input", () => this.ask.set({ [name]: input.value }));
    return field(label, input, { hint, name });
  }

  /** @param {"together" | "sharedScale" | "showBoxes" | "renormalise"} name @param {string} label */
  tick(name, label) {
    const input = el("input", { type: "checkbox", id: `ask-${name}`, checked: this.form[name] });
    input.addEventListener("change", () => this.ask.set({ [name]: input.checked }));
    return field(label, input, { name, inline: true });
  }

  /**
   * A field whose control is folded behind what was chosen.
   * @param {string} label
   * @param {HTMLElement} summary
   * @param {HTMLElement} content
   * @param {string} name
   */
  folding(label, summary, content, name) {
    const details = el("details", { class: "select", "data-key": name }, summary, content);
    const made = field(label, details, { name });
    made.querySelector("label")?.removeAttribute("for"); // a label names a control, and the summary names itself
    summary.setAttribute("aria-label", `${label}: choose`);
    return made;
  }
}

/** @param {Model} model */
function titleOf(model) {
  return model.title ?? (model.name === "auto" ? "automatic" : model.name);
}

/** With a capital and a stop. @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1).replace(/\.?$/, ".");
}
