/* Making and finding parts of the page. Text is always text: nothing here reads a string as markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */
/**
 * Properties of an element: `class`, `text`, `on` (listeners by event), `css` (set one by one, as the content policy
 * wants it), attributes with a dash and those of ATTRIBUTES, and everything else as a property of the element.
 * @typedef {{class?: string, text?: string | number, on?: Record<string, (event: any) => void>, css?: Record<string, string>, [name: string]: any}} Props
 */

const ATTRIBUTES = new Set(["role", "for", "list", "href", "src", "download", "scope", "colspan", "accept", "viewBox", "d", "fill"]);

/**
 * An element with its properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  dress(node, props);
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) node.append(child instanceof Node ? child : String(child));
  return node;
}

/**
 * Set properties of an element, as `el` does.
 * @param {Element} node
 * @param {Props} props
 */
export function dress(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") node.setAttribute("class", value);
    else if (name === "text") node.textContent = String(value);
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, /** @type {EventListener} */ (listener));
    else if (name === "css") for (const [key, text] of Object.entries(value)) /** @type {HTMLElement} */ (node).style.setProperty(key, String(text));
    else if (name.includes("-") || ATTRIBUTES.has(name)) node.setAttribute(name, String(value));
    else Object.assign(node, { [name]: value });
  }
}

/**
 * The element of an id, which the page has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return node;
}

/**
 * Tell the user something, on the screen for a while and to screen readers.
 * @param {string} text
 */
export function say(text) {
  const node = byId("said");
  node.textContent = text;
  node.classList.add("fresh");
  clearTimeout(said);
  said = window.setTimeout(() => node.classList.remove("fresh"), 4000);
}
let said = 0;

/**
 * Tell the user what went wrong; it stays until it is closed.
 * @param {unknown} error
 */
export function fail(error) {
  if (error instanceof DOMException && error.name === "AbortError") return; // somebody went on before it came
  const text = error instanceof Error ? error.message : String(error);
  const close = el("button", { type: "button", class: "close", "aria-label": "Close this message", on: { click: () => note.remove() } }, "×");
  const note = el("div", { class: "failure" }, el("p", { text }), close);
  const all = byId("failed");
  for (const other of [...all.children]) if (other.textContent === note.textContent) other.remove();
  all.append(note);
  while (all.children.length > 3) all.firstElementChild?.remove();
}

/**
 * An event listener for work that may fail: what goes wrong is told, and a button waits meanwhile.
 * @template {Event} E
 * @param {(event: E) => Promise<unknown> | unknown} work
 * @returns {(event: E) => Promise<void>}
 */
export function doing(work) {
  return async (event) => {
    const button = event.currentTarget instanceof HTMLButtonElement ? event.currentTarget : null;
    if (button?.getAttribute("aria-busy") === "true") return;
    button?.setAttribute("aria-busy", "true"); // not disabled: that would lose the focus
    try {
      await work(event);
    } catch (error) {
      fail(error);
    } finally {
      button?.removeAttribute("aria-busy");
    }
  };
}

/**
 * Load one of the page's own style sheets that the first screen does not need; once.
 * @param {string} name such as "live.css"
 */
export function style(name) {
  const href = `/page/${name}`;
  if (![...document.styleSheets].some((sheet) => sheet.href?.endsWith(href)) && !document.querySelector(`link[href="${href}"]`))
    document.head.append(el("link", { rel: "stylesheet", href }));
}

/**
 * Open a dialog over the page. Escape and its button close it, and the focus goes back to where it was.
 * @param {string} title
 * @param {Node} content
 * @param {{closed?: () => void, wide?: boolean}} [how]
 * @returns {{close: () => void, root: HTMLDialogElement}}
 */
export function dialog(title, content, { closed, wide } = {}) {
  const before = document.activeElement;
  const name = `dialog-${(dialogs += 1)}`;
  const head = el("header", {}, el("h2", { id: name, text: title }), el("button", { type: "button", class: "close", "aria-label": "Close", on: { click: () => root.close() } }, "×"));
  const root = el("dialog", { class: wide ? "wide" : "", "aria-labelledby": name }, head, el("div", { class: "body" }, content));
  root.addEventListener("close", () => {
    raiseNotices(root);
    root.remove();
    closed?.();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  document.body.append(root);
  root.showModal();
  raiseNotices();
  return { close: () => root.close(), root };
}
let dialogs = 0;

/** Put what is told to the user into the topmost dialog, since all below it can be neither seen nor pressed. @param {Element} [but] that is closing */
function raiseNotices(but) {
  const open = [...document.querySelectorAll("dialog[open]")].filter((one) => one !== but);
  (open.at(-1) ?? document.body).append(byId("notices"));
}

/**
 * Ask before something that cannot be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} yes the words of the button that does it
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, yes) {
  return new Promise((resolve) => {
    let sure = false;
    const go = el("button", { type: "button", class: "danger", on: { click: () => { sure = true; box.close(); } } }, yes);
    const stay = el("button", { type: "button", class: "tool", on: { click: () => box.close() } }, "Keep it");
    const box = dialog(title, el("div", {}, el("p", { text }), el("div", { class: "row end" }, stay, go)), { closed: () => resolve(sure) });
    stay.focus();
  });
}

/**
 * Text to be copied, with the button that does it.
 * @param {string} text
 * @param {string} [name] what it is, for the button's name
 * @returns {HTMLDivElement}
 */
export function copyable(text, name = "text") {
  const program = text.includes("\n"); // its lines stay what they are, and are scrolled
  const code = el("code", { text, ...(program ? { class: "program", tabIndex: 0 } : {}) });
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy the ${name}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      say(`The ${name} was copied.`);
    } catch {
      getSelection()?.selectAllChildren(code); // without https the clipboard is closed to pages
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  return el("div", { class: "command" }, code, button);
}

/**
 * A form's field: its label and its control; technical words in them are explained by terms.js.
 * @param {string} label
 * @param {HTMLElement} control
 * @param {{hint?: string, name?: string, inline?: boolean}} [how]
 * @returns {HTMLDivElement}
 */
export function field(label, control, { hint, name, inline } = {}) {
  control.id ||= `field-${(fields += 1)}`;
  const below = hint ? el("p", { class: "hint", id: `${control.id}-hint`, text: hint }) : null;
  if (below) control.setAttribute("aria-describedby", below.id);
  if (inline) return el("div", { class: "field inline", "data-field": name ?? "" }, el("label", { class: "tick" }, control, el("span", { text: label })), below);
  const words = el("div", { class: "label" }, el("label", { for: control.id, text: label }));
  return el("div", { class: "field", "data-field": name ?? "" }, words, control, below);
}
let fields = 0;
