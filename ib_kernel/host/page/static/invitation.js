// The line for the candidate: shown once, copied, made anew, withdrawn.

/** @import { Invited, Row } from "./api.js" */

import { ask, at } from "./api.js";
import { askFirst } from "./dialog.js";
import { add, dateTime, el, icon, setText } from "./parts.js";
import { makeState } from "./states.js";

/** @type {Record<string, string>} */
const SAID = {
  open: "The line was made and not used yet.",
  joined: "The candidate has joined and not begun.",
  expired: "The line is too old by now.",
  withdrawn: "The line was withdrawn.",
};

/**
 * The lines of this tab's life: nobody can read one again, so what was made stays until the page is left.
 *
 * @type {Map<string, { line: string, expires_at: number }>}
 */
export const LINES = new Map();

/**
 * Return what to copy, and a button that copies it.
 *
 * @param {string} line
 * @param {string} label
 * @param {(text: string) => void} announce
 */
export function copyBox(line, label, announce) {
  const code = el("code", { tabindex: "0", text: line });
  const words = el("span", { text: `Copy ${label}` });
  const button = el("button", { class: "btn pri", type: "button", onclick: copy }, icon("copy"), " ", words);
  async function copy() {
    try {
      await navigator.clipboard.writeText(line);
      setText(words, "Copied");
      announce(`The ${label} is copied.`);
      setTimeout(() => setText(words, `Copy ${label}`), 3000);
    } catch {
      getSelection()?.selectAllChildren(code);
      announce("Copying is not allowed here; the text is selected, press Ctrl+C.");
      setText(words, "Selected: press Ctrl+C");
    }
  }
  return el("div", { class: "inv" }, code, button);
}

/**
 * Return the card of a session that has not begun.
 *
 * @param {Row} row
 * @param {Invited | null} last
 * @param {{ refresh: () => Promise<void>, announce: (text: string) => void }} given
 */
export function invitationCard(row, last, given) {
  const made = LINES.get(row.id);
  const state = last?.state ?? "none";
  const who = row.candidate || "the candidate";
  const card = el("section", { class: "card", "aria-labelledby": "invitation" });
  add(card, el("h2", { id: "invitation", text: `Invitation for ${who}` }));
  if (made && state === "open") {
    const until = dateTime(made.expires_at);
    const words = `Send this line. It goes into the first cell of a notebook, works once, and is valid until ${until}. It is shown only now.`;
    add(card, el("p", { text: words }), copyBox(made.line, "line", given.announce));
  } else {
    const until = state === "open" && last ? ` It is valid until ${dateTime(last.expires_at)}.` : "";
    const lost = state === "open" ? " It cannot be shown again; a new one takes its place." : "";
    add(card, el("p", { text: `${SAID[state] ?? "No line was made yet."}${until}${lost}` }));
  }
  const now = makeState();
  now.draw(row.status);
  const buttons = el(
    "div",
    { class: "row s m foot" },
    now.node,
    el("span", { text: `This page shows it when ${who} joins.` }),
    el("span", { class: "sp" }),
  );
  add(
    buttons,
    el("button", {
      class: "btn sm",
      type: "button",
      text: state === "open" || state === "joined" ? "Make a new line…" : "Make a new line",
      onclick: () =>
        state === "open" || state === "joined"
          ? askFirst(
              {
                title: "Make a new line?",
                text:
                  state === "joined"
                    ? "Whoever is in now is out, and the new line lets in once."
                    : "The line that was sent stops working.",
                yes: "Make a new line",
              },
              renew,
            )
          : renew(),
    }),
  );
  if (last && state === "open")
    add(
      buttons,
      el("button", {
        class: "btn sm bad",
        type: "button",
        text: "Withdraw…",
        onclick: () =>
          askFirst(
            {
              title: "Withdraw the line?",
              text: "It stops working at once. The interview stays, and you can make a new line.",
              yes: "Withdraw it",
              dangerous: true,
            },
            async () => {
              await ask(`/v1/desk/invitations/${encodeURIComponent(last.id)}/revoke`, {});
              LINES.delete(row.id);
              await given.refresh();
            },
          ),
      }),
    );
  async function renew() {
    const answer = await ask("/v1/desk/invitations", { session_id: row.id });
    LINES.set(row.id, { line: answer.line, expires_at: answer.expires_at });
    await given.refresh();
  }
  add(card, buttons);
  return card;
}

/** @param {string} id */
export const addressOf = (id) => at(id).replace("/v1/desk", "");
