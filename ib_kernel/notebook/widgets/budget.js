// BudgetWidget's view: the gauge, and under it the interviewer's controls where they are wanted.

/** @import { RenderProps } from "@anywidget/types" */
/** @import { BudgetState } from "./gauge.js" */

import { element, follow } from "../lab/labextensions/interview-buddy/static/parts.js";
import { makeControls } from "./controls.js";
import { makeGauge } from "./gauge.js";
import { makeStale } from "./stale.js";

/** @type {(keyof BudgetState)[]} */
const STATE = [
  "session_id",
  "title",
  "status",
  "level",
  "budget",
  "used",
  "held",
  "in_doubt",
  "left",
  "input_tokens",
  "output_tokens",
  "turns",
  "turns_left",
  "cost",
  "money",
  "time_left_s",
  "time_limit_s",
  "notes",
  "history",
  "doubts",
  "locked",
];

/** @param {Pick<RenderProps, "model" | "el">} props */
function render({ model, el }) {
  const root = element("div", "ib ib-widget", el);
  const isTrue = makeStale(root);
  const gauge = makeGauge(root);
  /** @type {ReturnType<typeof makeControls> | null} */
  let controls = null;

  function draw() {
    const state = /** @type {BudgetState} */ (
      Object.fromEntries(STATE.map((name) => [name, model.get(name)]))
    );
    gauge.draw(state);
    isTrue();
    if (model.get("controls") && !controls) controls = makeControls(root, (message) => model.send(message));
    if (!model.get("controls") && controls) {
      controls.root.remove();
      controls = null;
    }
    if (controls) {
      controls.draw(state);
      controls.answer(model.get("said"));
    }
  }

  const stop = follow(model, ["revision", "controls"], draw);
  const timer = setInterval(gauge.tick, 1000);
  draw();
  return () => {
    clearInterval(timer);
    stop();
  };
}

export default { render };
