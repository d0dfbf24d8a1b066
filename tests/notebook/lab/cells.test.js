import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isQuestion,
  PROSE,
  watchCells,
  watchNotebooks,
} from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/cells.js";
import { Cell, notebook, Signal } from "./lab.js";

const QUESTION = "%%interview\nIt's kept in Redis.";

test("a question begins with the magic and nothing else is one", () => {
  for (const source of [QUESTION, "%%interview", "\n %%interview -n 300\nx", "%%interview\t--vars\nx"])
    assert.equal(isQuestion(source), true, source);
  for (const source of ["", "%interview start", "%%interviews\nx", "1\n%%interview\nx", "%%usage\nSELECT 1"])
    assert.equal(isQuestion(source), false, source);
});

test("cells of a notebook that is opened are prose or code by what is in them", () => {
  const [question, code] = [new Cell(QUESTION), new Cell("1 + 1")];
  watchCells(notebook(question, code));
  assert.deepEqual([question.mimeType, code.mimeType], [PROSE, "text/x-ipython"]);
});

test("typing the magic makes a cell prose, and taking it away makes it code again", () => {
  const cell = new Cell("");
  watchCells(notebook(cell));
  cell.write("%%interview\n");
  assert.equal(cell.mimeType, PROSE);
  cell.write("%%inter");
  assert.equal(cell.mimeType, "text/x-ipython");
});

test("a kernel that starts gives its language to code only", () => {
  const [question, code] = [new Cell(QUESTION), new Cell("1 + 1")];
  watchCells(notebook(question, code));
  for (const cell of [question, code]) cell.mimeType = "text/x-julia";
  assert.deepEqual([question.mimeType, code.mimeType], [PROSE, "text/x-julia"]);
});

test("a cell that is pasted is prose at once", () => {
  const open = notebook(new Cell("1"));
  watchCells(open);
  const pasted = new Cell(QUESTION);
  open.model.cells.push(pasted);
  open.model.cells.changed.emit(open.model.cells);
  assert.equal(pasted.mimeType, PROSE);
});

test("a Markdown cell stays what it is", () => {
  const cell = new Cell(QUESTION, "markdown");
  cell.mimeType = "text/x-ipythongfm";
  watchCells(notebook(cell));
  cell.write("# no magic");
  assert.equal(cell.mimeType, "text/x-ipythongfm");
});

test("a notebook whose content comes later, and one that is opened later, are watched too", () => {
  const late = notebook();
  const model = notebook(new Cell(QUESTION)).model;
  late.model = null;
  const tracker = {
    currentWidget: null,
    widgetAdded: new Signal(),
    currentChanged: new Signal(),
    forEach: (/** @type {any} */ act) => act({ content: late }),
  };
  watchNotebooks(/** @type {any} */ (tracker));
  late.model = model;
  late.modelChanged.emit(late);
  assert.equal(model.cells[0].mimeType, PROSE);
  const other = notebook(new Cell(QUESTION));
  tracker.widgetAdded.emit(tracker, { content: other });
  assert.equal(other.model.cells[0].mimeType, PROSE);
});
