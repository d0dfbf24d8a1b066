// The list of sessions: rows in groups by state. Another order moves rows and makes none.

/** @import { Row, Sessions } from "./api.js" */
/** @import { Wish } from "./filter.js" */

import { choose, makeFilter } from "./filter.js";
import { add, arrange, el, icon, note, number, setText, several } from "./parts.js";
import { makeRow } from "./row.js";

/** @type {[group: Row["group"], heading: string][]} */
const GROUPS = [
  ["open", "In progress"],
  ["invited", "Invited"],
  ["ended", "Ended"],
];

const HEADS = [
  "Candidate",
  "State",
  "Time left",
  "Budget and time used",
  "Tokens left",
  "Checks",
  "Last activity",
  "Flags",
];

/** The table with a body for each group; `arrange` puts rows into them. */
function makeTable() {
  const parts = GROUPS.map(([group, heading]) => {
    const head = el(
      "tr",
      { class: "grp" },
      el("th", { colspan: HEADS.length, scope: "rowgroup", text: heading }),
    );
    return { group, head, node: el("tbody", null, head) };
  });
  const caption = el("caption", { class: "sr", text: "Sessions by state, those in progress first" });
  const right = new Set(["Time left", "Tokens left"]);
  const heads = HEADS.map((text) => el("th", { scope: "col", class: right.has(text) ? "r" : "", text }));
  const head = el("thead", null, el("tr", null, ...heads));
  const node = el("table", { class: "t t2" }, caption, head);

  /** @param {Map<Row["group"], Node[]>} rows */
  function draw(rows) {
    for (const part of parts) arrange(part.node, [part.head, ...(rows.get(part.group) ?? [])]);
    arrange(node, [
      caption,
      head,
      ...parts.filter((part) => rows.get(part.group)?.length).map((part) => part.node),
    ]);
  }
  return { node, draw };
}

/** What needs somebody, above the list. */
function makeNeeds() {
  const node = el("div", { class: "needs" });
  let shown = "";
  /** @param {Row[]} waiting */
  function draw(waiting) {
    const key = JSON.stringify(waiting.map((row) => [row.id, row.doubts]));
    if (key === shown) return;
    shown = key;
    node.replaceChildren();
    const first = waiting[0];
    const doubt = first?.doubts[0];
    if (!first || !doubt) return;
    const more = waiting.length > 1 ? ` ${several(waiting.length - 1, "other session")} too.` : "";
    const text =
      `${number(doubt.tokens)} tokens of turn ${doubt.turn} are in doubt. ` +
      `The connection broke and the service may have billed them.${more} `;
    const link = el("a", { href: `/sessions/${encodeURIComponent(first.id)}`, text: "Decide" });
    add(node, note("warn", `${first.candidate || "A session"} needs a decision:`, text, link));
  }
  return { node, draw };
}

/** @param {Row[]} rows */
export function summaryOf(rows) {
  const count = (/** @type {(row: Row) => boolean} */ test) => rows.filter(test).length;
  /** @type {[number, string][]} */
  const counts = [
    [count((row) => row.status === "active"), "running"],
    [count((row) => row.status === "paused"), "paused"],
    [count((row) => row.group === "invited"), "invited"],
    [count((row) => row.group === "ended"), "ended"],
  ];
  const said = counts.filter(([n]) => n).map(([n, word]) => `${number(n)} ${word}`);
  const waiting = count((row) => row.doubts.length > 0);
  const need = waiting === 1 ? " One needs you." : waiting ? ` ${waiting} need you.` : "";
  return `${said.join(", ") || "None yet"}.${need}`;
}

function makeLegend() {
  const parts = [
    ["k-used", "tokens used"],
    ["k-held", "held: reply being written"],
    ["k-doubt", "in doubt: maybe billed"],
    ["", "left"],
    ["k-time", "time gone"],
  ];
  return el(
    "p",
    { class: "s m row keys" },
    ...parts.map(([name, text]) => el("span", { class: `key ${name}`, text })),
  );
}

/**
 * Make the list under *place*.
 *
 * @param {HTMLElement} place
 * @param {{ wish: Wish, now: () => number }} given *wish* is kept between visits
 */
export function makeSessions(place, given) {
  const { wish } = given;
  /** @type {Map<string, { row: Row, asOf: number, made: ReturnType<typeof makeRow> }>} */
  const sessions = new Map();
  let loaded = false;
  const summary = el("p", { class: "m" });
  const filter = makeFilter(wish, draw);
  const needs = makeNeeds();
  const table = makeTable();
  const card = el("div", { class: "card flush" }, table.node);
  const empty = el("div", { class: "card" });
  const legend = makeLegend();
  const title = el("div", null, el("h1", { text: "Sessions" }), summary);
  const head = el("div", { class: "head" }, title, el("span", { class: "sp" }), filter.node);
  add(place, head, needs.node, card, empty, legend);

  /** @param {number} shown how many rows there are to see */
  function drawEmpty(shown) {
    card.hidden = legend.hidden = !shown;
    empty.hidden = !loaded || shown > 0;
    if (empty.hidden) return;
    const [title, text, button] = sessions.size
      ? [
          wish.words ? `Nothing matches “${wish.words}”` : "Nothing is in this state",
          `${several(sessions.size, "session")} hidden.`,
          el("button", {
            class: "btn",
            type: "button",
            text: wish.words ? "Clear the search" : "Show all",
            onclick: filter.clear,
          }),
        ]
      : [
          "No interviews yet",
          "Set a challenge, a budget and a time. You get one line for the candidate's notebook.",
          el("a", { class: "btn", href: "/new" }, icon("plus"), " New interview"),
        ];
    empty.replaceChildren(el("p", { class: "b", text: title }), el("p", { class: "m", text }), button);
  }

  function draw() {
    const rows = [...sessions.values()].map(({ row }) => row);
    const found = choose(rows, wish);
    /** @type {Map<Row["group"], Node[]>} */
    const nodes = new Map();
    let shown = 0;
    for (const [group, list] of found) {
      shown += list.length;
      nodes.set(
        group,
        list.map((row) => sessions.get(row.id)?.made.node).filter((node) => node !== undefined),
      );
    }
    table.draw(nodes);
    setText(summary, loaded ? summaryOf(rows) : "");
    filter.draw(rows);
    needs.draw(rows.filter((row) => row.doubts.length));
    drawEmpty(shown);
  }

  /**
   * Take rows from the host: all of them, or those that have changed.
   *
   * @param {Sessions} news
   * @param {boolean} all whether sessions that are not among them are gone
   */
  function take(news, all) {
    loaded = true;
    if (all) {
      const there = new Set(news.sessions.map((row) => row.id));
      for (const id of sessions.keys()) if (!there.has(id)) sessions.delete(id);
    }
    for (const row of news.sessions) {
      const made = sessions.get(row.id)?.made ?? makeRow(row.id);
      sessions.set(row.id, { row, asOf: news.as_of, made });
      made.draw(row, news.as_of, given.now());
    }
    draw();
  }

  function tick() {
    const now = given.now();
    for (const { row, asOf, made } of sessions.values()) made.tick(row, asOf, now);
  }

  draw();
  return { take, tick };
}
