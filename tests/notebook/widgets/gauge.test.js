import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import view from "../../../ib_kernel/notebook/widgets/budget.js";
import { timeLine } from "../../../ib_kernel/notebook/widgets/gauge.js";
import { ACTIVE, find, show } from "./page.js";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
});

test("the words say what the bar shows", () => {
  const { el } = show(view, { ...ACTIVE, held: 500, left: 7_000 });
  const words = [...el.querySelectorAll(".ib-key")].filter((node) => !node.hasAttribute("hidden"));
  assert.deepEqual(
    words.map((node) => node.textContent),
    ["used 2,500 of 10,000 (25 %)", "held 500", "left 7,000"],
  );
  assert.equal(find(el, ".ib-part.ib-used").style.width, "25%");
  assert.equal(find(el, ".ib-part.ib-in_doubt").hidden, true);
  assert.equal(find(el, ".ib-bar").getAttribute("aria-hidden"), "true");
});

test("an overdraft stays within the bar", () => {
  const { el } = show(view, { ...ACTIVE, used: 12_000, left: 0 });
  assert.equal(find(el, ".ib-part.ib-used").style.width, "100%");
  assert.match(el.textContent ?? "", /used 12,000 of 10,000 \(120 %\)/);
});

test("a budget of nothing is no division by zero", () => {
  const { el } = show(view, { ...ACTIVE, budget: 0, used: 0, left: 0, history: [] });
  assert.doesNotMatch(el.innerHTML, /NaN|Infinity/);
  assert.equal(find(el, ".ib-part.ib-used").style.width, "0%");
  assert.equal(find(el, ".ib-turns").hidden, true);
});

test("the clock runs down by itself while the session is active, and never below the end", () => {
  const { el } = show(view, ACTIVE);
  assert.equal(find(el, ".ib-time").textContent, "10:00 left");
  mock.timers.tick(61_000);
  assert.equal(find(el, ".ib-time").textContent, "8:59 left");
  mock.timers.tick(600_000);
  assert.equal(find(el, ".ib-time").textContent, "time is up");
});

test("a redraw with the same time does not turn the clock back, a new time does", () => {
  const { el, model } = show(view, ACTIVE);
  mock.timers.tick(60_000);
  model.update({ used: 2_600 });
  assert.equal(find(el, ".ib-time").textContent, "9:00 left");
  model.update({ time_left_s: 1_200 });
  assert.equal(find(el, ".ib-time").textContent, "20:00 left");
});

test("the clock of a paused session stands still", () => {
  const { el } = show(view, { ...ACTIVE, status: "paused" });
  mock.timers.tick(300_000);
  assert.equal(find(el, ".ib-time").textContent, "10:00 left");
});

test("times are written as people read them", () => {
  assert.equal(timeLine(null), "no time limit");
  assert.equal(timeLine(0), "time is up");
  assert.equal(timeLine(59.2), "1:00 left");
  assert.equal(timeLine(3_661), "1:01:01 left");
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
    ["turn 1: 900 in + 200 out", "turn 2: 1,100 in + 300 out"],
  );
  const rows = [...el.querySelectorAll("tbody tr")].map((row) => row.textContent);
  assert.deepEqual(rows, ["21,100300", "1900200"]);
  assert.match(find(el, ".ib-bars").getAttribute("aria-label"), /^2 turns, at most 1,400 tokens; turn 2/);
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
  assert.match(el.textContent ?? "", /used 2,500/);
  assert.equal(find(el, ".ib-time").textContent, "10:00 left");
});
