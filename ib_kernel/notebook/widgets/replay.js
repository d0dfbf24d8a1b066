// A session played back: cells on the left, the conversation on the right, the budget and a slider below.

import { clock, element, number, setText } from "../lab/labextensions/interview-buddy/static/parts.js";
import { safeNodes } from "../lab/labextensions/interview-buddy/static/safe.js";

/**
 * @typedef {object} Moment
 * @property {string} kind
 * @property {number} at seconds since the start
 * @property {boolean} ok
 * @property {string} name such as "Cell 3"
 * @property {string} text plain text; of a question, a reply or a line "" (`html` has it)
 * @property {string} html
 * @property {string} note
 * @property {number} left tokens
 */

const MOST = 80; // what one side shows at most, the newest
const LEFT = new Set(["cell", "check", "event"]);

/**
 * @param {ParentNode} parent
 * @param {string} title
 */
function side(parent, title) {
  const box = element("section", "ib-side", parent);
  element("div", "ib-title", box, title);
  const list = element("div", "ib-talk", box);
  list.tabIndex = 0;
  list.setAttribute("role", "region");
  list.setAttribute("aria-label", title);
  return list;
}

/**
 * @param {HTMLElement} list
 * @param {Moment[]} moments
 * @param {Moment} now
 */
function fill(list, moments, now) {
  list.replaceChildren();
  const shown = moments.slice(-MOST);
  if (!shown.length) element("div", "ib-small", list, "nothing yet");
  for (const moment of shown) {
    const item = element("div", "ib-message", list);
    if (moment === now) item.setAttribute("aria-current", "step");
    const failed = moment.ok ? "" : " · failed";
    const note = moment.note ? ` · ${moment.note}` : "";
    element("div", "ib-who", item, `${moment.name}${failed}${note} · ${clock(moment.at)}`);
    if (moment.html) element("div", "", item).append(...safeNodes(moment.html));
    else if (moment.kind === "cell") element("pre", "", item, moment.text);
    else element("div", "", item, moment.text);
  }
  list.scrollTop = list.scrollHeight;
}

/**
 * @param {Moment[]} moments
 * @param {number} from
 * @param {(moment: Moment) => boolean} wanted
 */
function next(moments, from, wanted) {
  const found = moments.findIndex((moment, i) => i > from && wanted(moment));
  return found < 0 ? from : found;
}

/** @param {{ model: import("@anywidget/types").AnyModel, el: HTMLElement }} context */
function render({ model, el }) {
  const root = element("div", "ib ib-widget ib-replay", el);
  const about = element("div", "ib-title", root);
  const sides = element("div", "ib-sides", root);
  const left = side(sides, "Notebook");
  const right = side(sides, "Conversation");
  const label = element("label", "ib-small", root, "Moment ");
  const slider = element("input", "ib-slider", label);
  slider.type = "range";
  slider.min = "0";
  const where = element("div", "ib-small", root);
  where.setAttribute("role", "status");
  const line = element("div", "ib-line", root);

  /** @returns {Moment[]} */
  const all = () => model.get("moments");

  /** @param {number} place */
  function go(place) {
    const to = Math.max(0, Math.min(place, all().length - 1));
    if (to === model.get("place")) return;
    model.set("place", to);
    model.save_changes();
    draw();
  }
  /** @type {[string, (moment: Moment) => boolean][]} */
  const jumps = [
    ["Next failure", (moment) => !moment.ok],
    ["Next question", (moment) => moment.kind === "question"],
    ["Next check", (moment) => moment.kind === "check"],
  ];
  for (const [words, wanted] of jumps) {
    const button = element("button", "ib-button", line, words);
    button.type = "button";
    button.addEventListener("click", () => go(next(all(), model.get("place"), wanted)));
  }
  slider.addEventListener("input", () => go(Number(slider.value)));
  root.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would go to another cell
    go(model.get("place") + step);
  });

  function draw() {
    const moments = all();
    setText(about, model.get("about"));
    slider.max = String(Math.max(0, moments.length - 1));
    slider.disabled = !moments.length;
    const place = Math.min(model.get("place"), moments.length - 1);
    const now = moments[place];
    if (!now) {
      setText(where, "Nothing was recorded.");
      left.replaceChildren();
      right.replaceChildren();
      return;
    }
    slider.value = String(place);
    const words = `${now.name}, ${place + 1} of ${moments.length}, at ${clock(now.at)}`;
    slider.setAttribute("aria-valuetext", words);
    setText(where, `${words} · ${number(now.left)} of ${number(model.get("budget"))} tokens left`);
    const past = moments.slice(0, place + 1);
    fill(
      left,
      past.filter((moment) => LEFT.has(moment.kind)),
      now,
    );
    fill(
      right,
      past.filter((moment) => !LEFT.has(moment.kind)),
      now,
    );
  }

  const names = ["moments", "about", "place", "budget"];
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => {
    for (const name of names) model.off(`change:${name}`, draw);
  };
}

export default { render };
