/* The report: its pictures, each with its maps in a viewer, and the controls that all of them share. */

import { Bar } from "./bar.js";
import { contextOf, find, findAll } from "./dom.js";
import { drawnWith, firstLook, onPaper, thumbOf } from "./drawn.js";
import { sharedScale } from "./field.js";
import { showReading } from "./readout.js";
import { Stage } from "./stage.js";

/** @import {Box, MapData, Settings} from "./types.js" */

/** @type {Settings} */
const settings = JSON.parse(find("#settings").textContent ?? "");
const look = firstLook(settings);
let share = "map";

class Entry {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {{h: number, w: number, maps: MapData[], boxes: Box[], labels: string[]}} */
    const { maps, ...picture } = JSON.parse(find("script[type='application/json']", root).textContent ?? "");
    this.maps = maps;
    this.picture = picture;
    this.rows = findAll("tr[data-map]", root);
    root.style.setProperty("--ratio", String(picture.w / picture.h));
    this.stage = new Stage(find(".stage", root), settings, { wheel: "focused", tools: maps.length > 0 });
    this.stage.visible = root.getBoundingClientRect().top < innerHeight; // the first ones at once, the others as they come near
    this.bar = new Bar(find(".bar", root));
    this.stage.on("point", (reading) => showReading(find(".readout", this.root), reading, this.bar));
    this.stage.show(picture, maps);
    this.rows.forEach((row, i) => this.listen(row, i));
    this.choose(0);
  }

  /** @param {MapData} map */
  scaleOf(map) {
    if (share === "map") return null;
    const pool = (share === "picture" ? [this] : entries).flatMap((entry) => entry.maps);
    return sharedScale(pool.filter((m) => m.kind === map.kind && m.signed === map.signed), map.kind);
  }

  /** Everything that follows from the controls. */
  refresh() {
    const map = this.stage.map;
    if (!map) this.stage.look({ ...look });
    else this.stage.look({ ...look, scale: this.scaleOf(map) });
    if (!map || !this.stage.visible) return;
    this.bar.show(drawnWith(map, this.picture, this.stage.looks, settings, onPaper(look, settings)));
    this.stage.point(this.stage.cursor);
    this.rows.forEach((row, i) => {
      const { h, w, bytes } = thumbOf(this.maps[i], this.picture, { ...look, scale: this.scaleOf(this.maps[i]) }, settings);
      const canvas = /** @type {HTMLCanvasElement} */ (find("canvas", row));
      Object.assign(canvas, { width: w, height: h });
      contextOf(canvas).putImageData(new ImageData(bytes, w, h), 0, 0);
    });
  }

  /** @param {number} index @param {boolean} [focus] */
  choose(index, focus) {
    if (!this.maps.length) return;
    const chosen = (index + this.maps.length) % this.maps.length;
    this.rows.forEach((row, i) => {
      row.classList.toggle("chosen", i === chosen);
      const button = find("button", row);
      button.ariaPressed = String(i === chosen);
      button.tabIndex = i === chosen ? 0 : -1;
      if (!focus || i !== chosen) return;
      button.focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    });
    findAll("[data-details]", this.root).forEach((node, i) => { node.hidden = i !== chosen; });
    this.stage.choose(chosen);
    this.refresh();
  }

  /** @param {HTMLElement} row @param {number} i */
  listen(row, i) {
    row.addEventListener("click", () => this.choose(i));
    find("button", row).addEventListener("keydown", (event) => {
      const move = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, Home: -i, End: this.maps.length - 1 - i })[event.key];
      if (move === undefined) return;
      event.preventDefault();
      this.choose(i + move, true);
    });
  }
}

/** @type {Entry[]} */
const entries = [];
for (const root of findAll("section.entry")) entries.push(new Entry(root));
const watcher = new IntersectionObserver((changes) => {
  for (const change of changes) {
    const entry = entries.find(({ root }) => root === change.target);
    if (!entry || entry.stage.visible === change.isIntersecting) continue;
    if (change.isIntersecting) entry.stage.wake();
    else entry.stage.sleep();
    entry.refresh();
  }
}, { rootMargin: "300px" });
entries.forEach((entry) => watcher.observe(entry.root));
addEventListener("beforeprint", () => entries.forEach(({ stage }) => {
  stage.visible = true; // on paper all are in sight
  stage.render();
}));

let waiting = false;

function refreshAll() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    entries.forEach((entry) => entry.refresh());
  });
}

/** @param {"opacity" | "threshold"} key @returns {(share: number) => void} what sets it */
function slider(key) {
  const input = /** @type {HTMLInputElement} */ (find(`#${key}`)), output = find(`#${key}-value`);
  const show = () => {
    look[key] = Number(input.value) / 100;
    output.textContent = `${input.value} %`;
  };
  input.addEventListener("input", () => {
    show();
    refreshAll();
  });
  show();
  return (value) => {
    input.value = String(Math.round(100 * value));
    show();
  };
}

/** @param {string} id @param {string[]} names @param {(value: string) => void} set */
function select(id, names, set) {
  const node = /** @type {HTMLSelectElement} */ (find(id));
  for (const name of names) node.append(new Option(name, name));
  node.addEventListener("change", () => {
    set(node.value);
    refreshAll();
  });
  return node;
}

const setOpacity = slider("opacity");
slider("threshold");
find("#boxes").addEventListener("change", (event) => {
  look.boxes = /** @type {HTMLInputElement} */ (event.target).checked;
  refreshAll();
});
select("#share", [], (value) => { share = value; });
select("#style", Object.keys(settings.styles), (value) => {
  look.style = value;
  setOpacity(settings.styles[value].opacity); // each has its own
}).value = look.style;
const unsigned = select("#unsigned", settings.unsigned, (value) => { look.colours = { ...look.colours, unsigned: value }; });
const signed = select("#signed", settings.signed, (value) => { look.colours = { ...look.colours, signed: value }; });
for (const [node, is] of /** @type {[HTMLElement, boolean][]} */ ([[signed, true], [unsigned, false]]))
  if (!entries.some((entry) => entry.maps.some((m) => m.signed === is))) /** @type {HTMLElement} */ (node.closest("label")).hidden = true;

const bare = find("#bare");

function toggleBare() {
  look.bare = !look.bare;
  bare.ariaPressed = String(look.bare);
  refreshAll();
}
bare.addEventListener("click", toggleBare);
addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "h" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing) toggleBare();
});
find("#theme").addEventListener("click", () => {
  const { dataset } = document.documentElement;
  const dark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = dark ? "light" : "dark";
  refreshAll();
});
findAll("button.copy").forEach((button) => button.addEventListener("click", async () => {
  const code = find("code", /** @type {HTMLElement} */ (button.parentElement));
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
    button.textContent = "Copied";
  } catch {
    getSelection()?.selectAllChildren(code); // a page opened from a file may not reach the clipboard
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}));
document.documentElement.classList.add("ready");
