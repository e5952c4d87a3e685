/* Pointer, wheel and keys of a stage. */

/** @import {Stage} from "./stage.js" */
/** @import {Point} from "./types.js" */

import { wholeView, zoomedAt } from "./view.js";

const CLICK = 5; // pixels of the screen that a click may move

/** @param {Stage} stage */
export function listenTo(stage) {
  const { root } = stage;
  /** @type {Map<number, PointerEvent>} pointers that are down, where they were last */
  const down = new Map();
  let moved = 0, pinched = false;

  const onTools = (/** @type {Event} */ event) => event.target instanceof Element && event.target.closest(".stage-tools, .stage-words") !== null;

  root.addEventListener("pointerdown", (event) => {
    if (onTools(event) || event.button !== 0) return;
    down.set(event.pointerId, event);
    if (down.size === 1) [moved, pinched] = [0, false];
    stage.point(stage.placeOf(event.clientX, event.clientY));
  });

  root.addEventListener("pointermove", (event) => {
    if (onTools(event)) return;
    const last = down.get(event.pointerId);
    if (!last) {
      stage.point(stage.placeOf(event.clientX, event.clientY));
      return;
    }
    moved += Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY);
    if (down.size === 2) pinch(stage, down, event);
    else if (stage.seen.scale > 1 && moved > CLICK) drag(stage, last, event);
    pinched ||= down.size === 2;
    down.set(event.pointerId, event);
    if (moved > CLICK && !root.hasPointerCapture(event.pointerId)) root.setPointerCapture(event.pointerId);
    stage.point(stage.placeOf(event.clientX, event.clientY));
  });

  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId) || event.type !== "pointerup" || moved > CLICK || pinched) return;
    const place = stage.placeOf(event.clientX, event.clientY);
    if (event.shiftKey) stage.pin(place);
    else stage.pick(place);
  };
  root.addEventListener("pointerup", up);
  root.addEventListener("pointercancel", up);
  root.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !down.size) stage.point(null);
  });

  root.addEventListener("wheel", (event) => {
    const meant = event.ctrlKey || event.metaKey || stage.options.wheel !== "focused" || document.activeElement === root;
    const out = event.deltaY > 0;
    if (!meant || (out && stage.seen.scale === 1 && !event.ctrlKey)) return; // then the page scrolls
    event.preventDefault();
    const notches = event.deltaY / (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 100 : 3);
    stage.zoom(-Math.max(-3, Math.min(3, notches)), stage.placeOf(event.clientX, event.clientY));
  }, { passive: false });

  root.addEventListener("keydown", (event) => {
    if (event.target !== root || event.ctrlKey || event.metaKey || event.altKey || !press(stage, event.key, event.shiftKey)) return;
    event.preventDefault();
  });
}

/** What a key does; false where it is none of ours. @param {Stage} stage @param {string} key @param {boolean} shift */
export function press(stage, key, shift) {
  const step = /** @type {Record<string, Point>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] })[key];
  const at = stage.cursor ?? /** @type {Point} */ ([stage.seen.x, stage.seen.y]);
  const within = (/** @type {number} */ v, /** @type {number} */ most) => Math.min(Math.max(v, 0), most);
  if (step) {
    const far = shift ? 10 : 1;
    stage.point([within(at[0] + far * step[0], stage.picture.w), within(at[1] + far * step[1], stage.picture.h)]);
  } else if (key === "+" || key === "=") stage.zoom(1);
  else if (key === "-" || key === "_") stage.zoom(-1);
  else if (key === "0") stage.view(wholeView(stage.picture));
  else if (key === "p" || key === "P") stage.pin(at);
  else if (key === "b" || key === "B") stage.nextBox(shift ? -1 : 1);
  else if (key === "Enter" || key === " ") stage.pick(at);
  else if (key === "Escape" && stage.cursor) stage.point(null);
  else return false;
  return true;
}

/** @param {Stage} stage @param {PointerEvent} last @param {PointerEvent} event */
function drag(stage, last, event) {
  const box = stage.base.getBoundingClientRect(), part = stage.part();
  stage.pan(((last.clientX - event.clientX) / box.width) * part.w, ((last.clientY - event.clientY) / box.height) * part.h);
}

/** @param {Stage} stage @param {Map<number, PointerEvent>} down @param {PointerEvent} event one of the two, moved */
function pinch(stage, down, event) {
  const [other] = [...down.values()].filter((pointer) => pointer.pointerId !== event.pointerId), last = down.get(event.pointerId);
  if (!other || !last) return;
  const before = Math.hypot(last.clientX - other.clientX, last.clientY - other.clientY);
  const after = Math.hypot(event.clientX - other.clientX, event.clientY - other.clientY);
  const middle = stage.placeOf((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
  if (before > 0) stage.view(zoomedAt(stage.seen, stage.picture, middle, after / before, stage.most()));
}
