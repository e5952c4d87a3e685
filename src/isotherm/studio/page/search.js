/* What the history's filters say -> the search that the studio takes. Nothing here touches the page. */

/**
 * days: how many, or "range" for the days from and until, as YYYY-MM-DD.
 * @param {{words?: string, model?: string, label?: string, verdict?: string, tag?: string, status?: string, days?: string, from?: string, until?: string, starred?: boolean}} filters
 * @param {number} nowSeconds since 1970
 * @returns {Record<string, string | number | boolean>} only what narrows
 */
export function searchOf({ words = "", days = "", from = "", until = "", starred = false, ...exact }, nowSeconds) {
  const search = /** @type {Record<string, string | number | boolean>} */ ({});
  if (words.trim()) search.words = words.trim();
  for (const [name, value] of Object.entries(exact)) if (value) search[name] = value;
  if (Number(days) > 0) search.since_s = sinceOf(Number(days), nowSeconds);
  if (days === "range" && from) search.since_s = midnight(from, 0);
  if (days === "range" && until) search.until_s = midnight(until, 1);
  if (starred) search.starred = true;
  return search;
}

/** The midnight with which a day begins, or one so many days later. @param {string} day @param {number} later */
function midnight(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  return Math.floor(new Date(year, month - 1, date + later).getTime() / 1000);
}

/** The midnight with which so many days begin, today among them. @param {number} days @param {number} nowSeconds */
function sinceOf(days, nowSeconds) {
  const day = new Date(1000 * nowSeconds);
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() - (days - 1));
  return Math.floor(day.getTime() / 1000);
}
