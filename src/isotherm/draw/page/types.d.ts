/* What the modules of the page hand to each other. Nothing of this reaches a browser: tsc alone reads it. */

export interface Size { h: number; w: number }
/** A part of the source picture, in source pixels; x and y are its upper left corner, 0 where they are left out. */
export interface Part extends Size { x?: number; y?: number }
export interface Scale { low: number; high: number; beyond?: boolean }
export type Point = [number, number];
export type Line = Point[];
export type Box = [number, number, number, number];

/** Cells with values, and how source pixels (edge-origin) become cells: m = [a, b, c, d, e, f]. */
export interface Field extends Size {
  values: Float32Array;
  m: number[];
  /** x0, y0, x1, y1 in cells: how far the map speaks. */
  limits: number[];
}

/** A map as `isotherm.draw.report` and the studio write it. */
export interface MapData extends Scale, Size {
  label: string;
  kind: string;
  signed: boolean;
  silent: string;
  lowest: number;
  m: number[];
  limits: number[];
  type: string;
  unit: number;
  box?: Box | null;
  /** Values in base64, in the report; the studio has them in `values`. */
  data?: string | null;
  values?: Float32Array | null;
  field?: Field;
}

/** A picture: its size in source pixels, what was found in it, and where its pixels are. */
export interface PictureData extends Size {
  name?: string;
  boxes: Box[];
  labels: string[];
  image?: string | null;
}

/** As isotherm.draw.style.Style. */
export interface Style {
  colormap?: string | null;
  opacity: number;
  by_value: boolean;
  threshold: number;
  grey: boolean;
  lines: number[];
  labels: boolean;
  peak: boolean;
  negative: string;
  unseen: boolean;
}

export interface Numbers {
  starts_at: number;
  full_at: number;
  grey_at: number;
  unseen_opacity: number;
  unseen_grey: number;
  clear: number;
  line: number;
}

/** Colour, opacity and greying of every level; entry 0 is what the map does not cover. */
export interface Ink { colour: Uint8Array; alpha: Float64Array; grey: Float64Array; count: number }

/** What drawing on the page and in Python must agree on; see isotherm.draw.page_settings. */
export interface Settings {
  tables: Record<string, string>;
  unsigned: string[];
  signed: string[];
  style: string;
  styles: Record<string, Style>;
  numbers: Numbers;
}

/** How the viewer draws just now. What is left out when it changes stays as it is. */
export interface Look {
  /** The name of one of the settings' styles. */
  style: string;
  opacity: number;
  threshold: number;
  /** true: the style's lines of equal value; false: none; or shares of the scale. */
  lines: boolean | number[];
  /** The values at the ends of the colours, where somebody set them. */
  range: [number, number] | null;
  /** A scale that several maps share; null: each map's own. */
  scale: Scale | null;
  colours: { unsigned: string; signed: string };
  boxes: boolean;
  /** Each box by its own maximum, and nothing outside. */
  renormalise: boolean;
  /** The picture alone. */
  bare: boolean;
}

/** Which part of a picture is shown: the source pixel in the middle, and how often the whole would be larger. */
export interface View { x: number; y: number; scale: number }

/** What a map says at a place of its source picture. */
export interface Reading { x: number; y: number; value: number; column: number; row: number; inside: boolean }

/** What of a box is meant: all of it, its name, or a side. */
export type BoxPart = "all" | "class" | "left" | "top" | "right" | "bottom";

/**
 * What was clicked: a place, and the box there, the smallest one if several; box is -1 where there is none. part: what of it,
 * where the place is on its label or close to one of its sides.
 */
export interface Pick { x: number; y: number; box: number; label: string; bounds: Box | null; part: BoxPart }
