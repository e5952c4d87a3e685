/* What a map is drawn with, for the look that was chosen: its values, scale, style and ink. No function here touches the page. */

import { bytesOf, fieldOf, rasterOf } from "./field.js";
import { inkOf, layInk } from "./ink.js";
import { renormalisedInBoxes } from "./renormalise.js";

/** @import {Box, Field, Ink, Look, MapData, PictureData, Scale, Settings, Size, Style} from "./types.js" */

/** @typedef {{map: MapData, field: Field, scale: Scale, signed: boolean, style: Style, ink: Ink}} Drawn */

/** @type {WeakMap<Settings, Record<string, Uint8Array>>} */
const tables = new WeakMap();

/** The look that the settings begin with. @param {Settings} settings @returns {Look} */
export function firstLook(settings) {
  return {
    style: settings.style, opacity: settings.styles[settings.style].opacity, threshold: 0, lines: true, range: null, scale: null,
    colours: { unsigned: settings.unsigned[0], signed: settings.signed[0] }, boxes: true, renormalise: false, bare: false,
  };
}

/** @param {Settings} settings @param {string} name */
function tableOf(settings, name) {
  const known = tables.get(settings) ?? {};
  tables.set(settings, known);
  return (known[name] ??= bytesOf(settings.tables[name]));
}

/** The boxes that a map is renormalised in: the one that it explains, or else all that were found. @param {MapData} map @param {PictureData} picture @returns {Box[]} */
export function boxesFor(map, picture) {
  return map.box ? [map.box] : picture.boxes;
}

/** @type {WeakMap<Field, Field>} */
const renormalised = new WeakMap();

/** The values that are drawn. @param {MapData} map @param {PictureData} picture @param {Look} look */
function shownField(map, picture, look) {
  const field = fieldOf(map);
  if (!look.renormalise) return field;
  const kept = renormalised.get(field) ?? renormalisedInBoxes(field, picture, boxesFor(map, picture));
  renormalised.set(field, kept);
  return kept;
}

/** @param {MapData} map @param {Look} look @returns {Scale} */
export function shownScale(map, look) {
  if (look.renormalise) return { low: 0, high: 1 };
  if (look.range) return { low: look.range[0], high: look.range[1], beyond: map.lowest < look.range[0] };
  return look.scale ?? map;
}

/** @param {Look} look @param {Settings} settings @returns {Style} */
export function shownStyle(look, settings) {
  const style = settings.styles[look.style], lines = look.lines === true ? style.lines : look.lines || [];
  return { ...style, opacity: look.opacity, threshold: look.threshold, lines };
}

/**
 * @param {MapData} map @param {PictureData} picture @param {Look} look @param {Settings} settings
 * @param {Partial<Style>} [changes] what of the style is different here
 * @returns {Drawn}
 */
export function drawnWith(map, picture, look, settings, changes = {}) {
  const field = shownField(map, picture, look), scale = shownScale(map, look), signed = map.signed && !look.renormalise;
  const style = { ...shownStyle(look, settings), ...changes };
  const ends = signed && !(look.colours.signed === settings.signed[0] && !(scale.low < 0)); // colours for two directions
  const name = ends ? look.colours.signed : signed ? settings.unsigned[0] : look.colours.unsigned;
  const ink = inkOf(style, scale, { signed, table: tableOf(settings, name), centred: ends, k: settings.numbers });
  return { map, field, scale, signed, style, ink };
}

/** A style without a picture: nothing below has to shine through. @param {Look} look @param {Settings} settings @returns {Partial<Style>} */
export function onPaper(look, settings) {
  return { opacity: 1, negative: settings.styles[look.style].negative === "none" ? "none" : "fill" };
}

/** The side of small pictures of maps in pixels: the longer one. */
const THUMB = 88;

/** @param {Size} size @returns {Size} */
export function thumbSize(size) {
  const factor = THUMB / Math.max(size.w, size.h);
  return { h: Math.max(1, Math.round(size.h * factor)), w: Math.max(1, Math.round(size.w * factor)) };
}

/** A small picture of a map as RGBA bytes. @param {MapData} map @param {PictureData} picture @param {Look} look @param {Settings} settings */
export function thumbOf(map, picture, look, settings) {
  const { h, w } = thumbSize(picture), { field, scale, ink } = drawnWith(map, picture, look, settings, { ...onPaper(look, settings), threshold: 0 });
  const bytes = new Uint8ClampedArray(4 * h * w);
  layInk(rasterOf(field, h, w, picture, scale), ink, scale, bytes);
  return { h, w, bytes };
}
