/* The page: puts its parts together. Asking, looking and keeping know nothing of one another; what one does to the other
   is here. */
import { fragmentOf, placeOf } from "./address.js";
import { ApiError, get, send } from "./api.js";
import { Ask } from "./ask.js";
import { watcher } from "./away.js";
import { byId, fail, say } from "./dom.js";
import { HistoryList } from "./history.js";
import { Later } from "./later.js";
import { modelsOf } from "./offered.js";
import { isVideo, plainLabel } from "./names.js";
import { Tray } from "./pictures.js";
import { Work } from "./progress.js";
import { Remarks } from "./remarks.js";
import { Shown } from "./shown.js";
import { Terms } from "./terms.js";
import { mountTheme } from "./theme.js";

/** @typedef {import("./address.js").Place} Place */

const LIST_MS = 600; // until the history lists what was asked for: the studio has to begin with it first
const GROW_MS = 700; // between looks at the pictures of a run that is worked on

/** The page as a whole. */
class Studio {
  /** @param {any} state of the studio */
  constructor(state) {
    this.state = state;
    /** @type {Place} */
    this.place = { run: "", picture: 0, map: 0, versus: "" };
    /** @type {{first: string, second: string, open: Set<string>, done: string[]} | null} */
    this.pair = null; // runs of two models over the same pictures, shown together when none of them is open
    /** @type {import("./gallery.js").Gallery | null} */
    this.gallery = null;
    this.growing = new Later(GROW_MS);
    this.ask = /** @type {Ask} */ (/** @type {unknown} */ (null));
    this.tray = new Tray(byId("pictures"), state, { changed: () => this.ask?.refresh() });
    this.ask = new Ask(byId("question"), state, { ask: (options, second) => this.explain(options, second), pictures: () => this.tray.chosen, onlyShown: () => this.onlyShown() });
    this.work = new Work(byId("work"), { ended: (id, stage, mine) => void this.ended(id, stage, mine), item: (id, mine) => this.item(id, mine), judged: (id) => { if (this.place.run === id) void this.shown.judged().catch(fail); } });
    this.shown = new Shown(byId("shown"), state, {
      move: (place) => this.move(place),
      seen: (run, picture) => this.seen(run, picture),
      pick: (run, box, label, part) => {
        this.onlyShown();
        const turned = this.ask.turn(run, "which found it"), name = label || "this finding";
        if (part === "class") this.ask.pickClass(plainLabel(label));
        else this.ask.pickBox(/** @type {number[]} */ (box), label, part === "all" ? null : part);
        const what = part === "all" ? name : part === "class" ? `The class ${plainLabel(label)}` : `The ${part} side of ${name}`;
        say(`${what[0].toUpperCase()}${what.slice(1)} is explained next. ${turned}`.trim());
      },
      word: (run, word) => {
        this.onlyShown();
        const turned = this.ask.turn(run, "which said it");
        this.ask.pickWord(word);
        say(`The word “${word}” is explained next. ${turned}`.trim());
      },
      sets: (sets, index) => void this.sets(sets, index).catch(fail),
    });
    this.remarks = new Remarks(byId("keep"), {
      changed: (run) => this.history.update(run), removed: (id) => this.removed(id), again: (run) => this.again(run),
      stage: () => this.shown.look?.stage, place: () => ({ picture: this.shown.index, map: this.shown.look?.chosen() ?? 0 }),
    });
    this.history = new HistoryList(byId("history"), { removed: (id) => this.removed(id) });
    this.ask.refresh();
    const glance = watcher(() => get("/api/state"), fail);
    addEventListener("focus", () => void glance());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) void glance(); });
    addEventListener("hashchange", () => void this.route().catch(fail));
    addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !document.querySelector("dialog[open]")) void this.ask.submit();
    });
  }

  /** Show what the address names, or else the example, and go on following runs that are at work. */
  async begin() {
    const listed = this.history.load(false).then((runs) => {
      for (const run of [...runs].reverse()) if (run.status === "queued" || run.status === "running") this.work.follow(run.id, run.title);
      return runs;
    });
    try {
      if (placeOf(location.hash)) return await this.route();
    } catch (error) {
      fail(error); // that run is gone: the example is shown instead
    }
    const first = this.state.example ?? (await listed).find((run) => run.status === "finished")?.id;
    if (first) await this.open({ run: first, picture: 0, map: 0, versus: "" });
    await listed;
  }

  async route() {
    const place = placeOf(location.hash);
    if (!place) return;
    if (byId("history").contains(document.activeElement) && place.run !== this.place.run) {
      // who opens a run far below wants to see it
      byId("look").focus({ preventScroll: true });
      byId("look").scrollIntoView({ block: "start" });
    }
    await this.open(place);
  }

  /** @param {Place} place @param {boolean} [there] the studio has told of its picture */
  async open(place, there = false) {
    this.place = place;
    const opened = this.shown.open(place, there); // first what is waited for
    this.history.mark(place.run);
    await opened;
  }

  /** Go to a place: the address follows, and the page the address. @param {Partial<Place>} changes */
  move(changes) {
    const place = { ...this.place, ...changes };
    if (changes.picture === undefined && changes.run === undefined) {
      // another map of the same picture: nothing to go back to
      this.place = place;
      history.replaceState(null, "", fragmentOf(place));
      this.remarks.drawExports();
      return;
    }
    location.hash = fragmentOf(place);
  }

  /**
   * Ask for heatmaps of the chosen pictures.
   * @param {Record<string, any>} options
   * @param {Record<string, any> | null} second the same for a second model
   */
  async explain(options, second) {
    const pictures = this.tray.chosen, ids = pictures.map((one) => one.id);
    const own = Object.assign({}, ...pictures.map((one) => one.options ?? {})); // which part of a video, and how many of its frames
    const title = pictures.length === 1 ? pictures[0].name : `${pictures[0].name} and ${pictures.length - 1} more`;
    const first = await this.submit(ids, { ...options, ...own }, title);
    if (!first) return;
    const other = second && (await this.submit(ids, { ...second, ...own }, `${title}, by ${second.model}`));
    if (other) this.pair = { first: first.id, second: other.id, open: new Set([first.id, other.id]), done: [] };
    for (const [run, name] of /** @type {const} */ ([[first, title], [other, `${title}, by ${second?.model}`]])) {
      if (!run) continue;
      if (run.same) await this.ended(run.id, { status: "finished", error: "", same: true }, true);
      else this.work.follow(run.id, name, { mine: true });
    }
    const look = byId("look"), { top } = look.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) look.scrollIntoView({ block: "start" }); // where the progress is seen
    setTimeout(() => void this.history.refresh(), LIST_MS);
  }

  /**
   * Ask for a run; where too many wait, say so and offer to try again.
   * @param {string[]} pictures
   * @param {Record<string, any>} options
   * @param {string} title
   * @returns {Promise<{id: string, same: boolean} | null>}
   */
  async submit(pictures, options, title) {
    for (;;) {
      try {
        return await send("POST", "/api/runs", { job: "explain", pictures, options });
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 429) throw error;
        const { waitForRoom } = await import("./room.js");
        if (!(await waitForRoom(error, title))) return null;
      }
    }
  }

  /** A picture of a run can be shown: it is, while its files are written and others are worked on. @param {string} id @param {boolean} mine */
  item(id, mine) {
    const count = mine && !this.pair && this.place.run !== id ? this.tray.chosen.length + this.videos : 0, several = count > 1;
    if (count === 1) {
      const place = { run: id, picture: 0, map: 0, versus: "" };
      history.pushState(null, "", fragmentOf(place)); // which nobody is told of, so that nothing is opened twice
      void this.open(place, true).catch(fail);
      return;
    }
    if (!several && this.place.run !== id) return;
    this.growing.once(id, () => {
      if (this.place.run === id && this.shown.run?.id === id) void this.shown.grow().catch(fail);
      else if (several) this.move({ run: id, picture: 0, map: 0, versus: "" });
    });
  }

  /** How many of the pictures asked about have many moments. */
  get videos() {
    return this.tray.chosen.filter((one) => one.kind === "video").length;
  }

  /** @param {string} id @param {{status: string, error: string, same?: boolean}} stage @param {boolean} mine */
  async ended(id, stage, mine) {
    try {
      const pair = this.pair;
      if (pair?.open.delete(id) && stage.status === "finished") pair.done.push(id);
      if (!stage.same) void this.history.refresh().catch(fail); // beside what somebody waits for
      if (pair && (id === pair.first || id === pair.second)) {
        if (pair.open.size || this.pair !== pair) return;
        this.pair = null;
        const [run, other] = pair.done.length > 1 ? [pair.first, pair.second] : pair.done;
        return run && this.move({ run, versus: other ?? "", picture: 0, map: 0 });
      }
      if (stage.same) say("This was done before: here it is.");
      if (this.place.run === id) {
        if (await this.shown.settle(id)) return;
        this.shown.run = null; // what was shown of it is out of date
        await this.open(this.place);
      } else if (mine && (stage.status === "finished" || stage.status === "cancelled")) this.move({ run: id, picture: 0, map: 0, versus: "" });
    } catch (error) {
      fail(error);
    }
  }

  /** @param {any} run @param {any} picture that is shown now; null where the run has none */
  seen(run, picture) {
    const asked = takenOf(run), { index } = this.shown;
    const shown = asked.length === this.shown.pictures.length ? asked.slice(index, index + 1) : asked;
    this.tray.show(shown.length ? { run: run.id, pictures: shown } : null);
    const labels = picture?.labels?.length ? picture.labels : [...new Set((picture?.maps ?? []).map((/** @type {any} */ map) => map.label))];
    this.ask.see({ labels, boxes: picture?.boxes ?? [], words: picture?.words ?? [], options: run.options ?? {}, models: modelsOf(run, picture) });
    this.remarks.show(run, picture);
    document.title = `${run.title} · isotherm studio`;
  }

  /** What is pressed in the picture that is shown is asked about that picture. */
  onlyShown() {
    const [shown] = this.tray.shown?.pictures ?? [];
    if (shown) this.tray.only(shown);
  }

  /** Ask the same again: the form has the run's options. @param {any} run */
  again(run) {
    this.ask.fill(run.options ?? {});
    this.tray.add(takenOf(run));
    byId("ask").scrollIntoView({ block: "start" });
    document.getElementById("ask-model")?.focus({ preventScroll: true });
    say("The form has the choices of this run.");
  }

  /** @param {string} id */
  removed(id) {
    void this.history.refresh();
    if (this.place.run !== id) return;
    const next = this.state.example && this.state.example !== id ? this.state.example : "";
    if (next) this.move({ run: next, picture: 0, map: 0, versus: "" });
    else location.assign("/");
  }

  /** Show the gallery of a run with several pictures, or of two. @param {{run: any, pictures: any[]}[]} sets @param {number} index */
  async sets(sets, index) {
    const root = byId("gallery");
    if (!this.gallery) {
      root.hidden = true;
      if ((sets[0]?.pictures.length ?? 0) < 2) return;
      const { Gallery } = await import("./gallery.js");
      this.gallery ??= new Gallery(root, (picture) => { this.move({ picture, map: 0 }); byId("look").scrollIntoView({ block: "start" }); });
    }
    this.gallery.show(sets, index);
  }
}

/** The pictures and videos that a run was asked about, as the tray has them. @param {any} run @returns {import("./pictures.js").Taken[]} */
function takenOf(run) {
  const pictures = /** @type {{id: string, name: string}[]} */ (run.pictures ?? []);
  return pictures.map(({ id, name }, i) => ({ id, name, kind: isVideo({ name, type: "" }) ? "video" : undefined, thumb: `/api/runs/${run.id}/view/${i}/thumb?bare=true` }));
}

/** Begin. Nothing here is waited for at the top: what is loaded later imports from here, and would wait for it. */
async function begin() {
  mountTheme(byId("theme"));
  try {
    await new Studio(await get("/api/state")).begin();
  } catch (error) {
    fail(error);
  }
  new Terms(document.body);
  document.documentElement.classList.add("ready");
}

void begin();
