import assert from "node:assert/strict";
import { test } from "node:test";
import { place } from "./browser.js";

const { ago, arrange, clock, duration, el, number, wholeNumber } = await import(
  "../../../ib_kernel/host/page/static/parts.js"
);

test("numbers have narrow no-break spaces between their groups", () => {
  assert.deepEqual([0, 999, 1000, 1234567, -1480].map(number), [
    "0",
    "999",
    "1\u202f000",
    "1\u202f234\u202f567",
    "−1\u202f480",
  ]);
});

test("a whole number is read however its groups are set apart, and nothing else is", () => {
  for (const text of ["5000", "5 000", "5\u202f000", "5,000", "5.000", " 5'000 "])
    assert.equal(wholeNumber(text), 5000);
  for (const text of ["", "-1", "five", "1e3", "0x10", "9".repeat(13)])
    assert.ok(Number.isNaN(wholeNumber(text)), text);
});

test("clocks never go below zero and show hours only where there are any", () => {
  assert.deepEqual([-5, 0, 59.9, 61, 3661].map(clock), ["0:00", "0:00", "0:59", "1:01", "1:01:01"]);
});

test("lengths of time are said in the unit that fits", () => {
  assert.deepEqual([30, 2700, 5400, 7200].map(duration), [
    "30\u00a0s",
    "45\u00a0min",
    "90\u00a0min",
    "2\u00a0h",
  ]);
});

test("what was a moment ago is now, then minutes, then a time", () => {
  const now = Date.UTC(2026, 10, 26, 12) / 1000;
  assert.equal(ago(now - 5, now), "now");
  assert.equal(ago(now - 360, now), "6\u00a0min ago");
  assert.match(ago(now - 4000, now), /^\d\d:\d\d$/);
  assert.match(ago(now - 40 * 86_400, now), /^\d+ [A-Z][a-z]{2,3}$/);
});

test("arranging touches only what stands elsewhere", () => {
  const parent = place();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((text) => el("p", { text }));
  /** @type {Node[]} */
  const moved = [];
  arrange(parent, /** @type {Node[]} */ ([a, b, c]));
  const insert = parent.insertBefore.bind(parent);
  parent.insertBefore = (node, at) => {
    moved.push(node);
    return insert(node, at);
  };
  arrange(parent, /** @type {Node[]} */ ([a, d, b]));
  assert.deepEqual([...parent.children], [a, d, b]);
  assert.deepEqual(moved, [d]);
});

test("what is given as text is text", () => {
  assert.equal(el("p", { text: "<b>x</b>" }).innerHTML, "&lt;b&gt;x&lt;/b&gt;");
});
