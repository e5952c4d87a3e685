/* Readings that were pinned: what the map says at places of the picture, as a table that can be copied. */
import { numberText } from "../../draw/page/stage.js";
import { el, say } from "./dom.js";

/** @typedef {import("../../draw/page/types.js").Reading} Reading */

/** Readings as lines with commas, for a spreadsheet; full precision. @param {Reading[]} pins @param {string} label of the map */
export function csvOf(pins, label) {
  const cell = (/** @type {number | string} */ value) => (typeof value === "string" && /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value));
  const lines = pins.map(({ x, y, value, column, row }, i) => [i + 1, label, Number.isNaN(value) ? "" : value, x, y, column, row].map(cell).join(","));
  return ["pin,map,value,x_px,y_px,cell_column,cell_row", ...lines].join("\n") + "\n";
}

/**
 * Show the pinned readings of a stage.
 * @param {HTMLElement} root @param {import("../../draw/page/stage.js").Stage} stage @param {() => Promise<void>} changed
 */
export function showPins(root, stage, changed) {
  const { pins } = stage;
  root.hidden = !pins.length;
  const remove = (/** @type {number} */ i) => async () => {
    stage.unpin(i);
    await changed(); // which draws the buttons anew: the focus goes to one of these
    /** @type {HTMLElement} */ (root.querySelectorAll("tbody button")[Math.min(i, stage.pins.length - 1)] ?? stage.root).focus();
  };
  const rows = pins.map(({ x, y, value, column, row, inside }, i) => el("tr", {}, el("th", { scope: "row", text: String(i + 1) }),
    el("td", { class: "num", text: numberText(value) }), el("td", { class: "num", text: `${x.toFixed(1)}, ${y.toFixed(1)}` }), el("td", { class: "num", text: inside ? `${column}, ${row}` : "none" }),
    el("td", {}, el("button", { type: "button", class: "close", "aria-label": `Remove reading ${i + 1}`, on: { click: remove(i) } }, "×"))));
  const copy = el("button", { type: "button", class: "tool", on: { click: () => copyText(csvOf(pins, stage.map?.label ?? "")) } }, "Copy as CSV");
  const clear = el("button", { type: "button", class: "tool", on: { click: () => { stage.unpin(); void changed(); stage.root.focus(); } } }, "Remove all");
  root.replaceChildren(el("table", {}, el("caption", { text: "Pinned readings" }),
    el("thead", {}, el("tr", {}, ...["Pin", "Value", "x, y in pixels", "Cell"].map((text) => el("th", { scope: "col", text })), el("td", {}))), el("tbody", {}, ...rows)),
    el("div", { class: "row" }, copy, clear));
}

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("The readings were copied.");
  } catch {
    const area = el("textarea", { value: text, class: "away", "aria-hidden": "true" });
    document.body.append(area);
    area.select();
    say(document.execCommand("copy") ? "The readings were copied." : "The browser keeps the clipboard closed; mark the table and copy it.");
    area.remove();
  }
}
