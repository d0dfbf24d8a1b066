import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import view from "../../../ib_kernel/notebook/widgets/budget.js";
import { timeWords } from "../../../ib_kernel/notebook/widgets/gauge.js";
import { ACTIVE, find, show } from "./page.js";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
});

/** What can be read in the line that is always there. @param {Element} el */
const line = (el) => (find(el, ".ib-line").textContent ?? "").replaceAll("\u202f", " ");
/** The opened gauge's figures that are shown, by name. @param {Element} el */
const figures = (el) =>
  [...el.querySelectorAll("dt")]
    .filter((node) => !node.hidden)
    .map((node) => `${node.textContent} ${node.nextElementSibling?.textContent}`.replaceAll("\u202f", " "));

test("the line says state, tokens, turns and time, and opens to every figure", () => {
  const { el } = show(view, { ...ACTIVE, held: 500, in_doubt: 300, left: 6_700 });
  assert.equal(line(el), "Running6 700 leftabout 6 turns10:00 leftDetails");
  assert.equal(find(el, ".ib-gauge > details").open, false);
  assert.deepEqual(figures(el), [
    "Used 2 500 (25 %)2 000 in, 500 out, over 2 turns",
    "Held 500a reply is being written",
    "In doubt 300the service may have billed it",
    "Left 6 700of 10 000",
    "Time 10:00of 20:00 gone",
    "Cost $0.01",
  ]);
  const rails = find(el, ".ib-rails");
  assert.equal(rails.getAttribute("aria-label"), "25 % used, 5 % held, 3 % in doubt; 50 % of the time gone");
  assert.equal(find(el, ".ib-rail > .ib-used").style.width, "25%");
});

test("what there is none of is not shown", () => {
  const { el } = show(view, { ...ACTIVE, time_left_s: null, time_limit_s: null });
  assert.deepEqual(
    figures(el).map((text) => text.split(" ")[0]),
    ["Used", "Left", "Cost"],
  );
  assert.match(line(el), /no time limit/);
  assert.equal(find(el, ".ib-rail-time").hidden, true);
});

test("each state is a word", () => {
  for (const [change, words] of /** @type {const} */ ([
    [{ turns_left: 1 }, "Last turns7 500 leftabout 1 turn10:00 left"],
    [{ status: "paused" }, "Paused7 500 leftabout 6 turnsclock stopped at 10:00"],
    [{ status: "expired", time_left_s: 0 }, "Time is up7 500 left, not usable"],
    [{ status: "created" }, "Ready7 500 leftThe clock starts with the first question."],
    [{ status: "completed" }, "Ended7 500 left, not usable"],
    [{ level: "exhausted", turns_left: 0, left: 0 }, "No tokens left0 leftabout 0 turns10:00 left"],
  ]))
    assert.equal(line(show(view, { ...ACTIVE, ...change }).el), `${words}Details`);
});

test("an overdraft stays within the bar", () => {
  const { el } = show(view, { ...ACTIVE, used: 12_000, left: 0 });
  assert.equal(find(el, ".ib-rail > .ib-used").style.width, "100%");
  assert.match(figures(el)[0] ?? "", /^Used 12 000 \(120 %\)/);
});

test("a budget of nothing is no division by zero", () => {
  const { el } = show(view, { ...ACTIVE, budget: 0, used: 0, left: 0, history: [] });
  assert.doesNotMatch(el.innerHTML, /NaN|Infinity/);
  assert.equal(find(el, ".ib-rail > .ib-used").style.width, "0%");
  assert.equal(find(el, ".ib-turns").hidden, true);
});

test("the clock runs down by itself while the session is active, and never below the end", () => {
  const { el } = show(view, ACTIVE);
  mock.timers.tick(61_000);
  assert.match(line(el), /8:59 left/);
  mock.timers.tick(600_000);
  assert.match(line(el), /time is up/);
});

test("a redraw with the same time does not turn the clock back, a new time does", () => {
  const { el, model } = show(view, ACTIVE);
  mock.timers.tick(60_000);
  model.update({ used: 2_600 });
  assert.match(line(el), /[^\d]9:00 left/);
  model.update({ time_left_s: 1_200 });
  assert.match(line(el), /20:00 left/);
});

test("the clock of a paused session stands still", () => {
  const { el } = show(view, { ...ACTIVE, status: "paused" });
  mock.timers.tick(300_000);
  assert.match(line(el), /clock stopped at 10:00/);
});

test("times are written as people read them", () => {
  const words = (/** @type {number | null} */ seconds) => timeWords(seconds, "active").join("");
  assert.equal(words(null), "no time limit");
  assert.equal(words(0), "time is up");
  assert.equal(words(59.2), "1:00 left");
  assert.equal(words(3_661), "1:01:01 left");
});

test("notes and titles are text, whatever they hold", () => {
  const attack = "<img src=x onerror=alert(1)>";
  const { el } = show(view, { ...ACTIVE, title: attack, notes: [attack], cost: attack });
  assert.equal(el.querySelector("img"), null);
  assert.equal(find(el, ".ib-note").textContent, attack);
});

test("each turn has a bar, a row, and a place in the words", () => {
  const { el } = show(view, ACTIVE);
  assert.deepEqual(
    [...el.querySelectorAll(".ib-turn")].map((node) => node.getAttribute("title")),
    ["turn 1: 900 in + 200 out", "turn 2: 1\u202f100 in + 300 out"],
  );
  const rows = [...el.querySelectorAll("tbody tr")].map((row) => row.textContent);
  assert.deepEqual(rows, ["21\u202f100300", "1900200"]);
  assert.match(find(el, ".ib-bars").getAttribute("aria-label"), /^2 turns, at most 1400 tokens; turn 2/);
});

test("the controls come and go with their trait", () => {
  const { el, model } = show(view, ACTIVE);
  assert.equal(el.querySelector("fieldset"), null);
  model.update({ controls: true });
  assert.ok(find(el, "fieldset"));
  model.update({ controls: false });
  assert.equal(el.querySelector("fieldset"), null);
});

test("a view that is gone listens to nothing", () => {
  const { el, model, stop } = show(view, ACTIVE);
  stop();
  model.update({ used: 9_999 });
  mock.timers.tick(60_000);
  assert.match(figures(el)[0] ?? "", /^Used 2 500/);
  assert.match(line(el), /10:00 left/);
});
