import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import view from "../../../ib_kernel/notebook/widgets/board.js";
import { ACTIVE, button, find, show } from "./page.js";

/** @param {string} session @param {string} candidate */
const row = (session, candidate) => ({
  ...{ session, candidate, role: "senior Backend", state: "active" },
  ...{ used: "10", left: "90 of 100", time: "9 min left" },
});
const BOARD = {
  ...{ query: "", state: "", sort: "newest", page: 0, pages: 1, selected: "", messages_shown: 30 },
  ...{ rows: [row("a1", "Ada"), row("b2", "")], found: 2, total: 5, controls: true },
  ...{ detail: {}, talk: [], earlier: 0, burn: [], note: "" },
};
const SELECTED = {
  ...BOARD,
  selected: "a1",
  detail: { ...ACTIVE, session_id: "a1", about: "Backend · openai" },
  talk: [
    ["interviewer", false, "<p>Welcome</p>"],
    ["Ada", true, "<p>Hello</p>"],
  ],
  burn: [
    [0, 10_000, 10_000],
    [60, 7_500, 10_000],
  ],
};

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
});

test("typing filters once it rests", () => {
  const { el, model } = show(view, BOARD);
  const filter = find(el, "input[type=search]");
  for (const text of ["g", "gr", "grace"]) {
    filter.value = text;
    filter.dispatchEvent(new Event("input"));
    mock.timers.tick(100);
  }
  assert.equal(model.saved, 0);
  mock.timers.tick(250);
  assert.equal(model.saved, 1);
  assert.equal(model.get("query"), "grace");
});

test("what is typed is not overwritten by a redraw", () => {
  const { el, model } = show(view, BOARD);
  const filter = find(el, "input[type=search]");
  filter.focus();
  filter.value = "gra";
  model.update({ query: "g" });
  assert.equal(filter.value, "gra");
});

test("a row and its button choose the session, once", () => {
  const { el, model } = show(view, BOARD);
  button(el, "Ada").click();
  assert.deepEqual([model.get("selected"), model.saved], ["a1", 1]);
  el.querySelectorAll("tbody tr")[1]?.querySelectorAll("td")[2]?.click();
  assert.deepEqual([model.get("selected"), model.saved], ["b2", 2]);
});

test("a redraw keeps the focus on its session", () => {
  const { el, model } = show(view, BOARD);
  button(el, "(no name)").focus();
  model.update({ rows: [row("b2", "Ben"), row("a1", "Ada")] });
  assert.equal(document.activeElement?.textContent, "Ben");
});

test("pages turn no further than there are any", () => {
  const { el, model } = show(view, { ...BOARD, pages: 2 });
  button(el, "Previous page").click();
  assert.equal(model.saved, 0);
  button(el, "Next page").click();
  assert.equal(model.get("page"), 1);
  assert.match(el.textContent ?? "", /page 1 of 2/);
});

test("nothing found is said", () => {
  const { el } = show(view, { ...BOARD, rows: [], found: 0 });
  assert.match(el.textContent ?? "", /0 of 5 sessions/);
  assert.match(el.textContent ?? "", /no session matches/);
});

test("the selected session is shown with what was said and how its tokens went", () => {
  const { el } = show(view, SELECTED);
  assert.deepEqual(
    [...el.querySelectorAll(".ib-message")].map((node) => [node.className, node.textContent]),
    [
      ["ib-message", "interviewerWelcome"],
      ["ib-message ib-candidate", "AdaHello"],
    ],
  );
  const label = find(el, "svg.ib-chart").getAttribute("aria-label");
  assert.equal(label, "Tokens left went from 10000 to 7500 within 60 s; the budget is 10000");
});

test("new messages are added, and those on the page stay as they are", () => {
  const { el, model } = show(view, SELECTED);
  const first = el.querySelector(".ib-message");
  model.update({ talk: [...SELECTED.talk, ["interviewer", false, "<p>Go on</p>"]] });
  assert.equal(el.querySelector(".ib-message"), first);
  assert.equal(el.querySelectorAll(".ib-message").length, 3);
});

test("another session's conversation replaces the one before, also where it begins alike", () => {
  const { el, model } = show(view, SELECTED);
  const first = el.querySelector(".ib-message");
  model.update({ selected: "b2", detail: { ...SELECTED.detail, session_id: "b2" } });
  assert.notEqual(el.querySelector(".ib-message"), first);
  assert.equal(el.querySelectorAll(".ib-message").length, 2);
});

test("a click names the session it was made on, and a passphrase does not wait for the next one", () => {
  const { el, model } = show(view, { ...SELECTED, detail: { ...SELECTED.detail, locked: true } });
  button(el, "Pause").click();
  assert.equal(model.sent[0].session_id, "a1");
  find(el, "input[type=password]").value = "open sesame";
  model.update({ detail: { ...SELECTED.detail, session_id: "b2", locked: true } });
  assert.equal(find(el, "input[type=password]").value, "");
});

test("earlier messages are asked for in steps", () => {
  const { el, model } = show(view, { ...SELECTED, earlier: 12 });
  button(el, "Show earlier messages (12)").click();
  assert.equal(model.get("messages_shown"), 60);
});

test("no selection shows no session", () => {
  const { el, model } = show(view, SELECTED);
  model.update({ detail: {}, selected: "" });
  assert.equal(find(el, ".ib-one").hidden, true);
});

test("a view that is gone sends nothing any more", () => {
  const { el, model, stop } = show(view, BOARD);
  const filter = find(el, "input[type=search]");
  filter.value = "late";
  filter.dispatchEvent(new Event("input"));
  stop();
  mock.timers.tick(1_000);
  assert.equal(model.saved, 0);
});

test("the board keeps the minute that it was true at, for when no kernel answers any more", () => {
  mock.timers.setTime(new Date(2026, 10, 26, 14, 5).getTime());
  const { el, model } = show(view, BOARD);
  assert.equal(find(el, ".ib-stale").textContent, "As of 14:05, not live.");
  mock.timers.tick(120_000);
  model.update({ found: 3, revision: 2 });
  assert.equal(find(el, ".ib-stale").textContent, "As of 14:07, not live.");
});
