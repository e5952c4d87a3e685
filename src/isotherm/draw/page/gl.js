/* Painting with WebGL2: values go to the graphics chip as single-precision numbers, are interpolated there, over the cells
   that have a value, and are coloured after that. The same pixels as those of the canvas (levels.js and mix.js do the same
   operations in the same precision); a chip that joins a product and a sum into one may round a level the other way.

   One context serves all pictures of a page, since a browser allows few of them. */

import { levelsOf } from "./levels.js";

/** @import {Renderer, Sheet} from "./canvas.js" */
/** @import {Axis, Layout} from "./levels.js" */
/** @import {MixTable} from "./mix.js" */
/** @import {Size} from "./types.js" */

const CORNERS = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const LEVELS = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D cells;  // value in units of levels, whether there is one
uniform highp sampler2D xs;     // of each column: low cell, share of the next, nearest cell, whether the map speaks
uniform highp sampler2D ys;
uniform ivec2 next;
uniform float count;
uniform bool masked;
out uint level;
void main() {
  vec4 x = texelFetch(xs, ivec2(gl_FragCoord.x, 0), 0), y = texelFetch(ys, ivec2(gl_FragCoord.y, 0), 0);
  level = 0u;
  if (x.w == 0.0 || y.w == 0.0) return;
  ivec2 low = ivec2(x.x, y.x);
  vec2 a = texelFetch(cells, low, 0).xy, b = texelFetch(cells, low + ivec2(next.x, 0), 0).xy;
  vec2 d = texelFetch(cells, low + ivec2(0, next.y), 0).xy, e = texelFetch(cells, low + next, 0).xy;
  float value;
  if (masked) {
    if (texelFetch(cells, ivec2(x.z, y.z), 0).y == 0.0) return;
    float fx = x.y, gx = 1.0 - fx, fy = y.y, gy = 1.0 - fy;
    float wa = gx * gy * a.y, wb = fx * gy * b.y, wd = gx * fy * d.y, we = fx * fy * e.y;
    float weight = (wa + wb) + (wd + we);
    value = weight > 0.0 ? ((wa * a.x + wb * b.x) + (wd * d.x + we * e.x)) / weight : 0.0;
  } else {
    float upper = a.x + x.y * (b.x - a.x), lower = d.x + x.y * (e.x - d.x);
    value = upper + y.y * (lower - upper);
  }
  level = uint(clamp(value, 1.0, count));
}`;

const COLOURS = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D levels;
uniform usampler2D picture;
uniform usampler2D tints;
uniform highp sampler2D table;  // first row: red, green, blue; second: share of the picture, and of its lightness
uniform int height;
uniform bool tinted;
out vec4 colour;
int lightness(ivec3 p) { return (p.r * 19595 + p.g * 38470 + p.b * 7471 + 32768) >> 16; }
void main() {
  ivec2 at = ivec2(gl_FragCoord.x, height - 1 - int(gl_FragCoord.y));
  int level = int(texelFetch(levels, at, 0).r);
  ivec3 p = ivec3(texelFetch(picture, at, 0).rgb);
  vec4 own = texelFetch(table, ivec2(level, 0), 0), mixed = texelFetch(table, ivec2(level, 1), 0);
  float y = mixed.g * float(lightness(p));
  ivec3 result = ivec3(mixed.r * vec3(p) + y + own.rgb);
  if (tinted) {
    ivec4 tint = ivec4(texelFetch(tints, at, 0));
    ivec3 lit = clamp(tint.rgb + (lightness(result) - lightness(tint.rgb)), 0, 255);
    result = (result * (255 - tint.a) + lit * tint.a + 127) / 255;
  }
  colour = vec4(vec3(result) / 255.0, 1.0);
}`;

const KEPT = 6; // sheets whose parts stay on the chip; what was painted longest ago makes room

/** What the chip holds of a sheet. @typedef {{sheet: Partial<Sheet>, size: Size, textures: Record<string, WebGLTexture>}} Held */

/**
 * The renderer, or null where the browser has no WebGL2 that can do it.
 * @returns {Renderer | null}
 */
export function glRenderer() {
  const canvas = document.createElement("canvas");
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, stencil: false });
  if (!gl) return null;
  try {
    return new Painter(canvas, gl);
  } catch (error) {
    console.warn("WebGL2 cannot paint here, the canvas does:", error);
    return null;
  }
}

class Painter {
  /** @param {HTMLCanvasElement} canvas @param {WebGL2RenderingContext} gl */
  constructor(canvas, gl) {
    this.name = "webgl2";
    this.canvas = canvas;
    this.gl = gl;
    this.levels = program(gl, LEVELS);
    this.colours = program(gl, COLOURS);
    this.most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.target = gl.createFramebuffer();
    gl.bindVertexArray(gl.createVertexArray());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    /** @type {Map<HTMLCanvasElement, Held>} the one painted longest ago first */
    this.held = new Map();
  }

  /** Whether the chip can take a sheet at all. @param {Sheet} sheet */
  takes({ picture, layout: { cells } }) {
    const sides = [picture.width, picture.height, cells?.w ?? 1, cells?.h ?? 1];
    return !this.gl.isContextLost() && Math.max(...sides) <= this.most;
  }

  /** @param {HTMLCanvasElement} canvas @param {Sheet} sheet */
  paint(canvas, sheet) {
    const { gl } = this, { w, h } = sheet.layout.size;
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const held = this.holdFor(canvas, { w, h });
    if (held.sheet.layout !== sheet.layout) this.layLevels(held, sheet.layout);
    if (held.sheet.picture !== sheet.picture) this.put(held, "picture", gl.RGBA8UI, { w, h }, sheet.picture.data);
    if (held.sheet.table !== sheet.table) this.put(held, "table", gl.RGBA32F, { w: sheet.table.own.length, h: 2 }, rowsOf(sheet.table));
    if (sheet.tint && held.sheet.tint !== sheet.tint) this.put(held, "tints", gl.RGBA8UI, { w, h }, sheet.tint.data);
    held.sheet = { ...sheet, tint: sheet.tint ?? held.sheet.tint };
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    const tints = sheet.tint ? "tints" : "picture"; // which has the right type, and is not looked at
    this.run(this.colours, held, { levels: "levels", picture: "picture", tints, table: "table" }, { w, h }, (at) => {
      gl.uniform1i(at("height"), h);
      gl.uniform1i(at("tinted"), Number(sheet.tint !== null));
    });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.globalCompositeOperation = "copy";
    context.drawImage(this.canvas, 0, 0);
  }

  /** @param {HTMLCanvasElement} canvas @param {Size} size @returns {Held} */
  holdFor(canvas, size) {
    let held = this.held.get(canvas);
    if (held && (held.size.w !== size.w || held.size.h !== size.h)) held = this.drop(canvas);
    this.held.delete(canvas);
    held ??= { sheet: {}, size, textures: {} };
    this.held.set(canvas, held);
    for (const oldest of this.held.keys()) if (this.held.size > KEPT) this.drop(oldest);
    return held;
  }

  /** @param {HTMLCanvasElement} canvas @returns {undefined} */
  drop(canvas) {
    for (const texture of Object.values(this.held.get(canvas)?.textures ?? {})) this.gl.deleteTexture(texture);
    this.held.delete(canvas);
  }

  /** The level of every pixel, worked out on the chip; where rows and columns do not lie apart, before it. @param {Held} held @param {Layout} layout */
  layLevels(held, layout) {
    const { gl } = this, { size, cells, known, x, y } = layout;
    if (!cells || !x || !y) {
      this.put(held, "levels", gl.R16UI, size, levelsOf(layout));
      return;
    }
    const pairs = new Float32Array(2 * cells.values.length);
    cells.values.forEach((value, i) => pairs.set([value, known ? known[i] : 1], 2 * i));
    this.put(held, "cells", gl.RG32F, cells, pairs);
    this.put(held, "xs", gl.RGBA32F, { w: size.w, h: 1 }, axisRow(x));
    this.put(held, "ys", gl.RGBA32F, { w: size.h, h: 1 }, axisRow(y));
    const levels = this.put(held, "levels", gl.R16UI, size, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, levels, 0);
    this.run(this.levels, held, { cells: "cells", xs: "xs", ys: "ys" }, size, (at) => {
      gl.uniform2i(at("next"), Number(cells.w > 1), Number(cells.h > 1));
      gl.uniform1f(at("count"), layout.count);
      gl.uniform1i(at("masked"), Number(known !== null));
    });
  }

  /**
   * @param {Held} held @param {string} name @param {number} format @param {Size} size
   * @param {Uint8ClampedArray | Uint16Array | Float32Array | null} data
   */
  put(held, name, format, { w, h }, data) {
    const { gl } = this, texture = (held.textures[name] ??= gl.createTexture());
    const [layout, type] = /** @type {Record<number, [number, number]>} */ ({
      [gl.RGBA8UI]: [gl.RGBA_INTEGER, gl.UNSIGNED_BYTE],
      [gl.R16UI]: [gl.RED_INTEGER, gl.UNSIGNED_SHORT],
      [gl.RG32F]: [gl.RG, gl.FLOAT],
      [gl.RGBA32F]: [gl.RGBA, gl.FLOAT],
    })[format];
    const bytes = data instanceof Uint8ClampedArray ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, format, w, h, 0, layout, type, bytes);
    return texture;
  }

  /**
   * @param {WebGLProgram} program @param {Held} held @param {Record<string, string>} reads the texture of each name of the program @param {Size} size
   * @param {(at: (name: string) => WebGLUniformLocation | null) => void} set
   */
  run(program, held, reads, size, set) {
    const { gl } = this, at = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
    gl.useProgram(program);
    Object.entries(reads).forEach(([name, texture], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, held.textures[texture]);
      gl.uniform1i(at(name), unit);
    });
    set(at);
    gl.viewport(0, 0, size.w, size.h);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

/** @param {Axis} axis */
function axisRow({ low, share, nearest, inside }) {
  const row = new Float32Array(4 * low.length);
  for (let i = 0; i < low.length; i++) row.set([low[i], share[i], nearest[i], inside[i]], 4 * i);
  return row;
}

/** @param {MixTable} table */
function rowsOf({ red, green, blue, own, light }) {
  const n = own.length, rows = new Float32Array(8 * n);
  for (let i = 0; i < n; i++) {
    rows.set([red[i], green[i], blue[i], 1], 4 * i);
    rows.set([own[i], light[i], 0, 0], 4 * (n + i));
  }
  return rows;
}

/** @param {WebGL2RenderingContext} gl @param {string} text */
function program(gl, text) {
  const made = gl.createProgram();
  for (const [type, source] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, text]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? "no reason given");
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? "no reason given");
  return made;
}
