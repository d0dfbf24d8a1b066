// Small drawings that stand beside a word and say the same; hidden from screen readers.

const SVG = "http://www.w3.org/2000/svg";

/** @type {Record<string, string[]>} */
const SHAPES = {
  running: ["M4 2.5v11l9-5.5z"],
  paused: ["M5 3v10M11 3v10"],
  ready: ["M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z"],
  ended: ["M3.5 3.5h9v9h-9z"],
  time: ["M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z", "M8 4.5V8l2.5 1.5"],
  warning: ["M8 2 14.5 13.5h-13z", "M8 6.5v3M8 11.6v.1"],
  failed: ["M5.3 1.8h5.4l3.5 3.5v5.4l-3.5 3.5H5.3l-3.5-3.5V5.3z", "m6 6 4 4m0-4-4 4"],
  talk: ["M2 3h12v8H7l-3 2.8V11H2z"],
  open: ["m6 3.5 4.5 4.5L6 12.5"],
};
const FILLED = new Set(["running", "ended"]);

/** @typedef {"running" | "paused" | "ready" | "ended" | "time" | "warning" | "failed" | "talk" | "open"} Icon */

/**
 * Put an icon into *parent*.
 *
 * @param {Icon} name
 * @param {ParentNode} parent
 */
export function icon(name, parent) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `ib-icon${FILLED.has(name) ? " ib-filled" : ""}`);
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  for (const d of SHAPES[name] ?? []) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  parent.append(svg);
  return svg;
}
