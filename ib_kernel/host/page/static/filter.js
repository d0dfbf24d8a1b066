// Which sessions are shown, and in which order.

/** @import { Row } from "./api.js" */

import { add, el, number, setText } from "./parts.js";

/** @typedef {{ words: string, shown: string, sort: string }} Wish what somebody wants to see */

/** @type {Record<string, [label: string, compare: (a: Row, b: Row) => number]>} */
export const SORTS = {
  last: ["Last activity", (a, b) => b.last_at - a.last_at],
  newest: ["Newest", (a, b) => b.created_at - a.created_at],
  candidate: ["Candidate", (a, b) => a.candidate.localeCompare(b.candidate) || b.created_at - a.created_at],
  left: ["Fewest tokens left", (a, b) => a.left - b.left],
  used: ["Most tokens used", (a, b) => b.used - a.used],
  time: ["Least time left", (a, b) => (a.time_left_s ?? Infinity) - (b.time_left_s ?? Infinity)],
};

/** @type {[id: string, label: string, groups: Row["group"][]][]} */
const SHOWN = [
  ["all", "All", ["open", "invited", "ended"]],
  ["open", "Open", ["open", "invited"]],
  ["ended", "Ended", ["ended"]],
];

/**
 * Return the rows that are shown, in their groups and order.
 *
 * @param {Iterable<Row>} rows
 * @param {Wish} wish
 * @returns {Map<Row["group"], Row[]>}
 */
export function choose(rows, wish) {
  const words = wish.words.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const groups = SHOWN.find(([id]) => id === wish.shown)?.[2] ?? [];
  /** @type {Map<Row["group"], Row[]>} */
  const found = new Map();
  for (const row of rows) {
    const text = [row.candidate, row.candidate_id, row.role, row.level, row.challenge, row.model, row.id];
    const hay = text.join(" ").toLocaleLowerCase();
    if (!groups.includes(row.group) || !words.every((word) => hay.includes(word))) continue;
    found.set(row.group, [...(found.get(row.group) ?? []), row]);
  }
  const compare = SORTS[wish.sort]?.[1];
  for (const list of found.values()) list.sort(compare);
  return found;
}

/**
 * Make the search, the order and the buttons of states; they write into *wish* and call *changed*.
 *
 * @param {Wish} wish
 * @param {() => void} changed
 */
export function makeFilter(wish, changed) {
  const search = el("input", {
    class: "in",
    id: "search",
    type: "search",
    placeholder: "Candidate, challenge, role",
    value: wish.words,
    oninput: () => {
      wish.words = search.value;
      changed();
    },
  });
  const sort = el("select", {
    class: "in",
    id: "sort",
    onchange: () => {
      wish.sort = sort.value;
      changed();
    },
  });
  for (const [id, [label]] of Object.entries(SORTS))
    add(sort, el("option", { value: id, text: label, selected: id === wish.sort }));
  const buttons = SHOWN.map(([id, label, groups]) => {
    const press = () => {
      wish.shown = id;
      changed();
    };
    return { id, label, groups, node: el("button", { type: "button", onclick: press }) };
  });
  const node = el(
    "div",
    { class: "row tight filt" },
    el("label", { class: "sr", for: "search", text: "Search" }),
    search,
    el("label", { class: "sr", for: "sort", text: "Order within each group" }),
    sort,
    el("div", { class: "seg", role: "group", "aria-label": "State" }, ...buttons.map((b) => b.node)),
  );

  /** @param {Row[]} rows */
  function draw(rows) {
    for (const { id, label, groups, node } of buttons) {
      setText(node, `${label} ${number(rows.filter((row) => groups.includes(row.group)).length)}`);
      node.setAttribute("aria-pressed", String(wish.shown === id));
    }
  }

  /** Show everything again. */
  function clear() {
    wish.words = search.value = "";
    wish.shown = "all";
    changed();
    search.focus();
  }
  return { node, draw, clear };
}
