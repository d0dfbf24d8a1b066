// The interview played back, on its page: asked for when somebody opens it, and again when something has happened.

/** @import { Moment } from "../../../show/front/replaying.js" */

import { makeReplay } from "../../../show/front/replaying.js";
import { ask } from "./api.js";
import { oneAtATime } from "./once.js";
import { clock, el, note, number } from "./parts.js";
import { safeNodes } from "./safe.js";

/**
 * Make the folded card.
 *
 * @param {string} path the session's address at the desk
 */
export function makeReplayCard(path) {
  const box = el("div");
  const problem = el("div");
  const node = el("details", { class: "card" }, el("summary", { text: "Replay" }), problem, box);
  let place = 0;
  let count = 0;
  const draw = makeReplay(box, {
    nodes: (html) => safeNodes(html, "Code"),
    number,
    clock,
    button: "btn sm",
    moved: (to) => {
      place = to;
    },
  });
  const read = oneAtATime(async () => {
    try {
      /** @type {{ about: string, moments: Moment[] }} */
      const told = await ask(`${path}/replay`);
      if (place >= count - 1) place = count ? told.moments.length - 1 : 0; // whoever is at its end stays there
      count = told.moments.length;
      draw({ ...told, place });
      problem.replaceChildren();
    } catch (error) {
      problem.replaceChildren(note("bad", "This cannot be played back now.", String(error)));
    }
  });
  node.addEventListener("toggle", () => node.open && void read());
  return { node, changed: () => node.open && void read() };
}
