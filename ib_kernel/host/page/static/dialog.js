// A question before something is done: the browser's own dialog, which keeps the focus and closes with Escape.

import { add, el } from "./parts.js";

/**
 * What a dialog asks.
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text what will happen
 * @property {string} yes the verb on the button
 * @property {string} [done] what a screen reader hears once it is done
 * @property {string} [no] the other button, "Cancel" if not said
 * @property {boolean} [dangerous]
 * @property {{ label: string, value: string, unit: string, hint?: string, check: (text: string) => string }} [amount]
 * @property {boolean} [passphrase] whether the session's passphrase is needed
 */

/** @typedef {{ amount: string, passphrase?: string }} Answer */

/**
 * Ask, do, and close once it is done; what is refused stands in the dialog, and nothing typed is lost.
 *
 * @param {Question} question
 * @param {(answer: Answer) => Promise<unknown>} act
 */
export function askFirst(question, act) {
  const said = el("p", { class: "said", role: "alert" });
  const yes = el("button", {
    class: `btn ${question.dangerous ? "bad" : "pri"}`,
    type: "submit",
    text: question.yes,
  });
  const no = el("button", {
    class: "btn q",
    type: "button",
    text: question.no ?? "Cancel",
    onclick: () => node.close(),
  });
  const amount = el("input", {
    class: "in n",
    id: "dialog-amount",
    inputmode: "numeric",
    autocomplete: "off",
  });
  const secret = el("input", { class: "in", id: "dialog-key", type: "password", autocomplete: "off" });
  const form = el(
    "form",
    { method: "dialog", onsubmit: submit },
    el("h2", { id: "dialog-title", text: question.title }),
  );
  add(form, el("p", { text: question.text }));
  if (question.amount) {
    amount.value = question.amount.value;
    const unit = el("span", { class: "m", text: question.amount.unit });
    add(
      form,
      el("label", { for: amount.id, text: question.amount.label }),
      el("div", { class: "unit" }, amount, unit),
    );
    if (question.amount.hint) add(form, el("div", { class: "hint", text: question.amount.hint }));
  }
  if (question.passphrase)
    add(form, el("label", { for: secret.id, text: "Passphrase of this session" }), secret);
  add(form, said, el("div", { class: "row tight end" }, no, yes));
  const node = el(
    "dialog",
    { class: "card", "aria-labelledby": "dialog-title", onclose: () => node.remove() },
    form,
  );

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    const wrong = question.amount ? question.amount.check(amount.value) : "";
    said.textContent = wrong;
    if (wrong) {
      amount.setAttribute("aria-invalid", "true");
      amount.focus();
      return;
    }
    yes.disabled = true;
    try {
      await act({ amount: amount.value, ...(secret.value ? { passphrase: secret.value } : {}) });
      node.close();
    } catch (error) {
      said.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      yes.disabled = false;
    }
  }

  document.body.append(node);
  node.showModal();
  if (question.amount) amount.select();
  return node;
}
