import assert from "node:assert/strict";
import { test } from "node:test";
import { find, host, place, ROW, settled } from "./browser.js";

const { fieldOf, makeCreate } = await import("../../../ib_kernel/host/page/static/create.js");
const { LINES } = await import("../../../ib_kernel/host/page/static/invitation.js");

const CHOICES = {
  challenges: [{ name: "rate-limiter", title: "Rate limiter", level: "senior", roles: ["Backend engineer"] }],
  ...{ models: ["gpt-5.4-mini"], personas: ["interviewer", "assistant"], keep_days: null },
  defaults: {
    model: "gpt-5.4-mini",
    persona: "interviewer",
    token_budget: 50_000,
    minutes: null,
    client: "demo",
    ...{ charge: "billed", hours: 48 },
  },
  ...{ charges: ["billed", "new"], may_adapt: false, presets: [] },
  ...{ gateway: false, gateway_why: "the client is demo" },
};

/** @param {any} answer @param {object} [more] */
async function show(answer, more = {}) {
  const asked = host({ "/v1/desk/choices": { ...CHOICES, ...more }, "/v1/desk/invitations": answer });
  const el = place();
  /** @type {string[]} */
  const went = [];
  makeCreate(el, { go: (path) => went.push(path), failed: assert.ifError });
  await settled();
  return { el, asked, went };
}

test("a filled form becomes one invitation, whose line waits on the session's page", async () => {
  const made = { line: "%interview join CODE@https://h", session: ROW, expires_at: 9, as_of: 1 };
  const { el, asked, went } = await show(made);
  find(el, "#candidate").value = "Ilse V.";
  find(el, "#token_budget").value = "25 000";
  find(el, "#minutes").value = "45";
  find(el, "form").requestSubmit();
  await settled();
  const { body } = /** @type {any} */ (asked.at(-1));
  assert.deepEqual(
    [body.candidate, body.token_budget, body.minutes, body.gateway],
    ["Ilse V.", 25_000, 45, false],
  );
  assert.deepEqual(went, ["/sessions/s1"]);
  assert.equal(LINES.get("s1")?.line, made.line);
});

test("a wrong field says under itself what would do, and nothing is sent", async () => {
  const { el, asked } = await show({});
  find(el, "#token_budget").value = "many";
  find(el, "form").requestSubmit();
  await settled();
  assert.equal(asked.length, 1);
  assert.equal(find(el, "#token_budget").getAttribute("aria-invalid"), "true");
  assert.match(find(el, "#token_budget-hint").textContent, /whole number, such as 50\u202f000/);
  assert.match(find(el, "#candidate-hint").textContent, /A-17/);
});

test("what the host refuses stands under the field that it is about", async () => {
  const message = "the task alone takes about 980 tokens; 8,000 is the least";
  const { el } = await show({ status: 400, error: { message, code: "bad_request", type: "ConfigError" } });
  find(el, "#candidate").value = "Ilse";
  find(el, "form").requestSubmit();
  await settled();
  assert.equal(find(el, "#token_budget-hint").textContent, message);
});

test("a preset fills in the form, and what is changed there comes first", async () => {
  const fields = { level: "senior", minutes: "60", token_budget: "60000", persona: "", keep_days: "90" };
  const made = { line: "%interview join CODE@https://h", session: ROW, expires_at: 9, as_of: 1 };
  const { el, asked } = await show(made, { presets: [{ name: "senior", fields }] });
  find(el, "#candidate").value = "Ilse V.";
  find(el, "#preset").value = "senior";
  find(el, "#preset").dispatchEvent(new Event("change"));
  assert.equal(find(el, "#level").value, "senior");
  assert.match(el.textContent, /kept 90 days/);
  find(el, "#minutes").value = "45";
  find(el, "form").requestSubmit();
  await settled();
  const { body } = /** @type {any} */ (asked.at(-1));
  assert.deepEqual(
    [body.preset, body.level, body.minutes, body.token_budget, body.persona, body.keep_days],
    ["senior", "senior", 45, 60_000, "", 90],
  );
});

test("charge, money and hours go along, and a coordinator may adapt the time", async () => {
  const made = { line: "%interview join CODE@https://h", session: ROW, expires_at: 9, as_of: 1 };
  const { el, asked } = await show(made, { may_adapt: true });
  find(el, "#candidate").value = "Ilse V.";
  find(el, "#charge").value = "new";
  find(el, "#budget_usd").value = "0,50";
  find(el, "#hours").value = "24";
  find(el, "#minutes").value = "40";
  find(el, "#accommodation").value = "time=1.25";
  find(el, "form").requestSubmit();
  await settled();
  const { body } = /** @type {any} */ (asked.at(-1));
  assert.deepEqual(
    [body.charge, body.budget_usd, body.hours, body.accommodation],
    ["new", 0.5, 24, "time=1.25"],
  );
});

test("an interviewer is not offered what coordinators decide", async () => {
  const { el } = await show({});
  assert.equal(el.querySelector("#accommodation"), null);
});

for (const [name, value] of [
  ["budget_usd", "free"],
  ["hours", "0"],
])
  test(`${name} that is ${value} is not sent`, async () => {
    const { el, asked } = await show({});
    find(el, "#candidate").value = "Ilse";
    find(el, `#${name}`).value = value;
    find(el, "form").requestSubmit();
    await settled();
    assert.equal(asked.length, 1);
    assert.equal(find(el, `#${name}`).getAttribute("aria-invalid"), "true");
  });

test("lines are matched to the field that they speak of", () => {
  assert.equal(fieldOf("minutes: give a number above 0"), "minutes");
  assert.equal(fieldOf("no model called x"), "model");
  assert.equal(fieldOf("the host is on fire"), "");
});

test("a gateway that cannot be says why", async () => {
  const { el } = await show({});
  assert.equal(find(el, "#gateway").disabled, true);
  assert.match(el.textContent ?? "", /Not here: the client is demo/);
});
