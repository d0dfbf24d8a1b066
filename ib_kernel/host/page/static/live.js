// What has changed, told to every tab over one connection: browsers allow six to a host, so the tab that holds
// the lock keeps the stream and passes on what it hears. Where locks are missing, the page asks every few seconds.

/** @typedef {{ changed?: string[], writing?: string[], contact?: boolean, since?: number, signed_out?: boolean }} News */

const NAME = "ib-live";
const POLL_MS = 3000;
const MAX_WAIT_MS = 30_000;

/**
 * Follow the host; *hear* gets what has changed, and whether the host is there. Returns what ends it.
 *
 * @param {(news: News) => void} hear
 * @param {{ EventSource?: typeof EventSource, locks?: LockManager, channel?: BroadcastChannel }} [use]
 */
export function follow(hear, use = {}) {
  const Source = use.EventSource ?? globalThis.EventSource;
  const locks = "locks" in use ? use.locks : globalThis.navigator?.locks;
  const channel = use.channel ?? new BroadcastChannel(NAME);
  const over = new AbortController();

  channel.onmessage = (event) => {
    if (event.data?.ask === "contact") tell({});
    else hear(event.data);
  };
  /** @type {boolean | null} */
  let contact = null;
  let since = 0;
  let leads = false;

  /** @param {News} news */
  function tell(news) {
    if (!leads) return;
    if ("contact" in news && news.contact !== contact) {
      contact = news.contact ?? null;
      since = Date.now() / 1000;
    }
    const whole = contact === null ? news : { ...news, contact, since };
    hear(whole);
    channel.postMessage(whole);
  }

  /** @returns {Promise<void>} until this tab is closed */
  function lead() {
    leads = true;
    return new Promise((resolve) => {
      let wait = 1000;
      /** @type {EventSource | null} */
      let source = null;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;

      function open() {
        source = new Source("/v1/desk/events");
        source.addEventListener("hello", () => {
          wait = 1000;
          tell({ contact: true, changed: ["*"] }); // whatever happened while nobody listened
        });
        for (const kind of /** @type {const} */ (["changed", "writing"]))
          source.addEventListener(kind, (event) => tell({ [kind]: JSON.parse(event.data).sessions }));
        source.addEventListener("signed_out", () => tell({ signed_out: true }));
        source.onerror = () => {
          source?.close();
          tell({ contact: false });
          timer = setTimeout(open, wait);
          wait = Math.min(MAX_WAIT_MS, 2 * wait);
        };
      }
      open();
      over.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        source?.close();
        resolve();
      });
    });
  }

  if (locks) {
    locks.request(NAME, { signal: over.signal }, lead).catch(() => {});
    channel.postMessage({ ask: "contact" });
  } else {
    const timer = setInterval(() => hear({ changed: ["*"] }), POLL_MS);
    over.signal.addEventListener("abort", () => clearInterval(timer));
  }
  return () => {
    over.abort();
    channel.close();
  };
}
