import assert from "node:assert/strict";
import { test } from "node:test";
import { button, host, place, settled } from "./browser.js";

const { estimateWords, judgingWords, makeReportCard, stateWords } = await import(
  "../../../ib_kernel/host/page/static/report.js"
);

const STATE = {
  criteria: 5,
  unrated: 2,
  released_at: null,
  released_by: "",
  changed: false,
  edition: "abc",
  objections: 0,
  judged: false,
  judging: null,
};
const ESTIMATE = {
  calls: 12,
  total: 15,
  tokens: 40_000,
  most: 90_000,
  cost_nano_usd: 16_000_000,
  judge: "model",
  model: "gpt",
  is_demo: false,
  is_done: false,
};

/** @param {Record<string, any>} answers */
async function show(answers = {}) {
  const asked = host({ "/v1/desk/sessions/s1/report/state": STATE, ...answers });
  const el = place();
  const card = makeReportCard({ id: "s1", announce() {}, failed() {} });
  el.append(card.node);
  card.show(true);
  await settled();
  return { el, card, asked };
}

test("the card says where the report stands, and leads to it and to the candidate's edition", async () => {
  const { el, card } = await show();
  assert.match(el.textContent ?? "", /not rated 2 criteria/);
  const links = [...el.querySelectorAll("a")].map((a) => a.getAttribute("href") ?? "");
  assert.ok(links.every((href) => href.startsWith("/v1/desk/sessions/s1/report?")));
  assert.ok(links.some((href) => href.includes("for=candidate")));
  card.close();
});

test("what is released is what was read: its edition goes along", async () => {
  const released = { ...STATE, released_at: 1_000, released_by: "Ada" };
  const { el, asked, card } = await show({ "/v1/desk/sessions/s1/release": released });
  button(el, "Release to the candidate").click();
  await settled();
  button(document.body, "Release it").click();
  await settled();
  assert.deepEqual(asked.at(-1)?.body, { edition: "abc" });
  assert.match(el.textContent ?? "", /Released to the candidate by Ada/);
  card.close();
});

test("a judge says first what it takes, and then how far it is", async () => {
  const judging = { running: true, done: 3, total: 15, problem: "", is_demo: false };
  const { el, card } = await show({
    "/v1/desk/sessions/s1/judge": ESTIMATE,
    "/v1/desk/sessions/s1/report/state": { ...STATE, judging },
  });
  assert.match(el.textContent ?? "", /answered 3 of 15/);
  button(el, "Ask a judge").click();
  await settled();
  assert.match(document.body.textContent ?? "", /12 calls, about 40\u202f000 tokens/);
  card.close();
});

test("words for every state", () => {
  assert.match(estimateWords({ ...ESTIMATE, is_demo: true }), /counts shared words/);
  assert.match(estimateWords(ESTIMATE), /\$0\.016.*3 of 15 are answered already/);
  assert.match(stateWords({ ...STATE, released_at: 1, released_by: "Ada", changed: true }), /changed since/);
  assert.match(stateWords({ ...STATE, unrated: 0, objections: 2 }), /^2 objections/);
  const done = { running: false, done: 15, total: 15, problem: "", is_demo: true };
  assert.match(judgingWords(done), /all 15\. Demo/);
  assert.equal(judgingWords({ ...done, problem: "no key" }), "no key");
});
