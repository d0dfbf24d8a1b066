// What an interviewer writes: a line that the candidate reads, and notes that no candidate can.

/** @import { Detail } from "./api.js" */

import { add, el, icon, onClock, setText } from "./parts.js";

/** @typedef {(action: string, body: object) => Promise<unknown>} Send */

/**
 * Make the inside of a form: a text, its button, and what became of it. Nothing typed is lost when it fails.
 *
 * @param {HTMLTextAreaElement} text
 * @param {HTMLButtonElement} button
 * @param {{ empty: string, done: string, act: (words: string) => Promise<unknown> }} how
 */
function makeSubmit(text, button, how) {
  const said = el("span", { class: "s m", role: "status" });
  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    if (!text.value.trim()) {
      setText(said, how.empty);
      text.focus();
      return;
    }
    button.disabled = true;
    try {
      await how.act(text.value);
      text.value = "";
      setText(said, how.done);
    } catch (error) {
      setText(said, error instanceof Error ? error.message : String(error));
    } finally {
      button.disabled = false;
    }
  }
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) text.form?.requestSubmit();
  });
  return { submit, row: el("div", { class: "row tight below-field" }, button, said) };
}

/**
 * Make the form for a line to the candidate.
 *
 * @param {Send} send
 */
export function makeSayForm(send) {
  const text = el("textarea", {
    class: "in",
    id: "line",
    rows: 2,
    maxlength: 4000,
    "aria-describedby": "line-hint",
  });
  const button = el("button", { class: "btn", type: "submit" }, icon("line"), " Say it");
  const hint =
    "Shown to the candidate at once, in the notebook and the transcript, as yours. The AI does not see it.";
  const act = (/** @type {string} */ words) => send("line", { text: words });
  const { submit, row } = makeSubmit(text, button, { empty: "Type the line first.", done: "Said.", act });
  const node = el(
    "form",
    { class: "card", onsubmit: submit },
    el("h2", null, el("label", { class: "as-h", for: "line", text: "A line to the candidate" })),
    text,
    el("div", { class: "hint", id: "line-hint", text: hint }),
    row,
  );
  return { node };
}

/**
 * Make the private notes.
 *
 * @param {Send} send
 */
export function makeNotes(send) {
  const placeholder = "Written with the minute it was made";
  const text = el("textarea", { class: "in", id: "note", rows: 3, maxlength: 20000, placeholder });
  const button = el("button", { class: "btn", type: "submit", text: "Keep note" });
  const act = (/** @type {string} */ words) => send("note", { text: words });
  const { submit, row } = makeSubmit(text, button, { empty: "Type the note first.", done: "Kept.", act });
  const list = el("div", { class: "notes" });
  const node = el(
    "form",
    { class: "card", onsubmit: submit },
    el(
      "h2",
      null,
      el("label", { class: "as-h", for: "note", text: "Notes" }),
      " ",
      el("span", { class: "s m plain-weight", text: "only interviewers see them" }),
    ),
    text,
    row,
    list,
  );
  /** @param {Detail["notes"]} notes */
  function draw(notes) {
    for (const one of notes.slice(list.childElementCount)) {
      const when = el("span", { class: "m n", text: onClock(one) });
      add(list, el("p", { class: "s" }, when, ` ${one.text} `, el("span", { class: "m", text: one.who })));
    }
  }
  return { node, draw };
}
