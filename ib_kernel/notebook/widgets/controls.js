// The interviewer's controls. A click is one message; the kernel's answer comes back as `said`.
// What cannot be undone needs a second click. The passphrase leaves its field with the message that needs it.

/** @import { BudgetState } from "./gauge.js" */

import { element, field, setText } from "../lab/labextensions/interview-buddy/static/parts.js";

/**
 * What a click asks the kernel for.
 *
 * @typedef {object} Message
 * @property {"add_tokens" | "add_minutes" | "pause" | "resume" | "end" | "write_off"} do
 * @property {number} [tokens]
 * @property {number} [minutes]
 * @property {string} [reservation_id]
 * @property {string} [passphrase]
 * @property {number} [n] the click's own number
 */

/** @typedef {{ ok?: boolean, text?: string, n?: number }} Answer what became of click number `n` */

const WAIT_MS = 400;
const CONFIRM_MS = 8000;
const DOUBLE_MS = 350;
let clicks = Math.floor(Math.random() * 1e9); // an answer to a page that was reloaded since is not for this one

/**
 * Put a button into *place*. With *dangerous*, the words of a second click, one click only arms it.
 *
 * @param {string} label
 * @param {ParentNode} place
 * @param {() => void} act
 * @param {(text: string) => void} say
 * @param {string} [dangerous]
 */
function makeButton(label, place, act, say, dangerous) {
  const node = element("button", "ib-button", place, label);
  node.type = "button";
  let armed = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let revert;

  function disarm() {
    if (!armed) return;
    armed = 0;
    clearTimeout(revert);
    setText(node, label);
    say("");
    node.classList.remove("ib-armed");
  }

  /** @param {string} words */
  function arm(words) {
    armed = Date.now();
    setText(node, words);
    node.classList.add("ib-armed");
    say(`This cannot be undone. Press “${words}” to do it, Escape to leave it.`);
    revert = setTimeout(disarm, CONFIRM_MS);
  }

  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !armed) return;
    disarm();
    event.stopPropagation();
  });
  node.addEventListener("blur", disarm);
  node.addEventListener("click", () => {
    if (node.getAttribute("aria-disabled") === "true") return;
    if (!dangerous) act();
    else if (!armed) arm(dangerous);
    else if (Date.now() - armed > DOUBLE_MS) {
      disarm();
      act();
    }
  });
  return node;
}

/**
 * Put the controls into *parent*; *send* takes a click's message to the kernel.
 *
 * @param {ParentNode} parent
 * @param {(message: Message) => void} send
 */
export function makeControls(parent, send) {
  const root = element("fieldset", "ib-controls", parent);
  element("legend", "", root, "Interviewer's controls");
  const row = () => element("div", "ib-row", root);
  const secret = row();
  const pass = field("Passphrase", "password", "", secret);
  pass.autocomplete = "off";
  pass.size = 18;
  element("span", "ib-small", secret, "needed to add, resume and write off");
  const limits = row();
  const states = row();
  const doubts = row();
  const line = element("div", "ib-said", root);
  line.setAttribute("role", "status");
  const say = (/** @type {string} */ text) => setText(line, text);
  let waiting = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let locked = false;
  let listed = "";

  /**
   * @param {Message} message
   * @param {boolean} [guarded] whether a locked session asks for its passphrase
   */
  function ask(message, guarded) {
    waiting = ++clicks;
    const key = guarded && locked && pass.value ? { passphrase: pass.value } : {};
    if (guarded) pass.value = "";
    say("");
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (waiting) say("sent; the kernel answers when its cell has ended…");
    }, WAIT_MS);
    send({ ...message, ...key, n: waiting });
  }

  /**
   * @param {string} label
   * @param {number} value
   * @param {"tokens" | "minutes"} unit
   */
  function amount(label, value, unit) {
    const input = field(label, "number", value, limits);
    input.min = "1";
    input.step = "any";
    const act = () => {
      const n = Number(input.value);
      const good = input.value !== "" && n > 0 && (unit === "minutes" || Number.isInteger(n));
      const whole = unit === "tokens" ? "whole " : "";
      if (good) ask({ do: `add_${unit}`, [unit]: n }, true);
      else say(`Not done: ${label.toLowerCase()} needs a ${whole}number above 0.`);
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        act();
      }
      event.stopPropagation();
    });
    return makeButton(`Add ${unit}`, limits, act, say);
  }

  const buttons = {
    tokens: amount("Tokens to add", 5000, "tokens"),
    minutes: amount("Minutes to add", 10, "minutes"),
    pause: makeButton("Pause", states, () => ask({ do: "pause" }), say),
    resume: makeButton("Resume", states, () => ask({ do: "resume" }, true), say),
    end: makeButton("End session", states, () => ask({ do: "end" }), say, "Really end it"),
  };
  pass.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook's shortcuts stay out

  /**
   * @param {keyof typeof buttons} name
   * @param {boolean} on
   */
  function enable(name, on) {
    buttons[name].setAttribute("aria-disabled", String(!on));
  }

  /** @param {Pick<BudgetState, "status" | "locked" | "time_left_s" | "doubts">} now */
  function draw(now) {
    locked = now.locked;
    const over = now.status === "completed" || now.status === "cancelled";
    secret.hidden = !now.locked || over;
    enable("tokens", !over);
    enable("minutes", !over && now.time_left_s !== null);
    enable("pause", now.status === "active");
    enable("resume", now.status === "paused" || now.status === "expired");
    enable("end", !over && now.status !== "created");
    const key = JSON.stringify(now.doubts);
    if (key !== listed) {
      listed = key;
      doubts.replaceChildren();
      for (const [id, words] of now.doubts) {
        const act = () => ask({ do: "write_off", reservation_id: id }, true);
        makeButton(`Write off ${words}`, doubts, act, say, `Really write off ${words}`);
      }
    }
    doubts.hidden = !now.doubts.length;
  }

  /** @param {Answer} said */
  function answer(said) {
    if (!waiting || said.n !== waiting) return;
    waiting = 0;
    clearTimeout(timer);
    say(`${said.ok ? "✓ Done" : "✗ Not done"}: ${said.text}.`.replace(/\.\.$/, "."));
  }

  /** Forget what was typed for the session that was shown until now. */
  function forget() {
    pass.value = "";
    waiting = 0;
    clearTimeout(timer);
    say("");
  }

  return { root, draw, answer, forget };
}
