/* Runs that wait or are worked on: a line each, with its place in the queue, how far it is, and a button that ends it.
   The events survive a reload of the page: the browser asks for those behind the last one that it has. */
import { get, send } from "./api.js";
import { doing, el, fail, say } from "./dom.js";
import { BEGUN, next } from "./stages.js";

/** @typedef {import("./stages.js").Stage} Stage */

const EVENTS = ["queued", "running", "progress", "message", "shown", "judged", "item", "finished", "failed"];

/** The list of runs at work. */
export class Work {
  /**
   * @param {HTMLElement} root a list
   * @param {{ended: (id: string, stage: Stage, mine: boolean) => void, item: (id: string, mine: boolean) => void, judged: (id: string) => void}} on
   */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    /** @type {Set<string>} */
    this.ids = new Set();
  }

  /**
   * Follow a run to its end.
   * @param {string} id
   * @param {string} title
   * @param {{mine?: boolean}} [how] mine: asked for by this page, so that its end is shown
   */
  follow(id, title, { mine = false } = {}) {
    if (this.ids.has(id)) return;
    this.ids.add(id);
    const row = new Row(id, title);
    this.root.append(row.root);
    this.root.hidden = false;
    let stage = BEGUN;
    const source = new EventSource(`/api/runs/${id}/events`);
    /** @param {any} event */
    const take = (event) => {
      const before = stage;
      stage = next(stage, event);
      row.draw(stage);
      const begins = stage.doing !== before.doing && !stage.items; // of many pictures, nobody wants to hear it of each
      if (before.status !== stage.status || begins || stage.ended) say(`${title}: ${stage.line}`);
      if (event.event === "shown" || event.event === "item") this.on.item(id, mine);
      if (event.event === "judged") this.on.judged(id);
      if (stage.ended) end();
    };
    const end = () => {
      source.close();
      this.ids.delete(id);
      const focused = row.root.contains(document.activeElement);
      if (stage.status === "failed" || stage.status === "interrupted") row.stay(stage, () => this.leave(row));
      else this.leave(row);
      if (focused) document.getElementById("look")?.focus();
      this.on.ended(id, stage, mine);
    };
    for (const name of EVENTS) source.addEventListener(name, (event) => take(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return row.draw({ ...stage, line: "The studio does not answer; trying again" });
      // refused for good: the run says itself how it ended
      get(`/api/runs/${id}`).then((run) => take({ event: run.status === "finished" ? "finished" : "failed", status: run.status, error: run.message })).catch((error) => { fail(error); end(); });
    });
  }

  /** @param {Row} row */
  leave(row) {
    row.root.remove();
    this.root.hidden = !this.root.children.length;
  }
}

/** One run at work. */
class Row {
  /** @param {string} id @param {string} title */
  constructor(id, title) {
    this.line = el("p", { class: "line", text: BEGUN.line });
    this.bar = el("progress", { "aria-label": `Progress of ${title}` });
    this.cancel = el("button", { type: "button", class: "tool", "aria-label": `Cancel ${title}`, on: { click: doing(async () => {
      await send("POST", `/api/runs/${id}/cancel`);
      this.line.textContent = "Cancelling…";
    }) } }, "Cancel");
    this.root = el("li", {}, el("div", { class: "head" }, el("b", { text: title }), this.cancel), this.line, this.bar);
  }

  /** @param {Stage} stage */
  draw(stage) {
    this.line.textContent = stage.line;
    if (stage.share === null) this.bar.removeAttribute("value");
    else this.bar.value = stage.share;
  }

  /** @param {Stage} stage @param {() => void} close */
  stay(stage, close) {
    this.root.classList.add("failure");
    this.line.textContent = stage.error || stage.line;
    this.bar.remove();
    this.cancel.replaceWith(el("button", { type: "button", class: "tool", on: { click: close } }, "Close"));
  }
}
