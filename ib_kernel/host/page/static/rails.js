// The two rails: the thick one is tokens, the thin one under it is time, both from 0 to 100 %.

import { el } from "./parts.js";

/**
 * What the rails show, in tokens and seconds.
 *
 * @typedef {object} Figures
 * @property {number} budget
 * @property {number} used
 * @property {number} held
 * @property {number} in_doubt
 * @property {number | null} time_limit_s
 * @property {number | null} time_left_s
 */

/** @type {["used" | "held" | "in_doubt", string, string][]} */
const PARTS = [
  ["used", "used", "used"],
  ["held", "held", "held"],
  ["in_doubt", "doubt", "in doubt"],
];

/**
 * Return the share of the time that has gone, 0 to 1; 0 without a limit.
 *
 * @param {Pick<Figures, "time_limit_s" | "time_left_s">} now
 */
export function timeGone(now) {
  if (!now.time_limit_s || now.time_left_s === null) return 0;
  return Math.min(1, Math.max(0, 1 - now.time_left_s / now.time_limit_s));
}

/** @param {number} share */
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

/**
 * Say in words what the rails show.
 *
 * @param {Figures} now
 */
export function railWords(now) {
  const total = now.budget || 1;
  const said = PARTS.filter(([key]) => key === "used" || now[key]).map(
    ([key, , word]) => `${percent(now[key] / total)} ${word}`,
  );
  const time = now.time_limit_s ? `; ${percent(timeGone(now))} of the time gone` : "; no time limit";
  return said.join(", ") + time;
}

/**
 * Make rails; `draw` changes them in place.
 *
 * @param {boolean} [big]
 */
export function makeRails(big = false) {
  const parts = PARTS.map(([, name]) => el("i", { class: name }));
  const gone = el("i", { class: "t" });
  const time = el("span", { class: "rail time" }, gone);
  const node = el(
    "span",
    { class: "rails", role: "img" },
    el("span", { class: `rail${big ? " big" : ""}` }, ...parts),
    time,
  );

  /** @param {Figures} now */
  function draw(now) {
    const total = Math.max(now.budget, now.used + now.held + now.in_doubt) || 1;
    PARTS.forEach(([key], i) => {
      const part = parts[i];
      if (part) part.style.width = `${((100 * now[key]) / total).toFixed(2)}%`;
    });
    gone.style.width = `${(100 * timeGone(now)).toFixed(2)}%`;
    time.classList.toggle("none", !now.time_limit_s);
    const words = railWords(now);
    if (node.getAttribute("aria-label") !== words) node.setAttribute("aria-label", words);
  }
  return { node, draw };
}
