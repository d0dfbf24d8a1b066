// The report of a session: to look at, to keep, to release to its candidate; and a judge that is asked beside it.

import { ask, at } from "./api.js";
import { askFirst } from "./dialog.js";
import { add, el, exactTime, number, setText, several } from "./parts.js";
import { isBlind } from "./scorecard.js";

/** Milliseconds between two looks at a judge that is being asked. */
const PAUSE = 1_000;

/** @typedef {{ running: boolean, done: number, total: number, problem: string, is_demo: boolean }} Judging */
/**
 * @typedef {object} State
 * @property {number} criteria
 * @property {number} unrated
 * @property {number | null} released_at
 * @property {string} released_by
 * @property {boolean} changed
 * @property {string} edition
 * @property {number} objections
 * @property {boolean} judged
 * @property {Judging | null} judging
 */
/** @typedef {{ calls: number, total: number, tokens: number, most: number, cost_nano_usd: number | null, judge: string, model: string, is_demo: boolean, is_done: boolean }} Estimate */

/**
 * Say what asking a judge takes.
 *
 * @param {Estimate} estimate
 */
export function estimateWords(estimate) {
  const cost =
    estimate.cost_nano_usd === null ? "" : `, about $${(estimate.cost_nano_usd / 1e9).toPrecision(2)}`;
  const done = estimate.total - estimate.calls;
  const before = done ? ` ${done} of ${estimate.total} are answered already.` : "";
  const demo = estimate.is_demo
    ? " This is the demo's judge: it counts shared words, and says nothing about anybody."
    : "";
  return (
    `${estimate.judge} (${estimate.model}): ${several(estimate.calls, "call")}, about ${number(estimate.tokens)} tokens, ` +
    `${number(estimate.most)} at the most${cost}, from a session of its own.${before}${demo} ` +
    "Every quote is looked up, and its levels stay folded until you have given yours."
  );
}

/**
 * Say where a report stands.
 *
 * @param {State} state
 */
export function stateWords(state) {
  const parts = [];
  if (state.unrated)
    parts.push(
      `You have not rated ${several(state.unrated, "criterion").replace("criterions", "criteria")}: others' levels there are left out.`,
    );
  if (state.released_at !== null) {
    parts.push(`Released to the candidate by ${state.released_by}, ${exactTime(state.released_at)}.`);
    if (state.changed)
      parts.push("Their edition has changed since; release it again if they should read that.");
  }
  if (state.objections) parts.push(`${several(state.objections, "objection")} of the candidate's.`);
  return parts.join(" ");
}

/**
 * Say how far a judge is.
 *
 * @param {Judging} judging
 */
export function judgingWords(judging) {
  if (judging.problem) return judging.problem;
  if (judging.running) return `The judge has answered ${judging.done} of ${judging.total}.`;
  return `The judge has answered all ${judging.total}.${judging.is_demo ? " Demo: it counted shared words." : ""}`;
}

/**
 * Make the card of a session's report; `refresh` reads where it stands.
 *
 * @param {{ id: string, announce: (text: string) => void, failed: (error: unknown) => void }} given
 */
export function makeReportCard(given) {
  const path = at(given.id);
  const base = `/v1/desk/sessions/${encodeURIComponent(given.id)}/report?${isBlind() ? "blind=1&" : ""}`;
  /** @type {State | null} */
  let state = null;
  let waiting = 0;
  const said = el("p", { class: "s m", role: "status" });
  const bar = el("progress", { class: "wide", hidden: true, "aria-label": "Looks of the judge" });
  const judged = el("p", { class: "s m", role: "status" });
  const release = el("button", {
    class: "btn",
    type: "button",
    text: "Release to the candidate…",
    onclick: () => askFirst(releaseQuestion(state), act),
  });
  const judge = el("button", {
    class: "btn",
    type: "button",
    text: "Ask a judge…",
    onclick: () => void askJudge(),
  });
  const node = el(
    "section",
    { class: "card", "aria-labelledby": "report", hidden: true },
    el("h2", { id: "report", text: "Report" }),
    el(
      "p",
      { class: "row tight" },
      look("Open the report", base),
      " ",
      save("HTML", `${base}save=true`, "Save the report as HTML"),
      save("Markdown", `${base}as=md&save=true`, "Save the report as Markdown"),
      save("JSON", `${base}as=json&save=true`, "Save the report as JSON"),
    ),
    el("p", { class: "row tight" }, look("Read the candidate's edition", `${base}for=candidate`)),
    el("div", { class: "row tight" }, release, judge),
    said,
    bar,
    judged,
  );

  async function act() {
    state = await ask(`${path}/release`, { edition: state?.edition ?? "" });
    draw();
    given.announce("Released. The candidate can read it in their notebook.");
  }

  async function askJudge() {
    judge.disabled = true;
    try {
      /** @type {Estimate} */
      const estimate = await ask(`${path}/judge`);
      const again = estimate.is_done;
      const question = {
        title: again ? "Ask the judge again?" : "Ask a judge?",
        text: again ? `It was asked already. ${estimateWords(estimate)}` : estimateWords(estimate),
        yes: again ? "Ask again" : "Ask it",
      };
      askFirst(question, async () => {
        await ask(`${path}/judge`, again ? { again: true } : {});
        await refresh();
      });
    } catch (error) {
      setText(judged, error instanceof Error ? error.message : String(error));
    } finally {
      judge.disabled = false;
    }
  }

  function draw() {
    if (!state) return;
    setText(said, stateWords(state));
    const judging = state.judging;
    bar.hidden = !judging?.running;
    if (judging) {
      bar.max = judging.total;
      bar.value = judging.done;
    }
    setText(judged, judging ? judgingWords(judging) : state.judged ? "A judge was asked." : "");
    clearTimeout(waiting);
    if (judging?.running) waiting = window.setTimeout(() => void refresh(), PAUSE);
  }

  async function refresh() {
    try {
      state = await ask(`${path}/report/state`);
      draw();
    } catch (error) {
      given.failed(error);
    }
  }

  return {
    node,
    refresh,
    close: () => clearTimeout(waiting),
    /** @param {boolean} there */
    show(there) {
      const first = node.hidden && there;
      node.hidden = !there;
      if (first) void refresh();
    },
  };
}

/** @param {State | null} state */
function releaseQuestion(state) {
  const again = state?.released_at ? "They have read an earlier one. " : "";
  return {
    title: "Release the report to the candidate?",
    text:
      `${again}They get the edition that you can read above, as it is now: their own figures and words, a strength and ` +
      "a next step for each criterion; no levels, notes or names.",
    yes: "Release it",
  };
}

/**
 * @param {string} text
 * @param {string} href
 */
const look = (text, href) => el("a", { href, target: "_blank", rel: "noopener", text });

/**
 * @param {string} text
 * @param {string} href
 * @param {string} label
 */
function save(text, href, label) {
  const link = el("a", { class: "btn sm", href, "aria-label": label, download: true });
  add(link, text);
  return link;
}
