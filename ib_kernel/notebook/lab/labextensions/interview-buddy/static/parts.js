// What the views share. Text only ever reaches the page as text (textContent), never as HTML.

/** @import { AnyModel } from "@anywidget/types" */

const THIN = "\u202f"; // a narrow space that no line is broken at

/**
 * Return a whole number as people read it, in groups of three.
 *
 * @param {number} n
 */
export const number = (n) => Math.round(n).toLocaleString("en-US").replaceAll(",", THIN);

/**
 * Return a number in two or three figures, such as 9.2k, for where there is no room.
 *
 * @param {number} n
 */
export function short(n) {
  if (n < 1000) return String(Math.round(n));
  const [value, unit] = n < 999_500 ? [n / 1000, "k"] : [n / 1_000_000, "M"];
  return `${value < 99.95 ? Math.floor(value * 10) / 10 : Math.floor(value)}${unit}`;
}

/**
 * Return a number with its noun, such as "1 turn" or "2 turns".
 *
 * @param {number} n
 * @param {string} noun
 */
export const several = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;

/**
 * Return seconds as a clock shows them, such as 21:40 or 1:05:00; never less than 0:00.
 *
 * @param {number} seconds
 */
export function clock(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  const h = Math.floor(s / 3600);
  const m = Math.floor(s / 60) % 60;
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${h ? `${h}:${two(m)}` : m}:${two(s % 60)}`;
}

/**
 * Create an element, put it at the end of its parent if there is one, and return it.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {ParentNode | null} [parent]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

/**
 * Create a labelled input and return the input.
 *
 * @param {string} label
 * @param {"number" | "password" | "search"} type
 * @param {string | number} value
 * @param {ParentNode} parent
 */
export function field(label, type, value, parent) {
  const box = element("label", "ib-field", parent, `${label} `);
  const input = element("input", "ib-input", box);
  input.type = type;
  input.value = String(value);
  return input;
}

/**
 * Change a node's text only where it differs, so that a screen reader hears changes only.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Call *act* when one of the model's traits changes; return what ends that.
 *
 * @param {AnyModel} model
 * @param {string[]} names
 * @param {() => void} act
 */
export function follow(model, names, act) {
  for (const name of names) model.on(`change:${name}`, act);
  return () => {
    for (const name of names) model.off(`change:${name}`, act);
  };
}
