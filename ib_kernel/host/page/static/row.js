// One session's row of the list, made once and changed in place.

/** @import { Row } from "./api.js" */

import { add, ago, clock, el, icon, number, setText, several } from "./parts.js";
import { makeRails } from "./rails.js";
import { about, flags, lastWords, makeState, timeLeft, twoLines } from "./states.js";

/**
 * Make a session's row.
 *
 * @param {string} id
 */
export function makeRow(id) {
  const who = el("a", { class: "who", href: `/sessions/${encodeURIComponent(id)}` });
  const what = el("div", { class: "s m" });
  const state = makeState();
  const rails = makeRails();
  const left = el("td", { class: "r n left-cell" });
  const time = el("td", { class: "r n time-cell" });
  const checks = el("td", { class: "n checks-cell" });
  const last = el("td", { class: "n last-cell" });
  const tags = el("td", { class: "tags-cell" });
  const node = el(
    "tr",
    { "data-id": id },
    el("td", { class: "who-cell" }, who, what),
    el("td", { class: "state-cell" }, state.node),
    time,
    el("td", { class: "rails-cell" }, rails.node),
    left,
    checks,
    last,
    tags,
  );
  let tagged = "";

  /**
   * @param {Row} row
   * @param {number} asOf
   * @param {number} now
   */
  function draw(row, asOf, now) {
    setText(who, row.candidate || "(no name)");
    setText(what, about(row));
    state.draw(row.status);
    rails.draw(row);
    const turns = row.turns_left === null ? "" : `about ${several(row.turns_left, "turn")}`;
    twoLines(left, number(row.left), turns);
    setText(checks, row.checks ? `${row.checks.passed} of ${row.checks.total}` : "–");
    checks.classList.toggle("m", !row.checks);
    const key = JSON.stringify(flags(row));
    if (key !== tagged) {
      tagged = key;
      tags.replaceChildren();
      for (const [kind, text] of flags(row))
        add(tags, el("span", { class: `tag ${kind}` }, kind ? icon("attention") : null, text), " ");
    }
    tick(row, asOf, now);
  }

  /**
   * Change what the passing of time changes.
   *
   * @param {Row} row
   * @param {number} asOf
   * @param {number} now
   */
  function tick(row, asOf, now) {
    const seconds = timeLeft(row, asOf, now);
    setText(time, seconds === null ? "no limit" : clock(seconds));
    time.classList.toggle("m", row.group === "ended" || seconds === null);
    time.classList.toggle("none", seconds === null);
    const said = row.group === "invited" ? `invited ${ago(row.created_at, now)}` : ago(row.last_at, now);
    twoLines(last, row.asking !== null ? "now" : said, lastWords(row));
    if (row.status === "active" && seconds !== null) rails.draw({ ...row, time_left_s: seconds });
  }
  return { node, draw, tick };
}
