/* Layers as the studio sends them -> rows of a tree. Nothing here touches the page. */

/**
 * shape: channels, height, width of what comes out; null where it is no field of cells.
 * @typedef {{name: string, type: string, shape: number[] | null, automatic: boolean, why: string, children: Layer[]}} Layer
 */
/** @typedef {{layer: Layer, level: number, index: number, count: number}} Row level from 1; index among its siblings */

/**
 * The rows that are seen, each parent before its children.
 * @param {Layer[]} layers
 * @param {(layer: Layer) => boolean} open whether a layer's children are seen
 * @param {number} [level]
 * @returns {Row[]}
 */
export function flat(layers, open, level = 1) {
  return layers.flatMap((layer, index) => [{ layer, level, index, count: layers.length }, ...(open(layer) ? flat(layer.children, open, level + 1) : [])]);
}

/** @param {number[] | null} shape */
export function shapeText(shape) {
  return shape ? shape.join(" × ") : "";
}
