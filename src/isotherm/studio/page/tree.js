/* Layers as the studio sends them -> rows of a tree. Nothing here touches the page. */

/**
 * shape: channels, height, width of what comes out; null where it is no field of cells.
 * @typedef {{name: string, type: string, shape: number[] | null, automatic: boolean, why: string, children: Layer[]}} Layer
 */
/**
 * level: from 1; index: among its siblings; short: its name within its parent.
 * @typedef {{layer: Layer, level: number, index: number, count: number, short: string}} Row
 */

/**
 * The rows that are seen, each parent before its children.
 * @param {Layer[]} layers
 * @param {(layer: Layer) => boolean} open whether a layer's children are seen
 * @param {number} [level]
 * @param {string} [parent]
 * @returns {Row[]}
 */
export function flat(layers, open, level = 1, parent = "") {
  return layers.flatMap((layer, index) => {
    const short = parent && layer.name.startsWith(`${parent}.`) ? layer.name.slice(parent.length + 1) : layer.name;
    return [{ layer, level, index, count: layers.length, short }, ...(open(layer) ? flat(layer.children, open, level + 1, layer.name) : [])];
  });
}

/** @param {number[] | null} shape */
export function shapeText(shape) {
  return shape ? shape.join(" × ") : "";
}
