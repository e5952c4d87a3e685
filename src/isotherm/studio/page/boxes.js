/* Boxes that are drawn on a picture to show what to look for: as text, and as they are drawn, moved and made larger.
   Nothing here touches the page. A box is x0, y0, x1, y1 in pixels of the picture. */

/** @typedef {[number, number, number, number]} Box */
/** @typedef {{name: string, box: Box}} Example */
/** @typedef {{w: number, h: number}} Size */
/**
 * What of a box is taken hold of: letters of the sides that move (n, e, s, w), or "all" of it.
 * @typedef {string} Grip
 */

/** What things are called that are shown without a name, as isotherm.jobs.explain.like has it. */
export const ONE_KIND = "this";
/** The shortest side of a box, in pixels. */
export const LEAST = 4;

/**
 * The boxes in the text of the option `like`; what is none is left out.
 * @param {string} like
 * @returns {Example[]}
 */
export function examplesOf(like) {
  return like.split(";").flatMap((part) => {
    const at = part.lastIndexOf("=");
    const numbers = part.slice(at + 1).split(",").map(Number);
    if (numbers.length !== 4 || !numbers.every(Number.isFinite) || numbers[2] <= numbers[0] || numbers[3] <= numbers[1]) return [];
    return [{ name: part.slice(0, Math.max(at, 0)).trim() || ONE_KIND, box: /** @type {Box} */ (numbers) }];
  });
}

/**
 * The text of the option `like`.
 * @param {Example[]} examples
 */
export function likeOf(examples) {
  return examples.map(({ name, box }) => {
    const plain = plainName(name);
    return `${plain === ONE_KIND ? "" : `${plain}=`}${box.map((side) => Number(side.toFixed(1))).join(",")}`;
  }).join(";");
}

/** A name without what separates boxes. @param {string} name */
export function plainName(name) {
  return name.replace(/[;=]+/g, " ").trim() || ONE_KIND;
}

/**
 * The box between two corners, within the picture; null where it is too small to show anything.
 * @param {number} ax @param {number} ay @param {number} bx @param {number} by @param {Size} size
 * @returns {Box | null}
 */
export function between(ax, ay, bx, by, size) {
  const [x0, x1] = [ax, bx].map((x) => within(x, 0, size.w)).sort((a, b) => a - b);
  const [y0, y1] = [ay, by].map((y) => within(y, 0, size.h)).sort((a, b) => a - b);
  return x1 - x0 < LEAST || y1 - y0 < LEAST ? null : [x0, y0, x1, y1];
}

/**
 * A box that was taken hold of and moved: the sides of the grip follow, and stop at the picture's edge and at each other.
 * @param {Box} box @param {Grip} grip @param {number} dx @param {number} dy @param {Size} size
 * @returns {Box}
 */
export function dragged([x0, y0, x1, y1], grip, dx, dy, size) {
  if (grip === "all") {
    const sx = within(dx, -x0, size.w - x1), sy = within(dy, -y0, size.h - y1);
    return [x0 + sx, y0 + sy, x1 + sx, y1 + sy];
  }
  return [
    grip.includes("w") ? within(x0 + dx, 0, x1 - LEAST) : x0, grip.includes("n") ? within(y0 + dy, 0, y1 - LEAST) : y0,
    grip.includes("e") ? within(x1 + dx, x0 + LEAST, size.w) : x1, grip.includes("s") ? within(y1 + dy, y0 + LEAST, size.h) : y1,
  ];
}

/**
 * What of a box is at a place: sides within reach, all of it inside, null elsewhere.
 * @param {Box} box @param {number} x @param {number} y @param {number} reach in pixels of the picture
 * @returns {Grip | null}
 */
export function gripAt([x0, y0, x1, y1], x, y, reach) {
  if (x < x0 - reach || x > x1 + reach || y < y0 - reach || y > y1 + reach) return null;
  // of a small box the middle must stay free, so that it can be moved
  const rx = Math.min(reach, (x1 - x0) / 3), ry = Math.min(reach, (y1 - y0) / 3);
  const sides = (y < y0 + ry ? "n" : y > y1 - ry ? "s" : "") + (x < x0 + rx ? "w" : x > x1 - rx ? "e" : "");
  return sides || "all";
}

/**
 * The uppermost box at a place, and what of it; the last one lies above the others.
 * @param {Example[]} examples @param {number} x @param {number} y @param {number} reach
 * @returns {{index: number, grip: Grip} | null}
 */
export function hit(examples, x, y, reach) {
  for (let index = examples.length - 1; index >= 0; index--) {
    const grip = gripAt(examples[index].box, x, y, reach);
    if (grip) return { index, grip };
  }
  return null;
}

/**
 * A box for who has no pointer: in the middle, beside those that are there.
 * @param {Example[]} examples @param {Size} size
 * @returns {Box}
 */
export function placed(examples, size) {
  const w = Math.max(LEAST, size.w / 4), h = Math.max(LEAST, size.h / 4), step = (examples.length % 5) * Math.min(w, h) * 0.15;
  return dragged([(size.w - w) / 2, (size.h - h) / 2, (size.w + w) / 2, (size.h + h) / 2], "all", step, step, size);
}

/** @param {number} value @param {number} low @param {number} high */
function within(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
