// HTML that the kernel has sanitised is parsed without running anything, and what is not on this list is dropped
// once more before it reaches the page.

import { element } from "./parts.js";

const ALLOWED = new Set(
  (
    "DIV P BR A BLOCKQUOTE CODE DEL EM H1 H2 H3 H4 H5 H6 HR LI OL UL PRE S SPAN STRONG " +
    "TABLE THEAD TBODY TR TH TD"
  ).split(" "),
);
/** @type {Record<string, string[]>} */
const KEPT = {
  A: ["href", "rel"],
  CODE: ["style"],
  OL: ["start"],
  TD: ["style"],
  TH: ["style"],
  TABLE: ["style"],
  SPAN: ["class", "style"],
  PRE: ["class", "style", "tabindex"],
  DIV: ["class", "style"],
};

/**
 * Return True if an attribute stays on an element of this tag.
 *
 * @param {string} tag
 * @param {string} name
 * @param {string} value
 */
function stays(tag, name, value) {
  if (!KEPT[tag]?.includes(name) || /url\(/i.test(value)) return false;
  return name !== "href" || /^(https?:|mailto:)/i.test(value);
}

/**
 * Parse a message's HTML without running anything, and return only what may stand on the page.
 *
 * @param {string} html
 */
export function safeNodes(html) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of [...body.querySelectorAll("*")]) {
    if (!ALLOWED.has(node.tagName)) {
      node.remove();
      continue;
    }
    for (const { name, value } of [...node.attributes])
      if (!stays(node.tagName, name, value)) node.removeAttribute(name);
    if (node.tagName === "A") {
      node.setAttribute("target", "_blank");
      node.setAttribute("rel", "noopener noreferrer nofollow");
    }
    if (/^H[1-6]$/.test(node.tagName)) {
      // a reply's headings are no headings of the page
      const line = element("div", "ib-heading");
      line.append(...node.childNodes);
      node.replaceWith(line);
    }
  }
  return [...body.childNodes];
}
