import assert from "node:assert/strict";
import { test } from "node:test";
import view from "../../../ib_kernel/notebook/widgets/replay.js";
import { button, find, show } from "./page.js";

const CELL = {
  kind: "cell",
  mark: "",
  at: 1,
  ok: true,
  name: "Cell 1",
  text: "x = 1",
  html: "",
  note: "",
  left: 900,
  budget: 1000,
};
const SAID = { ...CELL, text: "", budget: 2000 };
const MOMENTS = [
  CELL,
  { ...CELL, at: 2, ok: false, mark: "failed", name: "Cell 2", text: "1 / 0", note: "ZeroDivisionError" },
  { ...SAID, kind: "question", mark: "question", at: 3, name: "Question 1", html: "<p>Why?</p>" },
  { ...SAID, kind: "reply", at: 4, name: "Reply 1", html: "<p>A zero.</p>", left: 700 },
  { ...CELL, kind: "check", mark: "check", at: 5, ok: false, name: "Check 1", text: "visible", left: 700 },
];
const ON = { moments: MOMENTS, about: "Ada", place: 0 };

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

test("each moment that is looked for has a mark of its own at its place on the slider", () => {
  const { el } = show(view, ON);
  /** @type {SVGElement[]} */
  const marks = [...el.querySelectorAll(".ib-marks > *")].map((mark) => /** @type {any} */ (mark));
  assert.deepEqual(
    marks.map((mark) => [mark.getAttribute("class")?.split("ib-glyph-")[1], mark.style.left]),
    [
      ["failed", "25%"],
      ["question", "50%"],
      ["check", "100%"],
    ],
  );
  assert.deepEqual(
    [...el.querySelectorAll(".ib-legend .ib-key")].map((key) => key.textContent?.trim()),
    ["question", "check", "failed cell"],
  );
});

test("the budget's course begins with what there was, against the largest budget of the session", () => {
  const { el } = show(view, ON);
  const course = find(el, ".ib-burn path").getAttribute("d") ?? "";
  assert.match(course, /^M0 55H0V55H25V55H50V55H75V65H100V65/);
});
