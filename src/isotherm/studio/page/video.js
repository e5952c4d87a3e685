/* A video: its time line, a moment of it as a picture, and the part of it whose heatmaps become a video. */
import { send } from "./api.js";
import { doing, el, style } from "./dom.js";
import { sendVideo, takenPicture, takenVideo } from "./sending.js";
import { clock, firstEvery, fitting, frameCount, MANY, nearest, optionsOf } from "./times.js";

/** @typedef {import("./sending.js").Video} Video */
/** @typedef {import("./times.js").Part} Part */
/** @typedef {{state: any, add: (pictures: any[]) => void, say: (text: string) => void, fail: (error: unknown) => void}} Context */

const TILES = 12;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 * @param {File} [file]
 * @returns {{close: () => void}}
 */
export function mountVideo(root, ctx, file) {
  style("live.css");
  const panel = new VideoPanel(root, ctx);
  if (file) void panel.take(file).catch(ctx.fail);
  return { close: () => panel.close() };
}

class VideoPanel {
  /** @param {HTMLElement} root @param {Context} ctx */
  constructor(root, ctx) {
    this.root = root;
    this.ctx = ctx;
    this.sending = new AbortController();
    /** @type {Video | null} */
    this.video = null;
    /** @type {Part} */
    this.part = { start: 0, end: 0, every: 1 };
    this.at = 0;
    const input = el("input", { type: "file", accept: "video/*", class: "away", tabIndex: -1, "aria-hidden": "true" });
    input.addEventListener("change", () => { const [file] = input.files ?? []; if (file) void this.take(file).catch(ctx.fail); input.value = ""; });
    this.note = el("p", { class: "hint", role: "status" });
    this.bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sending the video" });
    this.body = el("div", { class: "film-body" });
    root.append(el("div", { class: "row" }, el("button", { type: "button", class: "tool", on: { click: () => input.click() } }, "Choose a video…"), input, this.note), this.bar, this.body);
    this.note.textContent = `MP4, MOV, WebM, MKV, AVI or OGG, up to ${Math.floor((ctx.state.limits?.video_bytes ?? 0) / 2 ** 20) || "some hundred"} MB.`;
  }

  close() {
    this.sending.abort();
    this.player?.removeAttribute("src");
  }

  /** @param {File} file */
  async take(file) {
    this.note.textContent = `Sending ${file.name}…`;
    this.bar.hidden = false;
    try {
      const video = await sendVideo(file, file.name, { most: this.ctx.state.limits?.video_bytes, signal: this.sending.signal, progress: (share) => {
        this.bar.value = share;
        if (share >= 1) this.note.textContent = `Looking at ${file.name}…`;
      } });
      this.show(video);
    } catch (error) {
      this.note.textContent = "";
      throw error;
    } finally {
      this.bar.hidden = true;
    }
  }

  /** @param {Video} video */
  show(video) {
    this.video = video;
    this.part = { start: 0, end: video.seconds, every: firstEvery(video) };
    this.at = 0;
    this.note.textContent = `${video.name}: ${video.w} × ${video.h} pixels, ${video.seconds < 60 ? `${video.seconds.toFixed(1)} seconds` : `${clock(video.seconds)} minutes`}, ${video.frames} frames.`;
    this.body.replaceChildren(...this.parts(video));
    this.drawPart();
    this.seek(0);
  }

  /** @param {Video} video */
  parts(video) {
    const step = String(video.fps > 0 ? 1 / video.fps : 0.04);
    this.frame = el("img", { class: "frame", alt: "" });
    this.frame.addEventListener("load", () => { this.loading = false; if (this.wanted !== undefined) this.load(); });
    this.frame.addEventListener("error", () => { this.loading = false; });
    this.player = el("video", { class: "frame", src: `/api/videos/${video.id}/file`, controls: true, muted: true, playsInline: true, preload: "auto", hidden: true, "aria-label": video.name });
    // where the browser can play it, it does; where it cannot, the studio shows frames
    this.player.addEventListener("loadeddata", () => { if (this.player && this.frame && this.player.videoWidth) { this.player.hidden = false; this.frame.hidden = true; this.player.currentTime = this.at; } });
    this.player.addEventListener("timeupdate", () => { if (this.player && !this.player.paused) this.moment(this.player.currentTime, true); });
    this.player.addEventListener("seeked", () => { if (this.player?.paused && document.activeElement === this.player) this.moment(this.player.currentTime, true); });
    this.slider = el("input", { type: "range", min: "0", max: String(video.seconds), step, value: "0", "aria-label": "Moment" });
    this.slider.addEventListener("input", () => this.moment(Number(this.slider?.value)));
    this.when = el("output", {});
    this.chosen = el("div", { class: "part-shown", "aria-hidden": "true" });
    const strip = el("div", { class: "strip-line" }, el("img", { src: `/api/videos/${video.id}/strip?count=${TILES}`, alt: "", height: 72 }), this.chosen);
    this.total = el("p", { class: "hint", role: "status" });
    const number = (/** @type {keyof Part} */ name, /** @type {string} */ label, /** @type {Record<string, any>} */ how) => {
      const input = el("input", { type: "number", ...how });
      input.addEventListener("change", () => { this.part = fitting({ ...this.part, [name]: Number(input.value) }, video, name === "start" ? "start" : "end"); this.drawPart(); });
      this.fields[name] = input;
      return el("label", { class: "field" }, el("span", { class: "label", text: label }), input);
    };
    const here = (/** @type {"start" | "end"} */ name, /** @type {string} */ text) => el("button", { type: "button", class: "tool", on: { click: () => {
      this.part = fitting({ ...this.part, [name]: name === "end" ? this.at + (video.fps > 0 ? 1 / video.fps : 0) : this.at }, video, name);
      this.drawPart();
    } } }, text);
    return [
      el("div", { class: "screen" }, this.player, this.frame),
      el("div", { class: "time-line" }, strip, this.slider),
      el("div", { class: "row" }, this.when, el("button", { type: "button", class: "tool strong", on: { click: doing(() => this.snapshot()) } }, "Capture snapshot"), here("start", "Begin here"), here("end", "End here")),
      el("fieldset", { class: "film-part" }, el("legend", {}, "Heatmap video"),
        el("div", { class: "row fields-row" },
          number("start", "From, seconds", { min: 0, max: video.seconds, step: "any" }), number("end", "To, seconds", { min: 0, max: video.seconds, step: "any" }),
          number("every", "Every n-th frame", { min: 1, max: video.frames, step: 1 })),
        this.total,
        el("button", { type: "button", class: "tool strong", on: { click: doing(() => this.use()) } }, "Make a heatmap video of this part")),
    ];
  }

  /** @type {Partial<Record<keyof Part, HTMLInputElement>>} */
  fields = {};

  drawPart() {
    const video = this.video;
    if (!video || !this.total || !this.chosen) return;
    for (const name of /** @type {(keyof Part)[]} */ (["start", "end", "every"])) {
      const input = this.fields[name];
      if (input) input.value = String(Number(this.part[name].toFixed(2)));
    }
    const count = frameCount(this.part, video);
    this.total.textContent = `${count} frame${count === 1 ? "" : "s"} will be explained.${count > MANY ? " That may take long: explain every n-th frame, or a shorter part." : ""}`;
    this.chosen.style.left = `${(100 * this.part.start) / video.seconds}%`;
    this.chosen.style.width = `${(100 * (this.part.end - this.part.start)) / video.seconds}%`;
  }

  /** Go to a moment. @param {number} seconds @param {boolean} [played] the player is there already */
  moment(seconds, played = false) {
    if (!this.video || !this.slider) return;
    const at = nearest(seconds, this.video);
    if (played) {
      this.at = at;
      this.tell();
    } else this.seek(at);
  }

  /** @param {number} at */
  seek(at) {
    this.at = at;
    this.tell();
    if (this.player && !this.player.hidden) this.player.currentTime = at + 1e-4;
    else {
      this.wanted = at;
      if (!this.loading) this.load();
    }
  }

  /** Show the frame that is wanted now; those that were wanted meanwhile are left out. */
  load() {
    if (!this.video || !this.frame || this.wanted === undefined) return;
    this.loading = true;
    this.frame.src = `/api/videos/${this.video.id}/frame?at=${this.wanted.toFixed(4)}`;
    this.wanted = undefined;
  }

  tell() {
    if (!this.when || !this.slider || !this.video) return;
    this.when.textContent = `${clock(this.at)} of ${clock(this.video.seconds)}`;
    this.slider.value = String(this.at);
    this.slider.setAttribute("aria-valuetext", `${this.at.toFixed(2)} seconds`);
  }

  /** Keep the moment as a picture. */
  async snapshot() {
    if (!this.video) return;
    this.ctx.add([takenPicture(await send("POST", `/api/videos/${this.video.id}/snapshot`, { at_s: this.at }))]);
    this.root.closest("dialog")?.close();
  }

  /** Put the part into the tray: the question, asked next, is about it. */
  use() {
    if (!this.video) return;
    this.ctx.add([takenVideo(this.video, optionsOf(this.part, this.video))]);
    this.root.closest("dialog")?.close();
    this.ctx.say("The video is ready: press Explain, and its heatmaps become a video.");
  }
}
