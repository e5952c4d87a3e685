/* What is said of a picture that has no map. Nothing here touches the page. */

const SCENES = ["scenes", "detector", "tiny-vlm"]; // families of models that learned from generated scenes alone

/**
 * Why a picture has no map, as far as its model tells, and what to try.
 * @param {{kind?: string, family?: string} | undefined} model
 */
export function nothingText(model) {
  const found = model?.kind === "detector" || model?.kind === "segmenter" ? "The detector found nothing here." : "There is no map of this picture.";
  return SCENES.includes(model?.family ?? "") ? `${found} It knows generated scenes: try the sample Scene 1.` : found;
}
