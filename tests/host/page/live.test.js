import assert from "node:assert/strict";
import { test } from "node:test";

const { follow } = await import("../../../ib_kernel/host/page/static/live.js");

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Streams that the test speaks for, one after another. */
class Source extends EventTarget {
  /** @type {Source[]} */
  static opened = [];
  closed = false;
  /** @param {string} path */
  constructor(path) {
    super();
    this.path = path;
    Source.opened.push(this);
  }
  close() {
    this.closed = true;
  }
  /** @param {string} name @param {object} data */
  send(name, data) {
    this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data) }));
  }
}

/** One browser's tabs: a lock that one holds, and a channel that all others hear. */
function browser() {
  /** @type {(() => Promise<unknown>)[]} */
  const waiting = [];
  let held = false;
  async function next() {
    const act = held ? undefined : waiting.shift();
    if (!act) return;
    held = true;
    await act();
    held = false;
    void next();
  }
  const locks = {
    /** @param {string} _name @param {object} _how @param {() => Promise<unknown>} act */
    request: (_name, _how, act) => {
      waiting.push(act);
      void next();
      return Promise.resolve();
    },
  };
  /** @type {Set<any>} */
  const channels = new Set();
  const channel = () => {
    const one = {
      onmessage: /** @type {any} */ (null),
      postMessage: (/** @type {any} */ data) => {
        for (const other of channels) if (other !== one) other.onmessage?.({ data });
      },
      close: () => channels.delete(one),
    };
    channels.add(one);
    return one;
  };
  /** Open a tab; return what it has heard, and what closes it. */
  return () => {
    /** @type {any[]} */
    const heard = [];
    const close = follow(
      (news) => heard.push(news),
      /** @type {any} */ ({ EventSource: Source, locks, channel: channel() }),
    );
    return { heard, close };
  };
}

test("ten tabs hold one connection, and all hear the same", async () => {
  Source.opened = [];
  const tab = browser();
  const tabs = Array.from({ length: 10 }, tab);
  await settled();
  assert.equal(Source.opened.length, 1);
  Source.opened[0]?.send("hello", {});
  Source.opened[0]?.send("changed", { sessions: ["s1"] });
  for (const { heard } of tabs) assert.deepEqual(heard.at(-1).changed, ["s1"]);
  for (const { close } of tabs) close();
});

test("when the tab with the connection is closed, another takes over and reads everything again", async () => {
  Source.opened = [];
  const tab = browser();
  const [first, second] = [tab(), tab()];
  await settled();
  first.close();
  await settled();
  assert.equal(Source.opened[0]?.closed, true);
  assert.equal(Source.opened.length, 2);
  Source.opened[1]?.send("hello", {});
  assert.deepEqual(second.heard.at(-1).changed, ["*"]);
  second.close();
});

test("a lost connection is said with its time, and tried again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  Source.opened = [];
  const tab = browser();
  const { heard, close } = tab();
  Source.opened[0]?.send("hello", {});
  /** @type {any} */ (Source.opened[0]).onerror();
  assert.equal(heard.at(-1).contact, false);
  assert.ok(heard.at(-1).since > 0);
  t.mock.timers.tick(1_000);
  assert.equal(Source.opened.length, 2);
  Source.opened[1]?.send("hello", {});
  assert.equal(heard.at(-1).contact, true);
  close();
});

test("a tab that opens late learns whether the host is there", async () => {
  Source.opened = [];
  const tab = browser();
  const first = tab();
  await settled();
  Source.opened[0]?.send("hello", {});
  const late = tab();
  assert.equal(late.heard.at(-1).contact, true);
  first.close();
  late.close();
});

test("a browser without locks asks every few seconds", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  /** @type {any[]} */
  const heard = [];
  const channel = /** @type {any} */ ({ postMessage() {}, close() {} });
  const close = follow((news) => heard.push(news), {
    EventSource: /** @type {any} */ (Source),
    locks: undefined,
    channel,
  });
  t.mock.timers.tick(6_000);
  assert.deepEqual(heard, [{ changed: ["*"] }, { changed: ["*"] }]);
  close();
});
