// The burn-down line of the selected session.

import { element, number, setText } from "../lab/labextensions/interview-buddy/static/parts.js";

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {[seconds: number, left: number, budget: number]} Point seconds since the start, tokens, tokens */

/**
 * Create a shape within an SVG.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {Element} parent
 * @param {string} [text]
 */
function shape(tag, attributes, parent, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/**
 * Put the chart into *parent*; what is returned draws points, oldest first.
 *
 * @param {ParentNode} parent
 */
export function makeChart(parent) {
  const box = element("section", "", parent);
  element("div", "ib-title", box, "Tokens left over time");
  const svg = shape("svg", { viewBox: "0 0 420 150", role: "img", class: "ib-chart" }, box);
  const words = element("div", "ib-small", box);
  let shown = "";

  /** @param {Point[]} points */
  return function draw(points) {
    const key = JSON.stringify(points);
    if (key === shown) return;
    shown = key;
    svg.replaceChildren();
    const first = points[0];
    const last = points.at(-1);
    box.hidden = !last;
    if (!first || !last) return;
    const most = Math.max(1, ...points.map((p) => p[2]));
    const end = Math.max(last[0], 1);
    const x = (/** @type {number} */ s) => (58 + (350 * s) / end).toFixed(1);
    const y = (/** @type {number} */ n) => (128 - (112 * n) / most).toFixed(1);
    for (const share of [0, 0.5, 1]) {
      const at = y(most * share);
      shape("line", { x1: 58, x2: 408, y1: at, y2: at, class: "ib-grid" }, svg);
      const tick = { x: 54, y: Number(at) + 4, "text-anchor": "end", class: "ib-tick" };
      shape("text", tick, svg, number(most * share));
    }
    const steps = (/** @type {1 | 2} */ at) =>
      points.map((p, i) => (i ? `H${x(p[0])}V${y(p[at])}` : `M${x(p[0])},${y(p[at])}`)).join("");
    shape("path", { d: steps(2), class: "ib-budget-line" }, svg);
    shape("path", { d: steps(1), class: "ib-left-line" }, svg);
    shape("circle", { cx: x(last[0]), cy: y(last[1]), r: 3, class: "ib-dot" }, svg);
    const long = end >= 120 ? `${number(end / 60)} min` : `${number(end)} s`;
    shape("text", { x: 58, y: 144, class: "ib-tick" }, svg, "start");
    shape("text", { x: 408, y: 144, "text-anchor": "end", class: "ib-tick" }, svg, long);
    const way = `from ${number(first[1])} to ${number(last[1])}`;
    setText(words, `solid: left, dashed: budget · ${way} tokens within ${long}`);
    const digits = (/** @type {number} */ n) => String(Math.round(n));
    const label = `Tokens left went from ${digits(first[1])} to ${digits(last[1])} within ${long}; the budget is ${digits(last[2])}`;
    svg.setAttribute("aria-label", label);
  };
}
