// Cells that begin with %%interview hold prose: they are edited as Markdown, code blocks in them highlighted.

/** @import { CellModel, Notebook, NotebookPanel, Tracker } from "./lab.js" */

/** JupyterLab's own kind of Markdown: with mathematics, and code blocks in the colours of their language. */
export const PROSE = "text/x-ipythongfm";

const OURS = /^\s*%%interview(?!\w)/;

/**
 * Return True if a cell's text is a question or answer to the interviewer.
 *
 * @param {string} source
 */
export const isQuestion = (source) => OURS.test(source);

/**
 * Keep the cells of one notebook in the language of what is in them.
 *
 * @param {Notebook} notebook
 */
export function watchCells(notebook) {
  /** @type {WeakSet<CellModel>} */
  const watched = new WeakSet();

  /** @param {CellModel} cell */
  function setLanguage(cell) {
    const wanted = isQuestion(cell.sharedModel.getSource()) ? PROSE : null;
    if (wanted && cell.mimeType !== wanted) cell.mimeType = wanted;
    if (!wanted && cell.mimeType === PROSE) cell.mimeType = notebook.codeMimetype;
  }

  function watchAll() {
    for (const cell of notebook.model?.cells ?? []) {
      if (cell.type !== "code" || watched.has(cell)) continue;
      watched.add(cell);
      cell.contentChanged.connect(setLanguage);
      cell.mimeTypeChanged.connect(setLanguage); // a kernel that starts gives every cell its language again
      setLanguage(cell);
    }
  }

  function takeModel() {
    notebook.model?.cells.changed.connect(watchAll);
    watchAll();
  }

  notebook.modelChanged.connect(takeModel);
  takeModel();
}

/**
 * Do so in every notebook that is open or will be.
 *
 * @param {Tracker} tracker
 */
export function watchNotebooks(tracker) {
  const watch = (/** @type {NotebookPanel} */ panel) => watchCells(panel.content);
  tracker.forEach(watch);
  tracker.widgetAdded.connect((_, panel) => watch(panel));
}
