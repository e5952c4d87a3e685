/* Values of maps as the studio sends them: little-endian float16 in units of each map's own, back to back. */

/**
 * @param {ArrayBuffer} buffer of all maps of a picture
 * @param {{h: number, w: number, unit: number, offset: number, bytes: number}[]} maps
 * @returns {any[]} the maps, each with its `values`; NaN where nothing was sent
 */
export function valuesOf(buffer, maps) {
  const table = halves();
  return maps.map((map) => {
    const values = new Float32Array(map.h * map.w).fill(NaN), there = Math.min(map.bytes, buffer.byteLength - map.offset) >> 1;
    if (there > 0) {
      const view = new DataView(buffer, map.offset, 2 * there);
      for (let i = 0; i < Math.min(there, values.length); i++) values[i] = table[view.getUint16(2 * i, true)] * map.unit;
    }
    return { ...map, values };
  });
}

/** What was sent as base64. @param {string} text @returns {ArrayBuffer} */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

/** Every float16 as a number, by its bits. @returns {Float32Array} */
function halves() {
  if (!numbers) {
    numbers = new Float32Array(1 << 16);
    for (let bits = 0; bits < numbers.length; bits++) {
      const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
      numbers[bits] = exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
    }
  }
  return numbers;
}
/** @type {Float32Array | undefined} */
let numbers;
