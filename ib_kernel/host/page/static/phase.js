// Which phase the interview is in: from the next turn on, the AI is told about it.

/** @import { Detail } from "./api.js" */
/** @import { Send } from "./say.js" */

import { askFirst } from "./dialog.js";
import { add, el, setText } from "./parts.js";

const NONE = "off"; // what the host calls no phase

/**
 * Make the card with the phases. What is chosen there is done by its button, and stays chosen while news arrive.
 *
 * @param {Send} send
 */
export function makePhase(send) {
  const choice = el("select", { class: "in", id: "phase", "aria-describedby": "phase-hint" });
  const button = el("button", { class: "btn", type: "submit", text: "Change phase" });
  const said = el("div", { class: "s m", role: "status" });
  const hint = "From the next turn on, the AI is told about it. The candidate sees its name.";
  const node = el(
    "form",
    { class: "card", hidden: true, onsubmit: submit },
    el("h2", null, el("label", { class: "as-h", for: "phase", text: "Phase" })),
    el("div", { class: "unit" }, choice, button),
    el("div", { class: "hint", id: "phase-hint", text: hint }),
    said,
  );
  let known = "";
  let now = NONE;
  let isLocked = false;

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    const phase = choice.value;
    setText(said, "");
    if (phase === now) {
      setText(said, "That is the phase already.");
      return;
    }
    /** @param {object} key */
    const change = async (key) => {
      await send("phase", { phase, ...key });
      setText(said, "Changed.");
    };
    if (isLocked) {
      const text = "What the AI is told is part of what was agreed, and this session is locked.";
      const question = { title: "Change the phase?", text, yes: "Change phase", passphrase: true };
      askFirst(question, ({ passphrase }) => change(passphrase ? { passphrase } : {}));
      return;
    }
    button.disabled = true;
    try {
      await change({});
    } catch (error) {
      setText(said, error instanceof Error ? error.message : String(error));
    } finally {
      button.disabled = false;
    }
  }

  /** @param {Detail} detail */
  function draw({ session, phase, phases }) {
    const over = session.status === "completed" || session.status === "cancelled";
    node.hidden = over || !phases.length;
    isLocked = session.locked;
    const key = JSON.stringify(phases);
    if (key !== known) {
      known = key;
      choice.replaceChildren(el("option", { value: NONE, text: "None" }));
      for (const name of phases) add(choice, el("option", { value: name, text: name }));
      choice.value = now;
    }
    if ((phase || NONE) === now) return;
    now = phase || NONE;
    choice.value = now;
  }
  return { node, draw };
}
