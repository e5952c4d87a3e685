/* The colour bar below a picture, with the place of the value under the cursor. */

import { contextOf, make } from "./dom.js";
import { clamp, numberText } from "./field.js";
import { isEmpty, valueAt } from "./ink.js";

/** @import {Drawn} from "./drawn.js" */
/** @import {Scale} from "./types.js" */

export class Bar {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.ramp = make("canvas", "ramp");
    this.ticks = make("div", "ticks");
    this.needle = make("div", "needle");
    this.low = make("span", "low num");
    this.middle = make("span", "mid num");
    this.high = make("span", "high num");
    root.replaceChildren(this.ramp, this.ticks, this.needle, this.low, this.middle, this.high);
    this.needle.hidden = true;
    /** @type {Scale} */
    this.scale = { low: 0, high: 0 };
  }

  /** @param {Drawn} drawn with a style without a picture */
  show({ scale, style, ink, signed }) {
    this.scale = scale;
    this.ramp.width = ink.count;
    this.ramp.height = 1;
    const image = contextOf(this.ramp).createImageData(ink.count, 1);
    for (let i = 0; i < ink.count; i++) image.data.set([...ink.colour.subarray(3 * i + 3, 3 * i + 6), Math.round(255 * ink.alpha[i + 1])], 4 * i);
    contextOf(this.ramp).putImageData(image, 0, 0);
    const empty = isEmpty(scale);
    this.root.classList.toggle("empty", empty);
    this.low.textContent = empty ? "no scale" : (scale.beyond ? "≤ " : "") + numberText(scale.low);
    this.middle.textContent = empty ? "nothing is drawn" : numberText((scale.low + scale.high) / 2);
    this.high.textContent = empty ? "" : numberText(scale.high);
    this.ticks.replaceChildren(...(empty ? [] : style.lines).map((share) => {
      const tick = make("i", share === 0.5 ? "half" : "");
      tick.style.left = `${(100 * (valueAt(share, scale, signed) - scale.low)) / (scale.high - scale.low)}%`;
      return tick;
    }));
  }

  /** Mark a value; NaN: none. @param {number} value */
  point(value) {
    this.needle.hidden = Number.isNaN(value) || isEmpty(this.scale);
    if (!this.needle.hidden) this.needle.style.left = `${100 * clamp((value - this.scale.low) / (this.scale.high - this.scale.low), 0, 1)}%`;
  }
}
