// A session's state as glyph and word, never colour alone; and what happened last, in words.

/** @import { Row } from "./api.js" */
/** @import { IconName } from "./parts.js" */

import { el, icon, number, setText } from "./parts.js";

/** @type {Record<string, [icon: IconName, word: string, look: string]>} */
const STATES = {
  active: ["running", "Running", "live"],
  paused: ["paused", "Paused", "end"],
  created: ["created", "Not started", "end"],
  expired: ["expired", "Time is up", "end"],
  completed: ["ended", "Ended", "end"],
  cancelled: ["cancelled", "Cancelled", "end"],
};

/** @param {string} status */
export const stateWord = (status) => STATES[status]?.[1] ?? status;

/** Make a state; `draw` changes it in place. */
export function makeState() {
  const node = el("span", { class: "state" });
  let shown = "";
  /** @param {string} status */
  function draw(status) {
    if (status === shown) return;
    shown = status;
    const [name, word, look] = STATES[status] ?? ["created", status, "end"];
    node.className = `state ${look}`;
    node.replaceChildren(icon(name), ` ${word}`);
  }
  return { node, draw };
}

/**
 * Return a session's time left now: the clock of a running one goes on since *asOf*.
 *
 * @param {Pick<Row, "time_left_s" | "status">} row
 * @param {number} asOf when the host said it
 * @param {number} now
 */
export function timeLeft(row, asOf, now) {
  if (row.time_left_s === null || row.status !== "active") return row.time_left_s;
  return Math.max(0, row.time_left_s - Math.max(0, now - asOf));
}

/**
 * Say what happened last in a session; "" when the state says it.
 *
 * @param {Row} row
 */
export function lastWords(row) {
  if (row.asking !== null) return `asking, turn ${row.asking}`;
  const by = row.last.who ? ` by ${row.last.who}` : "";
  /** @type {Record<string, string>} */
  const words = {
    turn: `turn ${row.turns} answered`,
    paused: `paused${by}`,
    active: "",
    budget: `tokens added${by}`,
    time_limit: `time added${by}`,
    note: `note${by}`,
    line: `line${by}`,
    joined: "joined",
    refused: "a turn was refused",
    hint: "took a hint",
    check: "ran the checks",
  };
  return words[row.last.kind] ?? "";
}

/**
 * Return what stands out about a session, as tags: what needs somebody first.
 *
 * @param {Row} row
 * @returns {[kind: "warn" | "", text: string][]}
 */
export function flags(row) {
  /** @type {[kind: "warn" | "", text: string][]} */
  const found = [];
  if (row.doubts.length) found.push(["warn", "in doubt"]);
  if (row.budget && row.left <= 0 && row.group !== "invited") found.push(["", "budget used up"]);
  if (row.given_s >= 1) found.push(["", `+${Math.round(row.given_s / 60)}\u00a0min given`]);
  if (row.given_tokens > 0) found.push(["", `+${number(row.given_tokens)} tokens given`]);
  if (row.locked) found.push(["", "locked"]);
  return found;
}

/**
 * Return what a session is about, in one line.
 *
 * @param {Pick<Row, "challenge" | "role" | "level">} row
 */
export function about(row) {
  const role = [row.level, row.role].filter(Boolean).join(" ");
  return [row.challenge, role].filter(Boolean).join(", ");
}

/**
 * Change a cell of two lines: what counts, and a small line beneath.
 *
 * @param {HTMLElement} cell
 * @param {string} text
 * @param {string} small
 */
export function twoLines(cell, text, small) {
  const [main, below] = cell.children;
  if (!main || !below) {
    cell.replaceChildren(el("span", { text }), el("div", { class: "s m", text: small }));
    return;
  }
  setText(main, text);
  setText(below, small);
}
