/* The verdict of a map as a small badge. */
import { el } from "./dom.js";
import { CHECKING, whyNotJudged } from "./judged.js";
import { verdictTone } from "./names.js";

/**
 * A map's verdict; of a map that has none, that it is being checked, or was not judged, and why.
 * @param {{verdict?: string | null, checking?: boolean}} map
 * @param {{verdict?: string | null, checking?: boolean}[]} beside the maps that it is shown with
 */
export function badgeOf({ verdict, checking }, beside) {
  if (checking) return el("span", { class: "verdict", text: CHECKING });
  return el("span", { class: `verdict ${verdictTone(verdict)}`, text: verdict ?? "not judged", title: verdict ? "" : whyNotJudged(beside) });
}
