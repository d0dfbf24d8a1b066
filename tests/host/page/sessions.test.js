import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { button, find, place, ROW } from "./browser.js";

const { makeSessions, summaryOf } = await import("../../../ib_kernel/host/page/static/sessions.js");
const { choose } = await import("../../../ib_kernel/host/page/static/filter.js");

/** @typedef {import("../../../ib_kernel/host/page/static/api.js").Row} Row */

/** @param {string} id @param {Partial<Row>} more @returns {Row} */
const row = (id, more = {}) => ({ ...ROW, id, candidate: id.toUpperCase(), ...more });
const ENDED = /** @type {const} */ ({ status: "completed", group: "ended" });
/** @type {{ words: string, shown: string, sort: string }} */
let wish;
beforeEach(() => {
  wish = { words: "", shown: "all", sort: "last" };
});

/** @param {Row[]} rows */
function show(rows) {
  const el = place();
  const list = makeSessions(el, { wish, now: () => 2_000 });
  list.take({ sessions: rows, total: rows.length, found: rows.length, as_of: 2_000 }, true);
  return { el, list };
}
/** @param {ParentNode} el */
const names = (el) => [...el.querySelectorAll("a.who")].map((node) => node.textContent);

test("sessions stand in groups, those in progress first", () => {
  const { el } = show([row("c", ENDED), row("b", { status: "created", group: "invited" }), row("a")]);
  const heads = [...el.querySelectorAll("tr.grp")].map((node) => node.textContent);
  assert.deepEqual(heads, ["In progress", "Invited", "Ended"]);
  assert.deepEqual(names(el), ["A", "B", "C"]);
});

test("a change redraws its own row in place and no other", () => {
  const { el, list } = show([row("a"), row("b")]);
  const before = [...el.querySelectorAll("tbody tr:not(.grp)")];
  const bar = before[1]?.querySelector(".rails");
  list.take({ sessions: [row("a", { left: 5, turns_left: 0 })], total: 2, found: 1, as_of: 2_001 }, false);
  const after = [...el.querySelectorAll("tbody tr:not(.grp)")];
  assert.deepEqual(after, before);
  assert.equal(after[1]?.querySelector(".rails"), bar);
  assert.match(after[0]?.textContent ?? "", /5about 0 turns/);
});

test("the clock of a running session goes on by itself, a paused one stands", () => {
  const el = place();
  let now = 2_000;
  const list = makeSessions(el, { wish, now: () => now });
  const rows = [row("a", { time_left_s: 100 }), row("b", { time_left_s: 100, status: "paused" })];
  list.take({ sessions: rows, total: 2, found: 2, as_of: 2_000 }, true);
  now = 2_010;
  list.tick();
  assert.deepEqual(
    [...el.querySelectorAll(".time-cell")].map((node) => node.textContent),
    ["1:30", "1:40"],
  );
});

test("every word of a search must be somewhere in what names the session", () => {
  const rows = [row("a", { role: "Data engineer" }), row("b")];
  assert.deepEqual(
    choose(rows, { ...wish, words: "data A" })
      .get("open")
      ?.map((r) => r.id),
    ["a"],
  );
  assert.equal(choose(rows, { ...wish, words: "data zebra" }).size, 0);
});

test("each order sorts within the groups", () => {
  const rows = [
    row("a", { left: 3, used: 1, created_at: 1, last_at: 9, time_left_s: null }),
    row("b", { left: 1, used: 3, created_at: 3, last_at: 5, time_left_s: 10 }),
    row("c", { left: 2, used: 2, created_at: 2, last_at: 7, time_left_s: 5 }),
  ];
  const order = (/** @type {string} */ sort) =>
    choose(rows, { ...wish, sort })
      .get("open")
      ?.map((r) => r.id)
      .join("");
  assert.deepEqual(["last", "newest", "candidate", "left", "used", "time"].map(order), [
    "acb",
    "bca",
    "abc",
    "bca",
    "bca",
    "cba",
  ]);
});

test("nothing found says how many are hidden, and one button shows them again", () => {
  const { el } = show([row("a")]);
  const search = find(el, "#search");
  search.value = "zebra";
  search.dispatchEvent(new Event("input"));
  assert.match(el.textContent ?? "", /Nothing matches “zebra”.*1 session hidden/);
  button(el, "Clear the search").click();
  assert.deepEqual(names(el), ["A"]);
});

test("an empty ledger says what it is for", () => {
  const { el } = show([]);
  assert.match(el.textContent ?? "", /No interviews yet/);
});

test("what is in doubt stands above the list with its figures, and the row is marked in words", () => {
  const doubts = [{ reservation_id: "r", turn: 8, tokens: 1_480, reason: "" }];
  const { el } = show([row("a", { doubts })]);
  assert.match(find(el, ".needs").textContent, /A needs a decision:.*1\u202f480 tokens of turn 8/);
  assert.match(find(el, ".tags-cell").textContent, /in doubt/);
});

test("every state has a word and a glyph of its own", () => {
  const states = /** @type {const} */ (["active", "paused", "created", "expired", "completed", "cancelled"]);
  const { el } = show(states.map((status) => row(status, { status })));
  const cells = [...el.querySelectorAll(".state-cell")];
  assert.equal(new Set(cells.map((cell) => cell.textContent)).size, 6);
  assert.equal(new Set(cells.map((cell) => cell.querySelector("svg")?.innerHTML)).size, 6);
});

test("the bar says in words what it shows, in plain digits", () => {
  const { el } = show([row("a")]);
  const label = find(el, ".rails").getAttribute("aria-label");
  assert.equal(label.replaceAll("\u00a0", " "), "57 % used, 13 % held, 6 % in doubt; 58 % of the time gone");
});

test("the summary counts states and who needs somebody", () => {
  const doubts = [{ reservation_id: "r", turn: 8, tokens: 1, reason: "" }];
  assert.equal(summaryOf([row("a", { doubts }), row("b", ENDED)]), "1 running, 1 ended. One needs you.");
});

test("a session that is gone leaves the list", () => {
  const { el, list } = show([row("a"), row("b")]);
  list.take({ sessions: [row("b")], total: 1, found: 1, as_of: 2_001 }, true);
  assert.deepEqual(names(el), ["B"]);
});
