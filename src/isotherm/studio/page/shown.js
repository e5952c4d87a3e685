/* The run that is shown: its picture and maps in the viewer, its pictures as a strip, its words, its failures. */
import { get } from "./api.js";
import { doing, el, fail } from "./dom.js";
import { counted, durationText, momentText } from "./names.js";
import { Comparison, MOST } from "./comparison.js";
import { mountLook } from "./look.js";
import { nothingText } from "./nothing.js";
import { bytesOf, valuesOf } from "./values.js";

/** @typedef {import("./address.js").Place} Place */

const PAINT_MS = 200;
const SAME = -1; // in place of a map's number: the one that is looked at, wherever it stands by now

/** The part of the page that shows a run. */
export class Shown {
  /**
   * @param {HTMLElement} root
   * @param {any} state of the studio
   * @param {{move: (place: Partial<Place>) => void, seen: (run: any, picture: any) => void, pick: (run: any, box: number[] | null, label: string, part: import("../../draw/page/types.js").BoxPart) => void, word: (run: any, word: string) => void, sets: (sets: {run: any, pictures: any[]}[], index: number) => void}} on
   */
  constructor(root, state, on) {
    this.state = state;
    this.on = on;
    /** @type {any} */
    this.run = null;
    /** @type {any[]} */
    this.pictures = [];
    /** @type {any} */
    this.picture = null;
    this.index = 0;
    this.versus = "";
    /** @type {{run: any, pictures: any[]} | null} */
    this.second = null;
    /** @type {any} */
    this.look = null;
    this.busy = new AbortController();
    /** @type {Promise<void>} */
    this.opened = Promise.resolve();
    this.checks = 0; // of maps, that were told of
    this.head = el("header", { class: "run" });
    this.strip = el("div", { class: "strip", role: "group", "aria-label": "Pictures of this run", hidden: true, on: { keydown: along } });
    this.viewer = el("div", { class: "viewer" });
    this.beside = el("div", { class: "beside", hidden: true });
    this.below = el("div", { class: "below" });
    /** @type {{close: () => void} | null} */
    this.comparison = null;
    const gathered = el("div", { class: "gathered", role: "group", "aria-label": "To compare" });
    this.gathered = new Comparison(gathered, state);
    this.film = el("div", { class: "films", hidden: true });
    this.below.append(el("div", { class: "empty" }, el("p", { text: "Take a picture and press Explain: its heatmap comes here." })));
    root.append(this.head, gathered, this.film, this.strip, this.viewer, this.beside, this.below);
  }

  /**
   * Show a run, or another picture or map of it.
   * @param {Place} place
   * @param {boolean} [there] its picture can be shown, as far as is known, so that it is asked for at once
   */
  open(place, there = false) {
    return (this.opened = this.draw(place, there));
  }

  /** A run has ended; whether its picture is on the screen already, and only what is told of it was drawn anew. @param {string} id */
  async settle(id) {
    await this.opened.catch(() => {});
    if (this.run?.id !== id || !this.picture) return false;
    const { busy } = this, [run, { pictures }] = await this.facts(id, busy.signal);
    if (busy !== this.busy) return true; // something else is shown by now
    if (pictures.length !== this.pictures.length || this.hasMore(pictures)) return false;
    [this.run, this.pictures] = [run, pictures];
    if (this.isChecking) await this.judged();
    this.drawHead();
    this.drawFilm();
    this.drawAdds();
    this.on.seen(run, this.picture);
    return true;
  }

  /** Whether a map that is shown is being checked, as far as the page knows. */
  get isChecking() {
    return (this.picture?.maps ?? []).some((/** @type {any} */ map) => map.checking);
  }

  /** Maps of the run that is shown were checked: their verdicts are drawn, and nothing else is disturbed. */
  async judged() {
    this.checks += 1;
    await this.opened.catch(() => {});
    const { run, busy, index, picture } = this;
    if (!run) return;
    try {
      const path = `/api/runs/${run.id}/view`, waits = this.isChecking;
      const [{ pictures }, now] = await Promise.all([get(path, busy.signal), waits ? get(`${path}/${index}`, busy.signal) : null]);
      if (busy !== this.busy || run.id !== this.run?.id) return;
      if (pictures.length === this.pictures.length) {
        this.pictures = pictures;
        this.drawStrip();
        this.markStrip();
        this.on.sets([{ run, pictures }, ...(this.second ? [this.second] : [])], this.index);
      }
      if (!now || picture !== this.picture) return;
      if (now.maps.length !== picture.maps.length) return await this.load(index, SAME, busy.signal);
      picture.maps.forEach((/** @type {any} */ map, /** @type {number} */ i) => Object.assign(map, now.maps[i]));
      this.look.judge(picture.maps);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    }
  }

  /** @param {string} id @param {AbortSignal} signal @returns {Promise<[any, {pictures: any[]}]>} */
  facts(id, signal) {
    return Promise.all([get(`/api/runs/${id}`, signal), get(`/api/runs/${id}/view`, signal).catch(noView)]);
  }

  /** @param {Place} place @param {boolean} there */
  async draw(place, there) {
    this.busy.abort();
    const { signal } = (this.busy = new AbortController());
    const whole = there ? this.whole(place.run, place.picture, signal) : null;
    try {
      if (this.run?.id !== place.run) {
        const [run, { pictures }] = await (whole ?? this.facts(place.run, signal));
        [this.run, this.pictures, this.picture] = [run, pictures, null];
        this.drawHead();
        this.drawStrip();
        this.drawFilm();
      }
      const index = Math.min(place.picture, Math.max(0, this.pictures.length - 1));
      const other = await this.other(place.versus, signal);
      if (this.picture && this.index === index && this.versus === place.versus) return this.look?.choose(place.map);
      [this.index, this.versus] = [index, place.versus];
      this.markStrip();
      this.on.sets([{ run: this.run, pictures: this.pictures }, ...(other ? [other] : [])], index);
      const ok = this.pictures[index] && !this.pictures[index].error;
      await (ok ? this.load(index, place.map, signal, whole && index === place.picture ? [(await whole)[1].picture, (await whole)[2]] : undefined) : this.nothing());
      if (!signal.aborted) await this.besides(other, signal);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    }
  }

  /** Whether the picture that is shown has more maps by now: each method's come when it is done. @param {any[]} pictures as the studio lists them */
  hasMore(pictures) {
    return Boolean(this.picture) && pictures[this.index]?.maps > this.picture.maps.length;
  }

  /** A run that is worked on has more pictures than before, or more maps of one. */
  async grow() {
    const { run, busy } = this, { pictures } = await get(`/api/runs/${run.id}/view`, busy.signal);
    if (run !== this.run) return;
    const more = pictures.length !== this.pictures.length, of = this.hasMore(pictures);
    if (!more && !of) return;
    this.pictures = pictures;
    this.drawHead();
    this.drawStrip();
    this.markStrip();
    this.on.sets([{ run, pictures }], this.index);
    if (of) await this.load(this.index, SAME, busy.signal);
    else if (this.picture) this.drawAdds();
    else if (pictures[this.index] && !pictures[this.index].error) await this.load(this.index, 0, busy.signal);
  }

  /** The second run over the same pictures. @param {string} id @param {AbortSignal} signal @returns {Promise<{run: any, pictures: any[]} | null>} */
  async other(id, signal) {
    if (!id) return (this.second = null);
    if (this.second?.run.id === id) return this.second;
    const [run, { pictures }] = await Promise.all([get(`/api/runs/${id}`, signal), get(`/api/runs/${id}/view`, signal)]);
    return (this.second = { run, pictures });
  }

  /** The picture as both runs explain it. @param {{run: any, pictures: any[]} | null} other @param {AbortSignal} signal */
  async besides(other, signal) {
    this.comparison?.close();
    this.comparison = null;
    this.beside.hidden = !other;
    if (!other) return;
    this.viewer.hidden = true;
    const { compare } = await import("./pair.js");
    this.comparison = await compare(this.beside, this.state, [this.run, other.run].map((run) => ({ run: run.id, index: this.index, map: 0, title: run.model })), signal);
  }

  /**
   * What there is of a picture: its maps, their values, and the picture itself, at once, so that no other one stands under these words meanwhile.
   * @param {string} run @param {number} index @param {AbortSignal} signal
   * @returns {Promise<[any, ArrayBuffer, unknown]>}
   */
  asked(run, index, signal) {
    const path = `/api/runs/${run}/view/${index}`, image = decoded(`${path}/image`);
    const values = fetch(`${path}/values`, { signal, credentials: "same-origin" }).then((answer) => (answer.ok ? answer.arrayBuffer() : new ArrayBuffer(0)));
    return Promise.all([get(path, signal), values, image]);
  }

  /**
   * The same and what is known of the run, in one answer.
   * @param {string} run @param {number} index @param {AbortSignal} signal
   * @returns {Promise<[any, {pictures: any[], picture: any}, ArrayBuffer]>}
   */
  whole(run, index, signal) {
    const path = `/api/runs/${run}/view/${index}`, image = decoded(`${path}/image`);
    const all = get(`${path}/whole`, signal).then(async (there) => {
      await image;
      return /** @type {[any, any, ArrayBuffer]} */ ([there.run, there, bytesOf(there.values)]);
    });
    all.catch(() => {}); // who waits for it says so; nobody may, where something else is opened first
    return all;
  }

  /** @param {number} index @param {number} map @param {AbortSignal} signal @param {[any, ArrayBuffer]} [ahead] what there is of it, where that is known already */
  async load(index, map, signal, ahead) {
    this.viewer.setAttribute("aria-busy", "true");
    try {
      const { checks } = this, [picture, buffer] = await (ahead ?? this.asked(this.run.id, index, signal)), look = this.mounted();
      if (signal.aborted) return;
      if (map === SAME) map = Math.max(0, picture.maps.findIndex((/** @type {any} */ one) => sameMap(one, this.picture?.maps[look.chosen()] ?? {})));
      this.picture = picture;
      this.viewer.hidden = false;
      look.show(this.run.id, picture, valuesOf(buffer, picture.maps), map);
      this.viewer.dataset.run = this.run.id; // whose map it is, for who looks at the page from outside
      await painted(); // the form and what is kept of the run are drawn anew when the map is seen
      if (signal.aborted) return;
      this.drawBelow();
      this.drawAdds();
      this.on.seen(this.run, picture);
      if (checks !== this.checks && this.isChecking) void this.judged().catch(fail); // it was told of meanwhile
    } finally {
      this.viewer.removeAttribute("aria-busy");
    }
  }

  /** The viewer, made when it is needed first. */
  mounted() {
    if (this.look) return this.look;
    this.look = mountLook(this.viewer, this.state.settings);
    this.look.on("pick", (/** @type {any} */ { box, bounds, label, part }) => { if (box >= 0) this.on.pick(this.run, bounds, label, part); });
    this.look.on("word", (/** @type {string} */ word) => this.on.word(this.run, word));
    this.look.on("class", (/** @type {string} */ label) => this.on.pick(this.run, null, label, "class"));
    this.look.on("choose", (/** @type {number} */ map) => this.on.move({ map }));
    return this.look;
  }

  /** A run without a picture to show: it waits, or it failed. */
  nothing() {
    const { run } = this, item = this.pictures[this.index];
    this.viewer.hidden = true;
    this.picture = null;
    const text = item?.error || run.message || ({ queued: "This run waits for its turn.", running: "This run is worked on.", cancelled: "This run was cancelled before it had a map." }[/** @type {string} */ (run.status)] ?? "There is nothing to show of this run.");
    this.below.replaceChildren(el("div", { class: "empty" }, el("p", { text })));
    this.on.seen(run, null);
  }

  drawHead() {
    const { run } = this;
    const took = run.ended_s ? durationText(run.ended_s - run.created_s) : "";
    const facts = [run.id === this.state.example ? "an example to begin with" : "", run.model === "auto" ? "model chosen automatically" : run.model, this.pictures.length > 1 ? counted(this.pictures.length, typeof this.pictures[0].moment_s === "number" ? "moment" : "picture") : "", took].filter(Boolean);
    this.adds = el("div", { class: "adds", hidden: true });
    this.head.replaceChildren(el("h2", { translate: false, text: run.title }), el("p", { class: "facts" }, el("span", {}, ...facts.flatMap((fact, i) => [i ? " · " : "", fact === run.model ? el("span", { translate: false, text: fact }) : fact]))), this.adds,
      run.message && this.pictures.length ? el("p", { class: "problem", text: run.message }) : "");
  }

  /** Buttons that put the shown map, or all maps of the picture, among those to compare. */
  drawAdds() {
    const { picture, run, index } = this, maps = /** @type {any[]} */ (picture.maps);
    const part = (/** @type {number} */ map) => ({ run: run.id, index, map, title: [maps[map].label, maps[map].method, run.model].filter(Boolean).join(" · ") });
    const adds = /** @type {HTMLElement} */ (this.adds);
    adds.hidden = !maps.length;
    adds.replaceChildren(el("button", { type: "button", class: "tool", title: "Gather maps of any run, and see them beside each other", on: { click: () => this.gathered.add([part(Math.min(this.look?.chosen?.() ?? 0, maps.length - 1))]) } }, "+ Compare"),
      maps.length > 1 ? el("button", { type: "button", class: "tool", on: { click: doing(() => this.gathered.open(maps.map((_, map) => part(map)))) } }, `Compare all ${maps.length}`) : "",
      this.pictures.length > 1 ? el("button", { type: "button", class: "tool", title: "The pictures of this run, and of the other model's, in one grid", on: { click: doing(() => this.gathered.open(this.parts())) } }, `Compare ${typeof this.pictures[0].moment_s === "number" ? "moments" : "pictures"}`) : "");
  }

  /** Maps of all pictures, by the other model as well where there is one: all of each, or the first, as many as can be seen. */
  parts() {
    const sets = [{ run: this.run, pictures: this.pictures }, ...(this.second ? [this.second] : [])];
    const per = Math.max(...sets.map(({ pictures }) => Math.max(...pictures.map((one) => one.maps)))), each = sets.length * this.pictures.length * per <= MOST ? per : 1;
    return this.pictures.flatMap((_, index) => sets.flatMap(({ run, pictures }) => {
      const one = pictures[index];
      return Array.from({ length: Math.min(each, one?.maps ?? 0) }, (_, map) => ({ run: run.id, index, map, title: [momentText(one), one.labels[map], run.model].filter(Boolean).join(" · ") }));
    })).slice(0, MOST);
  }

  /** The heatmap videos of a run, to be played. */
  drawFilm() {
    const { run } = this, films = (run.files ?? []).filter((/** @type {string} */ name) => name.endsWith(".mp4"));
    this.film.hidden = !films.length;
    this.film.replaceChildren(...films.slice(0, 4).map((/** @type {string} */ name) => el("video", { class: "film", controls: true, loop: true, preload: "metadata", src: `/api/runs/${run.id}/files/${encodeURIComponent(name)}`, "aria-label": `Heatmap video ${name}` })));
  }

  drawStrip() {
    const { pictures } = this;
    this.strip.hidden = pictures.length < 2;
    if (pictures.length < 2) return this.strip.replaceChildren();
    const near = pictures.slice(0, 200).map((one, i) => el("button", { type: "button", title: momentText(one), "aria-label": `${momentText(one)}${one.verdicts?.length ? `, ${one.verdicts.join(", ")}` : ""}`, on: { click: () => this.on.move({ picture: i, map: 0 }) } },
      one.error || !one.thumb ? el("span", { class: "blank", "aria-hidden": "true" }, "!") : el("img", { src: one.thumb, alt: "", loading: "lazy", width: 52, height: 52 })));
    this.strip.replaceChildren(...near);
  }

  markStrip() {
    [...this.strip.querySelectorAll("button:not(.tool)")].forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === this.index));
      if (i === this.index) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }

  drawBelow() {
    const { picture, run } = this;
    const lines = [...(picture.warnings ?? []).map((/** @type {string} */ text) => el("p", { class: "warning", text })), ...(picture.lines ?? []).map((/** @type {string} */ text) => el("p", { class: "line", text }))];
    const none = picture.maps.length ? null : el("p", { class: "line", text: nothingText(this.state.models.find((/** @type {any} */ one) => one.name === run.model)) });
    const notes = [...(picture.notes ?? []), ...(picture.chosen ?? [])];
    this.below.replaceChildren(...[
      none, ...lines,
      notes.length ? el("details", { class: "quiet" }, el("summary", {}, "What was chosen, and why"), el("ul", { class: "notes" }, ...notes.map((text) => el("li", { text })))) : null,
    ].filter((node) => node !== null));
  }
}

/** Whether two maps are of the same thing by the same method. @param {any} a @param {any} b */
function sameMap(a, b) {
  return ["label", "method", "layer"].every((key) => String(a[key]) === String(b[key]));
}

/** A picture that is fetched, and ready to be drawn or broken. @param {string} src @returns {Promise<void>} */
function decoded(src) {
  const image = new Image();
  image.src = src;
  return image.decode().catch(() => {});
}

/** @param {unknown} error @returns {{pictures: any[]}} */
function noView(error) {
  if (error instanceof DOMException && error.name === "AbortError") throw error;
  fail(error);
  return { pictures: [] };
}

/**
 * When the browser has shown what there is by now, or does not draw, as in a tab that is not looked at. The frame after the one that
 * draws it has begun by then: what comes next keeps no frame waiting.
 * @returns {Promise<void>}
 */
function painted() {
  return new Promise((done) => {
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
    setTimeout(done, PAINT_MS);
  });
}

/** Arrow keys go along a row of buttons. @param {KeyboardEvent} event */
export function along(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !(event.currentTarget instanceof HTMLElement)) return;
  const all = [...event.currentTarget.querySelectorAll("button")], at = all.indexOf(/** @type {any} */ (document.activeElement));
  if (at < 0) return;
  event.preventDefault();
  all[(at + step + all.length) % all.length].focus();
}
