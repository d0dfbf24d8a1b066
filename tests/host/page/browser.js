// A page without a browser: a document, and a host that answers what the test says.
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
const names =
  "document DOMParser Element Event HTMLElement HTMLDivElement KeyboardEvent Node ResizeObserver".split(" ");
for (const name of names) Object.assign(globalThis, { [name]: /** @type {any} */ (window)[name] });
Object.assign(globalThis, { BroadcastChannel: class {} });

/** @returns {HTMLElement} an empty element on the page */
export function place() {
  const node = globalThis.document.createElement("div");
  globalThis.document.body.replaceChildren(node);
  return node;
}

/**
 * Answer the page's requests: *answers* maps "METHOD path" or "path" to a value, or to a function of the body.
 *
 * @param {Record<string, any>} answers
 */
export function host(answers) {
  /** @type {{ path: string, body: any, headers: any }[]} */
  const asked = [];
  Object.assign(globalThis, {
    /** @param {string} path @param {RequestInit} how */
    fetch: async (path, how = {}) => {
      const body = how.body ? JSON.parse(String(how.body)) : null;
      asked.push({ path, body, headers: how.headers ?? {} });
      const found = answers[path] ?? answers[path.split("?")[0] ?? ""];
      const value = typeof found === "function" ? await found(body) : found;
      const status = value?.status && typeof value.status === "number" ? value.status : value ? 200 : 404;
      return { ok: status < 400, status, json: async () => value ?? {} };
    },
  });
  return asked;
}

/** Let what was asked be answered. */
export const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

/**
 * The one element that a selector finds.
 *
 * @param {ParentNode} el
 * @param {string} selector
 * @returns {any}
 */
export function find(el, selector) {
  const found = [...el.querySelectorAll(selector)];
  if (found.length !== 1) throw new Error(`${found.length} elements are ${selector}`);
  return found[0];
}

/**
 * The one button or link whose words contain *text*.
 *
 * @param {ParentNode} el
 * @param {string} text
 * @returns {any}
 */
export function button(el, text) {
  const found = [...el.querySelectorAll("button, a")].filter((node) => node.textContent?.includes(text));
  if (found.length !== 1) throw new Error(`${found.length} buttons say ${text}`);
  return found[0];
}

/** @type {import("../../../ib_kernel/host/page/static/api.js").Row} */
export const ROW = {
  ...{ id: "s1", candidate: "Noor T.", candidate_id: "", role: "Backend engineer", level: "senior" },
  ...{ challenge: "rate-limiter", model: "gpt-5.4-mini", status: "active", group: "open", locked: false },
  ...{ budget: 25_000, used: 14_319, held: 3_150, in_doubt: 1_480, left: 6_051, turns: 9, turns_left: 2 },
  ...{ asking: 10, time_limit_s: 2_700, time_left_s: 1_132, active_s: 1_568, created_at: 1_000 },
  ...{ started_at: 1_100, ended_at: null, last_at: 2_000, last: { kind: "turn", who: "" } },
  ...{ given_tokens: 0, given_s: 0, checks: { passed: 5, total: 6 }, doubts: [] },
};

/** @type {import("../../../ib_kernel/host/page/static/api.js").Detail} */
export const DETAIL = {
  ...{ session: ROW, persona: "interviewer", client: "openai", charge: "billed", title: "Rate limiter" },
  ...{
    task: "<h1>Task</h1>",
    phase: "",
    phases: ["opening", "design"],
    cost: "$0.016",
    billed: 14_319,
    writing: [],
    notes: [],
    invitations: [],
    as_of: 2_000,
  },
  messages: [
    {
      ...{
        key: "m0",
        turn: 1,
        role: "user",
        who: "Noor T.",
        at: 1_200,
        at_s: 100,
        partial: false,
        tokens: null,
      },
      html: "<p>Hello</p>",
    },
    {
      ...{
        key: "m1",
        turn: 1,
        role: "assistant",
        who: "AI",
        at: 1_210,
        at_s: 110,
        partial: false,
        tokens: 400,
      },
      html: "<p>Go on</p>",
    },
  ],
  moments: [
    {
      key: "e3",
      kind: "budget",
      at: 1_205,
      at_s: 105,
      who: "Ada",
      detail: { from: 20_000, to: 25_000, unit: "token_budget" },
    },
  ],
  course: {
    questions: [{ turn: 1, at_s: 100, state: "answered" }],
    ...{ cells: [], checks: [], hints: [], now_s: 1_568, limit_s: 2_700 },
    left: [
      [0, 20_000, 20_000],
      [110, 19_600, 25_000],
    ],
  },
};
