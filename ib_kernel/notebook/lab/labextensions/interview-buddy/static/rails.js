// The two rails: tokens (thick) over time (thin), both from 0 to 100 %, and what state a session is in.

/** @import { Icon } from "./icons.js" */

import { icon } from "./icons.js";
import { element, setText } from "./parts.js";

/**
 * What a session's figures are, in tokens and seconds.
 *
 * @typedef {object} Figures
 * @property {string} status "created", "active", "paused", "expired", "completed" or "cancelled"
 * @property {string} level "normal", "warning", "critical" or "exhausted"
 * @property {number} budget
 * @property {number} used
 * @property {number} held
 * @property {number} in_doubt
 * @property {number} left
 * @property {number | null} turns_left null before the first turn
 * @property {number | null} time_left_s null without a time limit
 * @property {number | null} time_limit_s
 */

/** @type {["used" | "held" | "in_doubt", string][]} */
const PARTS = [
  ["used", "used"],
  ["held", "held"],
  ["in_doubt", "in doubt"],
];

/** @param {number} share of 1 */
const percent = (share) => Math.round(100 * Math.min(1, Math.max(0, share)));

/**
 * Return the share of the time that has gone, from 0 to 1; null without a limit.
 *
 * @param {Pick<Figures, "time_left_s" | "time_limit_s">} now
 */
export function timeGone({ time_left_s, time_limit_s }) {
  if (time_left_s === null || !time_limit_s) return null;
  return Math.min(1, Math.max(0, 1 - time_left_s / time_limit_s));
}

/**
 * Put the rails into *parent*; what is returned draws figures.
 *
 * @param {ParentNode} parent
 */
export function makeRails(parent) {
  const root = element("span", "ib-rails", parent);
  root.setAttribute("role", "img");
  const tokens = element("span", "ib-rail", root);
  const parts = PARTS.map(([key, word]) => ({ key, word, part: element("i", `ib-${key}`, tokens) }));
  const time = element("span", "ib-rail ib-rail-time", root);
  const gone = element("i", "ib-gone", time);

  /** @param {Figures} now */
  return function draw(now) {
    const total = Math.max(now.budget, now.used + now.held + now.in_doubt, 1);
    const words = [];
    for (const { key, word, part } of parts) {
      part.style.width = `${(100 * now[key]) / total}%`;
      if (now[key] || key === "used") words.push(`${percent(now[key] / total)} % ${word}`);
    }
    const share = timeGone(now);
    time.hidden = share === null;
    gone.style.width = `${100 * (share ?? 0)}%`;
    const label = words.join(", ") + (share === null ? "" : `; ${percent(share)} % of the time gone`);
    if (root.getAttribute("aria-label") !== label) root.setAttribute("aria-label", label);
  };
}

/**
 * Return a state's word, icon and tone: "live", "end", "warn" or "bad".
 *
 * @param {Pick<Figures, "status" | "level" | "turns_left">} now
 * @returns {{ word: string, icon: Icon, tone: string }}
 */
export function stateOf({ status, level, turns_left }) {
  if (status === "created") return { word: "Ready", icon: "ready", tone: "end" };
  if (status === "paused") return { word: "Paused", icon: "paused", tone: "end" };
  if (status === "expired") return { word: "Time is up", icon: "time", tone: "bad" };
  if (status !== "active") return { word: "Ended", icon: "ended", tone: "end" };
  if (level === "exhausted" || turns_left === 0)
    return { word: "No tokens left", icon: "warning", tone: "warn" };
  if (turns_left !== null && turns_left <= 2) return { word: "Last turns", icon: "warning", tone: "warn" };
  return { word: "Running", icon: "running", tone: "live" };
}

/**
 * Put a state into *parent*; what is returned draws another.
 *
 * @param {ParentNode} parent
 */
export function makeState(parent) {
  const root = element("span", "ib-state", parent);
  const place = element("span", "", root);
  const words = element("span", "", root);
  let shown = "";

  /** @param {{ word: string, icon: Icon, tone: string }} state */
  return function draw(state) {
    if (shown !== state.icon) {
      shown = state.icon;
      place.replaceChildren();
      icon(state.icon, place);
    }
    root.className = `ib-state ib-${state.tone}`;
    setText(words, state.word);
  };
}
