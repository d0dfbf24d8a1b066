// Who may see and steer interviews; coordinators add and remove people.

/** @import { Given } from "./table.js" */

import { ask } from "./api.js";
import { askFirst } from "./dialog.js";
import { copyBox } from "./invitation.js";
import { add, dateTime, el, setText } from "./parts.js";
import { heading, table } from "./table.js";

/** @typedef {{ name: string, role: string, signed_in_until: number | null, you: boolean }} Person */

/**
 * A card for what is shown once: a link or a token.
 *
 * @param {(text: string) => void} announce
 */
function makeOnce(announce) {
  const node = el("div", { class: "made" });
  /**
   * @param {string} title
   * @param {string} text
   * @param {string} secret
   * @param {string} label
   */
  function show(title, text, secret, label) {
    const box = copyBox(secret, label, announce);
    const card = el(
      "section",
      { class: "card", tabindex: "-1" },
      el("h2", { text: title }),
      el("p", { text }),
      box,
    );
    node.replaceChildren(card);
    card.focus();
  }
  return { node, show };
}

/**
 * The list, with what somebody may do to each.
 *
 * @param {Given} given
 * @param {(name: string) => void} makeLink
 */
function makeList(given, makeLink) {
  const node = el("div");
  const coordinator = given.me.role === "coordinator";

  /** @param {Person} one */
  function actions(one) {
    const link = el("button", {
      class: "btn sm",
      type: "button",
      text: "New link",
      "aria-label": `New link for ${one.name}`,
      onclick: () => makeLink(one.name),
    });
    const text =
      "They are signed out within seconds, and their links and tokens stop working. " +
      "What they did stays recorded.";
    const question = { title: `Remove ${one.name}?`, text, yes: "Remove", dangerous: true };
    const act = async () => draw((await ask("/v1/desk/people/remove", { name: one.name })).people);
    const remove = el("button", {
      class: "btn sm bad",
      type: "button",
      text: "Remove…",
      "aria-label": `Remove ${one.name}…`,
      onclick: () => askFirst(question, act),
    });
    return [coordinator || one.you ? link : null, " ", coordinator && !one.you ? remove : null];
  }

  /** @param {Person[]} all */
  function draw(all) {
    const rows = all.map((one) => {
      const until = one.signed_in_until
        ? `signed in until ${dateTime(one.signed_in_until)}`
        : "not signed in";
      return el(
        "tr",
        null,
        el("td", null, el("b", { text: one.name }), one.you ? " (you)" : ""),
        el("td", { text: one.role }),
        el("td", { class: "n", text: until }),
        el("td", { class: "r" }, ...actions(one)),
      );
    });
    const heads = ["Name", "Role", "Signed in", ""];
    const shown = table("People on the interviewers' side", heads, rows);
    node.replaceChildren(el("div", { class: "card flush" }, shown));
  }
  return { node, draw };
}

/** @param {(people: Person[], name: string, link: string) => void} added */
function makeAddForm(added) {
  const name = el("input", { class: "in", id: "person", autocomplete: "off" });
  const role = el(
    "select",
    { class: "in", id: "role" },
    el("option", { value: "interviewer", text: "Interviewer" }),
    el("option", { value: "coordinator", text: "Coordinator: adds and removes people too" }),
  );
  const said = el("p", { class: "said", role: "alert" });
  const button = el("button", { class: "btn", type: "submit", text: "Add and make a link" });
  const node = el(
    "form",
    { class: "card spaced", onsubmit: submit },
    el("h2", { text: "Add somebody" }),
    el(
      "div",
      { class: "f" },
      el("div", null, el("label", { for: "person", text: "Name" }), name),
      el("div", null, el("label", { for: "role", text: "Role" }), role),
    ),
    said,
    el("div", { class: "row below-field" }, button),
  );
  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    setText(said, "");
    try {
      const value = await ask("/v1/desk/people/add", { name: name.value, role: role.value });
      added(value.people, name.value, value.link);
      name.value = "";
    } catch (error) {
      setText(said, error instanceof Error ? error.message : String(error));
    }
  }
  return node;
}

/** @param {() => void} make */
function tokenCard(make) {
  const words =
    "For SessionsWidget, %%usage and connect_usage with host=…, and for scripts. It is yours: what it does " +
    "is recorded under your name.";
  const button = el("button", {
    class: "btn",
    type: "button",
    text: "Make a token for a week",
    onclick: make,
  });
  return el(
    "section",
    { class: "card spaced" },
    el("h2", { text: "Your notebooks" }),
    el("p", { text: words }),
    button,
  );
}

/**
 * Make the view of who is on the interviewers' side.
 *
 * @param {HTMLElement} place
 * @param {Given} given
 */
export function makePeople(place, given) {
  const once = makeOnce(given.announce);
  const list = makeList(given, async (name) => {
    const text = "It signs in once, within a day. It is shown only now.";
    try {
      const { link } = await ask("/v1/desk/people/link", { name });
      once.show(`Link for ${name}`, text, link, "link");
    } catch (error) {
      given.failed(error);
    }
  });
  const words = "Who may see and steer interviews. What they do is recorded under their name.";
  add(place, heading("People", words), once.node, list.node);
  if (given.me.role === "coordinator")
    add(
      place,
      makeAddForm((people, name, link) => {
        list.draw(people);
        const text = "Send it to them. It signs in once, within a day. It is shown only now.";
        once.show(`Link for ${name}`, text, link, "link");
      }),
    );
  add(
    place,
    tokenCard(async () => {
      try {
        const { token, expires_at } = await ask("/v1/desk/tokens", { days: 7 });
        const text = `Valid until ${dateTime(expires_at)}. It is shown only now; put it into IB_HOST_TOKEN.`;
        once.show("Your token", text, token, "token");
      } catch (error) {
        given.failed(error);
      }
    }),
  );
  ask("/v1/desk/people").then((value) => list.draw(value.people), given.failed);
  return { hear() {}, tick() {}, close() {} };
}
