/* Each technical word is explained once, where it first appears on the page as it is now, in the order in which it is read:
   in running text the word itself is the button that shows what it means; on what is pressed already, a button beside it. */
import { el } from "./dom.js";
import { meaningIn, technicalWords } from "./glossary.js";

/** @typedef {{node: Text, start: number, end: number}} Place */

const WAIT_MS = 250; // after a change: what is drawn anew in between needs no words yet
const LATEST_MS = 150; // as browsers see no rest for seconds while a page with a thousand names of classes settles
/** What the page does not say itself (names, labels, code), and what comes and goes. */
const LEFT = "[translate=no], [role=status], [role=alert], [aria-live], code, textarea, svg, script, style, noscript, .work, .what";
/** Inside of these no button may stand. */
const PRESSED = "label, button:not(.term-word), a, select, summary, legend, caption, th, h1, h2, h3, [role=treeitem]";
const LISTS = "ul, ol, table";

/** The first place of each technical word that can be seen; an open explanation lies over the page, and is read after it. @param {Element} root @returns {Map<string, Place>} */
export function firstPlaces(root) {
  const first = /** @type {Map<string, Place>} */ (new Map()), over = /** @type {Map<string, Place>} */ (new Map()), walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = /** @type {Text} */ (walker.currentNode), parent = node.parentElement;
    const found = technicalWords(node.data).filter(({ word }) => !first.has(word));
    if (!found.length || !parent || parent.closest(LEFT)) continue;
    if (!(parent.closest("select") ?? parent).checkVisibility({ visibilityProperty: true })) continue;
    const places = parent.closest(".term") ? over : first;
    for (const { word, start, end } of found) if (!places.has(word)) places.set(word, { node, start, end });
  }
  return new Map([...over, ...first]);
}

/** Where the button stands that explains words of something that is pressed. @param {Element} pressed @returns {{anchor: Element, how: "in" | "after" | "before"}} */
function besideOf(pressed) {
  const list = pressed.closest(LISTS);
  if (list) return { anchor: list, how: "before" };
  if (pressed.matches("legend")) return { anchor: pressed, how: "in" };
  const field = pressed.closest(".tick") ? null : pressed.closest(".field");
  if (pressed.matches("summary") && !field) return { anchor: /** @type {Element} */ (pressed.parentElement), how: "before" };
  return { anchor: field?.querySelector(":scope > .label > :first-child") ?? pressed.closest(".tick") ?? pressed, how: "after" };
}

let terms = 0;
/** What each button shows. @type {WeakMap<Element, HTMLElement>} */
const notes = new WeakMap();

/** A button, and what it shows: over the page, so that nothing moves. @param {Record<string, any>} props @param {() => string[]} words @returns {HTMLButtonElement} */
function explaining(props, words) {
  const note = el("span", { class: "term", id: `term-${(terms += 1)}`, popover: "auto" });
  const button = el("button", { type: "button", ...props });
  notes.set(button, note);
  button.popoverTargetElement = note;
  note.addEventListener("beforetoggle", (event) => {
    const opens = /** @type {ToggleEvent} */ (event).newState === "open"; // while it is closed its text is nowhere on the page
    note.replaceChildren(...(opens ? words().map((word) => el("span", { class: "meaning" }, el("b", { translate: false, text: word }), `: ${meaningIn(word)}`)) : []));
  });
  note.addEventListener("toggle", () => { if (note.matches(":popover-open")) placeBelow(note, button); });
  return button;
}

/** @param {HTMLElement} note @param {Element} button */
function placeBelow(note, button) {
  const { left, top, bottom } = button.getBoundingClientRect(), { width, height } = note.getBoundingClientRect(), edge = 8;
  const below = bottom + edge + height <= innerHeight;
  note.style.left = `${Math.max(edge, Math.min(left - 12, document.documentElement.clientWidth - width - edge))}px`;
  note.style.top = `${Math.max(edge, below ? bottom + 6 : top - height - 6)}px`;
}

/** Whether somebody is reading what a button shows, or is about to. @param {Element} button */
function inUse(button) {
  return button === document.activeElement || Boolean(notes.get(button)?.matches(":popover-open"));
}

/** Keeps the explanations of a page where their words appear first. */
export class Terms {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {Map<Element, HTMLButtonElement>} buttons beside what is pressed, by what they stand at */
    this.beside = new Map();
    this.timer = 0;
    this.observer = new MutationObserver((changes) => {
      const places = changes.map(({ target }) => (target instanceof Element ? target : target.parentElement));
      if (places.some((place) => place?.closest("form"))) this.mark(); // before it is painted: somebody is looking there
      else if (places.some((place) => !place?.closest(LEFT))) this.soon();
    });
    this.mark();
  }

  /** Look again when the page has come to rest. */
  soon() {
    if (this.timer) return;
    this.timer = window.setTimeout(() => {
      const look = () => { this.timer = 0; this.mark(); };
      if ("requestIdleCallback" in window) requestIdleCallback(look, { timeout: LATEST_MS });
      else look();
    }, WAIT_MS);
  }

  /** Put every explanation where its word appears first. */
  mark() {
    this.observer.disconnect();
    let first = firstPlaces(this.root);
    if (this.unmark(first)) first = firstPlaces(this.root);
    for (const word of this.kept()) first.delete(word);
    /** @type {Map<Element, {how: "in" | "after" | "before", words: string[]}>} */
    const wanted = new Map();
    /** @type {[string, Place][]} */
    const inText = [];
    for (const [word, place] of first) {
      const pressed = place.node.parentElement?.closest(PRESSED);
      if (!pressed) {
        inText.push([word, place]);
        continue;
      }
      const { anchor, how } = besideOf(pressed);
      wanted.set(anchor, { how, words: [...(wanted.get(anchor)?.words ?? []), word] });
    }
    this.markBeside(wanted);
    for (const [word, place] of inText.reverse()) this.markWord(word, place); // from the end, so that the places before stay what they are
    this.observer.observe(this.root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["hidden", "open"] });
  }

  /** Words whose button is in use or right already. */
  kept() {
    return [...this.root.querySelectorAll(".term-word")].map((button) => /** @type {HTMLElement} */ (button).dataset.word ?? "");
  }

  /** Make plain text again of words that are explained elsewhere by now; whether there were any. @param {Map<string, Place>} first */
  unmark(first) {
    const old = [...this.root.querySelectorAll(".term-word")].filter((button) => first.get(/** @type {HTMLElement} */ (button).dataset.word ?? "")?.node.parentElement !== button && !inUse(button));
    for (const button of old) {
      const parent = /** @type {Element} */ (button.parentElement);
      notes.get(button)?.remove();
      button.replaceWith(...button.childNodes);
      parent.normalize();
    }
    return old.length > 0;
  }

  /** @param {string} word @param {Place} place */
  markWord(word, { node, start, end }) {
    const text = node.splitText(start);
    text.splitText(end - start);
    const button = explaining({ class: "term-word", "data-word": word, "aria-label": `What is meant by ${text.data}?`, title: meaningIn(word) }, () => [word]);
    text.replaceWith(button);
    button.append(text);
    button.after(/** @type {Element} */ (notes.get(button)));
  }

  /** @param {Map<Element, {how: "in" | "after" | "before", words: string[]}>} wanted */
  markBeside(wanted) {
    for (const [anchor, button] of this.beside) {
      if (button.isConnected && (wanted.has(anchor) || inUse(button))) continue;
      notes.get(button)?.remove();
      button.remove();
      this.beside.delete(anchor);
    }
    for (const [anchor, { how, words }] of wanted) {
      let button = this.beside.get(anchor);
      if (!button) {
        const made = explaining({ class: "what" }, () => (made.dataset.words ?? "").split("|"));
        button = made;
        this.beside.set(anchor, button);
        const both = [button, /** @type {Element} */ (notes.get(button))];
        if (how === "in") anchor.append(...both);
        else anchor[how](...both);
      }
      if (button.dataset.words === words.join("|")) continue;
      const question = `What is meant by ${words.join(", ").replace(/, ([^,]*)$/, " and $1")}?`;
      button.dataset.words = words.join("|");
      button.setAttribute("aria-label", question);
      button.title = words.map(meaningIn).join("\n");
      button.classList.toggle("line", how === "before");
      button.textContent = how === "before" ? question : "?";
    }
  }
}
