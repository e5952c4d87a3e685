"use strict";
/* What a style draws over a coloured map, as isotherm.draw.marks does: lines of equal value, the peak, the edge of what the
   model saw. `over` is a canvas's context; what is drawn into `tint` changes colours only, since the page blends it so. */
const Marks = (() => {
  const LIGHT = "rgb(255 255 255)", DARK = "rgb(17 24 39)", GREY = "rgb(128 128 128)", AGAINST = "rgb(45 212 160)", PEAK = "rgb(0 70 255)";

  function stroke(context, lines, width, colour, opacity = 1, dash = []) {
    context.save();
    Object.assign(context, { lineWidth: width, strokeStyle: colour, globalAlpha: opacity, lineJoin: "round", lineCap: "butt" });
    context.setLineDash(dash);
    context.beginPath();
    for (const line of lines) line.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
    context.restore();
  }

  /* A line over colours: only the half-maximum's stands out, and none hides what is inside of it. */
  function isoline(over, tint, lines, share, width, k) {
    if (share === 0.5) {
      stroke(over, lines.map((l) => Contours.outward(l, 1.25 * width + k.clear)), 0.7 * width, DARK, 0.8);
      stroke(over, lines.map((l) => Contours.outward(l, 0.5 * width + k.clear)), width, LIGHT);
    } else if (share < 0.5) {
      const outer = lines.map((l) => Contours.outward(l, 0.45 * width + k.clear));
      stroke(over, outer, 0.9 * width, DARK, 0.35);
      stroke(over, outer, 0.4 * width, LIGHT, 0.7);
    } else stroke(tint, lines, 0.6 * width, GREY);
  }

  /* A line without colours below it, so it has that of its own value. */
  function coloured(over, lines, share, width, rgb) {
    const core = share === 0.5 ? width : 0.6 * width;
    stroke(over, lines, core + 0.7 * width, DARK, 0.7);
    stroke(over, lines, core, share === 0.5 ? LIGHT : `rgb(${rgb.join(" ")})`);
  }

  /* Where the largest cell's centre lies in source pixels; null where no single cell is the largest on the scale. */
  function peakOf(field, scale) {
    let top = -Infinity, at = -1, count = 0;
    field.values.forEach((raw, i) => {
      const value = Math.min(raw, scale.high);
      if (value > top) [top, at, count] = [value, i, 1];
      else if (value === top) count++;
    });
    if (count !== 1) return null;
    return { value: top, place: toSource(field, (at % field.w) + 0.5, Math.floor(at / field.w) + 0.5) };
  }

  /* Cells -> source pixels: the affine map of the field, solved for its other side. */
  function toSource(field, x, y) {
    const [a, b, c, d, e, f] = field.m, det = a * e - b * d;
    return [(e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det];
  }

  function circle(x, y, radius) {
    return Array.from({ length: 49 }, (_, i) => [x + radius * Math.cos((i * Math.PI) / 24), y + radius * Math.sin((i * Math.PI) / 24)]);
  }

  function edge(over, field, source, size, width) {
    const [x0, y0, x1, y1] = field.limits;
    const corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]].map(([x, y]) => {
      const [sx, sy] = toSource(field, x, y);
      return [(sx * size.w) / source.w, (sy * size.h) / source.h];
    });
    const outer = (a, b, i, far) => (a[i] <= 0.5 && b[i] <= 0.5) || (a[i] >= far - 0.5 && b[i] >= far - 0.5);
    for (let i = 0; i < 4; i++) {
      const a = corners[i], b = corners[i + 1];
      if (outer(a, b, 0, size.w) || outer(a, b, 1, size.h)) continue;
      stroke(over, [[a, b]], 0.8 * width, DARK, 0.35, [2 * width, 2 * width]);
      stroke(over, [[a, b]], 0.4 * width, LIGHT, 0.6, [2 * width, 2 * width]);
    }
  }

  /* As draw_marks. field and samples are of one map; ink of the style and scale; k: {clear, line}. */
  function draw({ over, tint }, { field, source, samples, scale, signed, style, ink, k }) {
    const size = { h: over.canvas.height, w: over.canvas.width };
    for (const context of [over, tint]) context.clearRect(0, 0, size.w, size.h);
    if (Ink.isEmpty(scale)) return;
    const width = Math.max(1.5, k.line * Math.sqrt(size.h * size.w));
    if (style.unseen) edge(over, field, source, size, width);
    if (signed && style.negative !== "none" && scale.low < 0) {
      const lines = Contours.lines(samples(), -Ink.valueAt(0.5, scale, true), true), dash = [3.5 * width, 2.5 * width];
      stroke(over, lines, 1.3 * width, DARK, 0.55, dash);
      stroke(over, lines, 0.7 * width, AGAINST, 1, dash);
    }
    for (const share of style.lines) {
      const level = Ink.valueAt(share, scale, signed), lines = Contours.lines(samples(), level);
      if (style.opacity) isoline(over, tint, lines, share, width, k);
      else coloured(over, lines, share, width, Ink.colourAt(level, ink, scale));
      if (style.labels && lines.length) label(over, lines.reduce((a, b) => (b.length > a.length ? b : a)), `${Math.round(100 * share)} %`, size);
    }
    const peak = style.peak ? peakOf(field, scale) : null;
    if (!peak || peak.value < Ink.valueAt(0.1, scale, signed)) return;
    const radius = 3.2 * width, within = (v, far) => Math.min(Math.max(v, radius), far - radius);
    const x = within((peak.place[0] * size.w) / source.w, size.w), y = within((peak.place[1] * size.h) / source.h, size.h);
    const rings = [circle(x, y, radius), circle(x, y, 0.5 * width)];
    if (style.opacity) stroke(tint, rings, 1.4 * width, PEAK);
    else { stroke(over, rings, 1.5 * width, DARK); stroke(over, rings, 0.8 * width, LIGHT); }
  }

  /* A share in small letters on its line, at the place that is farthest from the border. */
  function label(over, line, text, size) {
    const room = ([x, y]) => Math.min(x, y, size.w - x, size.h - y);
    const [x, y] = line.reduce((a, b) => (room(b) > room(a) ? b : a));
    const px = Math.max(11, 0.026 * Math.sqrt(size.w * size.h));
    over.save();
    Object.assign(over, { font: `${px}px sans-serif`, textAlign: "center", textBaseline: "middle", lineWidth: px / 3.5, strokeStyle: DARK, fillStyle: LIGHT, lineJoin: "round" });
    over.strokeText(text, x, y);
    over.fillText(text, x, y);
    over.restore();
  }

  return { draw, peakOf };
})();
if (typeof module !== "undefined") module.exports = Marks;
