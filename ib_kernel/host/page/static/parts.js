// What every view is made of: elements, icons, numbers and times as people read them.
// Text only ever reaches the page as text; the one way for HTML is `safeNodes` in safe.js.

const SVG = "http://www.w3.org/2000/svg";
const GROUP = "\u202f";

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Create an element. Of *given*, `class`, `text`, `on…` handlers and `style` properties are known; the rest are
 * attributes (true: without a value, false and null: left out).
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any> | null} [given]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, given, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === null || value === false || value === undefined) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  add(node, ...children);
  return node;
}

/**
 * Append what is there of *children*.
 *
 * @param {ParentNode} parent
 * @param {...Child} children
 */
export function add(parent, ...children) {
  for (const child of children) if (child || child === "") parent.append(child);
}

/**
 * Create a shape within an SVG.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} given
 * @param {Element} [parent]
 * @param {string} [text]
 */
export function shape(tag, given, parent, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

/** Paths of the icons; a leading "f" fills, the rest is stroked. */
const ICONS = {
  plus: ["M8 3v10M3 8h10"],
  running: ["fM4 2.5v11l9-5.5z"],
  paused: ["M5 3v10M11 3v10"],
  created: ["M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11"],
  ended: ["fM3 3h10v10H3z"],
  expired: ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12", "M8 4.5V8l2.5 1.5"],
  cancelled: ["M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11", "M4.5 11.5l7-7"],
  attention: ["M8 2 14.5 13.5h-13z", "M8 6.5v3M8 11.6v.1"],
  failed: ["M5.3 1.8h5.4l3.5 3.5v5.4l-3.5 3.5H5.3l-3.5-3.5V5.3z", "m6 6 4 4m0-4-4 4"],
  check: ["m3 8.5 3.2 3.2L13 4.8"],
  cross: ["m4 4 8 8m0-8-8 8"],
  copy: ["M5.5 5.5h8v8h-8z", "M10.5 5.5v-3h-8v8h3"],
  clock: ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12", "M8 4.5V8l2.5 1.5"],
  line: ["M2.5 3.5h11v7h-6l-3 3v-3h-2z"],
  hint: ["fM8 2l6 6-6 6-6-6z"],
  info: ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12", "M8 7.2v4M8 4.8v.1"],
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * Return an icon; a word always stands beside it.
 *
 * @param {IconName} name
 */
export function icon(name) {
  const node = shape("svg", { class: "i", viewBox: "0 0 16 16", "aria-hidden": "true" });
  for (const path of ICONS[name]) {
    const filled = path.startsWith("f");
    shape("path", { d: filled ? path.slice(1) : path, ...(filled ? { class: "f" } : {}) }, node);
  }
  return node;
}

/**
 * Return a whole number with narrow no-break spaces between its groups, such as "12 345".
 *
 * @param {number} n
 */
export function number(n) {
  const digits = String(Math.round(Math.abs(n))).replace(/\B(?=(\d{3})+$)/g, GROUP);
  return Math.round(n) < 0 ? `−${digits}` : digits;
}

/**
 * Return a number with its noun, such as "1 turn" or "2 turns".
 *
 * @param {number} n
 * @param {string} noun
 */
export const several = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;

/**
 * Return seconds as a clock shows them: "18:52", "1:02:05"; what has begun counts when *up* is false.
 *
 * @param {number} seconds
 */
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor(s / 60) % 60;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(s % 60)}`;
}

/**
 * Return when something was: on the interview's own clock, or before it ran, the time of day.
 *
 * @param {{ at: number, at_s: number }} when
 */
export const onClock = ({ at, at_s }) => (at_s > 0 ? clock(at_s) : TIME.format(at * 1000));

/**
 * Return a length of time as words: "45 min", "1 h 30 min", "30 s".
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)}\u00a0s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes}\u00a0min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)}\u00a0h${rest ? ` ${rest}\u00a0min` : ""}`;
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/**
 * Return a moment as a time of today or a date.
 *
 * @param {number} at seconds since 1970
 * @param {number} now seconds since 1970
 */
export function moment(at, now) {
  const then = new Date(at * 1000);
  const today = new Date(now * 1000);
  if (then.toDateString() === today.toDateString()) return TIME.format(then);
  return (then.getFullYear() === today.getFullYear() ? DAY : YEAR).format(then);
}

/**
 * Return a moment with date and time, such as "26 Nov, 18:00".
 *
 * @param {number} at seconds since 1970
 */
export const dateTime = (at) => `${DAY.format(at * 1000)}, ${TIME.format(at * 1000)}`;

/**
 * Return the time of a moment to the second.
 *
 * @param {number} at seconds since 1970
 */
export const exactTime = (at) => EXACT.format(at * 1000);

/**
 * Say how long ago something was: "now", "6 min ago", then the time or the date.
 *
 * @param {number} at seconds since 1970
 * @param {number} now seconds since 1970
 */
export function ago(at, now) {
  const passed = now - at;
  if (passed < 30) return "now";
  if (passed < 3600) return `${Math.max(1, Math.round(passed / 60))}\u00a0min ago`;
  return moment(at, now);
}

/**
 * Change a node's text only where it differs, so that nothing flickers and a screen reader hears changes only.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Put *nodes* under *parent* in this order and take away what is not among them; what stands where it belongs is
 * not touched, so that focus, selection and scrolling stay.
 *
 * @param {ParentNode & Node} parent
 * @param {Node[]} nodes
 */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

/**
 * Return a note: a glyph, a bold lead and what follows.
 *
 * @param {"warn" | "bad" | ""} kind
 * @param {string} lead
 * @param {...Child} rest
 */
export function note(kind, lead, ...rest) {
  const name = kind === "bad" ? "failed" : kind === "warn" ? "attention" : "info";
  const role = kind === "bad" ? "alert" : "status";
  return el(
    "div",
    { class: `note ${kind}`, role },
    icon(name),
    el("div", null, el("b", { text: lead }), " ", ...rest),
  );
}

/**
 * Return a labelled field: label, control, what helps, and where its error stands.
 *
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @param {{ hint?: string, unit?: string, wide?: boolean }} [more]
 */
export function field(label, control, more = {}) {
  control.classList.add("in");
  const hint = el("div", { class: "hint", id: `${control.id}-hint`, text: more.hint ?? "" });
  control.setAttribute("aria-describedby", hint.id);
  const unit = el("span", { class: "m", text: more.unit ?? "" });
  const box = more.unit === undefined ? control : el("div", { class: "unit" }, control, unit);
  const node = el(
    "div",
    { class: more.wide ? "w" : "" },
    el("label", { for: control.id, text: label }),
    box,
    hint,
  );
  /** @param {string} words "" when there is nothing wrong */
  function say(words) {
    node.classList.toggle("err", Boolean(words));
    if (words) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
    hint.replaceChildren();
    add(hint, words ? icon("failed") : null, el("span", { text: words || (more.hint ?? "") }));
  }
  say("");
  return { node, control, hint, unit, say };
}

/**
 * Read a whole number as people type it, with or without gaps between its groups; NaN when it is none.
 *
 * @param {string} text
 */
export function wholeNumber(text) {
  const digits = text.replace(/[\s.,'’\u202f\u00a0_]/g, "");
  return /^\d{1,12}$/.test(digits) ? Number(digits) : Number.NaN;
}
