/* Notices that the studio has ended while nobody asked it for anything. Nothing here touches the page. */

const REST_MS = 30_000; // between two looks at whether it is there

/**
 * A function that looks whether the studio is there, at most so often, and tells where it is not.
 * @param {() => Promise<unknown>} look
 * @param {(error: unknown) => void} tell
 * @param {{now?: () => number}} [how]
 * @returns {() => Promise<void>}
 */
export function watcher(look, tell, { now = Date.now } = {}) {
  let last = now();
  return async () => {
    if (now() - last < REST_MS) return;
    last = now();
    await look().catch(tell);
  };
}
