// A notebook that is opened again has our widgets' outputs and no widgets: JupyterLab says "model not found". Each
// of these outputs also has an HTML form of what was shown; that form takes the message's place. A widget whose kernel
// has gone while the notebook was open says as of when it is.

/** @import { NotebookPanel, Tracker } from "./lab.js" */

/** How a kernel is called that our widgets have lost, also when it comes back. */
const GONE = /restarting|dead|terminating/;

/** What JupyterLab's widgets say when the kernel does not know a model. */
const LOST = /^Error displaying widget/;

const HTML = "text/html";
const VIEW = "application/vnd.jupyter.widget-view+json";

/**
 * Return the HTML form of a lost widget of ours, "" for any other output.
 *
 * @param {{ data: Record<string, unknown> } | undefined} output
 * @param {string} shown what the output says on the page
 */
export function lostHtml(output, shown) {
  const html = output?.data[HTML];
  if (!output?.data[VIEW] || typeof html !== "string" || !LOST.test(shown)) return "";
  return /^<div class="[^"]*\bib\b/.test(html) ? html : "";
}

/**
 * Show the HTML form of each lost widget of a notebook.
 *
 * @param {NotebookPanel} panel
 */
async function show(panel) {
  const { rendermime, widgets } = panel.content;
  for (const { outputArea } of widgets) {
    for (const [i, output] of (outputArea?.widgets ?? []).entries()) {
      const place = output.node.querySelector(".jp-OutputArea-output");
      const html = place ? lostHtml(outputArea?.model.get(i), place.textContent ?? "") : "";
      if (!place || !html) continue;
      const drawn = rendermime.createRenderer(HTML); // cleans what is not trusted
      await drawn.renderModel({ data: { [HTML]: html }, metadata: {}, trusted: false, setData() {} });
      place.replaceChildren(drawn.node);
    }
  }
}

/**
 * Let the widgets of a notebook say that nothing keeps them up to date any more.
 *
 * @param {NotebookPanel} panel
 */
function end(panel) {
  for (const root of panel.content.node.querySelectorAll(".ib-widget")) root.classList.add("ib-ended");
}

/**
 * Watch the outputs of every notebook that is open or will be.
 *
 * @param {Tracker} tracker
 */
export function watchReopened(tracker) {
  const watch = (/** @type {NotebookPanel} */ panel) => {
    let due = false;
    const soon = new MutationObserver(() => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        if (!panel.isDisposed) void show(panel);
      });
    });
    soon.observe(panel.content.node, { childList: true, subtree: true });
    panel.disposed.connect(() => soon.disconnect());
    panel.sessionContext.statusChanged.connect((_, status) => {
      if (GONE.test(String(status))) end(panel);
    });
    panel.sessionContext.kernelChanged.connect((_, change) => {
      if (/** @type {{ oldValue?: unknown }} */ (change)?.oldValue) end(panel);
    });
  };
  tracker.forEach(watch);
  tracker.widgetAdded.connect((_, panel) => watch(panel));
}
