import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import view from "../../../ib_kernel/notebook/widgets/budget.js";
import { ACTIVE, button, find, show } from "./page.js";

const ON = { ...ACTIVE, controls: true };

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
});

test("a click is one message with a number of its own", () => {
  const { el, model } = show(view, ON);
  button(el, "Add tokens").click();
  button(el, "Pause").click();
  const [first, second] = model.sent;
  assert.deepEqual({ ...first, n: 0 }, { do: "add_tokens", tokens: 5_000, n: 0 });
  assert.deepEqual({ ...second, n: 0 }, { do: "pause", n: 0 });
  assert.notEqual(first.n, second.n);
});

test("the answer to the last click is shown, any other is not", () => {
  const { el, model } = show(view, ON);
  button(el, "Pause").click();
  const { n } = model.sent[0];
  model.update({ said: { ok: true, text: "of another click", n: n - 1 } });
  assert.equal(find(el, ".ib-said").textContent, "");
  model.update({ said: { ok: true, text: "paused", n } });
  assert.equal(find(el, ".ib-said").textContent, "✓ Done: paused.");
  button(el, "Add tokens").click();
  model.update({ said: { ok: false, text: "the session is over.", n: model.sent[1].n } });
  assert.equal(find(el, ".ib-said").textContent, "✗ Not done: the session is over.");
});

test("a kernel that is busy is said to be", () => {
  const { el } = show(view, ON);
  button(el, "Pause").click();
  mock.timers.tick(400);
  assert.match(find(el, ".ib-said").textContent, /answers when its cell has ended/);
});

for (const bad of ["", "0", "-5", "1.5"])
  test(`${JSON.stringify(bad)} tokens are not sent`, () => {
    const { el, model } = show(view, ON);
    /** @type {HTMLInputElement} */ (el.querySelectorAll("input[type=number]")[0]).value = bad;
    button(el, "Add tokens").click();
    assert.deepEqual(model.sent, []);
    assert.match(find(el, ".ib-said").textContent, /needs a whole number above 0/);
  });

test("half a minute may be added", () => {
  const { el, model } = show(view, ON);
  /** @type {HTMLInputElement} */ (el.querySelectorAll("input[type=number]")[1]).value = "0.5";
  button(el, "Add minutes").click();
  assert.equal(model.sent[0].minutes, 0.5);
});

test("what cannot be undone needs a second click, and a double click is not one", () => {
  const { el, model } = show(view, ON);
  const end = button(el, "End session");
  end.click();
  assert.equal(end.textContent, "Really end it");
  end.click();
  assert.equal(model.sent.length, 0);
  mock.timers.tick(351);
  end.click();
  assert.equal(model.sent[0].do, "end");
  assert.equal(end.textContent, "End session");
});

test("Escape, looking elsewhere and waiting leave it", () => {
  const { el, model } = show(view, ON);
  const end = button(el, "End session");
  const ways = [
    () => end.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })),
    () => end.dispatchEvent(new Event("blur")),
    () => mock.timers.tick(8_000),
  ];
  for (const leave of ways) {
    end.click();
    assert.equal(end.textContent, "Really end it");
    leave();
    assert.equal(end.textContent, "End session");
  }
  assert.deepEqual(model.sent, []);
});

test("a passphrase leaves its field with the message that needs it, and goes with no other", () => {
  const { el, model } = show(view, { ...ON, locked: true });
  const secret = find(el, "input[type=password]");
  secret.value = "open sesame";
  button(el, "Pause").click();
  assert.equal("passphrase" in model.sent[0], false);
  assert.equal(secret.value, "open sesame");
  button(el, "Add tokens").click();
  assert.equal(model.sent[1].passphrase, "open sesame");
  assert.equal(secret.value, "");
});

test("an unlocked session asks for no passphrase and sends none", () => {
  const { el, model } = show(view, ON);
  const secret = find(el, "input[type=password]");
  assert.equal(secret.closest(".ib-row").hidden, true);
  secret.value = "typed by a script";
  button(el, "Add tokens").click();
  assert.equal("passphrase" in model.sent[0], false);
});

test("a button that cannot work now does nothing", () => {
  const { el, model } = show(view, { ...ON, time_left_s: null });
  for (const name of ["Resume", "Add minutes"]) {
    assert.equal(button(el, name).getAttribute("aria-disabled"), "true", name);
    button(el, name).click();
  }
  model.update({ status: "completed" });
  for (const name of ["Add tokens", "Pause", "Resume", "End session"]) button(el, name).click();
  assert.deepEqual(model.sent, []);
});

test("a reservation in doubt is written off by its own button, with a second click", () => {
  const { el, model } = show(view, { ...ON, doubts: [["r1", "600 tokens of turn 3"]], in_doubt: 600 });
  const off = button(el, "Write off 600 tokens of turn 3");
  off.click();
  mock.timers.tick(351);
  off.click();
  const { do: what, reservation_id } = model.sent[0];
  assert.deepEqual([what, reservation_id], ["write_off", "r1"]);
  model.update({ doubts: [] });
  assert.doesNotMatch(el.textContent ?? "", /Write off/);
});
