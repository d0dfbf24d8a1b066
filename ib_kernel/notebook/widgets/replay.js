// ReplayWidget's view: a session played back.

/** @import { Moment } from "../../show/front/replaying.js" */

import { makeReplay } from "../../show/front/replaying.js";
import { clock, element, number } from "../lab/labextensions/interview-buddy/static/parts.js";
import { safeNodes } from "../lab/labextensions/interview-buddy/static/safe.js";

/** @param {{ model: import("@anywidget/types").AnyModel, el: HTMLElement }} context */
function render({ model, el }) {
  const replay = makeReplay(element("div", "ib ib-widget", el), {
    nodes: safeNodes,
    number,
    clock: (seconds) => clock(Math.floor(seconds)),
    button: "ib-button",
    moved(place) {
      model.set("place", place);
      model.save_changes();
    },
  });
  const draw = () =>
    replay({
      moments: /** @type {Moment[]} */ (model.get("moments")),
      about: model.get("about"),
      place: model.get("place"),
    });
  const names = ["moments", "about", "place"];
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => {
    for (const name of names) model.off(`change:${name}`, draw);
  };
}

export default { render };
