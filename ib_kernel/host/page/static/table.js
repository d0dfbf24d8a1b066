// What the plainer views share: a heading with what it is about, and a table.

/** @import { Me } from "./api.js" */

import { el } from "./parts.js";

/**
 * What every view is given.
 *
 * @typedef {{ now: () => number, me: Me, announce: (text: string) => void, failed: (error: unknown) => void }} Given
 */

/**
 * @param {string} title
 * @param {string} text
 * @param {Node[]} [right]
 */
export function heading(title, text, right = []) {
  return el(
    "div",
    { class: "head" },
    el("div", null, el("h1", { text: title }), el("p", { class: "m", text })),
    el("span", { class: "sp" }),
    ...right,
  );
}

/**
 * @param {string} caption
 * @param {string[]} heads
 * @param {HTMLTableRowElement[]} rows
 */
export function table(caption, heads, rows) {
  const head = el("tr", null, ...heads.map((text) => (text ? el("th", { scope: "col", text }) : el("td"))));
  return el(
    "table",
    { class: "t list" },
    el("caption", { class: "sr", text: caption }),
    el("thead", null, head),
    el("tbody", null, ...rows),
  );
}
