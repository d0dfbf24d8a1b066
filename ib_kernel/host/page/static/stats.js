// Where a session stands: key figures, the two rails, and what each part of them is in words.

/** @import { Detail } from "./api.js" */

import { add, clock, duration, el, number, setText } from "./parts.js";
import { makeRails, timeGone } from "./rails.js";
import { timeLeft } from "./states.js";

export function makeStats() {
  const list = el("div", { class: "stats" });
  /** @type {Map<string, { node: HTMLElement, value: HTMLElement, below: HTMLElement }>} */
  const made = new Map();
  const rails = makeRails(true);
  const keys = el("div", { class: "row s m keys" });
  const names = /** @type {const} */ (["used", "held", "doubt", "left", "time"]);
  const key = Object.fromEntries(names.map((n) => [n, el("span", { class: `key k-${n}` })]));
  key.left?.classList.remove("k-left");
  add(keys, ...Object.values(key));
  const node = el(
    "section",
    { class: "card", "aria-label": "Where it stands" },
    list,
    el("div", { class: "big-rails" }, rails.node),
    keys,
  );

  /**
   * @param {string} name
   * @param {string} value
   * @param {string} below
   */
  function stat(name, value, below) {
    let one = made.get(name);
    if (!one) {
      const b = el("b");
      const small = el("span", { class: "s m" });
      one = { node: el("div", null, b, small), value: b, below: small };
      made.set(name, one);
      add(list, one.node);
    }
    one.node.hidden = !value;
    setText(one.value, value);
    setText(one.below, below);
  }

  /**
   * @param {Detail} detail
   * @param {number} now
   */
  function draw(detail, now) {
    const row = detail.session;
    const left = timeLeft(row, detail.as_of, now);
    const timed = { ...row, time_left_s: left };
    stat(
      "time",
      left === null ? "no limit" : clock(left),
      row.time_limit_s === null ? "of time" : `left of ${duration(row.time_limit_s)}`,
    );
    stat("left", number(row.left), `tokens left of ${number(row.budget)}`);
    stat(
      "turns",
      row.turns_left === null ? (row.group === "open" ? "not known" : "") : `about ${number(row.turns_left)}`,
      "turns left",
    );
    stat("asked", number(row.turns), `${row.turns === 1 ? "turn" : "turns"} so far`);
    stat("checks", row.checks ? `${row.checks.passed} of ${row.checks.total}` : "", "checks passed");
    stat("hints", detail.course.hints.length ? number(detail.course.hints.length) : "", "hints taken");
    stat(
      "cost",
      detail.cost.startsWith("$") ? detail.cost : "",
      row.group === "open" ? "cost so far" : "cost",
    );
    rails.draw(timed);
    const words = {
      used: `used ${number(row.used)}`,
      held: row.held ? `held ${number(row.held)}` : "",
      doubt: row.in_doubt ? `in doubt ${number(row.in_doubt)}` : "",
      left: `left ${number(row.left)}`,
      time: row.time_limit_s ? `time ${Math.round(100 * timeGone(timed))}\u00a0%` : "",
    };
    for (const name of names) {
      const one = key[name];
      if (!one) continue;
      one.hidden = !words[name];
      setText(one, words[name]);
    }
  }
  return { node, draw };
}
