// The conversation of the selected session. The kernel has sanitised the HTML of a message; here it is parsed
// without running anything, and what is not on this list is dropped once more before it reaches the page.

import { element, number, setText } from "./parts.js";

/** @typedef {[who: string, candidate: boolean, html: string]} Said one message, as the kernel sends it */

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
  SPAN: ["style"],
  PRE: ["style"],
  DIV: ["class"],
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

/**
 * Put the conversation into *parent*; what is returned draws messages, of which *earlier* come before.
 *
 * @param {ParentNode} parent
 * @param {() => void} askForMore
 */
export function makeConversation(parent, askForMore) {
  const box = element("section", "", parent);
  element("div", "ib-title", box, "Conversation");
  const more = element("button", "ib-button", box, "");
  more.type = "button";
  more.addEventListener("click", askForMore);
  const list = element("div", "ib-talk", box);
  list.tabIndex = 0;
  list.setAttribute("role", "log");
  list.setAttribute("aria-label", "Conversation");
  /** @type {string[]} */
  let keys = [];
  let atEnd = true;
  /** @type {string | null} */
  let shown = null;
  const toEnd = () => {
    if (atEnd) list.scrollTop = list.scrollHeight;
  };
  list.addEventListener("scroll", () => {
    atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
  });
  new ResizeObserver(toEnd).observe(list); // it gets its size only when the page shows it

  /**
   * @param {Said[]} messages
   * @param {number} earlier
   * @param {string} sessionId
   */
  return function draw(messages, earlier, sessionId) {
    more.hidden = !earlier;
    setText(more, `Show earlier messages (${number(earlier)})`);
    const now = messages.map(([who, , html]) => `${sessionId}\n${who}\n${html}`);
    const added = keys.length > 0 && keys.every((key, i) => key === now[i]);
    if (sessionId !== shown) atEnd = true;
    shown = sessionId;
    const fromEnd = list.scrollHeight - list.scrollTop; // earlier messages come in above what is being read
    if (!added) list.replaceChildren();
    for (const [who, candidate, html] of messages.slice(added ? keys.length : 0)) {
      const item = element("div", `ib-message${candidate ? " ib-candidate" : ""}`, list);
      element("div", "ib-who", item, who);
      element("div", "", item).append(...safeNodes(html));
    }
    if (!messages.length && !list.childNodes.length)
      element("div", "ib-small", list, "nothing was said yet, or transcripts are not stored");
    if (!added && !atEnd) list.scrollTop = list.scrollHeight - fromEnd;
    toEnd();
    keys = now;
  };
}
