// SessionsWidget's view: find a session, and see the selected one with its controls.

/** @import { RenderProps } from "@anywidget/types" */
/** @import { Point } from "./chart.js" */
/** @import { Answer } from "./controls.js" */
/** @import { Said } from "./conversation.js" */
/** @import { BudgetState } from "./gauge.js" */
/** @import { Page } from "./table.js" */

import { element, field, follow, setText } from "../lab/labextensions/interview-buddy/static/parts.js";
import { makeChart } from "./chart.js";
import { makeControls } from "./controls.js";
import { makeConversation } from "./conversation.js";
import { makeGauge } from "./gauge.js";
import { makeStale } from "./stale.js";
import { makeTable } from "./table.js";

/**
 * The traits of SessionsWidget; `detail` is empty while no session is selected.
 *
 * @typedef {object} Own
 * @property {string} query
 * @property {string} state
 * @property {string} sort
 * @property {string} note
 * @property {boolean} controls
 * @property {number} messages_shown
 * @property {number} earlier
 * @property {(BudgetState & { about: string }) | { session_id?: undefined }} detail
 * @property {Said[]} talk
 * @property {Point[]} burn
 * @property {Answer} said
 *
 * @typedef {Own & Page} BoardState
 */

const STATES = ["", "active", "paused", "created", "expired", "completed", "cancelled"];
const SORTS = [
  ["newest", "newest first"],
  ["candidate", "candidate"],
  ["status", "state"],
  ["used", "most used"],
  ["left", "least left"],
];
const TYPING_MS = 250;
const MORE_MESSAGES = 30;

/**
 * Create a labelled choice and return it.
 *
 * @param {string} label
 * @param {string[][]} options value and text of each
 * @param {ParentNode} parent
 * @param {(value: string) => void} act
 */
function choice(label, options, parent, act) {
  const box = element("label", "ib-field", parent, `${label} `);
  const select = element("select", "ib-input", box);
  for (const [value = "", text] of options) element("option", "", select, text).value = value;
  select.addEventListener("change", () => act(select.value));
  return select;
}

/**
 * The filter, the state and the order, in one row.
 *
 * @param {ParentNode} parent
 * @param {(name: "query" | "state" | "sort", value: string) => void} set
 */
function makeTools(parent, set) {
  const tools = element("div", "ib-row", parent);
  tools.setAttribute("role", "search");
  tools.setAttribute("aria-label", "Sessions");
  const query = field("Filter", "search", "", tools);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  query.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => set("query", query.value), TYPING_MS);
  });
  query.addEventListener("keydown", (event) => event.stopPropagation());
  const states = STATES.map((value) => [value, value || "all"]);
  const state = choice("State", states, tools, (value) => set("state", value));
  const sort = choice("Sort by", SORTS, tools, (value) => set("sort", value));

  /** @param {Pick<Own, "query" | "state" | "sort">} now */
  function draw(now) {
    if (document.activeElement !== query) query.value = now.query;
    state.value = now.state;
    sort.value = now.sort;
  }

  return { draw, stop: () => clearTimeout(typing) };
}

/** @param {Pick<RenderProps<BoardState>, "model" | "el">} props */
function render({ model, el }) {
  const root = element("div", "ib ib-widget ib-board", el);
  /**
   * @template {keyof BoardState} K
   * @param {K} name
   * @param {BoardState[K]} value
   */
  function set(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  const isTrue = makeStale(root);
  const tools = makeTools(root, set);
  const note = element("div", "ib-note", root);
  note.setAttribute("role", "status");
  const table = makeTable(
    root,
    (id) => set("selected", id),
    (step) => set("page", model.get("page") + step),
  );
  const one = element("div", "ib-one", root);
  const gauge = makeGauge(one);
  const about = element("div", "ib-small", one);
  const controls = makeControls(one, (message) => model.send({ ...message, session_id: shownId }));
  const chart = makeChart(one);
  const conversation = makeConversation(one, () =>
    set("messages_shown", model.get("messages_shown") + MORE_MESSAGES),
  );
  let shownId = "";

  function draw() {
    isTrue();
    tools.draw({ query: model.get("query"), state: model.get("state"), sort: model.get("sort") });
    note.hidden = !model.get("note");
    setText(note, model.get("note"));
    table({
      rows: model.get("rows"),
      selected: model.get("selected"),
      page: model.get("page"),
      pages: model.get("pages"),
      found: model.get("found"),
      total: model.get("total"),
    });
    const detail = model.get("detail");
    one.hidden = !detail.session_id;
    if (!detail.session_id) {
      shownId = "";
      return;
    }
    if (shownId !== detail.session_id) controls.forget();
    shownId = detail.session_id;
    gauge.draw(detail);
    setText(about, detail.about);
    controls.root.hidden = !model.get("controls");
    controls.draw(detail);
    controls.answer(model.get("said"));
    chart(model.get("burn"));
    conversation(model.get("talk"), model.get("earlier"), shownId);
  }

  const stop = follow(model, ["revision", "controls"], draw);
  const timer = setInterval(gauge.tick, 1000);
  draw();
  return () => {
    clearInterval(timer);
    tools.stop();
    stop();
  };
}

export default { render };
