import assert from "node:assert/strict";
import { test } from "node:test";
import { lostHtml } from "../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/reopened.js";

const VIEW = "application/vnd.jupyter.widget-view+json";
const OURS = '<div class="tex2jax_ignore mathjax_ignore ib"><p>2 of 2 sessions</p></div>';
const LOST = "Error displaying widget: model not found";

test("a lost widget of ours is shown by its HTML form", () => {
  assert.equal(lostHtml({ data: { [VIEW]: {}, "text/html": OURS } }, LOST), OURS);
});

test("a widget that lives, somebody else's, and any other output stay as they are", () => {
  assert.equal(lostHtml({ data: { [VIEW]: {}, "text/html": OURS } }, "2 of 2 sessions"), "");
  assert.equal(lostHtml({ data: { [VIEW]: {}, "text/html": '<div class="bib">x</div>' } }, LOST), "");
  assert.equal(lostHtml({ data: { [VIEW]: {}, "text/plain": "x" } }, LOST), "");
  assert.equal(lostHtml({ data: { "text/html": OURS } }, LOST), "");
  assert.equal(lostHtml(undefined, LOST), "");
});
