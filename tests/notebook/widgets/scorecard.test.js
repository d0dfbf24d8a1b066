import assert from "node:assert/strict";
import { test } from "node:test";
import view, { turnsOf } from "../../../ib_kernel/notebook/widgets/scorecard.js";
import { find, show } from "./page.js";

const ROW = {
  ...{ name: "races", title: "Finds the lost update", level: null, why: "", at: "", others: [] },
  anchors: ["Not seen", "Seen when shown", "Named when asked", "Named unasked"],
};
const ON = {
  ...{ session_id: "s1", title: "Scorecard of Ada, as Ann sees it", rated: [ROW], notes: [], missing: 1 },
  ...{ is_open: true, blind: false, turns: 3, trouble: "" },
};

/** @param {HTMLElement} el @param {number} level */
function choose(el, level) {
  const input = /** @type {HTMLInputElement} */ (el.querySelectorAll("input[type=radio]")[level]);
  input.checked = true;
  input.dispatchEvent(new Event("change"));
}

test("a level is one message with its reason and turns", () => {
  const { el, model } = show(view, ON);
  find(el, "fieldset .ib-why input").value = "names it";
  find(el, ".ib-at input").value = "1, 3";
  choose(el, 2);
  const [sent] = model.sent;
  assert.deepEqual(
    { ...sent, n: 0 },
    {
      ...{ do: "score", criterion: "races", level: 2, why: "names it", turns: [1, 3], n: 0 },
    },
  );
});

test("what others gave is shown once the level is in the ledger", () => {
  const { el, model } = show(view, ON);
  assert.match(el.textContent ?? "", /What others gave stands here once you have rated/);
  assert.match(el.textContent ?? "", /1 of 1 to go/);
  choose(el, 2);
  const rated = [{ ...ROW, level: 2, others: ["Ben 3", "judge (model) 1 to 2"] }];
  const said = { ok: true, text: "races is 2", n: model.sent[0].n };
  model.update({ rated, missing: 0, said });
  assert.match(el.textContent ?? "", /Others: Ben 3; judge \(model\) 1 to 2/);
  assert.match(el.textContent ?? "", /Every criterion is rated/);
  assert.equal(find(el, ".ib-said").textContent, "✓ Done: races is 2.");
});

test("what was refused is said, and the level goes back to what the ledger has", () => {
  const { el, model } = show(view, ON);
  choose(el, 3);
  model.update({ said: { ok: false, text: "no turn 9", n: model.sent[0].n } });
  assert.equal(find(el, ".ib-said").textContent, "✗ Not done: no turn 9.");
  assert.equal(el.querySelectorAll("input:checked").length, 0);
});

test("the answer to another click is not for this page", () => {
  const { el, model } = show(view, ON);
  choose(el, 3);
  model.update({ said: { ok: true, text: "other", n: model.sent[0].n - 1 } });
  assert.equal(find(el, ".ib-said").textContent, "");
});

test("turns that are none are not sent", () => {
  const { el, model } = show(view, ON);
  find(el, ".ib-at input").value = "third";
  choose(el, 1);
  assert.deepEqual(model.sent, []);
  assert.match(find(el, ".ib-said").textContent, /turns are numbers/);
  assert.deepEqual(turnsOf("3,5"), [3, 5]);
});

test("a note goes with Enter, and keys of the notebook are left alone", () => {
  const { el, model } = show(view, ON);
  const inputs = [...el.querySelectorAll("input[type=text]")];
  const note = /** @type {HTMLInputElement} */ (inputs.at(-1));
  note.value = "asked about the limit";
  let heard = 0;
  el.addEventListener("keydown", () => {
    heard += 1;
  });
  note.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  assert.deepEqual({ ...model.sent[0], n: 0 }, { do: "note", text: "asked about the limit", n: 0 });
  assert.deepEqual([note.value, heard], ["", 0]);
  model.update({ notes: ["Ann: asked about the limit"] });
  assert.match(find(el, ".ib-notes").textContent, /asked about the limit/);
});

test("who has unfolded the session cannot give a first level", () => {
  const { el } = show(view, { ...ON, is_open: false });
  assert.equal(el.querySelectorAll("input[type=radio]:disabled").length, 4);
});

test("hiding names is asked of the kernel", () => {
  const { el, model } = show(view, ON);
  const box = find(el, "input[type=checkbox]");
  box.checked = true;
  box.dispatchEvent(new Event("change"));
  assert.deepEqual([model.traits.blind, model.saved], [true, 1]);
});
