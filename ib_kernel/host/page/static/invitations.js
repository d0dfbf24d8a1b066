// All invitations: who was invited, whether the line was used, and taking one back.

/** @import { Given } from "./table.js" */
/** @import { IconName } from "./parts.js" */

import { ask } from "./api.js";
import { askFirst } from "./dialog.js";
import { addressOf } from "./invitation.js";
import { add, ago, dateTime, el, icon, moment } from "./parts.js";
import { blindQuery } from "./scorecard.js";
import { heading, table } from "./table.js";

/** @type {Record<string, [icon: IconName, word: string]>} */
const INVITED = {
  open: ["created", "Not used yet"],
  joined: ["check", "Joined"],
  withdrawn: ["cross", "Withdrawn"],
  expired: ["expired", "Too old"],
};

/**
 * Make the view of all invitations.
 *
 * @param {HTMLElement} place
 * @param {Given} given
 */
export function makeInvitations(place, given) {
  const body = el("div");
  const words =
    "Each line works once. It is shown when it is made and never again; a new one can be made on the session's page.";
  add(place, heading("Invitations", words), body);

  /** @param {any[]} all */
  function draw(all) {
    body.replaceChildren();
    if (!all.length) {
      const link = el("a", { class: "btn pri", href: "/new" }, icon("plus"), " New interview");
      add(
        body,
        el(
          "div",
          { class: "card" },
          el("p", { class: "b", text: "No invitations yet" }),
          el("p", { class: "m", text: "A new interview makes one line for the candidate's notebook." }),
          link,
        ),
      );
      return;
    }
    const rows = all.map((one) => {
      const [name, word] = INVITED[one.state] ?? ["info", one.state];
      const when =
        one.state === "open"
          ? `until ${dateTime(one.expires_at)}`
          : one.used_at
            ? ago(one.used_at, given.now())
            : "";
      return el(
        "tr",
        null,
        el(
          "td",
          null,
          el("a", { class: "who", href: addressOf(one.session_id), text: one.candidate || "(no name)" }),
          el("div", { class: "s m", text: [one.challenge, one.role].filter(Boolean).join(", ") }),
        ),
        el(
          "td",
          null,
          el("span", { class: "state end" }, icon(name), ` ${word}`),
          el("div", { class: "s m", text: when }),
        ),
        el(
          "td",
          { class: "n" },
          moment(one.created_at, given.now()),
          el("div", { class: "s m", text: `by ${one.created_by}` }),
        ),
        el("td", { text: one.gateway ? "with gateway" : "" }),
        el("td", { class: "r" }, one.state === "open" ? withdraw(one) : null),
      );
    });
    add(
      body,
      el(
        "div",
        { class: "card flush" },
        table("Invitations, newest first", ["Candidate", "State", "Made", "Tools", ""], rows),
      ),
    );
  }

  /** @param {any} one */
  function withdraw(one) {
    const act = async () =>
      draw(
        (await ask(`/v1/desk/invitations/${encodeURIComponent(one.id)}/revoke${blindQuery()}`, {}))
          .invitations,
      );
    const text = "It stops working at once. The interview stays, and you can make a new line on its page.";
    const question = { title: "Withdraw the line?", text, yes: "Withdraw it", dangerous: true };
    const label = `Withdraw the line for ${one.candidate || "no name"}…`;
    return el("button", {
      class: "btn sm bad",
      type: "button",
      text: "Withdraw…",
      "aria-label": label,
      onclick: () => askFirst(question, act),
    });
  }

  const read = () =>
    ask(`/v1/desk/invitations${blindQuery()}`).then((value) => draw(value.invitations), given.failed);
  void read();
  return {
    hear: (/** @type {import("./live.js").News} */ news) => news.changed && void read(),
    tick() {},
    close() {},
  };
}
