/* What a map says under the cursor, in words below it and on its colour bar. */

import { make } from "./dom.js";
import { numberText } from "./field.js";

/** @import {Bar} from "./bar.js" */
/** @import {Reading} from "./types.js" */

/** @param {HTMLElement} out @param {Reading | null} reading @param {Bar} bar */
export function showReading(out, reading, bar) {
  bar.point(reading ? reading.value : NaN);
  if (!reading) {
    out.textContent = "Point at the picture to read values; arrow keys move the point.";
    return;
  }
  const { x, y, value, column, row } = reading;
  const facts = [["value", numberText(value)], ["x, y", `${x.toFixed(1)}, ${y.toFixed(1)} px`]];
  if (!Number.isNaN(value)) facts.push(["cell", `${column}, ${row}`]);
  out.replaceChildren(...facts.map(([name, text]) => {
    const span = make("span");
    span.append(make("b", "", name), text);
    return span;
  }));
}
