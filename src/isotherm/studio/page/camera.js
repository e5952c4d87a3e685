/* "Camera": that of the browser's own machine, and those of the machine that the studio runs on. Snapshots become
   pictures, recordings become videos. */
import { get, send, upload } from "./api.js";
import { doing, el, style } from "./dom.js";
import { sendVideo, stamp, takenPicture, takenVideo } from "./sending.js";

/** @typedef {{state: any, add: (pictures: any[]) => void, say: (text: string) => void, fail: (error: unknown) => void}} Context */
/** @typedef {{close: () => void}} Mounted */
/** @typedef {{id: string, name: string, state: string, why: string | null, looking: boolean, model: string | null, error: string | null, findings: {label: string, confidence: number}[] | null}} Camera */

const POLL_MS = 1000;
const AGAIN_MS = 2000; // between attempts to show a camera that was lost
const KINDS = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 * @returns {Mounted}
 */
export function mountCamera(root, ctx) {
  style("live.css");
  /** @type {Mounted | null} */
  let mounted = null;
  const cameras = /** @type {Camera[]} */ (ctx.state.cameras ?? []), body = el("div", { class: "camera-body" });
  const show = (/** @type {string} */ id) => {
    mounted?.close();
    body.replaceChildren();
    const camera = cameras.find((one) => one.id === id);
    mounted = camera ? new StudioCamera(body, ctx, camera) : new OwnCamera(body, ctx);
  };
  if (cameras.length) {
    const select = el("select", { id: "camera-which" }, el("option", { value: "" }, "this browser’s camera"), ...cameras.map((one) => el("option", { value: one.id, translate: false }, `${one.name} (of the studio’s machine)`)));
    select.addEventListener("change", () => show(select.value));
    select.value = cameras[0].id;
    root.append(el("label", { class: "field" }, el("span", { class: "label", text: "Camera" }), select));
  }
  root.append(body);
  show(cameras[0]?.id ?? "");
  return { close: () => mounted?.close() };
}

/** What went wrong with a camera, in words. @param {unknown} error */
export function cameraWords(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "This browser was not allowed to use the camera. Allow it beside the page’s address, and open it again.";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "This machine has no camera that the browser can see. Plug one in, or take a picture from disk.";
  if (name === "NotReadableError") return "The camera does not answer; another program may be using it. Close that one, and open it again.";
  return error instanceof Error ? error.message : String(error);
}

/** Buttons to keep what a camera shows: the same for every camera. */
class Keeping {
  /**
   * @param {Context} ctx
   * @param {{snapshot: () => Promise<any>, record: (seconds: number) => Promise<any>, most: number}} how both give what goes into the tray
   */
  constructor(ctx, { snapshot, record, most }) {
    this.ctx = ctx;
    this.seconds = el("input", { type: "number", min: 1, max: most, step: 1, value: "5", "aria-label": "Seconds to record" });
    this.bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Recording" });
    this.snap = el("button", { type: "button", class: "tool strong", on: { click: doing(async () => { ctx.add([await snapshot()]); }) } }, "Capture snapshot");
    this.rec = el("button", { type: "button", class: "tool", on: { click: doing(async () => {
      const seconds = Math.min(most, Math.max(1, Number(this.seconds.value) || 5));
      this.seconds.value = String(seconds);
      const taken = await this.during(seconds, record(seconds));
      ctx.add([taken]);
      ctx.say("The recording is ready: press Explain, and its heatmaps become a video.");
    }) } }, "Record");
    this.root = el("div", { class: "keeping" }, el("div", { class: "row" }, this.snap, el("span", { class: "row group-record" }, this.rec, this.seconds, " seconds")), this.bar);
  }

  /** @param {boolean} on */
  enable(on) {
    this.snap.disabled = this.rec.disabled = !on;
  }

  /** A bar that runs as long as a recording. @template T @param {number} seconds @param {Promise<T>} work @returns {Promise<T>} */
  async during(seconds, work) {
    const began = performance.now();
    this.bar.hidden = false;
    const timer = setInterval(() => { this.bar.value = Math.min(1, (performance.now() - began) / (1000 * seconds)); }, 100);
    try {
      return await work;
    } finally {
      clearInterval(timer);
      this.bar.hidden = true;
    }
  }
}

/** The camera of the machine that the browser runs on. */
class OwnCamera {
  /** @param {HTMLElement} root @param {Context} ctx */
  constructor(root, ctx) {
    this.ctx = ctx;
    /** @type {MediaStream | null} */
    this.stream = null;
    this.closed = false;
    this.note = el("p", { class: "hint", role: "status" });
    if (!navigator.mediaDevices?.getUserMedia) {
      root.append(...this.without());
      return;
    }
    this.video = el("video", { class: "frame", muted: true, playsInline: true, autoplay: true, "aria-label": "What the camera shows" });
    this.which = el("select", { "aria-label": "Which camera", hidden: true });
    this.which.addEventListener("change", () => void this.open(this.which?.value).catch(ctx.fail));
    this.openButton = el("button", { type: "button", class: "tool strong", on: { click: doing(() => this.open()) } }, "Open camera");
    this.stopButton = el("button", { type: "button", class: "tool", hidden: true, on: { click: () => { this.stop(); this.openButton?.focus(); } } }, "Close camera");
    this.keeping = new Keeping(ctx, { snapshot: () => this.snapshot(), record: (seconds) => this.record(seconds), most: ctx.state.limits?.recording_seconds ?? 60 });
    this.keeping.enable(false);
    root.append(el("div", { class: "screen" }, this.video), el("div", { class: "row" }, this.openButton, this.stopButton, this.which), this.keeping.root, this.note);
    this.note.textContent = "The picture stays in this browser until you capture a snapshot or record.";
  }

  close() {
    this.closed = true;
    this.stop();
  }

  /** Words for a page that may not open a camera, and the way that is left. */
  without() {
    const input = el("input", { type: "file", accept: "image/*", class: "away", tabIndex: -1, "aria-hidden": "true" });
    input.setAttribute("capture", "environment"); // no property in every browser
    input.addEventListener("change", () => {
      const [file] = input.files ?? [];
      input.value = "";
      if (file) void upload(file, file.name).then((picture) => this.ctx.add([takenPicture(picture)])).catch(this.ctx.fail);
    });
    const reason = isSecureContext
      ? "This browser has no way to open a camera."
      : `This page was opened by http at ${location.hostname}. Browsers open a camera only for https, or for pages of their own machine (127.0.0.1). Start the studio with --tls-cert and --tls-key to have https.`;
    return [el("p", { class: "problem", text: reason }), el("p", { text: "You can still take a picture with the device’s own camera:" }),
      el("div", { class: "row" }, el("button", { type: "button", class: "tool strong", on: { click: () => input.click() } }, "Take a picture…"), input)];
  }

  /** @param {string} [deviceId] */
  async open(deviceId) {
    this.stop();
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { width: { ideal: 1920 }, height: { ideal: 1080 }, ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" }) } });
    } catch (error) {
      throw new Error(cameraWords(error));
    }
    if (this.closed) return this.stop(); // the dialog was closed while the browser asked
    const [track] = this.stream.getVideoTracks();
    track.addEventListener("ended", () => { this.stop(); this.note.textContent = "The camera was lost: plug it in again, and open it."; });
    if (this.video) {
      this.video.srcObject = this.stream;
      await this.video.play();
    }
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
    if (this.which) {
      this.which.replaceChildren(...cameras.map((one, i) => el("option", { value: one.deviceId }, one.label || `camera ${i + 1}`)));
      this.which.value = track.getSettings().deviceId ?? "";
      this.which.hidden = cameras.length < 2;
    }
    this.draw(true);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    if (this.video) this.video.srcObject = null;
    this.draw(false);
  }

  /** @param {boolean} on */
  draw(on) {
    if (this.openButton) this.openButton.hidden = on;
    if (this.stopButton) this.stopButton.hidden = !on;
    if (this.which && !on) this.which.hidden = true;
    this.keeping?.enable(on);
  }

  async snapshot() {
    if (!this.video?.videoWidth) throw new Error("The camera shows nothing yet.");
    const canvas = el("canvas", { width: this.video.videoWidth, height: this.video.videoHeight });
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    const blob = await new Promise((resolve, reject) => canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("The browser could not keep the picture."))), "image/png"));
    return takenPicture(await upload(blob, `camera ${stamp()}.png`));
  }

  /** @param {number} seconds */
  async record(seconds) {
    const stream = this.stream, kind = KINDS.find((one) => globalThis.MediaRecorder?.isTypeSupported(one));
    if (!stream) throw new Error("The camera is not open.");
    if (!kind) throw new Error("This browser cannot record; capture snapshots, or send a video from disk.");
    const recorder = new MediaRecorder(stream, { mimeType: kind, videoBitsPerSecond: 8_000_000 });
    /** @type {Blob[]} */
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => { if (event.data.size) parts.push(event.data); });
    const ended = new Promise((resolve, reject) => {
      recorder.addEventListener("stop", resolve);
      recorder.addEventListener("error", () => reject(new Error("The recording broke off.")));
    });
    recorder.start(500);
    const timer = setTimeout(() => { if (recorder.state !== "inactive") recorder.stop(); }, 1000 * seconds);
    await ended;
    clearTimeout(timer);
    if (!parts.length) throw new Error("Nothing was recorded: the camera was closed.");
    return takenVideo(await sendVideo(new Blob(parts, { type: kind }), `camera ${stamp()}.${kind.startsWith("video/mp4") ? "mp4" : "webm"}`, { most: this.ctx.state.limits?.video_bytes }));
  }
}

/** A camera of the machine that the studio runs on, shown live with what a model finds. */
class StudioCamera {
  /** @param {HTMLElement} root @param {Context} ctx @param {Camera} camera */
  constructor(root, ctx, camera) {
    this.camera = camera;
    this.path = `/api/live/${camera.id}`;
    this.ctx = ctx;
    this.closed = false;
    this.shownAt = 0;
    this.image = el("img", { class: "frame", alt: `What ${camera.name} shows` });
    const models = ctx.state.models.filter((/** @type {any} */ one) => one.kind !== "question");
    this.model = el("select", { id: "camera-model" }, ...models.map((/** @type {any} */ one) => el("option", { value: one.name, translate: false }, one.title ?? one.name)));
    this.model.value = models.find((/** @type {any} */ one) => one.kind === "detector")?.name ?? models[0]?.name;
    this.classes = el("input", { type: "text", id: "camera-classes", placeholder: "person, red cup, dog" });
    this.words = el("label", { class: "field" }, el("span", { class: "label", text: "Look for" }), this.classes);
    this.model.addEventListener("change", () => this.drawWords());
    this.go = el("button", { type: "button", class: "tool strong", on: { click: doing(() => this.toggle()) } }, "Start finding things");
    this.note = el("p", { class: "hint", role: "status" });
    this.found = el("p", { class: "found" });
    const keeping = new Keeping(ctx, {
      snapshot: async () => takenPicture(await send("POST", `${this.path}/snapshot`)),
      record: async (seconds) => takenVideo(await send("POST", `${this.path}/record`, { seconds })), most: ctx.state.limits?.recording_seconds ?? 60,
    });
    root.append(el("div", { class: "screen" }, this.image), keeping.root,
      el("div", { class: "row fields-row" }, el("label", { class: "field" }, el("span", { class: "label", text: "Model" }), this.model), this.words, this.go), this.found, this.note);
    this.drawWords();
    this.show();
    this.timer = setInterval(() => void this.look(), POLL_MS);
    void this.look();
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.image.removeAttribute("src"); // ends the stream
    if (this.camera.looking) void send("POST", `${this.path}/stop`).catch(() => {});
  }

  /** Words can be looked for by some models alone. */
  drawWords() {
    const model = this.ctx.state.models.find((/** @type {any} */ one) => one.name === this.model.value);
    this.words.hidden = !/text|visual/.test(String(model?.prompts ?? ""));
  }

  show() {
    this.shownAt = performance.now();
    this.image.src = `${this.path}/frames?t=${Math.round(this.shownAt)}`;
  }

  async toggle() {
    const options = { model: this.model.value, ...(this.words.hidden || !this.classes.value.trim() ? {} : { classes: this.classes.value.trim() }) };
    this.camera = this.camera.looking ? await send("POST", `${this.path}/stop`) : await send("POST", `${this.path}/start`, { options });
    this.draw();
  }

  async look() {
    try {
      this.camera = await get(this.path);
    } catch (error) {
      this.note.textContent = error instanceof Error ? error.message : String(error);
      return;
    }
    if (this.closed) return;
    // a stream that broke off stays as a still picture: ask for it again
    if (this.camera.state === "lost" || this.camera.state === "off") if (performance.now() - this.shownAt > AGAIN_MS) this.show();
    this.draw();
  }

  draw() {
    const { state, why, looking, error, findings } = this.camera;
    this.go.textContent = looking ? "Stop finding things" : "Start finding things";
    this.go.setAttribute("aria-pressed", String(looking));
    this.image.classList.toggle("lost", state === "lost");
    const line = error ? `The model stopped: ${error}` : state === "lost" ? `The camera is lost: ${why}. It is tried again.` : state === "opening" ? "The camera is being opened…" : "";
    if (this.note.textContent !== line) this.note.textContent = line;
    this.note.classList.toggle("problem", Boolean(error) || state === "lost");
    const seen = !looking ? "" : findings === null ? "Looking: the model is being opened, or a run goes first." : findings.length ? `Found: ${summary(findings)}` : "Nothing is found.";
    if (this.found.textContent !== seen) this.found.textContent = seen;
  }
}

/** Findings by their names, with how many there are. @param {{label: string, confidence: number}[]} findings */
export function summary(findings) {
  const counts = new Map();
  for (const { label } of findings) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => (count > 1 ? `${count} × ${label}` : label)).join(", ");
}
