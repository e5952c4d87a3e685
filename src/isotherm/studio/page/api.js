/* What the page asks of the studio, and what it makes of its answers. */

/** A refusal of the studio, in its own words. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 where nobody answered
   * @param {number} [retrySeconds] when there is likely room
   */
  constructor(message, status, retrySeconds = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

/**
 * A failure's words: the studio's own, or those of its framework, which lists the fields that do not fit.
 * @param {any} body
 * @param {number} status
 * @returns {string}
 */
export function reason(body, status) {
  if (typeof body?.error === "string") return body.error;
  if (typeof body?.detail === "string") return body.detail;
  if (Array.isArray(body?.detail))
    return body.detail.map((/** @type {any} */ one) => `${(one.loc ?? []).slice(1).join(".") || "request"}: ${one.msg ?? "does not fit"}`).join("; ");
  return `the studio answered with status ${status} and no reason`;
}

/**
 * @param {string} path
 * @param {RequestInit} [how]
 * @returns {Promise<Response>}
 */
export async function request(path, how) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...how });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The studio does not answer. Is it still running where it was started?", 0);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new ApiError(reason(body, response.status), response.status, Number(response.headers.get("retry-after")) || 0);
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, signal) {
  return (await request(path, { signal })).json();
}

/**
 * @param {"POST" | "PATCH" | "DELETE" | "PUT"} method
 * @param {string} path
 * @param {any} [body] sent as JSON
 * @returns {Promise<any>} null where there is no answer beyond success
 */
export async function send(method, path, body) {
  const how = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await request(path, { method, ...how });
  return response.status === 204 ? null : response.json();
}

/**
 * Send a picture as it is.
 * @param {Blob} file
 * @param {string} name
 * @returns {Promise<{id: string, name: string}>}
 */
export async function upload(file, name) {
  return (await request(`/api/pictures${query({ name: name.slice(-200) || "picture" })}`, { method: "POST", body: file })).json();
}

/**
 * The part of an address behind its path; what is empty is left out.
 * @param {Record<string, string | number | boolean | null | undefined>} values
 * @returns {string}
 */
export function query(values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values))
    if (value !== null && value !== undefined && value !== "" && value !== false) search.set(name, String(value));
  const text = search.toString();
  return text ? `?${text}` : "";
}

/**
 * Do several things at a time, and all of them.
 * @template T, R
 * @param {T[]} items
 * @param {number} atOnce
 * @param {(item: T, index: number) => Promise<R>} work
 * @returns {Promise<R[]>} in the order of the items
 */
export async function inTurn(items, atOnce, work) {
  /** @type {R[]} */
  const results = new Array(items.length);
  let next = 0;
  const run = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i], i);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, run));
  return results;
}
