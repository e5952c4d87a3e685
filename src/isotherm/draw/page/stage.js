/* The viewer: a picture with a map over it, which can be read at every place, zoomed to the single cell, and marked. The
   report and the studio both use it. What other pages need of the drawing modules is handed on here. */

import { aimAt, boxElements, drawBoxes, markedBoxes, pickedAt, placeBoxes, sameBox } from "./boxes.js";
import { contextOf, find, make, makeButton } from "./dom.js";
import { drawnWith, firstLook } from "./drawn.js";
import { cellOf, clamp, fieldOf, nearestCell, sampleAt } from "./field.js";
import { listenTo } from "./gestures.js";
import { canvasPlace } from "./marks.js";
import { paintSheet } from "./painter.js";
import { pictureOf, Sheets } from "./sheets.js";
import { keptWithin, mostScale, pannedBy, partOf, sameView, showing, wholeView, zoomedAt, zoomFactor } from "./view.js";
export { Bar } from "./bar.js";
export { find, findAll, make, makeButton, contextOf } from "./dom.js";
export { boxesFor, drawnWith, firstLook, onPaper, shownScale, thumbOf } from "./drawn.js";
export { cellOf, clamp, decodeValues, fieldOf, numberText, rasterOf, sampleAt, sharedScale } from "./field.js";
export { valueAt } from "./ink.js";
export { showReading } from "./readout.js";
export { renormalisedInBoxes } from "./renormalise.js";

/** @import {Marked} from "./boxes.js" */
/** @import {Drawn} from "./drawn.js" */
/** @import {Box, Look, MapData, Part, Pick, PictureData, Point, Reading, Settings, Size, View} from "./types.js" */

const MOST_SHOWN = 2560; // along the longer side of the canvas
const MOST_SAVED = 8192;
const REACH = 6; // pixels of the page from a side of a box within which it is meant

/** @typedef {{point: Reading | null, pick: Pick, view: View, pin: Reading, paint: string}} Events what handlers of each event are called with */

/** A picture that a stage shows: `image` is where its pixels are, or an element that has them. @typedef {Omit<PictureData, "image"> & {image?: string | HTMLImageElement | null}} Shown */

export class Stage {
  /**
   * @param {HTMLElement} root an element of the class "stage"; a picture that it already has is taken for the first one
   * @param {Settings} settings
   * @param {{renderer?: string, wheel?: "always" | "focused", tools?: boolean}} [options] renderer: "webgl2" or "canvas", by default the
   *   faster one; wheel: whether it zooms always, or while the picture has the focus
   */
  constructor(root, settings, options = {}) {
    this.root = root;
    this.settings = settings;
    this.options = options;
    /** @type {Look} */
    this.looks = firstLook(settings);
    /** @type {Shown} */
    this.picture = { h: 1, w: 1, boxes: [], labels: [] };
    /** @type {MapData[]} */
    this.maps = [];
    this.chosen = 0;
    /** @type {View} */
    this.seen = wholeView(this.picture);
    /** @type {Point | null} */
    this.cursor = null;
    /** @type {Marked | null} the box that the cursor was sent to */
    this.aimed = null;
    /** @type {Reading[]} */
    this.pins = [];
    /** @type {{[K in keyof Events]?: ((event: Events[K]) => void)[]}} */
    this.handlers = {};
    /** @type {HTMLImageElement | null} */
    this.image = root.querySelector("img");
    this.base = make("canvas", "base");
    this.over = make("canvas", "over");
    this.boxLayer = make("div", "boxes");
    this.pinLayer = make("div", "pins");
    this.note = make("div", "silent");
    this.cross = make("div", "cross");
    for (const layer of [this.boxLayer, this.pinLayer, this.cross]) layer.ariaHidden = "true";
    this.boxLayer.translate = false; // names of what was found
    this.note.hidden = this.cross.hidden = true;
    root.append(this.base, this.over, this.boxLayer, this.pinLayer, this.note, this.cross);
    if (options.tools !== false) root.append(this.makeTools());
    root.tabIndex = 0;
    if (!root.role) root.role = "group";
    if (!root.ariaLabel) root.ariaLabel = "Picture with map. Arrow keys read values, plus and minus zoom, 0 shows the whole picture, P pins a reading, B goes to the next box, Enter picks.";
    this.sheets = new Sheets(this.over, settings.numbers);
    /** @type {Marked[]} */
    this.boxes = [];
    /** @type {HTMLElement[]} */
    this.boxNodes = [];
    /** @type {Drawn | null} until the map or the look changes */
    this.drawnNow = null;
    this.waiting = false;
    this.visible = true;
    this.loading = false;
    listenTo(this);
    new ResizeObserver(() => this.refresh()).observe(root);
  }

  makeTools() {
    const tools = make("div", "stage-tools");
    tools.append(
      makeButton("+", "tool", () => this.zoom(1), "Zoom in"),
      makeButton("−", "tool", () => this.zoom(-1), "Zoom out"),
      makeButton("⤢", "tool", () => this.view(wholeView(this.picture)), "Whole picture"),
    );
    return tools;
  }

  get map() {
    return /** @type {MapData | undefined} */ (this.maps[this.chosen]);
  }

  /** Show a picture with its maps. @param {Shown} picture @param {MapData[]} maps @param {number} [chosen] */
  show(picture, maps, chosen = 0) {
    const same = picture.w === this.picture.w && picture.h === this.picture.h;
    this.picture = picture;
    this.maps = maps;
    this.boxes = markedBoxes({ ...picture, image: null }, maps);
    this.boxNodes = boxElements(this.boxLayer, this.boxes);
    this.root.style.setProperty("--ratio", String(picture.w / picture.h));
    this.takeImage(picture);
    if (!same) this.seen = wholeView(picture);
    if (!maps.length) this.clearLines();
    this.cursor = null;
    this.choose(clamp(chosen, 0, Math.max(maps.length - 1, 0)));
  }

  /** @param {Shown} picture */
  takeImage({ image, name }) {
    if (image instanceof HTMLImageElement) this.image = image;
    else if (image) {
      this.image ??= make("img");
      if (this.image.getAttribute("src") !== image) this.image.src = image;
      this.image.alt = name ?? "";
      if (!this.image.isConnected) this.root.prepend(this.image);
    } else if (image === null) {
      this.image?.remove();
      this.image = null;
    }
    const loaded = this.image, src = loaded?.src;
    this.loading = Boolean(loaded && !loaded.complete); // what was drawn stays until then
    const done = () => {
      if (this.image !== loaded || loaded?.src !== src) return;
      this.loading = false;
      this.refresh();
    };
    loaded?.decode().then(done, done);
  }

  /** Stop drawing until it is woken, and give back what that takes: of many pictures few are in sight. */
  sleep() {
    this.visible = false;
    this.clearLines();
    Object.assign(this.base, { width: 1, height: 1 });
  }

  /** Take away what was drawn over a picture, and what would be drawn from there again. */
  clearLines() {
    this.sheets.forget();
    Object.assign(this.over, { width: 1, height: 1 });
  }

  wake() {
    this.visible = true;
    this.refresh();
  }

  /** Show another map of the same picture. @param {number} index */
  choose(index) {
    this.chosen = index;
    this.drawnNow = null;
    this.pins = this.pins.map(({ x, y }) => this.reading(x, y));
    this.refresh();
    this.point(this.cursor);
  }

  /** Change how it is drawn; what is left out stays. @param {Partial<Look>} changes */
  look(changes) {
    Object.assign(this.looks, changes);
    this.drawnNow = null;
    this.refresh();
  }

  /** Show a part of the picture. @param {View} view @param {boolean} [quietly] without telling, as when another stage leads */
  view(view, quietly = false) {
    const next = keptWithin(view, this.picture, this.most());
    if (sameView(next, this.seen)) return;
    this.seen = next;
    this.refresh();
    if (!quietly) this.tell("view", this.seen);
  }

  most() {
    return mostScale(this.map ? fieldOf(this.map) : null, this.picture);
  }

  /** Zoom by steps, at the cursor if it is there, or else in the middle. @param {number} steps @param {Point} [place] */
  zoom(steps, place = this.cursor ?? [this.seen.x, this.seen.y]) {
    this.view(zoomedAt(this.seen, this.picture, place, zoomFactor(steps), this.most()));
  }

  /** @param {number} dx @param {number} dy in source pixels */
  pan(dx, dy) {
    this.view(pannedBy(this.seen, this.picture, dx, dy, this.most()));
  }

  part() {
    return partOf(this.seen, this.picture);
  }

  /** Where a place of the screen lies in the picture, in source pixels, beyond its edges as well. @param {number} clientX @param {number} clientY */
  toPicture(clientX, clientY) {
    const box = this.base.getBoundingClientRect(), part = this.part();
    return { x: part.x + ((clientX - box.left) / box.width) * part.w, y: part.y + ((clientY - box.top) / box.height) * part.h };
  }

  /** Where a source pixel lies in the element, in pixels of the page from its upper left corner. @param {number} x @param {number} y */
  toStage(x, y) {
    const part = this.part();
    return { x: ((x - part.x) / part.w) * this.base.clientWidth, y: ((y - part.y) / part.h) * this.base.clientHeight };
  }

  /** The nearest place of the picture to one of the screen. @param {number} clientX @param {number} clientY @returns {Point} */
  placeOf(clientX, clientY) {
    const { x, y } = this.toPicture(clientX, clientY);
    return [clamp(x, 0, this.picture.w), clamp(y, 0, this.picture.h)];
  }

  /** What the chosen map says at a place; by the interpolation that it is drawn with. @param {number} x @param {number} y @returns {Reading} */
  reading(x, y) {
    if (!this.map) return { x, y, value: NaN, column: -1, row: -1, inside: false };
    const own = fieldOf(this.map), { field, scale } = this.drawn(), [cx, cy] = cellOf(own, x, y), [x0, y0, x1, y1] = own.limits;
    const inside = cx >= x0 && cx <= x1 && cy >= y0 && cy <= y1;
    const ends = this.looks.renormalise ? scale : this.map; // an infinity counts as the end of the map's own scale
    return { x, y, value: sampleAt(field, x, y, ends), column: nearestCell(cx, own.w), row: nearestCell(cy, own.h), inside };
  }

  /** What the chosen map is drawn with. @returns {Drawn} */
  drawn() {
    this.drawnNow ??= drawnWith(/** @type {MapData} */ (this.map), { ...this.picture, image: null }, this.looks, this.settings);
    return this.drawnNow;
  }

  /** Read a place and mark it; null: none. @param {Point | null} place @param {boolean} [quietly] */
  point(place, quietly = false) {
    this.cursor = place;
    this.aimed = null;
    this.cross.hidden = place === null;
    if (place) {
      const next = showing(this.seen, this.picture, place);
      if (!sameView(next, this.seen)) this.view(next, quietly);
      this.put(this.cross, place);
    }
    if (!quietly) aimAt(this.boxNodes, this.boxes, place && this.handlers.pick ? this.pickedAt(place) : null);
    if (!quietly) this.tell("point", place && this.map ? this.reading(...place) : null);
  }

  /** @param {HTMLElement} node @param {Point} place */
  put(node, [x, y]) {
    const part = this.part(), left = (x - part.x) / part.w, top = (y - part.y) / part.h;
    node.style.left = `${100 * left}%`;
    node.style.top = `${100 * top}%`;
    return left >= 0 && left <= 1 && top >= 0 && top <= 1;
  }

  /** Keep a reading. @param {Point} [place] by default where the cursor is */
  pin(place = this.cursor ?? [this.seen.x, this.seen.y]) {
    const reading = this.reading(...place);
    this.pins.push(reading);
    this.refresh();
    this.tell("pin", reading);
  }

  /** @param {number} [index] by default all */
  unpin(index) {
    this.pins = index === undefined ? [] : this.pins.filter((_, i) => i !== index);
    this.refresh();
  }

  /** What lies at a place, for whoever listens; the box that B went to, whatever lies in it. @param {Point} place */
  pick(place) {
    this.tell("pick", this.pickedAt(place));
  }

  /** @param {Point} place @returns {Pick} */
  pickedAt([x, y]) {
    if (this.aimed) return pickedAt([this.aimed], x, y);
    if (!this.looks.boxes || this.looks.bare) return pickedAt(this.boxes, x, y); // what is not drawn has no sides to aim at
    return pickedAt(this.boxes, x, y, { reach: (REACH * this.part().w) / (this.base.clientWidth || 1), labels: this.boxNodes.map((node) => this.labelOf(node)) });
  }

  /** Where the name of a box stands, in source pixels. @param {HTMLElement} node @returns {Box | null} */
  labelOf(node) {
    const rect = node.firstElementChild?.getBoundingClientRect();
    if (!rect?.width) return null;
    const from = this.toPicture(rect.left, rect.top), to = this.toPicture(rect.right, rect.bottom);
    return [from.x, from.y, to.x, to.y];
  }

  /** Go to the middle of the next box. @param {number} step */
  nextBox(step) {
    if (!this.boxes.length) return;
    const middle = (/** @type {Marked} */ { bounds: [x0, y0, x1, y1] }) => /** @type {Point} */ ([(x0 + x1) / 2, (y0 + y1) / 2]);
    const at = this.aimed ? this.boxes.indexOf(this.aimed) : -1;
    const next = at < 0 ? (step > 0 ? 0 : this.boxes.length - 1) : (at + step + this.boxes.length) % this.boxes.length;
    this.point(middle(this.boxes[next]));
    this.aimed = this.boxes[next];
  }

  /** @template {keyof Events} K @param {K} name @param {(event: Events[K]) => void} handler */
  on(name, handler) {
    const list = /** @type {((event: Events[K]) => void)[]} */ (this.handlers[name] ??= []);
    list.push(handler);
  }

  /** @template {keyof Events} K @param {K} name @param {Events[K]} event */
  tell(name, event) {
    for (const handler of this.handlers[name] ?? []) handler(event);
  }

  /** Draw anew before the next frame. */
  refresh() {
    if (this.waiting || !this.visible || this.loading) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.visible && !this.loading) this.render();
    });
  }

  /** @returns {Size} of the canvas, in pixels of the screen */
  size() {
    const { width, height } = this.root.getBoundingClientRect(), dense = Math.min(devicePixelRatio, MOST_SHOWN / Math.max(width, height));
    return { w: Math.round(width * dense), h: Math.round(height * dense) };
  }

  /** Draw now. */
  render() {
    const size = this.size(), part = this.part(), { bare } = this.looks;
    if (!size.w || !size.h) return;
    if (this.base.width !== size.w || this.base.height !== size.h) {
      Object.assign(this.base, { width: size.w, height: size.h });
      this.tell("view", this.seen);
    }
    placeBoxes(this.boxNodes, this.boxes, part);
    const own = this.map?.box;
    this.boxNodes.forEach((node, i) => node.classList.toggle("own", Boolean(own && sameBox(this.boxes[i].bounds, own))));
    this.root.classList.toggle("has-own", Boolean(own));
    this.root.classList.toggle("bare", bare);
    this.root.classList.toggle("unboxed", !this.looks.boxes);
    this.root.classList.toggle("zoomed", this.seen.scale > 1);
    this.placePins();
    if (this.cursor) this.put(this.cross, this.cursor);
    this.note.textContent = this.map?.silent ?? "";
    this.note.hidden = !this.map?.silent || bare;
    if (this.map && !bare) {
      const painted = paintSheet(this.base, this.sheets.sheetFor(this.scene(part), size), this.options.renderer);
      this.tell("paint", painted);
    } else contextOf(this.base).putImageData(pictureOf(this.sheets.ground, this.ready(), this.ground(), this.picture, part, size), 0, 0);
  }

  placePins() {
    const nodes = this.pins.map((pin, i) => {
      const node = make("span", "pin", String(i + 1));
      node.hidden = !this.put(node, [pin.x, pin.y]);
      return node;
    });
    this.pinLayer.replaceChildren(...nodes);
  }

  ready() {
    return this.image?.complete && this.image.naturalWidth ? this.image : null;
  }

  ground() {
    return getComputedStyle(this.root).backgroundColor;
  }

  /** @param {Required<Part>} part */
  scene(part) {
    return { image: this.ready(), ground: this.ground(), source: this.picture, part, drawn: this.drawn() };
  }

  /** What is shown as a PNG; full: the whole picture at its own size. @param {boolean} [full] @returns {Promise<Blob>} */
  async canvas(full = false) {
    const whole = { x: 0, y: 0, w: this.picture.w, h: this.picture.h }, part = full ? whole : this.part();
    const factor = Math.min(1, MOST_SAVED / Math.max(whole.w, whole.h));
    const size = full ? { w: Math.round(whole.w * factor), h: Math.round(whole.h * factor) } : this.size();
    const canvas = make("canvas"), over = make("canvas"), context = contextOf(canvas), sheets = new Sheets(over, this.settings.numbers);
    Object.assign(canvas, { width: size.w, height: size.h });
    if (this.map && !this.looks.bare) {
      paintSheet(canvas, sheets.sheetFor(this.scene(part), size), "canvas");
      context.drawImage(over, 0, 0);
    } else context.putImageData(pictureOf(make("canvas"), this.ready(), this.ground(), this.picture, part, size), 0, 0);
    if (this.looks.boxes && !this.looks.bare) drawBoxes(context, this.boxes, canvasPlace(part, size));
    return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the browser made no picture of the canvas"))), "image/png"));
  }
}
