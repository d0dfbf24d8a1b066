// HTML of somebody's words: the host has cleaned it, and here what is not on this list is dropped once more
// before it reaches the page. It is parsed in a document that runs and fetches nothing.

import { el } from "./parts.js";

const TAGS = new Set(
  (
    "DIV P BR A BLOCKQUOTE CODE DEL EM H1 H2 H3 H4 H5 H6 HR LI OL UL PRE S SPAN STRONG " +
    "TABLE THEAD TBODY TR TH TD"
  ).split(" "),
);
const CLASSES = new Set("code plain r mid t-keyword t-name t-string t-number t-comment".split(" "));

/**
 * Return True if an attribute stays on an element of this tag.
 *
 * @param {string} tag
 * @param {string} name
 * @param {string} value
 */
function stays(tag, name, value) {
  if (name === "class") return CLASSES.has(value);
  if (name === "href") return tag === "A" && /^(https?:\/\/|mailto:)/i.test(value);
  return name === "start" && tag === "OL" && /^\d{1,9}$/.test(value);
}

/**
 * Parse a message's HTML without running anything, and return only what may stand on the page.
 *
 * @param {string} html
 * @param {string} label names the code blocks for a screen reader
 */
export function safeNodes(html, label) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of [...body.querySelectorAll("*")]) {
    if (!TAGS.has(node.tagName)) {
      node.remove();
      continue;
    }
    for (const { name, value } of [...node.attributes])
      if (!stays(node.tagName, name, value)) node.removeAttribute(name);
    if (node.tagName === "A") {
      node.setAttribute("target", "_blank");
      node.setAttribute("rel", "noopener noreferrer nofollow");
    }
    if (node.tagName === "PRE") {
      // it scrolls sideways, so a keyboard must reach it
      node.setAttribute("tabindex", "0");
      node.setAttribute("role", "group"); // no landmark: a reply may have many
      node.setAttribute("aria-label", label);
    }
    if (/^H[1-6]$/.test(node.tagName)) {
      const line = el("p", { class: "b" }); // a reply's headings are no headings of the page
      line.append(...node.childNodes);
      node.replaceWith(line);
    }
    if (node.tagName === "TABLE") {
      const box = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" });
      node.replaceWith(box);
      node.className = "t";
      box.append(node);
    }
  }
  const found = [...body.childNodes];
  const only = found.filter((node) => node.nodeType === Node.ELEMENT_NODE);
  return only.length === 1 && only[0] instanceof HTMLDivElement ? [...only[0].childNodes] : found;
}
