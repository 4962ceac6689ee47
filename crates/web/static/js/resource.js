// A piece of the server's state, as last seen, and who wants to know when it changes. Knows neither HTTP nor the document.

/** Holds `data` (null until it came), `error` (the last load's, else null) and `loading`. */
export class Resource {
  #fetch;
  #watchers = new Set();
  #again = false;

  constructor(fetch) {
    this.#fetch = fetch;
    this.data = null;
    this.error = null;
    this.loading = false;
  }

  /** Somebody has wanted it since the page opened, so it is worth keeping fresh. */
  get isWanted() {
    return this.data !== null || this.error !== null;
  }

  /** Asks the server. A call during a load causes exactly one more after it, so the last state wins and none is asked twice. */
  async load() {
    if (this.loading) {
      this.#again = true;
      return;
    }
    this.loading = true;
    this.#tell();
    do {
      this.#again = false;
      try {
        this.data = await this.#fetch();
        this.error = null;
      } catch (error) {
        this.error = error;
      }
    } while (this.#again);
    this.loading = false;
    this.#tell();
  }

  /** Puts news from the socket into what is already here; the next load replaces it. */
  change(edit) {
    if (this.data === null) return;
    edit(this.data);
    this.#tell();
  }

  /** Takes what the socket said as the whole truth. */
  put(data) {
    this.data = data;
    this.#tell();
  }

  /** Calls `watcher` now and after every change. */
  watch(watcher) {
    this.#watchers.add(watcher);
    watcher(this);
  }

  #tell() {
    for (const watcher of this.#watchers) watcher(this);
  }
}
