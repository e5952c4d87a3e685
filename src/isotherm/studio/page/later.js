/* Work that is put off a little, so that many causes of it lead to it once. */

/** Of everything by its name. One name's work must not swallow another's. */
export class Later {
  /** @param {number} wait milliseconds */
  constructor(wait) {
    this.wait = wait;
    /** @type {Set<string>} */
    this.names = new Set();
  }

  /** Do a name's work after the wait, unless it waits already. @param {string} name @param {() => void} work */
  once(name, work) {
    if (this.names.has(name)) return;
    this.names.add(name);
    setTimeout(() => {
      this.names.delete(name);
      work();
    }, this.wait);
  }
}
