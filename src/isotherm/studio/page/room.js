/* When as many runs wait as may wait: says when there is room, and tries again by itself if that is wished. */
import { dialog, el } from "./dom.js";

/**
 * @param {import("./api.js").ApiError} error the refusal, with its seconds
 * @param {string} title of what was asked for
 * @returns {Promise<boolean>} true when it is time to try again, false where that is not wished
 */
export function waitForRoom(error, title) {
  return new Promise((resolve) => {
    let left = Math.max(1, error.retrySeconds), again = false, timer = 0;
    const line = el("p", { role: "status" });
    const draw = () => { line.textContent = timer ? `Trying again in ${left} s.` : `There is likely room in about ${left} s.`; };
    const go = el("button", { type: "button", class: "go", on: { click: () => {
      if (timer) return;
      go.remove();
      timer = window.setInterval(() => {
        left -= 1;
        if (left > 0) return draw();
        again = true;
        box.close();
      }, 1000);
      draw();
    } } }, "Try again by itself");
    const stop = el("button", { type: "button", class: "tool", on: { click: () => box.close() } }, "Leave it");
    const box = dialog("The queue is full", el("div", {}, el("p", { text: `${title}: ${error.message}.` }), line, el("div", { class: "row end" }, stop, go)), { closed: () => { clearInterval(timer); resolve(again); } });
    draw();
    go.focus();
  });
}
