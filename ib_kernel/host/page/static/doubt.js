// A call in doubt: it was sent, and nobody knows what it cost. Somebody decides.

/** @import { Doubt, Row } from "./api.js" */

import { askFirst } from "./dialog.js";
import { el, note, number } from "./parts.js";

/**
 * @param {Doubt} doubt
 * @param {Row} row
 * @param {(action: string, body: object) => Promise<unknown>} send
 */
export function doubtNote(doubt, row, send) {
  const said = el("span", { class: "said", role: "alert" });
  const decide = (
    /** @type {string} */ label,
    /** @type {"charge" | "free"} */ decision,
    /** @type {string} */ what,
  ) =>
    el("button", {
      class: "btn sm",
      type: "button",
      text: label,
      onclick: () =>
        askFirst({ title: label, text: what, yes: label, passphrase: row.locked }, ({ passphrase }) =>
          send("resolve", {
            reservation_id: doubt.reservation_id,
            decision,
            ...(passphrase ? { passphrase } : {}),
          }),
        ),
    });
  const tokens = `${number(doubt.tokens)} tokens`;
  return note(
    "warn",
    `${tokens} of turn ${doubt.turn} are in doubt.`,
    "The connection broke during the reply; the service may have billed them.",
    el(
      "span",
      { class: "row tight" },
      decide(
        "It was billed: charge",
        "charge",
        `All ${tokens} that were set aside are charged. This cannot be undone.`,
      ),
      decide(
        "It was not: give back",
        "free",
        `${tokens} are given back to ${row.candidate || "the candidate"}. This cannot be undone.`,
      ),
      said,
    ),
  );
}
