// The status bar's item: rails and a few figures of the notebook in front. It never moves or flashes.

/** @import { Known, State } from "./link.js" */

import { icon } from "./icons.js";
import { timeLeft } from "./link.js";
import { clock, element, setText, several, short } from "./parts.js";
import { makeRails, stateOf } from "./rails.js";

/**
 * Return the item's words, and what a screen reader hears.
 *
 * @param {State} state
 * @param {number | null} seconds
 * @param {boolean} lost
 */
export function statusWords(state, seconds, lost) {
  const { word } = lost ? { word: "No contact" } : stateOf(state);
  const turns = state.turns_left === null ? "" : several(state.turns_left, "turn");
  const s = Math.ceil(seconds ?? 0);
  const time = seconds === null ? "" : `${Math.floor(s / 60)} minutes ${s % 60} seconds left`;
  const shown = [
    word === "Running" || word === "Last turns" ? "" : word,
    turns ? short(state.left) : `${short(state.left)} left`,
    turns,
    seconds === null ? "" : clock(seconds),
  ];
  const said = [word, `${Math.round(state.left)} tokens left`, turns && `about ${turns}`, time];
  return {
    text: shown.filter(Boolean).join(", "),
    label: `Interview: ${said.filter(Boolean).join(", ")}. Open the panel`,
  };
}

/**
 * Put the item into *node*; `draw` shows what is known, `tick` the time that has passed.
 *
 * @param {HTMLElement} node
 * @param {() => void} open
 */
export function makeStatusItem(node, open) {
  const button = element("button", "ib ib-status", node);
  button.type = "button";
  button.addEventListener("click", open);
  icon("talk", button);
  const rails = makeRails(button);
  const words = element("span", "ib-figures", button);
  /** @type {Known | null} */
  let known = null;

  function tick() {
    const state = known?.state;
    button.hidden = !state;
    if (!known || !state) return;
    const seconds = timeLeft(known, Date.now());
    const { text, label } = statusWords(state, seconds, known.lost);
    rails({ ...state, time_left_s: seconds });
    setText(words, text);
    button.setAttribute("aria-label", label);
    button.title = label;
  }

  /** @param {Known | null} now */
  function draw(now) {
    known = now;
    tick();
  }

  return { draw, tick };
}
