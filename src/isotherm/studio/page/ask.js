/* "Ask": the model, what of the picture is to be explained, and how. Only the fields that make sense for the model are
   shown; what most people never change is folded away. */
import { el, fail, say } from "./dom.js";
import { Fields } from "./fields.js";
import { aboutWord, NOTHING_SEEN, offeredTo } from "./offered.js";
import { BLANK, fieldsFor, formOf, missing, optionsOf } from "./options.js";

/** @typedef {import("./options.js").Form} Form */
/** @typedef {import("./options.js").Model} Model */

/** The form. */
export class Ask {
  /**
   * @param {HTMLElement} root
   * @param {any} state of the studio
   * @param {{ask: (options: Record<string, any>, second: Record<string, any> | null) => Promise<void>, pictures: () => {id: string, name: string, kind?: string}[], onlyShown: () => void}} on
   */
  constructor(root, state, on) {
    this.state = state;
    this.on = on;
    /** @type {Form} */
    this.form = { ...BLANK, model: state.models[0]?.name ?? "auto" };
    this.second = ""; // a second model over the same pictures
    /** @type {{form: Form, text: string} | null} */
    this.turned = null; // what the form was before a press in the picture turned it to another model
    this.boxLabel = "";
    this.pressedSide = ""; // of the box that was pressed last, where it was one of its sides
    this.boxedOn = ""; // id of the picture that boxes in the form lie on
    this.seen = NOTHING_SEEN;
    this.root = root;
    this.body = el("div", { class: "fields" });
    this.more = el("div", { class: "fields" });
    this.problem = el("p", { class: "problem", role: "alert" });
    this.about = el("small", {});
    this.go = el("button", { type: "submit", class: "go", title: "Ctrl + Enter" }, el("span", { text: "Explain" }), this.about);
    const folded = el("details", { class: "more" }, el("summary", {}, "More choices"), this.more);
    root.append(el("form", { noValidate: true, on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); void this.submit(); } } },
      el("h2", {}, "Ask"), this.body, this.problem, this.go, folded));
    this.several = false;
    this.draw();
  }

  /** @returns {Model | undefined} */
  get model() {
    return this.state.models.find((/** @type {Model} */ one) => one.name === this.form.model);
  }

  /** What of the shown picture the chosen model can be asked about. */
  get offered() {
    return offeredTo(this.seen, this.form.model, this.state.models);
  }

  /** Send the question. */
  async submit() {
    const pictures = this.on.pictures();
    this.problem.textContent = "";
    const most = this.state.limits?.pictures ?? Infinity, many = pictures.length > most;
    const wrong = missing(this.form, this.model);
    if (wrong || many || !pictures.length) {
      this.problem.textContent = wrong?.text ?? (many ? `One question is about ${most} pictures at most; ${pictures.length} are chosen.` : "Choose a picture first: drop one, or take a sample.");
      const control = wrong && this.root.querySelector(`[data-field="${wrong.field}"]`)?.querySelector("input, textarea, select");
      if (control instanceof HTMLElement) control.focus();
      return;
    }
    if (this.go.getAttribute("aria-busy")) return;
    this.go.setAttribute("aria-busy", "true");
    try {
      const how = { pictures: pictures.length };
      const other = this.state.models.find((/** @type {Model} */ one) => one.name === this.second);
      const second = other && this.second !== this.form.model ? optionsOf({ ...this.form, model: this.second, layers: [] }, other, how) : null;
      await this.on.ask(optionsOf(this.form, this.model, how), second);
    } catch (error) {
      fail(error);
    } finally {
      this.go.removeAttribute("aria-busy");
    }
  }

  /** What the question is about has changed. */
  refresh() {
    const pictures = this.on.pictures();
    this.letGo(pictures);
    if (this.several !== pictures.length > 1) this.draw();
    this.about.textContent = pictures.length > 1 ? `Generate heatmaps of ${pictures.length} pictures` : pictures.length ? `Generate heatmap of ${pictures[0].name}` : "Generate heatmap";
  }

  /**
   * Boxes lie on one picture: they are let go when the question is about another one.
   * @param {{id: string}[]} pictures
   */
  letGo(pictures) {
    const { like, what, box } = this.form, boxed = what === "box" && box !== null, first = pictures[0]?.id ?? "";
    if (!like && !boxed) return;
    this.boxedOn ||= first;
    if (this.boxedOn === first && !(boxed && pictures.length > 1)) return;
    this.set({ like: this.boxedOn === first ? like : "", ...(boxed ? { what: "auto", box: null } : {}) });
    this.draw();
    say("What was boxed belonged to one picture, and was let go.");
  }

  /**
   * What the shown picture has: findings and words that can be chosen to be explained.
   * @param {import("./offered.js").Seen} seen
   */
  see(seen) {
    this.seen = seen;
    this.draw();
  }

  /**
   * Turn the form to the run that something belongs to, where that is of another model; what was chosen can be had back.
   * @param {{model: string, options?: Record<string, any>}} run
   * @param {string} why in words that follow the model's name
   * @returns {string} what a person must be told of it
   */
  turn(run, why) {
    const form = formOf({ model: run.model, ...run.options }), model = this.known(form.model), before = this.form;
    if (model === before.model) return "";
    this.form = { ...form, model };
    this.turned = { form: before, text: `Changed from ${before.model} to ${model}, ${why}.` };
    return this.turned.text;
  }

  /** The form as it was before it was turned to another model. */
  turnBack() {
    this.form = this.turned?.form ?? this.form;
    this.turned = null;
    this.draw();
    say(`The form asks ${this.form.model} again.`);
  }

  /**
   * Explain a finding of the shown picture.
   * @param {number[]} box
   * @param {string} label
   * @param {string | null} [side] of its box, which was pressed in the picture; null: what the form says of findings
   */
  pickBox(box, label, side = null) {
    const parts = side ? [side] : this.pressedSide && String(this.form.parts) === this.pressedSide ? ["class"] : this.form.parts;
    this.set({ what: "box", box, parts });
    this.pressedSide = side ?? "";
    this.boxLabel = label;
    this.boxedOn = this.on.pictures()[0]?.id ?? "";
    this.draw();
  }

  /** @param {string} label */
  pickClass(label) {
    this.set({ what: "class", cls: label });
    this.draw();
  }

  /** @param {string} word */
  pickWord(word) {
    this.set(aboutWord(this.offered, word));
    this.draw();
  }

  /** Fill the form with a run's options. @param {Record<string, any>} options */
  fill(options) {
    const form = formOf(options);
    this.form = { ...form, model: this.known(form.model) };
    this.turned = null;
    this.boxedOn = ""; // of the pictures that come next
    this.draw();
  }

  /** @param {string} name */
  known(name) {
    return this.state.models.some((/** @type {Model} */ one) => one.name === name) ? name : this.form.model;
  }

  /** @param {Partial<Form>} changes */
  set(changes) {
    this.form = { ...this.form, ...changes };
    this.problem.textContent = "";
  }

  draw() {
    const pictures = this.on.pictures().length, has = fieldsFor(this.model, { pictures }), fields = new Fields(this);
    const before = holdPlace(this.root);
    this.several = pictures > 1;
    this.go.disabled = Boolean(this.model?.error);
    if (this.go.disabled) this.problem.textContent = missing(this.form, this.model)?.text ?? "";
    this.body.replaceChildren(...fields.main(has));
    this.more.replaceChildren(...fields.more(has));
    before();
  }
}

/**
 * What is open and where the writer is, so that a form that is drawn anew does not disturb anybody.
 * @param {HTMLElement} root
 * @returns {() => void} puts it back
 */
function holdPlace(root) {
  const active = root.contains(document.activeElement) ? document.activeElement : null;
  const typing = active instanceof HTMLTextAreaElement || (active instanceof HTMLInputElement && active.type === "text");
  const range = typing ? [active.selectionStart, active.selectionEnd] : null;
  const open = [...root.querySelectorAll("details[open][data-key]")].map((node) => node.getAttribute("data-key"));
  return () => {
    for (const node of root.querySelectorAll("details[data-key]")) if (open.includes(node.getAttribute("data-key"))) node.setAttribute("open", "");
    const now = active?.id ? document.getElementById(active.id) : null;
    if (!now || now === document.activeElement) return;
    now.focus({ preventScroll: true });
    if (range && (now instanceof HTMLTextAreaElement || now instanceof HTMLInputElement)) now.setSelectionRange(range[0], range[1]);
  };
}
