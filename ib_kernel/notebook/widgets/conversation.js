// The conversation of the selected session.

import { element, number, setText } from "../lab/labextensions/interview-buddy/static/parts.js";
import { safeNodes } from "../lab/labextensions/interview-buddy/static/safe.js";

/** @typedef {[who: string, candidate: boolean, html: string]} Said one message, as the kernel sends it */

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
