/* What the events of a run come to: a line, a share, an end. Nothing here touches the page. */

import { checkedText } from "./judged.js";

/**
 * @typedef {{status: string, line: string, share: number | null, place: number, items: number, error: string, notes: string[], doing: string, checked: string, ended: boolean}} Stage
 * share: how much is done, from 0 to 1; null where nobody knows. doing: the stage of the work that it is in. checked: what came of the check of the latest maps.
 */

/** @type {Stage} */
export const BEGUN = { status: "queued", line: "Waiting", share: null, place: 0, items: 0, error: "", notes: [], doing: "", checked: "", ended: false };

/**
 * A stage and an event -> the next stage.
 * @param {Stage} stage
 * @param {any} event as the studio sends them
 * @returns {Stage}
 */
export function next(stage, event) {
  if (stage.ended) return stage;
  switch (event.event) {
    case "queued":
      return { ...stage, status: "queued", place: event.place, line: event.place > 1 ? `Place ${event.place} in the queue` : "Next in the queue" };
    case "running":
      return { ...stage, status: "running", place: 0, line: "Opening the model", share: null };
    case "progress":
      return { ...stage, status: "running", doing: event.stage ?? "", line: lineOf(event), share: event.total ? Math.min(1, event.step / event.total) : null };
    case "message":
      return { ...stage, notes: event.kind === "result" ? stage.notes : [...stage.notes, event.text] };
    case "judged":
      return { ...stage, checked: checkedText(event.verdicts ?? []) };
    case "item":
      return { ...stage, items: stage.items + 1 };
    case "finished":
      return { ...stage, status: event.status ?? "finished", line: [event.status === "cancelled" ? "Cancelled; what was done is kept" : "Finished", stage.items < 2 && stage.checked].filter(Boolean).join("; "), share: 1, error: [...(event.failures ?? []), ...(event.unchecked ?? [])].join("\n"), ended: true };
    case "failed":
      return { ...stage, status: event.status ?? "failed", line: event.status === "cancelled" ? "Cancelled" : event.status === "interrupted" ? "Interrupted" : "It failed", error: event.status === "cancelled" ? "" : (event.error ?? ""), share: null, ended: true };
    default:
      return stage;
  }
}

/** @param {{step: number, total?: number | null, text?: string, stage?: string}} progress */
function lineOf({ step, total, text, stage }) {
  const what = stage ? stage[0].toUpperCase() + stage.slice(1) : "Working";
  const count = total && total > 1 ? `${step} of ${total}` : "";
  return [count ? `${what} ${count}` : what, text].filter(Boolean).join(": ");
}
