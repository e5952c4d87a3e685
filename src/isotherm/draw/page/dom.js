/* Elements, found and made. */

/** @template {HTMLElement} T @param {string} selector @param {ParentNode} [root] @returns {T} */
export function find(selector, root = document) {
  const node = root.querySelector(selector);
  if (!node) throw new Error(`the page has no ${selector}`);
  return /** @type {T} */ (node);
}

/** @template {HTMLElement} T @param {string} selector @param {ParentNode} [root] @returns {T[]} */
export function findAll(selector, root = document) {
  return /** @type {T[]} */ ([...root.querySelectorAll(selector)]);
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {string} [className] @param {string} [text] @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** A button that is no form's. @param {string} text @param {string} className @param {() => void} act @param {string} [label] what it does, where its text is a sign */
export function makeButton(text, className, act, label) {
  const button = make("button", className, text);
  button.type = "button";
  if (label) {
    button.ariaLabel = label;
    button.title = label;
  }
  button.addEventListener("click", act);
  return button;
}

/** @param {HTMLCanvasElement | OffscreenCanvas} canvas @param {CanvasRenderingContext2DSettings} [how] */
export function contextOf(canvas, how) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", how));
}
