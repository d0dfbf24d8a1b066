// A cell that the panel writes and runs, so that its output is seen in the notebook and kept with it.

/** @import { NotebookActions, NotebookPanel } from "./lab.js" */

/**
 * Put *source* into a new cell below the active one and run it; nothing happens without an open notebook.
 *
 * @param {NotebookPanel | null} panel
 * @param {NotebookActions} actions
 * @param {string} source
 */
export function runBelow(panel, actions, source) {
  const notebook = panel?.content;
  if (!notebook?.model) return;
  const index = notebook.activeCell ? notebook.activeCellIndex + 1 : 0;
  notebook.model.sharedModel.insertCell(index, { cell_type: "code", source, metadata: { trusted: true } });
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  void actions.run(notebook, panel?.sessionContext);
}
