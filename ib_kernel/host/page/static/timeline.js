// The course of an interview: what was asked, run, checked and hinted on one time axis, and the tokens left beneath.
// The lane says what an event is, its shape how it ended; a table below says the same.

/** @import { Course, Row } from "./api.js" */

import { clock, el, number, shape } from "./parts.js";

const TOP = 14;
const LANE = 24;
const BURN_TOP = 124;
const BURN_BOTTOM = 220;
const HEIGHT = 242;
const NARROW = 600;

/**
 * Return the minute marks of an axis.
 *
 * @param {number} minutes its length
 * @param {number} most marks at most
 */
export function marks(minutes, most) {
  const step = [1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 480].find((s) => minutes / s <= most) ?? 960;
  const found = [];
  for (let at = 0; at < minutes - step / 3; at += step) found.push(at);
  return [...found, Math.round(minutes)];
}

/**
 * Say in one sentence what the timeline shows.
 *
 * @param {Course} course
 * @param {Row} row
 */
export function courseWords(course, row) {
  const failed = course.cells.filter((cell) => !cell.ok).length;
  const last = course.checks.filter((check) => check.suite === "visible").at(-1);
  const parts = [
    `${course.questions.length} questions`,
    ...(course.cells.length ? [`${course.cells.length} cells run, ${failed} failed`] : []),
    ...(last ? [`checks ${last.passed} of ${last.total}`] : []),
    ...(course.hints.length ? [`${course.hints.length} hints`] : []),
  ];
  const at = Math.round(course.now_s / 60);
  return `Timeline to minute ${at}: ${parts.join(", ")}. ${row.left} of ${row.budget} tokens left. The table below has the same.`;
}

/**
 * Draw the timeline at a width in pixels.
 *
 * @param {Course} course
 * @param {Row} row
 * @param {number} width
 */
export function timeline(course, row, width) {
  const narrow = width < NARROW;
  const from = narrow ? 64 : 76;
  const to = width - (narrow ? 6 : 14);
  const longest = Math.max(course.limit_s ?? 0, course.now_s, ...course.questions.map((q) => q.at_s), 60);
  const x = (/** @type {number} */ s) => from + ((to - from) * Math.min(s, longest)) / longest;
  const svg = shape("svg", {
    class: "tl",
    viewBox: `0 0 ${width} ${HEIGHT}`,
    width,
    height: HEIGHT,
    role: "img",
  });
  svg.setAttribute("aria-label", courseWords(course, row));

  const lanes = /** @type {const} */ (["Questions", "Cells run", "Checks", "Hints"]);
  const y = (/** @type {typeof lanes[number]} */ lane) => TOP + LANE * lanes.indexOf(lane);
  for (const lane of lanes) {
    shape("text", { x: 0, y: y(lane) + 4, class: "tl-m" }, svg, lane);
    shape("path", { d: `M${from} ${y(lane)}H${to}`, class: "tl-g" }, svg);
  }
  burn(svg, course, row, { from, to, x, longest, narrow });
  questions(svg, course, x, y("Questions"), narrow);
  for (const cell of course.cells) {
    const at = x(cell.at_s);
    if (cell.ok) shape("path", { class: "tl-c", d: `M${at} ${y("Cells run") - 6}v12` }, svg);
    else shape("path", { class: "tl-x", d: `M${at - 3.5} ${y("Cells run") - 3.5}l7 7m0-7l-7 7` }, svg);
  }
  for (const check of course.checks) {
    const at = x(check.at_s);
    shape("path", { class: "tl-ok", d: `M${at - 3} ${y("Checks")}l3 3 6-7` }, svg);
    const text = `${check.passed}/${check.total}`;
    shape("text", { x: at + 11, y: y("Checks") + 4, class: "tl-b" }, svg, text);
  }
  for (const hint of course.hints) {
    const at = x(hint.at_s);
    shape("path", { class: "tl-h", d: `M${at} ${y("Hints") - 6}l6 6-6 6-6-6z` }, svg);
    shape("text", { x: at + 10, y: y("Hints") + 4, class: "tl-b" }, svg, String(hint.n));
  }
  return svg;
}

/**
 * @param {Element} svg
 * @param {Course} course
 * @param {(s: number) => number} x
 * @param {number} y
 * @param {boolean} narrow
 */
function questions(svg, course, x, y, narrow) {
  const close = course.questions.some((q, i) => {
    const before = course.questions[i - 1];
    return before && x(q.at_s) - x(before.at_s) < 17;
  });
  const small = narrow || close;
  const look = { answered: "", unanswered: " u", asking: " h", in_doubt: " d" };
  const words = {
    answered: "",
    unanswered: ", not answered",
    asking: ", being answered",
    in_doubt: ", in doubt",
  };
  for (const question of course.questions) {
    const group = shape("g", {}, svg);
    const title = `Turn ${question.turn} at ${clock(question.at_s)}${words[question.state]}`;
    shape("title", {}, group, title);
    const r = small ? 4.5 : 9;
    shape("circle", { class: `tl-q${look[question.state]}`, cx: x(question.at_s), cy: y, r }, group);
    if (small) continue;
    const name = `tl-n${question.state === "answered" ? "" : " d"}`;
    shape(
      "text",
      { x: x(question.at_s), y: y + 4, "text-anchor": "middle", class: name },
      group,
      String(question.turn),
    );
  }
}

/**
 * @param {Element} svg
 * @param {Course} course
 * @param {Row} row
 * @param {{ from: number, to: number, x: (s: number) => number, longest: number, narrow: boolean }} at
 */
function burn(svg, course, row, { from, to, x, longest, narrow }) {
  const most = Math.max(row.budget, 1, ...course.left.map(([, , budget]) => budget));
  const y = (/** @type {number} */ n) => BURN_BOTTOM - ((BURN_BOTTOM - BURN_TOP) * Math.max(0, n)) / most;
  const steps = course.left.map(([s, n], i) => (i ? `H${x(s)}V${y(n)}` : `M${x(s)} ${y(n)}`)).join("");
  const end = x(course.now_s);
  if (steps) shape("path", { class: "tl-area", d: `${steps}H${end}V${BURN_BOTTOM}H${from}Z` }, svg);
  shape("text", { x: 0, y: BURN_TOP - 12, class: "tl-m" }, svg, "Tokens left");
  for (const share of [0, 0.5, 1]) {
    const line = y(most * share);
    shape("path", { class: "tl-g", d: `M${from} ${line}H${to}` }, svg);
    const given = { x: from - 8, y: line + 4, "text-anchor": "end", class: "tl-m" };
    shape("text", given, svg, number(most * share));
  }
  const first = course.left[0];
  if (course.limit_s && first)
    shape(
      "path",
      { class: "tl-pace", d: `M${from} ${y(first[2])}L${x(course.limit_s)} ${BURN_BOTTOM}` },
      svg,
    );
  for (const minute of marks(longest / 60, narrow ? 3 : 9)) {
    const last = minute === Math.round(longest / 60);
    const given = {
      x: Math.min(x(minute * 60), to),
      y: HEIGHT - 6,
      "text-anchor": last ? "end" : "middle",
      class: "tl-m",
    };
    shape("text", given, svg, last ? `${minute} min` : String(minute));
  }
  if (!steps) return;
  shape("path", { class: "tl-line", d: `${steps}H${end}` }, svg);
  const settled = course.left.at(-1)?.[1] ?? row.left;
  const held = row.held + row.in_doubt;
  if (held) shape("path", { class: "tl-held", d: `M${end} ${y(settled)}V${y(row.left)}` }, svg);
  if (row.group === "open") shape("path", { class: "tl-now", d: `M${end} 2V${BURN_BOTTOM}` }, svg);
  shape("circle", { class: "tl-dot", cx: end, cy: y(row.left), r: 3.5 }, svg);
  const words = `${number(row.left)} left${row.held && !narrow ? `, ${number(row.held)} held` : ""}`;
  const right = end > to - 130;
  const above = y(row.left) > BURN_BOTTOM - 14 ? -8 : 4;
  const place = {
    x: right ? end - 8 : end + 8,
    y: y(row.left) + above,
    "text-anchor": right ? "end" : "start",
    class: "tl-b",
  };
  shape("text", place, svg, words);
  if (!narrow && course.limit_s && course.now_s < 0.6 * course.limit_s && first) {
    const at = 0.85 * longest;
    const given = { x: x(at), y: y(first[2] * (1 - at / course.limit_s)) - 6, class: "tl-m" };
    shape("text", given, svg, "even pace");
  }
}

/**
 * Make the card's inside: the drawing, which follows its width, and the table.
 *
 * @param {HTMLElement} parent
 * @param {(course: Course) => [at_s: number, what: string][]} list
 */
export function makeTimeline(parent, list) {
  const box = el("div", { class: "tl-box" });
  const body = el("tbody");
  const head = el(
    "tr",
    null,
    el("th", { scope: "col", text: "Minute" }),
    el("th", { scope: "col", text: "What" }),
  );
  const table = el("table", { class: "t" }, el("thead", null, head), body);
  parent.append(box, el("details", null, el("summary", { class: "s m", text: "Same as a table" }), table));
  /** @type {[Course, Row] | null} */
  let now = null;
  let shown = "";

  function show() {
    if (!now || !box.clientWidth) return;
    const key = `${box.clientWidth} ${JSON.stringify(now)}`;
    if (key === shown) return;
    shown = key;
    box.replaceChildren(timeline(now[0], now[1], box.clientWidth));
  }
  const watch = new ResizeObserver(show);
  watch.observe(box);

  /**
   * @param {Course} course
   * @param {Row} row
   */
  function draw(course, row) {
    now = [course, row];
    show();
    const rows = list(course);
    if (rows.length === body.children.length) return;
    body.replaceChildren(
      ...rows.map(([s, what]) =>
        el("tr", null, el("td", { class: "n", text: clock(s) }), el("td", { text: what })),
      ),
    );
  }
  return { draw, close: () => watch.disconnect() };
}
