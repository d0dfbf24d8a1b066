import assert from "node:assert/strict";
import { test } from "node:test";
import view from "../../../ib_kernel/notebook/widgets/replay.js";
import { button, find, show } from "./page.js";

const CELL = { kind: "cell", at: 1, ok: true, name: "Cell 1", text: "x = 1", html: "", note: "", left: 900 };
const MOMENTS = [
  CELL,
  { ...CELL, at: 2, ok: false, name: "Cell 2", text: "1 / 0", note: "ZeroDivisionError" },
  { ...CELL, kind: "question", at: 3, name: "Question 1", text: "", html: "<p>Why?</p>" },
  { ...CELL, kind: "reply", at: 4, name: "Reply 1", text: "", html: "<p>A zero.</p>", left: 700 },
  { ...CELL, kind: "check", at: 5, ok: false, name: "Check 1", text: "visible checks", left: 700 },
];
const ON = { moments: MOMENTS, about: "Ada", place: 0, budget: 1000 };

/** @param {HTMLElement} el @param {string} key */
function press(el, key) {
  find(el, ".ib-slider").dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }),
  );
}

test("arrow keys move, and each side shows what had happened by then", () => {
  const { el, model } = show(view, ON);
  assert.match(el.textContent, /x = 1/);
  assert.doesNotMatch(el.textContent, /1 \/ 0/);
  press(el, "ArrowRight");
  assert.equal(model.get("place"), 1);
  assert.match(el.textContent, /Cell 2 · failed · ZeroDivisionError/);
  press(el, "ArrowRight");
  assert.match(el.textContent, /Why\?/);
  press(el, "ArrowLeft");
  assert.doesNotMatch(el.textContent, /Why\?/);
  assert.match(find(el, "[role=status]").textContent, /Cell 2, 2 of 5, at 0:02 · 900 of 1.000 tokens left/);
});

test("it ends at both ends", () => {
  const { el, model } = show(view, ON);
  press(el, "ArrowLeft");
  assert.equal(model.get("place"), 0);
  for (let i = 0; i < 9; i += 1) press(el, "ArrowRight");
  assert.equal(model.get("place"), 4);
});

test("buttons jump to the next failure, question and check", () => {
  const { el, model } = show(view, ON);
  button(el, "Next failure").click();
  assert.equal(model.get("place"), 1);
  button(el, "Next question").click();
  assert.equal(model.get("place"), 2);
  button(el, "Next check").click();
  assert.equal(model.get("place"), 4);
  button(el, "Next check").click();
  assert.equal(model.get("place"), 4);
});

test("a session without moments says so", () => {
  const { el } = show(view, { ...ON, moments: [] });
  assert.match(el.textContent, /Nothing was recorded/);
});
