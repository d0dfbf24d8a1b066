// A notebook that is opened again has our widgets' outputs and no widgets: JupyterLab says "model not found". Each
// of these outputs also has an HTML form of what was shown; that form takes the message's place.

/** @import { NotebookPanel, Tracker } from "./lab.js" */

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
  };
  tracker.forEach(watch);
  tracker.widgetAdded.connect((_, panel) => watch(panel));
}
