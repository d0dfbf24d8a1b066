// Candidates on one challenge, side by side: one table for each set of equal conditions, in the order of the
// interviews. No total, no ranking, no colour for a level.

import { ask } from "./api.js";
import { add, el, icon, moment, number, shape } from "./parts.js";
import { makeRails } from "./rails.js";
import { isBlind } from "./scorecard.js";
import { heading } from "./table.js";

/**
 * @typedef {object} Level
 * @property {string} text
 * @property {string} note
 * @property {number | null} low
 * @property {number | null} high
 * @property {boolean} hidden
 */

/**
 * @typedef {object} Compared
 * @property {string} session_id
 * @property {string} candidate
 * @property {number} began_at
 * @property {Record<string, Level>} levels
 * @property {string} checks
 * @property {string} hidden_checks
 * @property {number} turns
 * @property {number} minutes
 * @property {number | null} minutes_limit
 * @property {number} charged_tokens
 * @property {number} token_budget
 * @property {number} hints
 * @property {number | null} hints_of
 * @property {number} refusals
 * @property {string[]} marks
 * @property {Record<string, number>} percentiles
 * @property {{ left: [number, number][], cells: [number, number][] }} picture
 * @property {string} picture_words
 * @property {string} accommodation
 */

/** @typedef {{ name: string, conditions: [string, string][], differences: string[], sessions: Compared[] }} Group */

/**
 * @typedef {object} Comparison
 * @property {string} challenge
 * @property {string} title
 * @property {[string, string][]} criteria
 * @property {Group[]} groups
 * @property {boolean} blind
 * @property {number} left_out
 */

const NO_RANK =
  "in the order of their interviews. There is no total and no ranking: read across one criterion.";
const SCALE =
  "Levels: 0 not shown, 1 needs the gap pointed out, 2 does it when asked, 3 does it unasked and says what it costs";
const [WIDTH, HEIGHT, TOP, BOTTOM, CELLS] = [176, 64, 4, 44, 54];

/** @param {string} name */
const addressOf = (name) => `/compare/${encodeURIComponent(name)}`;

/**
 * Make the view of comparisons under *place*; *challenge* "" lists those that there are.
 *
 * @param {HTMLElement} place
 * @param {{ now: () => number, failed: (error: unknown) => void }} given
 * @param {string} challenge
 */
export function makeCompare(place, given, challenge) {
  const query = challenge ? `?challenge=${encodeURIComponent(challenge)}${isBlind() ? "&blind=1" : ""}` : "";
  ask(`/v1/desk/compare${query}`).then((answer) => {
    const nodes = answer.comparison
      ? comparisonNodes(answer.comparison, given.now())
      : choiceNodes(answer.challenges);
    place.replaceChildren(...nodes);
  }, given.failed);
  return { hear() {}, tick() {}, close() {} };
}

/** @param {Record<string, number>} challenges */
function choiceNodes(challenges) {
  const names = Object.entries(challenges);
  const items = names.map(([name, count]) =>
    el("li", null, el("a", { href: addressOf(name), text: name }), ` ${number(count)} interviews`),
  );
  const none =
    "Interviews on one challenge stand side by side here, once there are any. Practice is left out.";
  return [
    heading(
      "Compare",
      "One challenge at a time: candidates under equal conditions, and what differs by name.",
    ),
    names.length ? el("ul", { class: "card list-of" }, ...items) : el("p", { class: "card m", text: none }),
  ];
}

/**
 * @param {Comparison} comparison
 * @param {number} now
 */
export function comparisonNodes(comparison, now) {
  const count = comparison.groups.reduce((sum, group) => sum + group.sessions.length, 0);
  const words = `${number(count)} ${count === 1 ? "candidate" : "candidates"}, ${NO_RANK}`;
  const other = el("a", { class: "btn", href: "/compare", text: "Another challenge" });
  const key = el("p", { class: "s m", text: `${SCALE}. Two levels mean that raters differ.` });
  if (comparison.left_out) add(key, ` Left out: ${number(comparison.left_out)} (practice, or not begun).`);
  return [
    heading(comparison.title || comparison.challenge, words, [other]),
    ...comparison.groups.map((group) => groupNode(comparison, group, now)),
    key,
  ];
}

/**
 * @param {Comparison} comparison
 * @param {Group} group
 * @param {number} now
 */
function groupNode(comparison, group, now) {
  const first = group.name === "A";
  const title = `${first ? "Same" : "Other"} conditions: set ${group.name}`;
  const about = group.conditions.map(([name, value]) => `${name} ${value}`).join(", ");
  const warning = el(
    "p",
    { class: "m" },
    icon("attention"),
    " Do not read these next to set A without the differences.",
  );
  const head = el(
    "tr",
    null,
    el("td"),
    ...group.sessions.map((one) =>
      el(
        "th",
        { scope: "col" },
        el("a", { href: `/sessions/${encodeURIComponent(one.session_id)}`, text: one.candidate }),
        el("small", { text: moment(one.began_at, now) }),
      ),
    ),
  );
  /** @param {string} label @param {(one: Compared) => (Node | string)[]} cell */
  const row = (label, cell) =>
    el(
      "tr",
      null,
      el("th", { scope: "row", text: label }),
      ...group.sessions.map((one) => el("td", null, ...cell(one))),
    );
  const rows = comparison.criteria.map(([name, label]) => row(label, (one) => levelNodes(one.levels[name])));
  rows.push(
    row("Checks passed", (one) => [one.checks]),
    row("Hidden checks", (one) => [one.hidden_checks]),
    row("Minutes", (one) => [minutes(one), ...percentile(one, "minutes")]),
    row("Charged tokens", (one) => [
      `${number(one.charged_tokens)} of ${number(one.token_budget)}`,
      ...percentile(one, "charged_tokens"),
    ]),
    row("Turns", (one) => [number(one.turns)]),
    row("Hints taken", (one) => [
      one.hints_of === null ? number(one.hints) : `${one.hints} of ${one.hints_of}`,
    ]),
    row("Refusals", (one) => [number(one.refusals)]),
    row("On the way", (one) =>
      one.marks.length ? one.marks.map((mark) => el("div", { text: mark })) : ["nothing changed"],
    ),
    row("Budget and time used", (one) => [rails(one)]),
    row("Course", (one) => [picture(one)]),
  );
  if (group.sessions.some((one) => one.accommodation))
    rows.push(row("Accommodation", (one) => [one.accommodation || "none"]));
  const table = el("table", { class: "t cmp" }, el("thead", null, head), el("tbody", null, ...rows));
  const section = el("section", { class: "grp" }, el("h2", { text: title }));
  if (!first) add(section, warning);
  add(section, el("p", { class: "m", text: about }));
  for (const line of group.differences)
    add(section, el("p", null, el("b", { text: `Differs from set A in ${line}` })));
  add(section, el("div", { class: "card flush", tabindex: "0", role: "group", "aria-label": title }, table));
  return section;
}

/** @param {Level | undefined} level */
function levelNodes(level) {
  if (!level || level.low === null || level.high === null)
    return [el("span", { class: "m", text: level?.text ?? "not rated" }), small(level?.note ?? "")];
  const { low, high } = level;
  const marks = [1, 2, 3].map((n) => el("i", { class: n <= low ? "on" : n <= high ? "may" : "" }));
  const pips = el("span", { class: "pips", "aria-hidden": "true" }, ...marks);
  return [el("span", { class: "lvl" }, pips, el("b", { text: level.text })), small(level.note)];
}

/** @param {string} text */
const small = (text) => (text ? el("small", { text }) : "");

/** @param {Compared} one */
const minutes = (one) => `${one.minutes}${one.minutes_limit ? ` of ${one.minutes_limit}` : ""}`;

/**
 * @param {Compared} one
 * @param {string} name
 */
function percentile(one, name) {
  const share = one.percentiles[name];
  return share === undefined ? [] : [small(`${share} of 100 used less`)];
}

/** @param {Compared} one */
function rails(one) {
  const { node, draw } = makeRails();
  const limit = one.minutes_limit ? 60 * one.minutes_limit : null;
  draw({
    ...{ budget: one.token_budget, used: one.charged_tokens, held: 0, in_doubt: 0, time_limit_s: limit },
    time_left_s: limit === null ? null : Math.max(0, limit - 60 * one.minutes),
  });
  return node;
}

/**
 * Draw what is left of the budget over the time, and the cells that were run beneath.
 *
 * @param {Compared} one
 */
function picture(one) {
  const x = (/** @type {number} */ share) => (2 + (WIDTH - 4) * Math.min(1, Math.max(0, share))).toFixed(1);
  const y = (/** @type {number} */ share) =>
    (BOTTOM - (BOTTOM - TOP) * Math.min(1, Math.max(0, share))).toFixed(1);
  const node = shape("svg", {
    ...{ class: "tl multiple", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" },
    "aria-label": one.picture_words,
  });
  shape("path", { class: "tl-g", d: `M2 ${BOTTOM}H${WIDTH - 2}` }, node);
  shape("path", { class: "tl-pace", d: `M2 ${TOP}L${WIDTH - 2} ${BOTTOM}` }, node);
  const [start, ...rest] = one.picture.left;
  if (start) {
    const steps = rest.map(([at, left]) => `H${x(at)}V${y(left)}`).join("");
    shape("path", { class: "tl-line", d: `M${x(start[0])} ${y(start[1])}${steps}` }, node);
  }
  for (const [at, ok] of one.picture.cells) {
    const cx = Number(x(at));
    const d = ok ? `M${cx} ${CELLS - 5}v10` : `M${cx - 3} ${CELLS - 3}l6 6m0-6l-6 6`;
    shape("path", { class: ok ? "tl-c" : "tl-x", d }, node);
  }
  return /** @type {Node} */ (node);
}
