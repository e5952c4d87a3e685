/* Sending a video, which takes long enough to be watched. */
import { ApiError, reason } from "./api.js";

/** @typedef {{id: string, name: string, kind: "video", h: number, w: number, frames: number, seconds: number, fps: number}} Video */

/**
 * Send a video as it is.
 * @param {Blob} file
 * @param {string} name
 * @param {{most?: number, progress?: (share: number) => void, signal?: AbortSignal}} [how] most: bytes that the studio takes
 * @returns {Promise<Video>}
 */
export function sendVideo(file, name, { most = Infinity, progress, signal } = {}) {
  if (file.size > most) return Promise.reject(new ApiError(`${name} has ${Math.ceil(file.size / 2 ** 20)} MB; at most ${Math.floor(most / 2 ** 20)} are taken: send a shorter or smaller one.`, 413));
  return new Promise((resolve, reject) => {
    const ask = new XMLHttpRequest(); // fetch does not tell how much was sent
    ask.open("POST", `/api/videos?name=${encodeURIComponent(name.slice(-200) || "video")}`);
    ask.responseType = "json";
    ask.upload.addEventListener("progress", (event) => progress?.(event.total ? event.loaded / event.total : 0));
    ask.addEventListener("load", () => (ask.status === 201 ? resolve(ask.response) : reject(new ApiError(reason(ask.response, ask.status), ask.status))));
    ask.addEventListener("error", () => reject(new ApiError("The studio does not answer. Is it still running where it was started?", 0)));
    ask.addEventListener("abort", () => reject(new DOMException("it was cancelled", "AbortError")));
    signal?.addEventListener("abort", () => ask.abort());
    ask.send(file);
  });
}

/** What the tray shows of a video. @param {Video} video @param {Record<string, number>} [options] of its part */
export function takenVideo(video, options = {}) {
  return { id: video.id, name: video.name, kind: "video", seconds: video.seconds, thumb: `/api/videos/${video.id}/strip?count=1`, options };
}

/** What the tray shows of a picture. @param {{id: string, name: string}} picture */
export function takenPicture({ id, name }) {
  return { id, name, thumb: `/api/pictures/${id}/thumb` };
}

/** The time of day, for a file's name. @param {Date} [now] */
export function stamp(now = new Date()) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())} ${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}`;
}
