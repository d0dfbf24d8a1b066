import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { makePanel } from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/panel.js";
import {
  makeStatusItem,
  statusWords,
} from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/statusitem.js";
import { find, place } from "../widgets/page.js";
import { STATE } from "./lab.js";

const KNOWN = {
  state: STATE,
  task: null,
  estimate: null,
  counting: false,
  lost: false,
  restarted: false,
  received: 0,
};
const ESTIMATE = {
  problem: "",
  prompt: 2_412,
  new: 58,
  reply: 240,
  total: 2_652,
  after: 6_549,
  history_from_turn: null,
};

/** @param {Partial<import("../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/link.js").Known> | null} known */
function panel(known) {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 0 });
  const el = place();
  /** @type {string[]} */
  const ran = [];
  const made = makePanel(el, (source) => ran.push(source));
  made.draw(known && { ...KNOWN, ...known });
  return { el, ran, ...made };
}

/** What can be read: hidden parts are left out. @param {Element} el @returns {string} */
function shown(el) {
  if (el.hasAttribute("hidden")) return "";
  if (!el.children.length) return `${el.textContent} `;
  return [...el.childNodes]
    .map((node) => (node instanceof Element ? shown(node) : node.textContent))
    .join("");
}
const words = (/** @type {Element} */ el) =>
  shown(el)
    .replace(/[\s\u202f]+/g, " ")
    .trim();

test("time, tokens, turns and what is in doubt are in words", () => {
  const { el } = panel({});
  const text = words(el);
  for (const part of [
    "Running",
    "21:40",
    "left of 45 min",
    "9 201",
    "tokens left of 25 000",
    "About 3 more turns.",
  ])
    assert.ok(text.includes(part), part);
  assert.match(text, /1 480 in doubt: the service may have billed them/);
  assert.equal(
    find(el, ".ib-rails").getAttribute("aria-label"),
    "57 % used, 6 % in doubt; 52 % of the time gone",
  );
});

test("without a session the panel says how one begins, and nothing else", () => {
  assert.match(words(panel(null).el), /^Open a notebook with an interview/);
  assert.match(words(panel({ state: null }).el), /^No interview is in use in this notebook/);
  const restarted = words(panel({ state: null, restarted: true }).el);
  assert.match(restarted, /^The kernel was started again.*%interview sessions/);
});

test("without a time limit there is no clock and no thin rail", () => {
  const { el } = panel({ state: { ...STATE, time_left_s: null, time_limit_s: null } });
  assert.doesNotMatch(words(el), /\d:\d\d|left of \d+ min/);
  assert.equal(find(el, ".ib-rail-time").hidden, true);
});

test("the next turn is what was estimated, or why it cannot be sent", () => {
  assert.match(words(panel({}).el), /Write in a cell that begins with %%interview/);
  assert.match(words(panel({ counting: true }).el), /Counting what you have written/);
  assert.match(
    words(panel({ estimate: ESTIMATE }).el),
    /As written now about 2 652 tokens 2 412 to send \(58 are new\) and about 240 for the reply. After it: about 6 549 left/,
  );
  const refused = words(panel({ estimate: { ...ESTIMATE, problem: "There is nothing to send yet." } }).el);
  assert.match(refused, /Next turn There is nothing to send yet/);
  assert.doesNotMatch(refused, /As written now/);
});

test("what is charged and what goes along is said where it is not all", () => {
  const some = words(panel({ estimate: { ...ESTIMATE, total: 298, history_from_turn: 4 } }).el);
  assert.match(
    some,
    /about 298 tokens .* Only what is new is charged. The conversation goes along from turn 4 on/,
  );
  assert.doesNotMatch(words(panel({ estimate: ESTIMATE }).el), /Only what is new|goes along/);
});

test("a session that takes no turns has no next one", () => {
  for (const status of ["paused", "expired", "completed"])
    assert.doesNotMatch(words(panel({ state: { ...STATE, status } }).el), /Next turn/);
});

test("the task is always there, rendered, and nothing in it does anything", () => {
  const html = '<p>Twelve <b>instances</b> <img src=x onerror="window.bad=1"><strong>now</strong></p>';
  const { el } = panel({ task: { title: "Rate limiter", html, checks: false, hints: false } });
  assert.match(words(el), /Task: Rate limiter/);
  assert.equal(find(el, ".ib-task").innerHTML, "<p>Twelve  <strong>now</strong></p>");
  assert.equal(find(el, "details").open, true);
});

test("turns are listed newest first, with the question's first line", () => {
  assert.match(
    words(panel({}).el),
    /Turns 9 so far Turn 9 2 285 in, 190 out Turn 8 2 000 in, 200 out And when Redis/,
  );
});

test("what is not there takes no place: line, checks, hints", () => {
  const text = words(panel({}).el);
  assert.doesNotMatch(text, /From your interviewer|Checks|Hints/);
  const all = {
    ...STATE,
    line: "Five more minutes.",
    checks: { passed: 5, of: 6 },
    hints: ["Write down one customer's requests."],
  };
  const full = words(panel({ state: all }).el);
  assert.match(full, /From your interviewer Five more minutes/);
  assert.match(full, /Checks 5 of 6 passed/);
  assert.match(full, /Hints 1 taken Write down/);
});

test("a task's checks and hints are there from the start, each a press away", () => {
  const task = { title: "Rooms", html: "", checks: true, hints: true };
  const { el, ran, draw } = panel({ task });
  assert.match(words(el), /Checks not run yet Run the visible tests Hints none taken Take the next hint/);
  for (const button of el.querySelectorAll("button")) button.click();
  assert.deepEqual(ran, ["%interview check", "%interview hint"]);
  draw({ ...KNOWN, task: { ...task, checks: false } });
  assert.doesNotMatch(words(el), /Checks/);
  const over = { ...STATE, status: "completed", checks: { passed: 5, of: 6 } };
  draw({ ...KNOWN, task, state: over });
  assert.match(words(el), /Checks 5 of 6 passed/);
  assert.doesNotMatch(words(el), /Run the visible|Hints/);
});

test("a lost connection is said once, with the last figures", () => {
  assert.match(words(panel({ lost: true }).el), /^No contact. Last known: 9 201 left/);
  assert.doesNotMatch(words(panel({ lost: true, state: null }).el), /No contact/);
});

test("the status item is short, and a screen reader hears whole numbers", () => {
  assert.deepEqual(statusWords(STATE, 1300, false), {
    text: "9.2k, 3 turns, 21:40",
    label: "Interview: Running, 9201 tokens left, about 3 turns, 21 minutes 40 seconds left. Open the panel",
  });
  assert.equal(statusWords({ ...STATE, turns_left: null }, null, false).text, "9.2k left");
  assert.equal(statusWords({ ...STATE, status: "paused" }, 1300, false).text, "Paused, 9.2k, 3 turns, 21:40");
  assert.equal(statusWords(STATE, 1300, true).text, "No contact, 9.2k, 3 turns, 21:40");
});

test("the status item is there while a session is, counts down and opens the panel", () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 0 });
  const el = place();
  let opened = 0;
  const item = makeStatusItem(el, () => {
    opened += 1;
  });
  item.draw(null);
  const button = find(el, "button");
  assert.equal(button.hidden, true);
  item.draw(KNOWN);
  assert.equal(button.hidden, false);
  mock.timers.tick(10_000);
  item.tick();
  assert.match(button.textContent, /21:30$/);
  button.click();
  assert.equal(opened, 1);
});
