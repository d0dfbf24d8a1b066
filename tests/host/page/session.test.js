import assert from "node:assert/strict";
import { test } from "node:test";
import { button, DETAIL, find, host, place, ROW, settled } from "./browser.js";

const { makeSession } = await import("../../../ib_kernel/host/page/static/session.js");
const { oneAtATime } = await import("../../../ib_kernel/host/page/static/once.js");
const { questionFor } = await import("../../../ib_kernel/host/page/static/head.js");
const { momentWords } = await import("../../../ib_kernel/host/page/static/talk.js");
const { courseWords, marks, timeline } = await import("../../../ib_kernel/host/page/static/timeline.js");

/** @param {Record<string, any>} answers */
async function show(answers = {}) {
  const card = { rated: [], blind: false, is_open: true, may_unfold: false, missing: 0 };
  const asked = host({ "/v1/desk/sessions/s1": DETAIL, "/v1/desk/sessions/s1/scorecard": card, ...answers });
  const el = place();
  /** @type {unknown[]} */
  const failures = [];
  const view = makeSession(el, {
    ...{ id: "s1", now: () => 2_000, announce() {}, failed: (error) => failures.push(error) },
    me: { name: "Ada", role: "interviewer", csrf: "x", version: "1" },
  });
  await settled();
  const cardless = {
    /** What was asked of the session itself; its scorecard is read beside it. */
    get paths() {
      return asked.map(({ path }) => path).filter((path) => !path.includes("/scorecard"));
    },
  };
  return { el, view, asked, failures, cardless };
}

test("the conversation has messages and what happened between them, in the order of time", async () => {
  const { el } = await show();
  const keys = [...el.querySelectorAll("[data-key]")].map((node) => node.getAttribute("data-key"));
  assert.deepEqual(keys, ["m0", "e3", "m1"]);
  assert.match(find(el, ".ev").textContent, /1:45 5\u202f000 tokens added by Ada/);
});

test("after a change only new words are asked for, and what is on the page stays", async () => {
  const later = structuredClone(DETAIL);
  for (const said of later.messages) delete said.html;
  later.messages.push({
    .../** @type {any} */ (DETAIL.messages[1]),
    key: "m2",
    at: 1_300,
    html: "<p>More</p>",
  });
  const { el, view, asked } = await show();
  const first = find(el, '[data-key="m0"]');
  asked.length = 0;
  host({ "/v1/desk/sessions/s1": later });
  view.hear({ changed: ["s1"] });
  await settled();
  assert.equal(find(el, '[data-key="m0"]'), first);
  assert.match(find(el, '[data-key="m2"]').textContent, /More/);
});

test("the page tells the host how many messages it has", async () => {
  const { view, cardless } = await show();
  view.hear({ changed: ["*"] });
  await settled();
  assert.deepEqual(cardless.paths, ["/v1/desk/sessions/s1?known=0", "/v1/desk/sessions/s1?known=2"]);
});

test("news of another session asks for nothing", async () => {
  const { view, cardless } = await show();
  view.hear({ changed: ["s2"], writing: ["s3"] });
  await settled();
  assert.equal(cardless.paths.length, 1);
});

test("a reply that is being written grows in place and goes once it is there", async () => {
  const writing = [{ turn: 2, tokens: 900, text: "Let" }];
  const { el, view } = await show({ "/v1/desk/sessions/s1/writing": () => ({ writing }) });
  view.hear({ writing: ["s1"] });
  await settled();
  const node = find(el, "[aria-busy]");
  assert.match(node.textContent, /AI, turn 2.*900 held.*Writing… “Let/);
  writing[0] = { turn: 2, tokens: 900, text: "Let us" };
  view.hear({ writing: ["s1"] });
  await settled();
  assert.equal(find(el, "[aria-busy]"), node);
  assert.match(node.textContent, /Let us/);
  view.hear({ changed: ["s1"] });
  await settled();
  assert.equal(el.querySelector("[aria-busy]"), null);
});

test("a line goes to the host with the page's header, and the field is emptied once it is said", async () => {
  const { el, asked } = await show({ "/v1/desk/sessions/s1/line": {} });
  const text = find(el, "#line");
  text.value = "Ten more minutes.";
  text.form.requestSubmit();
  await settled();
  const sent = asked.find(({ path }) => path.endsWith("/line"));
  assert.deepEqual(sent?.body, { text: "Ten more minutes." });
  assert.ok("X-IB-CSRF" in sent.headers);
  assert.equal(text.value, "");
});

test("what is refused is said beside the field, and nothing typed is lost", async () => {
  const error = { status: 409, error: { code: "x", message: "this interview has ended", type: "x" } };
  const { el } = await show({ "/v1/desk/sessions/s1/note": error });
  const text = find(el, "#note");
  text.value = "strong on clocks";
  text.form.requestSubmit();
  await settled();
  assert.equal(text.value, "strong on clocks");
  assert.match(text.form.textContent, /this interview has ended/);
});

test("controls fit the state", async () => {
  const words = async (/** @type {any} */ status, /** @type {any} */ group) => {
    const { el } = await show({ "/v1/desk/sessions/s1": { ...DETAIL, session: { ...ROW, status, group } } });
    const shown = [...find(el, ".head .tight").children].filter((node) => !node.hidden);
    return shown.map((node) => node.textContent.trim());
  };
  assert.deepEqual(await words("active", "open"), ["Tokens…", "Minutes…", "Pause…", "End…"]);
  assert.deepEqual(await words("paused", "open"), ["Tokens…", "Minutes…", "Resume", "End…"]);
  assert.deepEqual(await words("created", "invited"), ["Tokens…", "Minutes…", "Cancel…"]);
  assert.deepEqual(await words("completed", "ended"), []);
});

test("what cannot be undone says so before it is done", () => {
  for (const row of [ROW, { ...ROW, status: /** @type {const} */ ("created") }]) {
    const question = questionFor("end", row);
    assert.match(question.text, /cannot be undone/);
    assert.equal(question.dangerous, true);
  }
});

test("an amount is checked before it is sent", () => {
  const check = questionFor("tokens", ROW).amount?.check;
  assert.equal(check?.("5 000"), "");
  for (const text of ["", "0", "-5", "many", "2000000000"])
    assert.match(check?.(text) ?? "", /whole number from 1/);
});

test("a locked session asks for its passphrase, another does not", () => {
  assert.equal(questionFor("tokens", { ...ROW, locked: true }).passphrase, true);
  assert.equal(questionFor("tokens", ROW).passphrase, false);
});

test("a session that is not there says so", async () => {
  const { el, failures } = await show({ "/v1/desk/sessions/s1": null });
  assert.match(el.textContent ?? "", /There is no such session/);
  assert.equal(failures.length, 0);
});

test("many wishes at once make one reading and one more", async () => {
  let reads = 0;
  /** @type {(() => void)[]} */
  const open = [];
  const read = oneAtATime(() => {
    reads += 1;
    return new Promise((resolve) => open.push(resolve));
  });
  for (let i = 0; i < 20; i++) void read();
  assert.equal(reads, 1);
  open[0]?.();
  await settled();
  assert.equal(reads, 2);
  open[1]?.();
  await settled();
  assert.equal(reads, 2);
  void read();
  assert.equal(reads, 3);
});

test("every kind of moment has words of its own, whatever its details", () => {
  for (const kind of [
    "status",
    "budget",
    "time_limit",
    "cell",
    "check",
    "hint",
    "refused",
    "clock_stopped",
    "phase",
    "unheard_of",
  ]) {
    const [, words] = momentWords({ key: "x", kind, at: 0, at_s: 0, who: "", detail: {} });
    assert.ok(words.length > 3 && !/undefined|null/.test(words), `${kind}: ${words}`);
  }
});

test("the timeline says in words what it draws", () => {
  assert.equal(
    courseWords(DETAIL.course, ROW),
    "Timeline to minute 26: 1 questions, checks 5 of 6. 6051 of 25000 tokens left. The table below has the same.".replace(
      ", checks 5 of 6",
      "",
    ),
  );
});

test("the timeline stays within its width, however long the interview took", () => {
  for (const width of [300, 372, 1140])
    for (const now_s of [0, 10, 1_568, 90_000]) {
      const svg = timeline({ ...DETAIL.course, now_s }, ROW, width);
      for (const node of svg.querySelectorAll("circle"))
        assert.ok(Number(node.getAttribute("cx")) <= width && Number(node.getAttribute("cx")) >= 0);
      assert.ok(!/NaN|Infinity|undefined/.test(svg.outerHTML));
    }
});

test("an axis has few marks, and its end", () => {
  assert.deepEqual(marks(45, 9), [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
  assert.deepEqual(marks(45, 3), [0, 15, 30, 45]);
  for (const minutes of [1, 7, 33, 100, 1_000, 10_000]) assert.ok(marks(minutes, 9).length <= 12);
});

test("a call in doubt is decided by name, after a question", async () => {
  const doubts = [{ reservation_id: "r8", turn: 8, tokens: 1_480, reason: "" }];
  const { el } = await show({ "/v1/desk/sessions/s1": { ...DETAIL, session: { ...ROW, doubts } } });
  assert.match(find(el, ".doubts").textContent, /1\u202f480 tokens of turn 8 are in doubt/);
  assert.ok(button(el, "It was not: give back"));
});

test("a phase is chosen, sent and shown; what is chosen stays while news arrive", async () => {
  const answers = {
    "/v1/desk/sessions/s1": structuredClone(DETAIL),
    "/v1/desk/sessions/s1/phase": () => ({ ok: true }),
  };
  const { el, view, asked } = await show(answers);
  const choice = find(el, "#phase");
  assert.deepEqual(
    [...choice.options].map((one) => one.value),
    ["off", "opening", "design"],
  );
  assert.equal(choice.value, "off");
  choice.value = "design";
  view.hear({ changed: ["s1"] });
  await settled();
  assert.equal(choice.value, "design");
  button(el, "Change phase").click();
  answers["/v1/desk/sessions/s1"].phase = "design";
  await settled();
  const sent = asked.filter(({ path }) => path.endsWith("/phase"));
  assert.deepEqual(
    sent.map(({ body }) => body),
    [{ phase: "design" }],
  );
  button(el, "Change phase").click();
  await settled();
  assert.match(choice.form.textContent, /That is the phase already/);
  answers["/v1/desk/sessions/s1"].phase = "";
  view.hear({ changed: ["s1"] });
  await settled();
  assert.equal(choice.value, "off");
});

test("a refused phase says why, a locked session is asked for its passphrase, an ended one has no phases", async () => {
  const refused = { status: 400, error: { code: "x", message: "there is no such phase" } };
  const locked = { ...DETAIL, session: { ...ROW, locked: true } };
  const { el } = await show({ "/v1/desk/sessions/s1/phase": () => refused });
  const choice = find(el, "#phase");
  choice.value = "opening";
  button(el, "Change phase").click();
  await settled();
  assert.match(choice.form.textContent, /there is no such phase/);

  const other = await show({ "/v1/desk/sessions/s1": locked });
  find(other.el, "#phase").value = "opening";
  button(other.el, "Change phase").click();
  assert.ok(find(globalThis.document, "#dialog-key"));
  assert.equal(other.asked.filter(({ path }) => path.endsWith("/phase")).length, 0);

  const ended = { ...DETAIL, session: { ...ROW, status: "completed", group: "ended" } };
  const last = await show({ "/v1/desk/sessions/s1": ended });
  assert.equal(find(last.el, "#phase").form.hidden, true);
});
