/* The verdict of a map as a small badge. */
import { el } from "./dom.js";
import { whyNotJudged } from "./judged.js";
import { verdictTone } from "./names.js";

/**
 * A map's verdict; of a map that has none, that it was not judged, and why.
 * @param {{verdict?: string | null}} map
 * @param {{verdict?: string | null}[]} beside the maps that it is shown with
 */
export function badgeOf({ verdict }, beside) {
  return el("span", { class: `verdict ${verdictTone(verdict)}`, text: verdict ?? "not judged", title: verdict ? "" : whyNotJudged(beside) });
}
