// A Stop button beside a reply that is being written. It stands beside the output, not in it: the reply is drawn
// anew ten times a second, and a button that is replaced while it is pressed is never clicked.

/** @import { NotebookPanel, Tracker } from "./lab.js" */

import { icon } from "./icons.js";
import { element, setText } from "./parts.js";

/** What the kernel puts around a reply that has not ended. */
const GROWING = ".ib-growing";

/**
 * Return the element beside whose end the button stands, null while no reply is being written.
 *
 * @param {NotebookPanel} panel
 */
export function placeOf(panel) {
  const status = panel.sessionContext.session?.kernel?.status;
  if (status !== "busy") return null; // what a kernel left behind that was ended in the middle
  const growing = panel.content.node.querySelectorAll(GROWING);
  return growing[growing.length - 1]?.closest(".jp-Cell-outputWrapper") ?? null;
}

/** @param {() => void} press */
function makeButton(press) {
  const box = element("div", "ib ib-stop");
  const button = element("button", "ib-button", box);
  button.type = "button";
  icon("ended", button).classList.remove("ib-filled");
  const words = element("span", "", button, "Stop");
  button.title = "End the reply; what has arrived is kept";
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    setText(words, "Stopping…");
    press();
  });
  return {
    box,
    ready() {
      button.removeAttribute("aria-disabled");
      setText(words, "Stop");
    },
  };
}

/**
 * Show the button while a reply is being written in *panel*; what is returned ends that.
 *
 * @param {NotebookPanel} panel
 */
export function watchStop(panel) {
  const { box, ready } = makeButton(() => void panel.sessionContext.session?.kernel?.interrupt());
  let due = 0;

  function place() {
    due = 0;
    const place = placeOf(panel);
    if (box.parentElement === place) return;
    box.remove();
    if (!place) return;
    ready();
    place.append(box);
  }
  function soon() {
    due ||= requestAnimationFrame(place);
  }
  const watch = new MutationObserver(soon);
  watch.observe(panel.content.node, { childList: true, subtree: true });
  panel.sessionContext.statusChanged.connect(soon);
  return () => {
    watch.disconnect();
    panel.sessionContext.statusChanged.disconnect(soon);
    cancelAnimationFrame(due);
    box.remove();
  };
}

/**
 * Do so in every notebook that is open or will be.
 *
 * @param {Tracker} tracker
 */
export function watchStops(tracker) {
  const watch = (/** @type {NotebookPanel} */ panel) => {
    const stop = watchStop(panel);
    panel.disposed.connect(stop);
  };
  tracker.forEach(watch);
  tracker.widgetAdded.connect((_, panel) => watch(panel));
}
