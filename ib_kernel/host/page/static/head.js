// A session's headline and its controls; each asks first, but for resuming, which harms nobody.

/** @import { Detail, Row } from "./api.js" */
/** @import { Question } from "./dialog.js" */

import { duration, el, icon, number, setText, wholeNumber } from "./parts.js";
import { makeState } from "./states.js";

const MOST_TOKENS = 1e9;
const MOST_MINUTES = 1440;

/** @typedef {"tokens" | "minutes" | "pause" | "resume" | "end"} Control */

/**
 * @param {Control} what
 * @param {Row} row
 * @returns {Question}
 */
export function questionFor(what, row) {
  const who = row.candidate || "the candidate";
  const key = { passphrase: row.locked };
  const whole = (/** @type {number} */ most) => (/** @type {string} */ text) => {
    const n = wholeNumber(text);
    return n >= 1 && n <= most ? "" : `Type a whole number from 1 to ${number(most)}.`;
  };
  if (what === "tokens")
    return {
      ...key,
      title: "Add tokens",
      done: "Tokens added",
      text: `${who} has ${number(row.left)} of ${number(row.budget)} left and sees the new total at once.`,
      yes: "Add tokens",
      amount: { label: "Tokens to add", value: "5000", unit: "tokens", check: whole(MOST_TOKENS) },
    };
  if (what === "minutes") {
    const goes = row.status === "expired" ? " The interview goes on at once." : "";
    return {
      ...key,
      title: "Add minutes",
      done: "Minutes added",
      text: `${who} has ${duration(row.time_left_s ?? 0)} left and sees the new time at once.${goes}`,
      yes: "Add minutes",
      amount: { label: "Minutes to add", value: "10", unit: "min", check: whole(MOST_MINUTES) },
    };
  }
  if (what === "pause")
    return {
      title: "Pause the interview?",
      done: "Paused",
      text: "The clock stops, and questions are refused until you resume. A reply being written is stopped and charged as far as it got.",
      yes: "Pause",
    };
  if (what === "resume")
    return {
      ...key,
      title: "Resume the interview?",
      done: "Resumed",
      text: "The clock goes on.",
      yes: "Resume",
    };
  if (row.status === "created")
    return {
      title: "Cancel the interview?",
      done: "Cancelled",
      text: `${who} has not begun. The line you sent stops working. This cannot be undone.`,
      yes: "Cancel it",
      no: "Keep it",
      dangerous: true,
    };
  return {
    title: "End the interview?",
    done: "Ended",
    text: `${who} can ask nothing more, and a reply being written is stopped. This cannot be undone. The record stays.`,
    yes: "End it",
    dangerous: true,
  };
}

/** @param {(what: Control) => void} press */
export function makeHead(press) {
  const name = el("span");
  const state = makeState();
  const what = el("p", { class: "m" });
  const said = el("p", { class: "said", role: "alert" });
  const button = (/** @type {any} */ what, /** @type {any} */ glyph, /** @type {string} */ text, look = "") =>
    el(
      "button",
      { class: `btn ${look}`, type: "button", onclick: () => press(what) },
      icon(glyph),
      ` ${text}`,
    );
  const tokens = button("tokens", "plus", "Tokens…");
  tokens.setAttribute("aria-label", "Add tokens…");
  const minutes = button("minutes", "plus", "Minutes…");
  minutes.setAttribute("aria-label", "Add minutes…");
  const pause = button("pause", "paused", "Pause…");
  const resume = button("resume", "running", "Resume");
  const end = button("end", "ended", "End…", "bad");
  const node = el(
    "div",
    { class: "head" },
    el("div", null, el("h1", null, name, " ", state.node), what),
    el("span", { class: "sp" }),
    el("div", { class: "row tight" }, tokens, minutes, pause, resume, end),
    said,
  );
  /** @param {Detail} detail */
  function draw(detail) {
    const row = detail.session;
    const over = row.status === "completed" || row.status === "cancelled";
    setText(name, row.candidate || "(no name)");
    state.draw(row.status);
    const known = row.candidate_id && row.candidate_id !== row.candidate ? `id ${row.candidate_id}` : "";
    const role = [row.level, row.role].filter(Boolean).join(" ");
    const persona = detail.persona === "assistant" ? "AI as assistant" : "AI as interviewer";
    const parts = [detail.title || row.challenge, role, row.model, persona, known];
    setText(what, parts.filter(Boolean).join(", "));
    tokens.hidden = over;
    minutes.hidden = over || row.time_limit_s === null;
    pause.hidden = row.status !== "active";
    resume.hidden = row.status !== "paused";
    end.hidden = over;
    setText(end.lastChild ?? end, row.status === "created" ? " Cancel…" : " End…");
    setText(said, "");
  }
  /** @param {unknown} error */
  function fail(error) {
    setText(said, error instanceof Error ? error.message : String(error));
  }
  return { node, draw, fail };
}
