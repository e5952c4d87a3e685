/* The forms in which a map or a run can be taken along. Nothing here touches the page. */

/** @typedef {{form: string, title: string, text: string, of: "map" | "run", large?: boolean}} Form */

/** @type {Form[]} */
export const FORMS = [
  { form: "overlay", title: "PNG", text: "The picture with the map over it", of: "map" },
  { form: "png", title: "PNG, map alone", text: "The coloured map without the picture", of: "map" },
  { form: "png16", title: "PNG, 16 bit", text: "The map's values in grey, 65,536 levels, with their range", of: "map" },
  { form: "npy", title: "NPY", text: "The map's values for NumPy", of: "map" },
  { form: "npz", title: "NPZ", text: "The map's values with where they lie over the picture", of: "map" },
  { form: "pdf", title: "PDF report", text: "Pictures, maps, verdicts and how they were made, to be printed", of: "run" },
  { form: "csv", title: "CSV", text: "A line of figures for each map", of: "run" },
  { form: "mp4", title: "MP4", text: "The heatmap video; of several pictures, one after the other", of: "run" },
  { form: "zip", title: "Everything", text: "All files of the run, as a zip", of: "run", large: true },
];

/**
 * @param {string} run
 * @param {Form} form
 * @param {number} picture
 * @param {number} map
 */
export function urlOf(run, form, picture, map) {
  const place = form.of === "map" ? `&index=${picture}&map=${map}` : "";
  return `/api/runs/${run}/export?form=${form.form}${place}`;
}

/**
 * The name of a file in the header that it came with; "map" where there is none.
 * @param {string} disposition
 */
export function nameIn(disposition) {
  const coded = /filename\*=utf-8''([^;]+)/i.exec(disposition)?.[1];
  return coded ? decodeURIComponent(coded) : (/filename="([^"]+)"/.exec(disposition)?.[1] ?? "map");
}
