/* What was found in a picture, as boxes with their labels: as elements over it, and drawn into a picture that is saved. */

import { make } from "./dom.js";

/** @import {Box, BoxPart, MapData, Part, PictureData, Pick, Size} from "./types.js" */

/** @typedef {{bounds: Box, label: string, index: number}} Marked index: of the finding; -1 for what only a map explains */

const HUES = ["#22d3ee", "#a3e635", "#f472b6", "#fbbf24", "#a78bfa", "#34d399", "#fb7185", "#60a5fa"]; // as .hue-n in page.css

/** @param {Box} a @param {Box} b */
export function sameBox(a, b) {
  return a.every((value, i) => Math.abs(value - b[i]) < 0.5);
}

/** All boxes of a picture and of its maps, each once. @param {PictureData} picture @param {MapData[]} maps @returns {Marked[]} */
export function markedBoxes(picture, maps) {
  /** @type {Marked[]} */
  const list = picture.boxes.map((bounds, index) => ({ bounds, label: picture.labels[index] ?? "", index }));
  for (const { box, label } of maps)
    if (box && !list.some((other) => sameBox(other.bounds, box))) list.push({ bounds: box, label, index: -1 });
  return list;
}

/**
 * The smallest box around a place, as what was picked; the side that the place is close to, or the name that it lies on, comes first.
 * @param {Marked[]} boxes @param {number} x @param {number} y
 * @param {{reach?: number, labels?: (Box | null)[]}} [how] reach: how close, in source pixels; labels: where the name of each box stands
 * @returns {Pick}
 */
export function pickedAt(boxes, x, y, { reach = 0, labels = [] } = {}) {
  const area = (/** @type {Marked} */ { bounds: [x0, y0, x1, y1] }) => (x1 - x0) * (y1 - y0);
  const within = (/** @type {Box} */ [x0, y0, x1, y1]) => x >= x0 && x <= x1 && y >= y0 && y <= y1;
  const picked = (/** @type {Marked | undefined} */ hit, /** @type {BoxPart} */ part) => ({ x, y, box: hit?.index ?? -1, label: hit?.label ?? "", bounds: hit?.bounds ?? null, part });
  const named = boxes.find((_, i) => labels[i] && within(labels[i]));
  if (named) return picked(named, "class");
  const sides = boxes.flatMap((box) => sidesNear(box.bounds, x, y, reach).map((near) => ({ box, ...near }))).sort((a, b) => a.far - b.far);
  if (sides.length) return picked(sides[0].box, sides[0].side);
  return picked(boxes.filter(({ bounds }) => within(bounds)).sort((a, b) => area(a) - area(b))[0], "all");
}

/**
 * The sides of a box that a place is close to; of a small box the middle stays free, so that all of it can be picked.
 * @param {Box} bounds @param {number} x @param {number} y @param {number} reach
 * @returns {{side: BoxPart, far: number}[]}
 */
function sidesNear([x0, y0, x1, y1], x, y, reach) {
  const along = (/** @type {number} */ v, /** @type {number} */ from, /** @type {number} */ to) => v >= from - reach && v <= to + reach;
  const free = (/** @type {number} */ from, /** @type {number} */ to) => Math.min(reach, (to - from) / 4);
  const near = (/** @type {BoxPart} */ side, /** @type {number} */ inside, /** @type {number} */ most) => (inside >= -reach && inside <= most && reach > 0 ? [{ side, far: Math.abs(inside) }] : []);
  return [
    ...(along(y, y0, y1) ? [...near("left", x - x0, free(x0, x1)), ...near("right", x1 - x, free(x0, x1))] : []),
    ...(along(x, x0, x1) ? [...near("top", y - y0, free(y0, y1)), ...near("bottom", y1 - y, free(y0, y1))] : []),
  ];
}

/** Elements for boxes, in their order. @param {HTMLElement} layer @param {Marked[]} boxes */
export function boxElements(layer, boxes) {
  const nodes = boxes.map(({ label }, i) => {
    const node = make("div", `box hue-${i % HUES.length}`);
    if (label) node.append(make("span", "", label));
    return node;
  });
  layer.replaceChildren(...nodes);
  return nodes;
}

/** Mark what would be picked. @param {HTMLElement[]} nodes @param {Marked[]} boxes @param {Pick | null} pick */
export function aimAt(nodes, boxes, pick) {
  boxes.forEach(({ bounds }, i) => {
    const part = pick && pick.bounds === bounds && pick.part !== "all" ? pick.part : "";
    if (nodes[i].dataset.aim !== part) nodes[i].dataset.aim = part;
  });
}

/** Where boxes lie while a part of the picture is shown. @param {HTMLElement[]} nodes @param {Marked[]} boxes @param {Required<Part>} part */
export function placeBoxes(nodes, boxes, part) {
  boxes.forEach(({ bounds: [x0, y0, x1, y1] }, i) => {
    const node = nodes[i], left = (x0 - part.x) / part.w, top = (y0 - part.y) / part.h;
    node.style.left = `${100 * left}%`;
    node.style.top = `${100 * top}%`;
    node.style.width = `${(100 * (x1 - x0)) / part.w}%`;
    node.style.height = `${(100 * (y1 - y0)) / part.h}%`;
    node.firstElementChild?.classList.toggle("in", top < 0.05);
    node.firstElementChild?.classList.toggle("right", left > 0.7);
  });
}

/** @param {CanvasRenderingContext2D} context @param {Marked[]} boxes @param {(point: [number, number]) => [number, number]} place */
export function drawBoxes(context, boxes, place) {
  const { width, height } = context.canvas, line = Math.max(2, 0.003 * Math.sqrt(width * height)), px = Math.max(12, 0.022 * Math.sqrt(width * height));
  context.save();
  Object.assign(context, { font: `550 ${px}px system-ui, sans-serif`, textBaseline: "middle" });
  boxes.forEach(({ bounds: [x0, y0, x1, y1], label }, i) => {
    const [left, top] = place([x0, y0]), [right, bottom] = place([x1, y1]), colour = HUES[i % HUES.length];
    for (const [widthOf, style] of /** @type {[number, string][]} */ ([[line + 2, "rgb(15 23 42 / .75)"], [line, colour]])) {
      Object.assign(context, { lineWidth: widthOf, strokeStyle: style });
      context.strokeRect(left, top, right - left, bottom - top);
    }
    if (!label) return;
    const room = context.measureText(label).width + 0.8 * px, y = top > 1.5 * px ? top - 1.5 * px : top;
    const x = Math.max(0, Math.min(left - line / 2, width - room));
    context.fillStyle = colour;
    context.fillRect(x, y, room, 1.5 * px);
    context.fillStyle = "#0f172a";
    context.fillText(label, x + 0.4 * px, y + 0.75 * px);
  });
  context.restore();
}
