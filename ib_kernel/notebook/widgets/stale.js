// The line over a widget that no kernel keeps up to date any more; the extension's `reopened.js` lets it be seen.

import { element, setText } from "../lab/labextensions/interview-buddy/static/parts.js";

/**
 * Put the line into *root*; what is returned takes note that what is shown is true now.
 *
 * @param {ParentNode} root
 */
export function makeStale(root) {
  const line = element("div", "ib-small ib-stale", root);
  return () => setText(line, `As of ${new Date().toTimeString().slice(0, 5)}, not live.`);
}
