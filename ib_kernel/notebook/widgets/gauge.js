// The gauge: one line with the rails, which opens to every figure and one small bar per turn.

/** @import { Figures } from "../lab/labextensions/interview-buddy/static/rails.js" */

import { icon } from "../lab/labextensions/interview-buddy/static/icons.js";
import {
  clock,
  element,
  number,
  setText,
  several,
} from "../lab/labextensions/interview-buddy/static/parts.js";
import { makeRails, makeState, stateOf } from "../lab/labextensions/interview-buddy/static/rails.js";

/**
 * What a gauge draws beside the figures of the rails: the traits of BudgetWidget, in tokens and seconds.
 *
 * @typedef {object} Own
 * @property {string} session_id
 * @property {string} title
 * @property {number} input_tokens
 * @property {number} output_tokens
 * @property {number} turns
 * @property {string} cost
 * @property {string} money "" without a budget in money
 * @property {string[]} notes
 * @property {Turn[]} history the last turns, oldest first
 * @property {[id: string, words: string][]} doubts
 * @property {boolean} locked
 */

/** @typedef {Figures & Own} BudgetState */

/** @typedef {[turn: number, input: number, output: number]} Turn */

/**
 * Return the time that is left in words, such as "9:05 left", as the parts before, in and after the bold figure.
 *
 * @param {number | null} seconds
 * @param {string} status
 * @returns {[before: string, figure: string, after: string]}
 */
export function timeWords(seconds, status) {
  if (seconds === null) return ["no time limit", "", ""];
  if (seconds <= 0) return ["time is up", "", ""];
  return status === "paused" ? ["clock stopped at ", clock(seconds), ""] : ["", clock(seconds), " left"];
}

/** @param {ParentNode} parent */
function makeTurns(parent) {
  const box = element("div", "ib-turns", parent);
  const caption = element("div", "ib-small", box);
  const bars = element("div", "ib-bars", box);
  bars.setAttribute("role", "img");
  const key = element("div", "ib-keys ib-small", box);
  for (const [name, word] of [
    ["used", "in"],
    ["out", "out"],
  ]) {
    const item = element("span", "ib-key", key);
    element("span", `ib-mark ib-${name}`, item).setAttribute("aria-hidden", "true");
    element("span", "", item, word);
  }
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
    const now = JSON.stringify(history);
    if (now === shown) return;
    shown = now;
    const last = history.at(-1);
    box.hidden = !last;
    if (!last) return;
    const most = Math.max(...history.map(([, i, o]) => i + o), 1);
    const [turn, i, o] = last;
    setText(caption, `Tokens per turn, largest ${number(most)}`);
    const words = `turn ${turn}: ${i} in, ${o} out`;
    bars.setAttribute("aria-label", `${several(history.length, "turn")}, at most ${most} tokens; ${words}`);
    bars.replaceChildren();
    for (const [t, a, b] of history) {
      const bar = element("span", "ib-turn", bars);
      bar.title = `turn ${t}: ${number(a)} in + ${number(b)} out`;
      element("span", "ib-out", bar).style.height = `${(100 * b) / most}%`;
      element("span", "ib-used", bar).style.height = `${(100 * a) / most}%`;
    }
    rows(history);
  };
}

/**
 * The figures of the opened gauge, each with the texture that it has in the rails.
 *
 * @param {ParentNode} parent
 */
function makeFigures(parent) {
  const list = element("dl", "ib-figures-list", parent);
  const rows = ["used", "held", "in_doubt", "left", "gone", "cost", "money"].map((name) => {
    const term = element("dt", "", list);
    if (name !== "cost" && name !== "money")
      element("span", `ib-mark ib-${name}`, term).setAttribute("aria-hidden", "true");
    const word = { in_doubt: "in doubt", gone: "time" }[name] ?? name;
    element("span", "", term, word[0]?.toUpperCase() + word.slice(1));
    const figure = element("dd", "", list);
    return { name, term, figure, main: element("b", "", figure), more: element("span", "ib-quiet", figure) };
  });

  /**
   * @param {BudgetState} now
   * @param {number | null} seconds
   */
  return function draw(now, seconds) {
    const limit = now.time_limit_s ?? 0;
    const over = several(now.turns, "turn");
    const share = now.budget ? ` (${Math.round((100 * now.used) / now.budget)} %)` : "";
    /** @type {Record<string, [string, string]>} */
    const words = {
      used: [
        number(now.used) + share,
        `${number(now.input_tokens)} in, ${number(now.output_tokens)} out, over ${over}`,
      ],
      held: [now.held ? number(now.held) : "", "a reply is being written"],
      in_doubt: [now.in_doubt ? number(now.in_doubt) : "", "the service may have billed it"],
      left: [number(now.left), `of ${number(now.budget)}`],
      gone: seconds === null ? ["", ""] : [clock(limit - seconds), `of ${clock(limit)} gone`],
      cost: [now.cost, now.locked ? "locked" : ""],
      money: [now.money.replace(/^money: /, ""), ""],
    };
    for (const { name, term, figure, main, more } of rows) {
      const [value = "", rest = ""] = words[name] ?? [];
      term.hidden = figure.hidden = !value;
      setText(main, value);
      setText(more, rest);
    }
  };
}

/**
 * The line that is always there: state, rails, what is left.
 *
 * @param {ParentNode} parent
 */
function makeLine(parent) {
  const state = makeState(parent);
  const rails = makeRails(parent);
  const figure = () => {
    const root = element("span", "ib-figures", parent);
    return [element("span", "", root), element("b", "", root), element("span", "", root)];
  };
  const [left, turns, time] = [figure(), figure(), figure()];
  const set = (/** @type {HTMLElement[]} */ parts, /** @type {string[]} */ words) => {
    parts.forEach((part, i) => {
      setText(part, words[i] ?? "");
    });
  };

  /**
   * @param {BudgetState} now
   * @param {number | null} seconds
   */
  return function draw(now, seconds) {
    state(stateOf(now));
    rails({ ...now, time_left_s: seconds });
    const over = now.status === "expired" || now.status === "completed" || now.status === "cancelled";
    set(left, ["", number(now.left), over ? " left, not usable" : " left"]);
    const n = now.turns_left;
    if (now.status === "created") set(turns, ["The clock starts with the first question."]);
    else if (n === null || over) set(turns, []);
    else set(turns, ["about ", number(n), n === 1 ? " turn" : " turns"]);
    set(time, over || now.status === "created" ? [] : timeWords(seconds, now.status));
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
  const box = element("details", "", root);
  const head = element("summary", "ib-line", box);
  const line = makeLine(head);
  const toggle = element("span", "ib-toggle ib-small", head);
  icon("open", toggle);
  element("span", "", toggle, "Details");
  const body = element("div", "ib-body", box);
  const title = element("div", "ib-small ib-about", body);
  const figures = makeFigures(body);
  const turns = makeTurns(body);
  const meaning = element("p", "ib-small ib-meaning", body);
  for (const [word, text] of [
    ["Held", " is set aside while a reply is being written and comes back as far as it is not needed. "],
    ["In doubt", " is set aside after a broken connection: the service may have billed it."],
  ]) {
    element("b", "", meaning, word);
    element("span", "", meaning, text);
  }
  const notes = element("div", "ib-notes", root);
  notes.setAttribute("role", "status");
  /** @type {BudgetState | null} */
  let state = null;
  let received = Date.now();
  let noted = "";

  function tick() {
    if (!state) return;
    const passed = state.status === "active" ? (Date.now() - received) / 1000 : 0;
    const seconds = state.time_left_s === null ? null : Math.max(0, state.time_left_s - passed);
    line(state, seconds);
    figures(state, seconds);
  }

  /** @param {BudgetState} now */
  function draw(now) {
    /** @type {(keyof BudgetState)[]} */
    const time = ["time_left_s", "status", "session_id"];
    if (time.some((name) => now[name] !== state?.[name])) received = Date.now();
    state = now;
    setText(title, now.title);
    root.setAttribute("aria-label", now.title);
    if (JSON.stringify(now.notes) !== noted) {
      noted = JSON.stringify(now.notes);
      notes.replaceChildren();
      for (const text of now.notes) {
        const note = element("div", "ib-note ib-warn-note", notes);
        icon("warning", note);
        element("span", "", note, text.replace(/^⚠\s*/, ""));
      }
    }
    root.dataset.level = now.level;
    meaning.hidden = !now.held && !now.in_doubt;
    turns(now.history);
    tick();
  }

  return { root, draw, tick };
}
