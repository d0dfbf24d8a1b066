// What the widgets share. Text only ever reaches the page as text (textContent), never as HTML.

/** @import { AnyModel } from "@anywidget/types" */

/**
 * Return a whole number as people read it, such as 12,345.
 *
 * @param {number} n
 */
export const number = (n) => Math.round(n).toLocaleString("en-US");

/**
 * Return a number with its noun, such as "1 turn" or "2 turns".
 *
 * @param {number} n
 * @param {string} noun
 */
export const several = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;

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
