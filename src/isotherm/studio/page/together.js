/* What two tabs say about the same run, put together: neither undoes what the other one did. Nothing here touches the page. */

/** @typedef {{note: string, tags: string[], marks: any[]}} Said */

/**
 * What is to be kept of a change, where somebody else has made another one meanwhile.
 * @param {Said} known what this tab knew before its change
 * @param {Record<string, any>} mine the change: any of star, note, tags, marks
 * @param {Said} now what is kept
 * @returns {Record<string, any>}
 */
export function together(known, mine, now) {
  const changes = { ...mine };
  for (const name of /** @type {const} */ (["tags", "marks"])) if (mine[name]) changes[name] = lists(known[name] ?? [], mine[name], now[name] ?? []);
  if (mine.note !== undefined && now.note !== known.note && now.note !== mine.note && now.note) changes.note = mine.note ? `${now.note}\n${mine.note}` : now.note;
  return changes;
}

/**
 * What is there now, without what this side has taken away, and with what it has added.
 * @param {any[]} known @param {any[]} mine @param {any[]} now
 */
function lists(known, mine, now) {
  const texts = (/** @type {any[]} */ list) => new Set(list.map((one) => JSON.stringify(one)));
  const [before, here, there] = [texts(known), texts(mine), texts(now)];
  const stays = now.filter((one) => here.has(JSON.stringify(one)) || !before.has(JSON.stringify(one)));
  return [...stays, ...mine.filter((one) => !before.has(JSON.stringify(one)) && !there.has(JSON.stringify(one)))];
}
