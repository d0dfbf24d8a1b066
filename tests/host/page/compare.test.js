import assert from "node:assert/strict";
import { test } from "node:test";
import { find, host, place, settled } from "./browser.js";

const { comparisonNodes, makeCompare } = await import("../../../ib_kernel/host/page/static/compare.js");

/** @type {any} */
const LEVEL = { text: "2 to 3", note: "2 raters differ, 1 quote", low: 2, high: 3, hidden: false };
const HIDDEN = { text: "rate it first", note: "", low: null, high: null, hidden: true };
/** @type {any} */
const ONE = {
  ...{
    session_id: "s1",
    candidate: "Priya",
    began_at: 1_000,
    levels: { races: LEVEL },
    checks: "6 of 6, last at 38:20",
  },
  ...{ hidden_checks: "not run", turns: 9, minutes: 42, minutes_limit: 45, charged_tokens: 18_500 },
  ...{
    token_budget: 25_000,
    hints: 0,
    hints_of: 4,
    refusals: 0,
    marks: ["+10 min at 41:02"],
    percentiles: {},
  },
  picture: {
    left: [
      [0, 1],
      [0.5, 0.6],
    ],
    cells: [
      [0.2, 1],
      [0.3, 0],
    ],
  },
  ...{ picture_words: "60% of the tokens left", accommodation: "" },
};
/** @type {any} */
const COMPARISON = {
  ...{
    challenge: "rate-limiter",
    title: "Rate limiter",
    criteria: [["races", "Finds races"]],
    blind: false,
    left_out: 1,
  },
  groups: [
    {
      name: "A",
      conditions: [["budget", "25,000 tokens"]],
      differences: [],
      sessions: [ONE, { ...ONE, session_id: "s2" }],
    },
    {
      ...{
        name: "B",
        conditions: [["budget", "9,000 tokens"]],
        differences: ["budget: 9,000 tokens, not 25,000 tokens"],
      },
      sessions: [{ ...ONE, session_id: "s3", levels: { races: HIDDEN }, accommodation: "" }],
    },
  ],
};

test("each set of conditions has a table, and what differs stands above the second", () => {
  const el = place();
  el.append(...comparisonNodes(COMPARISON, 2_000));
  assert.deepEqual(
    [...el.querySelectorAll("h2")].map((h) => h.textContent),
    ["Same conditions: set A", "Other conditions: set B"],
  );
  const [, other] = [...el.querySelectorAll(".grp")];
  assert.match(
    other?.textContent ?? "",
    /Do not read these next to set A.*Differs from set A in budget: 9,000 tokens/s,
  );
  assert.match(el.textContent ?? "", /no total and no ranking.*Left out: 1/s);
});

test("a range is words and pips; what is hidden says what to do", () => {
  const el = place();
  el.append(...comparisonNodes(COMPARISON, 2_000));
  const level = /** @type {Element} */ (el.querySelector(".lvl"));
  assert.deepEqual(
    [...level.querySelectorAll("i")].map((i) => i.className),
    ["on", "on", "may"],
  );
  assert.match(level.parentElement?.textContent ?? "", /2 to 3.*2 raters differ, 1 quote/);
  assert.match(el.querySelectorAll(".grp")[1]?.textContent ?? "", /rate it first/);
});

test("marks, figures and the picture's words are there", () => {
  const el = place();
  el.append(...comparisonNodes(COMPARISON, 2_000));
  const text = el.textContent ?? "";
  for (const words of ["42 of 45", "18\u202f500 of 25\u202f000", "0 of 4", "+10 min at 41:02"])
    assert.ok(text.includes(words), words);
  assert.equal(el.querySelector("svg.multiple")?.getAttribute("aria-label"), "60% of the tokens left");
  assert.equal(el.querySelectorAll("svg.multiple .tl-x").length, 3);
});

test("an accommodation has its row only where the host has sent one", () => {
  const el = place();
  el.append(...comparisonNodes(COMPARISON, 2_000));
  assert.doesNotMatch(el.textContent ?? "", /Accommodation/);
  const told = structuredClone(COMPARISON);
  told.groups[0].sessions[0].accommodation = "time=1.25";
  el.replaceChildren(...comparisonNodes(told, 2_000));
  assert.match(el.textContent ?? "", /Accommodation.*time=1.25.*none/s);
});

test("without a challenge those that there are can be chosen", async () => {
  const asked = host({ "/v1/desk/compare": { challenges: { "rate-limiter": 3 }, comparison: null } });
  const el = place();
  makeCompare(el, { now: () => 2_000, failed: assert.ifError }, "");
  await settled();
  assert.equal(asked[0]?.path, "/v1/desk/compare");
  assert.equal(find(el, "ul a").getAttribute("href"), "/compare/rate-limiter");
});

test("a name that nobody could type is asked for as it is", async () => {
  const asked = host({ "/v1/desk/compare": { challenges: {}, comparison: COMPARISON } });
  const el = place();
  makeCompare(el, { now: () => 2_000, failed: assert.ifError }, "a&b=c#d");
  await settled();
  assert.equal(asked[0]?.path, "/v1/desk/compare?challenge=a%26b%3Dc%23d");
  assert.match(el.textContent ?? "", /Rate limiter/);
});
