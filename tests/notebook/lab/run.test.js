import assert from "node:assert/strict";
import { test } from "node:test";
import { runBelow } from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/run.js";
import { Cell, context, notebook } from "./lab.js";

/** @param {any} content @returns {any} */
const panelOf = (content) => ({ content, sessionContext: context(null) });

/** Actions that note which cell was run, and in whose kernel. */
function actions() {
  /** @type {any[]} */
  const ran = [];
  const run = (/** @type {any} */ of, /** @type {any} */ session) =>
    ran.push([of.model.cells[of.activeCellIndex].source, session]);
  return { run, ran };
}

test("the magic runs in a new cell below the active one, and that one alone", () => {
  const open = notebook(new Cell("first"), new Cell("second"));
  const { run, ran } = actions();
  const panel = panelOf(open);
  runBelow(panel, { run }, "%interview check");
  assert.deepEqual(
    open.model.cells.map((/** @type {Cell} */ cell) => cell.source),
    ["first", "%interview check", "second"],
  );
  assert.deepEqual(ran, [["%interview check", panel.sessionContext]]);
  assert.equal(open.deselected, 1);
});

test("without a notebook, or before its content has come, nothing is run", () => {
  const { run, ran } = actions();
  runBelow(null, { run }, "%interview hint");
  runBelow(panelOf({ ...notebook(), model: null }), { run }, "%interview hint");
  assert.deepEqual(ran, []);
  const empty = notebook();
  runBelow(panelOf(empty), { run }, "%interview hint");
  assert.equal(empty.model.cells[0].source, "%interview hint");
});
