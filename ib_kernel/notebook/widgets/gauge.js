// The gauge: bar, words, countdown, and one small bar per turn. The words say everything that the bars show.

import { element, number, setText, several } from "../lab/labextensions/interview-buddy/static/parts.js";

/**
 * What a gauge draws: the traits of BudgetWidget, in tokens and seconds.
 *
 * @typedef {object} BudgetState
 * @property {string} session_id
 * @property {string} title
 * @property {string} status "created", "active", "paused", "expired", "completed" or "cancelled"
 * @property {string} level "normal", "warning", "critical" or "exhausted"
 * @property {number} budget
 * @property {number} used
 * @property {number} held
 * @property {number} in_doubt
 * @property {number} left
 * @property {number} input_tokens
 * @property {number} output_tokens
 * @property {number} turns
 * @property {number | null} turns_left null before the first turn
 * @property {string} cost
 * @property {string} money "" without a budget in money
 * @property {number | null} time_left_s null without a time limit
 * @property {string[]} notes
 * @property {Turn[]} history the last turns, oldest first
 * @property {[id: string, words: string][]} doubts
 * @property {boolean} locked
 */

/** @typedef {[turn: number, input: number, output: number]} Turn */

/** @type {["used" | "held" | "in_doubt" | "left", string][]} */
const SEGMENTS = [
  ["used", "used"],
  ["held", "held"],
  ["in_doubt", "in doubt"],
  ["left", "left"],
];

/**
 * Return the time that is left in words, such as "9:05 left".
 *
 * @param {number | null} seconds
 */
export function timeLine(seconds) {
  if (seconds === null) return "no time limit";
  if (seconds <= 0) return "time is up";
  const s = Math.ceil(seconds);
  const h = Math.floor(s / 3600);
  const m = Math.floor(s / 60) % 60;
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${h ? `${h}:${two(m)}` : m}:${two(s % 60)} left`;
}

/** @param {ParentNode} parent */
function makeTurns(parent) {
  const box = element("div", "ib-turns", parent);
  const caption = element("div", "ib-small", box);
  const bars = element("div", "ib-bars", box);
  bars.setAttribute("role", "img");
  const more = element("details", "ib-small", box);
  element("summary", "", more, "Figures per turn");
  const table = element("table", "ib-table", more);
  let shown = "";

  /** @param {Turn[]} history */
  function rows(history) {
    table.replaceChildren();
    const head = element("tr", "", element("thead", "", table));
    for (const name of ["turn", "in", "out"]) element("th", "", head, name).scope = "col";
    const body = element("tbody", "", table);
    for (const turn of [...history].reverse()) {
      const row = element("tr", "", body);
      for (const n of turn) element("td", "", row, number(n));
    }
  }

  /** @param {Turn[]} history */
  return function draw(history) {
    const key = JSON.stringify(history);
    if (key === shown) return;
    shown = key;
    const last = history.at(-1);
    box.hidden = !last;
    if (!last) return;
    const most = Math.max(...history.map(([, i, o]) => i + o), 1);
    const [turn, i, o] = last;
    setText(caption, `tokens per turn (in: solid, out: striped), at most ${number(most)}`);
    const words = `turn ${turn}: ${number(i)} in, ${number(o)} out`;
    bars.setAttribute(
      "aria-label",
      `${several(history.length, "turn")}, at most ${number(most)} tokens; ${words}`,
    );
    bars.replaceChildren();
    for (const [t, a, b] of history) {
      const bar = element("span", "ib-turn", bars);
      bar.title = `turn ${t}: ${number(a)} in + ${number(b)} out`;
      element("span", "ib-out", bar).style.height = `${(100 * b) / most}%`;
      element("span", "ib-in", bar).style.height = `${(100 * a) / most}%`;
    }
    rows(history);
  };
}

/**
 * The bar and its legend in words.
 *
 * @param {HTMLElement} bar
 * @param {HTMLElement} legend
 */
function makeParts(bar, legend) {
  const parts = SEGMENTS.map(([key, word]) => {
    const part = element("span", `ib-part ib-${key}`, bar);
    const item = element("span", "ib-key", legend);
    element("span", `ib-mark ib-${key}`, item).setAttribute("aria-hidden", "true");
    return { key, word, part, item, words: element("span", "", item) };
  });

  /** @param {BudgetState} now */
  return function draw(now) {
    const total = SEGMENTS.reduce((sum, [key]) => sum + now[key], 0) || 1;
    for (const { key, word, part, item, words } of parts) {
      const n = now[key];
      part.style.width = `${(100 * n) / total}%`;
      part.hidden = !n;
      item.hidden = !n && key !== "used" && key !== "left";
      const share = now.budget ? Math.round((100 * n) / now.budget) : 100;
      const of = key === "used" ? ` of ${number(now.budget)} (${share} %)` : "";
      setText(words, `${word} ${number(n)}${of}`);
    }
  };
}

/**
 * Put a gauge into *parent*: `draw` shows a state, `tick` the time that has passed since.
 *
 * @param {ParentNode} parent
 */
export function makeGauge(parent) {
  const root = element("div", "ib-gauge", parent);
  root.setAttribute("role", "group");
  const title = element("div", "ib-title", root);
  const bar = element("div", "ib-bar", root);
  bar.setAttribute("aria-hidden", "true"); // the words below say everything it does
  const parts = makeParts(bar, element("div", "", root));
  const facts = element("div", "", root);
  const money = element("div", "", root);
  const time = element("div", "ib-time", root);
  const notes = element("div", "ib-notes", root);
  notes.setAttribute("role", "status");
  const turns = makeTurns(root);
  /** @type {BudgetState | null} */
  let state = null;
  let received = Date.now();
  let noted = "";

  function tick() {
    if (!state) return;
    const passed = state.status === "active" ? (Date.now() - received) / 1000 : 0;
    setText(time, timeLine(state.time_left_s === null ? null : state.time_left_s - passed));
  }

  /** @param {BudgetState} now */
  function draw(now) {
    /** @type {(keyof BudgetState)[]} */
    const clock = ["time_left_s", "status", "session_id"];
    if (clock.some((name) => now[name] !== state?.[name])) received = Date.now();
    state = now;
    setText(title, now.title);
    root.setAttribute("aria-label", now.title);
    parts(now);
    const left = now.turns_left === null ? "not known yet" : `about ${number(now.turns_left)}`;
    setText(
      facts,
      `${number(now.input_tokens)} in + ${number(now.output_tokens)} out, over ${several(now.turns, "turn")}` +
        ` · turns left at this rate: ${left} · cost: ${now.cost}${now.locked ? " · locked" : ""}`,
    );
    setText(money, now.money);
    if (JSON.stringify(now.notes) !== noted) {
      noted = JSON.stringify(now.notes);
      notes.replaceChildren();
      for (const line of now.notes) element("div", "ib-note", notes, line);
    }
    root.dataset.level = now.level;
    turns(now.history);
    tick();
  }

  return { root, draw, tick };
}
