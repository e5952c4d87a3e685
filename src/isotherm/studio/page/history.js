/* The history: all runs that there were, searched and narrowed, a page at a time. */
import { get, query, send } from "./api.js";
import { confirmed, doing, el, fail, say } from "./dom.js";
import { fragmentOf } from "./address.js";
import { verdictTone, whenText } from "./names.js";
import { searchOf } from "./search.js";

const PAGE = 24;

/** The part of the page that lists runs. */
export class HistoryList {
  /**
   * @param {HTMLElement} root
   * @param {{removed: (id: string) => void}} on
   */
  constructor(root, on) {
    this.on = on;
    this.current = "";
    /** @type {string | null} */
    this.after = null;
    this.busy = new AbortController();
    this.list = el("ol", { class: "runs" });
    this.note = el("p", { class: "hint", role: "status" });
    this.more = el("button", { type: "button", class: "tool", hidden: true, on: { click: doing(() => this.load(true)) } }, "Show more");
    this.words = el("input", { type: "search", id: "history-words", placeholder: "Search names, labels, notes, tags", "aria-label": "Search the history" });
    this.star = el("input", { type: "checkbox", id: "history-star" });
    const pick = /** @param {string} name @param {string} label */ (name, label) => el("select", { id: `history-${name}`, "aria-label": label }, el("option", { value: "", text: label }));
    this.picks = { model: pick("model", "Any model"), label: pick("label", "Any class"), verdict: pick("verdict", "Any verdict"), tag: pick("tag", "Any tag"), status: pick("status", "Any ending"), days: pick("days", "Any time") };
    for (const status of ["finished", "failed", "cancelled", "interrupted", "running", "queued"]) this.picks.status.append(el("option", { value: status, text: status }));
    for (const [days, text] of [["1", "Today"], ["7", "Last 7 days"], ["30", "Last 30 days"], ["range", "Since … until …"]]) this.picks.days.append(el("option", { value: days, text }));
    this.from = el("input", { type: "date", id: "history-since" });
    this.until = el("input", { type: "date", id: "history-until" });
    this.dates = el("span", { class: "dates", hidden: true }, el("label", { for: "history-since", text: "since" }), this.from, el("label", { for: "history-until", text: "until" }), this.until);
    const form = el("form", { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } }, this.words, ...Object.values(this.picks), this.dates, el("label", { class: "tick" }, this.star, el("span", { text: "★ only" })));
    root.append(el("h2", {}, "History"), form, this.note, this.list, this.more);
    let typing = 0;
    this.words.addEventListener("input", () => { clearTimeout(typing); typing = window.setTimeout(() => void this.refresh(), 250); });
    this.picks.days.addEventListener("change", () => { this.dates.hidden = this.picks.days.value !== "range"; });
    for (const control of [...Object.values(this.picks), this.from, this.until, this.star]) control.addEventListener("change", () => void this.refresh());
    new IntersectionObserver((changes) => { if (changes.some((change) => change.isIntersecting) && !this.more.hidden) void this.load(true).catch(fail); }, { rootMargin: "200px" }).observe(this.more);
    this.known = false;
    form.addEventListener("focusin", () => void this.learn());
    form.addEventListener("pointerenter", () => void this.learn());
  }

  /** The words that a search can be narrowed to; asked for when somebody reaches for the filters. */
  async learn() {
    if (this.known) return;
    this.known = true;
    try {
      const choices = await get("/api/choices");
      for (const name of /** @type {("model" | "label" | "verdict" | "tag")[]} */ (["model", "label", "verdict", "tag"])) {
        const select = this.picks[name], value = select.value;
        select.replaceChildren(select.options[0], ...(choices[name] ?? []).map((/** @type {string} */ text) => el("option", { value: text, text, translate: name === "verdict", selected: text === value })));
      }
    } catch (error) {
      this.known = false;
      fail(error);
    }
  }

  /** What is searched for. */
  get search() {
    return searchOf({ words: this.words.value, from: this.from.value, until: this.until.value, starred: this.star.checked, ...Object.fromEntries(Object.entries(this.picks).map(([name, select]) => [name, select.value])) }, Date.now() / 1000);
  }

  /** From the newest on. @returns {Promise<any[]>} the runs */
  async refresh() {
    this.known = false;
    return this.load(false).catch((error) => { fail(error); return []; });
  }

  /** @param {boolean} further @returns {Promise<any[]>} */
  async load(further) {
    this.busy.abort();
    const { signal } = (this.busy = new AbortController());
    if (!further) this.more.hidden = true; // what would follow belongs to the search before
    try {
      const { runs, next } = await get(`/api/runs${query({ ...this.search, limit: PAGE, after: further ? this.after : null })}`, signal);
      this.after = next;
      this.more.hidden = next === null;
      const rows = runs.map((/** @type {any} */ run) => this.row(run));
      if (further) this.list.append(...rows);
      else this.list.replaceChildren(...rows);
      const narrowed = Object.keys(this.search).length > 0;
      this.note.textContent = this.list.children.length ? "" : narrowed ? "No run is like that." : "Nothing yet. What you explain is kept here, also when the studio ends.";
      this.mark(this.current);
      return runs;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return [];
      throw error;
    }
  }

  /** Mark the run that is shown. @param {string} id */
  mark(id) {
    this.current = id;
    for (const row of this.list.children) {
      const link = row.querySelector("a");
      if (row instanceof HTMLElement && row.dataset.run === id) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
  }

  /** Draw one run anew, where it is listed. @param {any} run */
  update(run) {
    const row = [...this.list.children].find((one) => one instanceof HTMLElement && one.dataset.run === run.id);
    row?.replaceWith(this.row(run));
    this.mark(this.current);
  }

  /** @param {any} run */
  row(run) {
    const verdicts = [...new Set((run.maps ?? []).map((/** @type {any} */ map) => map.verdict).filter(Boolean))];
    const wanted = this.picks.label.value, said = new Set((run.maps ?? []).map((/** @type {any} */ map) => map.label).filter(Boolean));
    const labels = [...said].sort((a, b) => Number(b === wanted) - Number(a === wanted)); // what is searched for is seen, of however many
    const found = labels.slice(0, 4).join(", ") + (labels.length > 4 ? ` and ${labels.length - 4} more` : "");
    const ending = run.status === "finished" ? "" : run.message || run.status;
    const text = [found, ending].filter(Boolean).join(" · ") || "no maps"; // a run that was cancelled keeps the maps that it has, and is found by them
    const thumb = run.status === "finished" ? el("img", { src: `/api/runs/${run.id}/view/0/thumb`, alt: "", loading: "lazy", width: 64, height: 64, on: { error: (/** @type {Event} */ event) => /** @type {HTMLElement} */ (event.target).classList.add("gone") } }) : el("span", { class: "blank", "aria-hidden": "true" }, { failed: "!", cancelled: "×", interrupted: "×" }[/** @type {string} */ (run.status)] ?? "…");
    const link = el("a", { href: fragmentOf({ run: run.id }) }, thumb,
      el("span", { class: "text" }, el("b", { translate: false }, run.star ? "★ " : "", run.title), el("span", { class: "labels", translate: false, text }),
        el("small", { translate: false }, [run.model, whenText(run.created_s, Date.now() / 1000)].join(" · ")),
        el("span", { class: "badges" }, ...verdicts.map((word) => el("i", { class: `verdict ${verdictTone(/** @type {string} */ (word))}`, text: /** @type {string} */ (word) })), ...run.tags.map((/** @type {string} */ name) => el("i", { class: "tag", translate: false, text: name })))));
    const gone = el("button", { type: "button", class: "close", "aria-label": `Delete ${run.title}`, on: { click: doing(async () => {
      if (!(await confirmed("Delete this run?", `“${run.title}”, its maps, notes and files are removed for good.`, "Delete it"))) return;
      await send("DELETE", `/api/runs/${run.id}`);
      say("The run was deleted.");
      this.words.focus({ preventScroll: true });
      row.remove();
      this.on.removed(run.id);
    }) } }, "×");
    const row = el("li", { "data-run": run.id }, link, gone);
    return row;
  }
}
