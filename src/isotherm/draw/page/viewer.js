/* The report: its pictures, each with its maps, and the controls that all of them share. */

import { samplesAround } from "./contours.js";
import { bytesOf, cellOf, clamp, fieldOf, numberText, rasterOf, sampleAt, sharedScale } from "./field.js";
import { inkOf, isEmpty, layInk, valueAt } from "./ink.js";
import { drawMarks } from "./marks.js";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const settings = JSON.parse($("#settings").textContent);
const tables = {};
const tableOf = (name) => (tables[name] ??= bytesOf(settings.tables[name]));
const look = { style: settings.style, opacity: settings.styles[settings.style].opacity, threshold: 0, boxes: true, share: "map", unsigned: settings.unsigned[0], signed: settings.signed[0], bare: false };
const onPaper = () => ({ opacity: 1, negative: settings.styles[look.style].negative === "none" ? "none" : "fill" }); // nothing below has to shine through

class Entry {
  constructor(root) {
    this.root = root;
    Object.assign(this, JSON.parse($("script[type='application/json']", root).textContent));
    this.source = { w: this.w, h: this.h };
    this.chosen = 0;
    this.dirty = true;
    this.visible = false;
    this.cursor = null;
    this.stage = $(".stage", root);
    root.style.setProperty("--ratio", this.w / this.h);
    this.layers = Object.fromEntries(["veil", "heat", "tint", "over"].map((name) => [name, $(`canvas.${name}`, root)]));
    this.rows = $$("tr[data-map]", root);
    const scale = Math.min(1, 1400 / Math.max(this.w, this.h));
    this.size = { h: Math.max(1, Math.round(this.h * scale)), w: Math.max(1, Math.round(this.w * scale)) };
    for (const canvas of Object.values(this.layers)) [canvas.width, canvas.height] = [this.size.w, this.size.h];
    this.boxMarks = this.drawBoxes();
    this.listen();
  }

  get map() { return this.maps[this.chosen]; }

  field(map) {
    if (!map.field) {
      map.field = fieldOf(map);
      map.data = null;
    }
    return map.field;
  }

  scaleOf(map) {
    if (look.share === "map") return map;
    const pool = (look.share === "picture" ? [this] : entries).flatMap((e) => e.maps);
    return sharedScale(pool.filter((m) => m.kind === map.kind && m.signed === map.signed), map.kind);
  }

  /* The style and the tables that a map is drawn with; changes: what of the style is different here. */
  drawn(map, changes) {
    const scale = this.scaleOf(map), style = { ...settings.styles[look.style], opacity: look.opacity, threshold: look.threshold, ...changes };
    const ends = map.signed && !(look.signed === settings.signed[0] && !(scale.low < 0)); // colours for two directions
    const table = tableOf(ends ? look.signed : map.signed ? settings.unsigned[0] : look.unsigned);
    return { scale, style, ink: inkOf(style, scale, { signed: map.signed, table, centred: ends, k: settings.numbers }) };
  }

  paint(canvas, map, sampled, { scale, ink }, veil) {
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    const greyed = veil && veil.getContext("2d").createImageData(veil.width, veil.height);
    layInk(sampled, ink, scale, image.data, greyed?.data);
    context.putImageData(image, 0, 0);
    if (veil) veil.getContext("2d").putImageData(greyed, 0, 0);
  }

  refresh() {
    this.dirty = true;
    if (this.visible) this.render();
  }

  render() {
    if (!this.dirty) return;
    this.dirty = false;
    this.stage.classList.toggle("bare", look.bare);
    this.stage.classList.toggle("unboxed", !look.boxes);
    if (!this.maps.length) return;
    const map = this.map;
    if (this.sampled?.map !== map)
      this.sampled = { map, values: rasterOf(this.field(map), this.size.h, this.size.w, this.source, map) };
    const drawn = this.drawn(map), { heat, veil, over, tint } = this.layers;
    this.paint(heat, map, this.sampled.values, drawn, veil);
    drawMarks({ over: over.getContext("2d"), tint: tint.getContext("2d") }, {
      ...drawn, field: this.field(map), part: this.source, source: this.source, signed: map.signed, k: settings.numbers,
      samples: () => (this.sampled.samples ??= samplesAround(this.field(map), this.source, this.source, map, this.size)),
    });
    this.drawBar(map);
    this.thumbnails();
    $(".silent", this.root).hidden = !map.silent;
    $(".silent", this.root).textContent = map.silent;
    this.boxMarks.forEach((mark) => mark.node.classList.toggle("own", Boolean(map.box) && same(mark.box, map.box)));
    $(".stage", this.root).classList.toggle("has-own", Boolean(map.box));
    this.read();
  }

  thumbnails() {
    this.rows.forEach((row, index) => {
      const canvas = $("canvas", row), map = this.maps[index];
      if (!canvas.thumb) {
        const factor = 88 / Math.max(this.w, this.h);
        canvas.width = Math.max(1, Math.round(this.w * factor));
        canvas.height = Math.max(1, Math.round(this.h * factor));
        canvas.thumb = rasterOf(this.field(map), canvas.height, canvas.width, this.source, map);
      }
      this.paint(canvas, map, canvas.thumb, this.drawn(map, { ...onPaper(), threshold: 0 }));
    });
  }

  drawBar(map) {
    const canvas = $("canvas.ramp", this.root), { scale, style, ink } = this.drawn(map, onPaper()), count = ink.count;
    canvas.width = count;
    canvas.height = 1;
    const image = canvas.getContext("2d").createImageData(count, 1);
    for (let i = 0; i < count; i++) image.data.set([...ink.colour.subarray(3 * i + 3, 3 * i + 6), Math.round(255 * ink.alpha[i + 1])], 4 * i);
    canvas.getContext("2d").putImageData(image, 0, 0);
    const empty = isEmpty(scale), ticks = $(".ticks", this.root);
    $(".bar", this.root).classList.toggle("empty", empty);
    $(".low", this.root).textContent = empty ? "no scale" : (scale.beyond ? "≤ " : "") + numberText(scale.low);
    $(".mid", this.root).textContent = empty ? "nothing is drawn" : numberText((scale.low + scale.high) / 2);
    $(".high", this.root).textContent = empty ? "" : numberText(scale.high);
    ticks.replaceChildren();
    for (const share of empty ? [] : style.lines) {
      const tick = make("i", share === 0.5 ? "half" : "");
      tick.style.left = `${(100 * (valueAt(share, scale, map.signed) - scale.low)) / (scale.high - scale.low)}%`;
      ticks.append(tick);
    }
  }

  drawBoxes() {
    const list = this.boxes.map((box, i) => ({ box, label: this.labels[i] ?? "" }));
    for (const map of this.maps)
      if (map.box && !list.some((other) => same(other.box, map.box))) list.push({ box: map.box, label: map.label });
    const layer = $(".boxes", this.root);
    return list.map(({ box, label }, i) => {
      const node = make("div", `box hue-${i % 8}`);
      node.style.left = `${(100 * box[0]) / this.w}%`;
      node.style.top = `${(100 * box[1]) / this.h}%`;
      node.style.width = `${(100 * (box[2] - box[0])) / this.w}%`;
      node.style.height = `${(100 * (box[3] - box[1])) / this.h}%`;
      if (label) node.append(make("span", `${box[1] / this.h < 0.05 ? "in" : ""} ${box[0] / this.w > 0.7 ? "right" : ""}`, label));
      layer.append(node);
      return { node, box };
    });
  }

  choose(index, focus) {
    if (!this.maps.length) return;
    this.chosen = (index + this.maps.length) % this.maps.length;
    this.rows.forEach((row, i) => {
      row.classList.toggle("chosen", i === this.chosen);
      const button = $("button", row);
      button.setAttribute("aria-pressed", String(i === this.chosen));
      button.tabIndex = i === this.chosen ? 0 : -1;
      if (focus && i === this.chosen) { button.focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }); }
    });
    $$("[data-details]", this.root).forEach((node, i) => { node.hidden = i !== this.chosen; });
    this.refresh();
  }

  /* what lies under the cursor, as numbers and as a mark on the colour bar */
  read() {
    const out = $(".readout", this.root), cross = $(".cross", this.root), needle = $(".needle", this.root);
    cross.hidden = needle.hidden = true;
    if (!this.cursor || !this.maps.length) {
      out.textContent = this.maps.length ? "Point at the picture to read values; arrow keys move the point." : "";
      return;
    }
    const { x, y } = this.cursor, map = this.map, scale = this.scaleOf(map), field = this.field(map);
    const value = sampleAt(field, x, y, map), cell = cellOf(field, x, y);
    cross.hidden = false;
    cross.style.left = `${(100 * x) / this.w}%`;
    cross.style.top = `${(100 * y) / this.h}%`;
    out.replaceChildren();
    const put = (name, text) => { const span = make("span"); span.append(make("b", "", name), document.createTextNode(text)); out.append(span); };
    put("value", numberText(value));
    put("x, y", `${x.toFixed(1)}, ${y.toFixed(1)} px`);
    if (Number.isNaN(value)) return;
    put("cell", `${clamp(Math.floor(cell[0]), 0, field.w - 1)}, ${clamp(Math.floor(cell[1]), 0, field.h - 1)}`);
    if (!(scale.high > scale.low)) return;
    const share = clamp((value - scale.low) / (scale.high - scale.low), 0, 1);
    needle.hidden = false;
    needle.style.left = `${100 * share}%`;
  }

  listen() {
    const place = (event) => {
      const box = this.stage.getBoundingClientRect();
      this.cursor = { x: clamp(((event.clientX - box.left) / box.width) * this.w, 0, this.w), y: clamp(((event.clientY - box.top) / box.height) * this.h, 0, this.h) };
      this.read();
    };
    this.stage.addEventListener("pointermove", place);
    this.stage.addEventListener("pointerdown", place);
    this.stage.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { this.cursor = null; this.read(); } });
    this.stage.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const far = event.shiftKey ? 10 : 1, at = this.cursor ?? { x: this.w / 2, y: this.h / 2 };
      this.cursor = { x: clamp(at.x + far * step[0], 0, this.w), y: clamp(at.y + far * step[1], 0, this.h) };
      this.read();
    });
    this.rows.forEach((row, i) => {
      row.addEventListener("click", () => this.choose(i));
      $("button", row).addEventListener("keydown", (event) => {
        const move = { ArrowDown: 1, ArrowUp: -1, Home: -i, End: this.maps.length - 1 - i }[event.key];
        if (move === undefined) return;
        event.preventDefault();
        this.choose(i + move, true);
      });
    });
  }
}

const same = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 0.5);
const entries = [];
for (const root of $$("section.entry")) entries.push(new Entry(root));
for (const entry of entries) {
  entry.visible = entry.root.getBoundingClientRect().top < innerHeight; // the first ones at once, the others as they come near
  entry.choose(0);
}
const watcher = new IntersectionObserver((changes) => {
  for (const change of changes) {
    const entry = entries.find((e) => e.root === change.target);
    entry.visible = change.isIntersecting;
    if (entry.visible) entry.render();
  }
}, { rootMargin: "300px" });
entries.forEach((entry) => watcher.observe(entry.root));

let waiting = false;
const refresh = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; entries.forEach((entry) => entry.refresh()); });
};
const slider = (id, key) => {
  const input = $(id), output = $(`${id}-value`);
  const show = () => { look[key] = Number(input.value) / 100; output.textContent = `${input.value} %`; };
  input.addEventListener("input", () => { show(); refresh(); });
  show();
  return (share) => { input.value = Math.round(100 * share); show(); };
};
const opacity = slider("#opacity", "opacity");
slider("#threshold", "threshold");
const check = (id, key) => $(id).addEventListener("change", (event) => { look[key] = event.target.checked; refresh(); });
check("#boxes", "boxes");
const select = (id, key, names) => {
  const node = $(id);
  for (const name of names ?? []) node.append(new Option(name, name));
  node.addEventListener("change", () => { look[key] = node.value; refresh(); });
};
select("#share", "share");
select("#style", "style", Object.keys(settings.styles));
$("#style").value = look.style;
$("#style").addEventListener("change", () => opacity(settings.styles[look.style].opacity)); // each has its own
select("#unsigned", "unsigned", settings.unsigned);
select("#signed", "signed", settings.signed);
$("#signed").closest("label").hidden = !entries.some((e) => e.maps.some((m) => m.signed));
$("#unsigned").closest("label").hidden = !entries.some((e) => e.maps.some((m) => !m.signed));

const bare = (on) => { if (look.bare !== on) { look.bare = on; $("#bare").setAttribute("aria-pressed", String(on)); refresh(); } };
$("#bare").addEventListener("click", () => bare(!look.bare));
addEventListener("keydown", (event) => {
  if (event.key === "h" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) bare(!look.bare);
});
$("#theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
$$("button.copy").forEach((button) => button.addEventListener("click", async () => {
  const code = $("code", button.parentElement);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code); // a page opened from a file may not reach the clipboard
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}));
document.documentElement.classList.add("ready");
