// The board's table: one page of sessions, and the buttons that turn it.

import { element, number, setText } from "../lab/labextensions/interview-buddy/static/parts.js";

/**
 * One session's row, ready to be read.
 *
 * @typedef {object} SessionRow
 * @property {string} session
 * @property {string} candidate
 * @property {string} role
 * @property {string} state
 * @property {string} used
 * @property {string} left
 * @property {string} time
 */

/**
 * What the table draws.
 *
 * @typedef {object} Page
 * @property {SessionRow[]} rows
 * @property {string} selected a session's id or ""
 * @property {number} page from 0
 * @property {number} pages
 * @property {number} found sessions that match
 * @property {number} total sessions that there are
 */

/** @type {Exclude<keyof SessionRow, "session">[]} */
const COLUMNS = ["candidate", "role", "state", "used", "left", "time"];

const FIGURES = new Set(["used", "left"]);

/**
 * Put the table into *parent*; what is returned draws a page.
 *
 * @param {ParentNode} parent
 * @param {(sessionId: string) => void} choose
 * @param {(step: 1 | -1) => void} turn
 */
export function makeTable(parent, choose, turn) {
  const wide = element("div", "ib-wide", parent);
  wide.tabIndex = 0;
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", "Sessions found");
  const table = element("table", "ib-sessions", wide);
  const caption = element("caption", "ib-small", table);
  const head = element("tr", "", element("thead", "", table));
  for (const name of COLUMNS) element("th", FIGURES.has(name) ? "ib-right" : "", head, name).scope = "col";
  const body = element("tbody", "", table);
  const nav = element("div", "ib-row", parent);
  const previous = pager("Previous page", -1);
  const where = element("span", "", nav);
  const next = pager("Next page", 1);

  /**
   * @param {string} label
   * @param {1 | -1} step
   */
  function pager(label, step) {
    const button = element("button", "ib-button", nav, label);
    button.type = "button";
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") turn(step);
    });
    return button;
  }

  /**
   * @param {SessionRow} row
   * @param {boolean} selected
   */
  function drawRow(row, selected) {
    const line = element("tr", selected ? "ib-selected" : "", body);
    const name = `${selected ? "▸ " : ""}${row.candidate || "(no name)"}`;
    const button = element("button", "ib-link", element("td", "", line), name);
    button.type = "button";
    button.dataset.id = row.session;
    button.setAttribute("aria-pressed", String(selected));
    const who = `${row.candidate || "no name"}, ${row.role || "no role"}`;
    button.setAttribute("aria-label", `${who}, session ${row.session}`);
    button.addEventListener("click", () => choose(row.session));
    for (const column of COLUMNS.slice(1))
      element("td", FIGURES.has(column) ? "ib-right" : "", line, String(row[column]));
    line.addEventListener("click", (event) => {
      if (event.target instanceof Element && !event.target.closest("button")) choose(row.session);
    });
    return button;
  }

  /** @param {Page} now */
  return function draw(now) {
    const active = document.activeElement;
    const focused = active instanceof HTMLElement && body.contains(active) ? active.dataset.id : null;
    setText(caption, `${number(now.found)} of ${number(now.total)} sessions`);
    body.replaceChildren();
    for (const row of now.rows) {
      const button = drawRow(row, row.session === now.selected);
      if (row.session === focused) button.focus();
    }
    if (!now.rows.length)
      element("td", "", element("tr", "", body), "no session matches").colSpan = COLUMNS.length;
    nav.hidden = now.pages < 2;
    setText(where, `page ${number(now.page + 1)} of ${number(now.pages)}`);
    previous.setAttribute("aria-disabled", String(now.page <= 0));
    next.setAttribute("aria-disabled", String(now.page >= now.pages - 1));
  };
}
