"use strict";
/* Lines of equal value, as isotherm.draw.lines has them: closed lines, with what they enclose on their right as the
   page is seen. No function here touches the page. */
const Contours = (() => {
  const MOST_SAMPLES = 400; // along the longer side: between cells a map is bilinear, more would show nothing more

  /* A map sampled over its whole source. size: {h, w} of the canvas in whose pixels lines come. */
  function samples(field, source, scale, size) {
    const factor = Math.min(1, MOST_SAMPLES / Math.max(size.h, size.w));
    const h = Math.max(2, Math.round(size.h * factor)), w = Math.max(2, Math.round(size.w * factor));
    return { h, w, size, values: Field.edges(field, h, w, source, scale), known: Field.raster(field, h, w, source, scale) };
  }

  /* The closed lines around everything that is at least `level` (below: at most), each a list of [x, y]. */
  function lines(of, level, below = false) {
    const { h, w, size } = of, width = w + 2, sign = below ? -1 : 1, at = sign * level;
    const z = new Float64Array((h + 2) * width);
    for (let r = 0, k = 0; r < h + 2; r++) {
      for (let c = 0; c < width; c++, k++) {
        const i = clamp(r - 1, h - 1) * w + clamp(c - 1, w - 1), value = sign * of.values[i];
        const inner = r > 0 && c > 0 && r <= h && c <= w && of.known[i] === of.known[i];
        // mirrored at the level outside of what is known, so that the line stands half-way between the samples
        z[k] = inner ? value : value !== value ? at - 1 : Math.min(value, 2 * at - value);
      }
    }
    return follow(segments(z, h + 2, width, at)).map((line) =>
      line.map(([x, y]) => [Math.min(Math.max(((x - 0.5) * size.w) / w, 0), size.w), Math.min(Math.max(((y - 0.5) * size.h) / h, 0), size.h)]));
  }

  function clamp(value, high) {
    return Math.min(Math.max(value, 0), high);
  }

  /* Marching squares. Sides of squares are numbered: 2 k is the side from sample k to the one on its right, 2 k + 1 to the one
     below. From each side that a line leaves to the next one: side -> [next side, place on this side]. */
  function segments(z, h, w, at) {
    const next = new Map();
    const place = (k, other) => {
      const t = z[other] === z[k] ? 0.5 : (at - z[k]) / (z[other] - z[k]);
      const x = k % w, y = Math.floor(k / w);
      return other === k + 1 ? [x + t, y] : [x, y + t];
    };
    for (let r = 0; r + 1 < h; r++) {
      for (let c = 0; c + 1 < w; c++) {
        const k = r * w + c, corners = [k, k + 1, k + w + 1, k + w];
        const inside = corners.map((i) => z[i] >= at);
        const count = inside[0] + inside[1] + inside[2] + inside[3];
        if (count === 0 || count === 4) continue;
        const sides = [2 * k, 2 * (k + 1) + 1, 2 * (k + w), 2 * k + 1];
        const ends = [[k, k + 1], [k + 1, k + w + 1], [k + w, k + w + 1], [k, k + w]];
        const leaves = [0, 1, 2, 3].filter((i) => inside[i] && !inside[(i + 1) % 4]);
        const enters = [0, 1, 2, 3].filter((i) => !inside[i] && inside[(i + 1) % 4]);
        const joined = leaves.length === 2 && (z[k] + z[k + 1] + z[k + w] + z[k + w + 1]) / 4 >= at;
        for (const from of leaves) {
          // where two corners face each other, what lies between decides which sides belong together
          const to = leaves.length === 1 ? enters[0] : (from + (joined ? 1 : 3)) % 4;
          next.set(sides[from], [sides[to], place(...ends[from])]);
        }
      }
    }
    return next;
  }

  function follow(next) {
    const found = [];
    while (next.size) {
      const line = [];
      let side = next.keys().next().value;
      while (next.has(side)) {
        const [to, point] = next.get(side);
        next.delete(side);
        line.push(point);
        side = to;
      }
      if (line.length > 1) found.push([...line, line[0]]);
    }
    return found;
  }

  /* The closed line moved away from what it encloses, by so many pixels. */
  function outward(line, distance) {
    const n = line.length - 1, moved = [];
    for (let i = 0; i < n; i++) {
      const a = line[(i + n - 1) % n], b = line[(i + 1) % n], dx = b[0] - a[0], dy = b[1] - a[1], size = Math.hypot(dx, dy) || 1;
      moved.push([line[i][0] + (distance * dy) / size, line[i][1] - (distance * dx) / size]);
    }
    return [...moved, moved[0]];
  }

  return { samples, lines, outward };
})();
if (typeof module !== "undefined") module.exports = Contours;
