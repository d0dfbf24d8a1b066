import assert from "node:assert/strict";
import { test } from "node:test";
import { button, DETAIL, find, host, place, settled } from "./browser.js";

Object.assign(globalThis, {
  localStorage: {
    /** @type {Record<string, string>} */
    kept: {},
    /** @param {string} key */
    getItem(key) {
      return this.kept[key] ?? null;
    },
    /** @param {string} key @param {string} value */
    setItem(key, value) {
      this.kept[key] = value;
    },
    /** @param {string} key */
    removeItem(key) {
      delete this.kept[key];
    },
  },
});
const { isBlind, levelWords, makeScorecard, turnsOf } = await import(
  "../../../ib_kernel/host/page/static/scorecard.js"
);

const RACES = {
  ...{ name: "races", title: "Finds the lost update" },
  anchors: ["Not seen", "Seen when shown", "Named when asked", "Named unasked"],
};
const OWN = {
  ...{ rater: "Ann", rater_kind: "person", level: 2, low: null, high: null, reason: "names it" },
  quotes: [
    { turn: 1, words: "" },
    { turn: 3, words: "one lock" },
  ],
  created_at: 1_000,
};
const MODEL = { ...OWN, rater: "judge", rater_kind: "model", level: null, low: 1, high: 2, quotes: [] };
const CARD = {
  rated: [{ criterion: RACES, own: null, others: [] }],
  ...{ blind: false, is_open: true, may_unfold: false, missing: 1 },
};

/** @param {any} card @param {any} [answers] */
async function show(card, answers = {}) {
  const asked = host({ "/v1/desk/sessions/s1/scorecard": card, ...answers });
  /** @type {string[]} */
  const said = [];
  let again = 0;
  const made = makeScorecard({
    ...{ id: "s1", failed: assert.ifError, announce: (text) => said.push(text) },
    again: () => {
      again += 1;
    },
  });
  const el = place();
  el.append(made.node);
  await made.refresh();
  return { el, asked, said, made, again: () => again };
}

test("what others gave comes with the answer to one's own level, and not before", async () => {
  const after = { ...CARD, rated: [{ criterion: RACES, own: OWN, others: [MODEL] }], missing: 0 };
  const { el, asked } = await show(CARD, { "/v1/desk/sessions/s1/score": after });
  assert.match(el.textContent ?? "", /What others gave stands here once you have rated/);
  const choice = /** @type {any} */ (el.querySelectorAll("input[type=radio]")[2]);
  choice.checked = true;
  choice.dispatchEvent(new Event("change"));
  await settled();
  const { body } = /** @type {any} */ (asked.at(-1));
  assert.deepEqual([body.criterion, body.level, body.turns, body.quotes], ["races", 2, [], []]);
  assert.match(el.textContent ?? "", /Others: judge \(model\) 1 to 2/);
  assert.match(find(el, "#crit-races-anchor").textContent, /2: Named when asked 3 adds: Named unasked/);
});

test("a level that was given is there with its reason, turns and quotes", async () => {
  const { el } = await show({ ...CARD, rated: [{ criterion: RACES, own: OWN, others: [] }] });
  assert.equal(/** @type {any} */ (el.querySelectorAll("input[type=radio]")[2]).checked, true);
  assert.equal(find(el, "#crit-races-why").value, "names it");
  assert.equal(find(el, "#crit-races-turns").value, "1");
  assert.match(find(el, "blockquote").textContent, /“one lock” turn 3/);
});

test("what the host refuses stands under its criterion", async () => {
  const message = "no turn 9; there are turns 1 to 3";
  const { el } = await show(
    { ...CARD, rated: [{ criterion: RACES, own: OWN, others: [] }] },
    { "/v1/desk/sessions/s1/score": { status: 400, error: { message, code: "bad_request" } } },
  );
  const turns = find(el, "#crit-races-turns");
  turns.value = "9";
  turns.dispatchEvent(new Event("change"));
  await settled();
  assert.match(find(el, ".crit .said").textContent, /no turn 9/);
});

test("what is no number of a turn is not sent", async () => {
  const { el, asked } = await show({ ...CARD, rated: [{ criterion: RACES, own: OWN, others: [] }] });
  const before = asked.length;
  const turns = find(el, "#crit-races-turns");
  turns.value = "the third";
  turns.dispatchEvent(new Event("change"));
  await settled();
  assert.equal(asked.length, before);
  assert.match(find(el, ".crit .said").textContent, /Turns are numbers/);
  assert.deepEqual(turnsOf("3, 5 7"), [3, 5, 7]);
  assert.deepEqual(turnsOf(""), []);
  assert.equal(turnsOf("0"), null);
});

test("who has unfolded a session gives no first level", async () => {
  const { el } = await show({ ...CARD, is_open: false });
  for (const input of el.querySelectorAll("input[type=radio]"))
    assert.equal(/** @type {any} */ (input).disabled, true);
  assert.match(el.textContent ?? "", /give no first levels here/);
  assert.equal(button(el, "See all levels").hidden, true);
});

test("hiding names is kept in this browser, and the session is read again", async () => {
  const { el, again, asked, made } = await show(CARD);
  const box = find(el, "#blind");
  box.checked = true;
  box.dispatchEvent(new Event("change"));
  assert.deepEqual([isBlind(), again()], [true, 1]);
  await made.refresh();
  assert.equal(asked.at(-1)?.path, "/v1/desk/sessions/s1/scorecard?blind=1");
  box.checked = false;
  box.dispatchEvent(new Event("change"));
  assert.equal(isBlind(), false);
});

test("a quote is what is selected in the candidate's words", async () => {
  const { el, asked } = await show(
    { ...CARD, rated: [{ criterion: RACES, own: OWN, others: [] }] },
    { "/v1/desk/sessions/s1/score": CARD },
  );
  const said = document.createElement("article");
  said.setAttribute("data-said-in", "2");
  said.textContent = "two locks";
  el.append(said);
  button(el, "Quote").click();
  assert.match(find(el, ".crit .said").textContent, /Select words/);
  document.getSelection = () =>
    /** @type {any} */ ({ toString: () => " two locks ", anchorNode: said.firstChild });
  button(el, "Quote").click();
  await settled();
  const { body } = /** @type {any} */ (asked.at(-1));
  assert.deepEqual(body.quotes.at(-1), { turn: 2, words: "two locks" });
});

test("levels are said in words", () => {
  /** @type {any} */
  const base = { level: null, low: null, high: null };
  assert.equal(levelWords(base), "people decide");
  assert.equal(levelWords({ ...base, level: 0 }), "0");
  assert.equal(levelWords({ ...base, low: 1, high: 3 }), "1 to 3");
});

test("the session's page has the card, and reads it again when the session changes", async () => {
  const { makeSession } = await import("../../../ib_kernel/host/page/static/session.js");
  const asked = host({ "/v1/desk/sessions/s1": DETAIL, "/v1/desk/sessions/s1/scorecard": CARD });
  const el = place();
  const view = makeSession(el, {
    ...{ id: "s1", now: () => 2_000, announce() {}, failed: assert.ifError },
    me: { name: "Ada", role: "interviewer", csrf: "x", version: "1" },
  });
  await settled();
  assert.match(find(el, "#scorecard").textContent, /Scorecard/);
  asked.length = 0;
  view.hear({ changed: ["s1"] });
  await settled();
  assert.ok(asked.some(({ path }) => path === "/v1/desk/sessions/s1/scorecard"));
});
