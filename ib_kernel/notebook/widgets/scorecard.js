// One person's scorecard: a row of levels for each criterion, the reason, and the turns that show it. Each level is
// kept as it is chosen; a later one counts instead. What others gave is here only once this person has rated.

import { element, follow, setText } from "../lab/labextensions/interview-buddy/static/parts.js";
import { makeStale } from "./stale.js";

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} title
 * @property {string[]} anchors
 * @property {number | null} level
 * @property {string} why
 * @property {string} at turns, such as "3,5"
 * @property {string[]} others
 */

const LEVELS = [0, 1, 2, 3];
let clicks = Math.floor(Math.random() * 1e9); // an answer to a page that was reloaded since is not for this one
let groups = 0;

/**
 * Return the turns that were typed; null when something else was.
 *
 * @param {string} text
 */
export function turnsOf(text) {
  const parts = text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);
  return parts.every((turn) => Number.isInteger(turn) && turn > 0) ? parts : null;
}

/**
 * Make one criterion under *parent*.
 *
 * @param {ParentNode} parent
 * @param {string} name
 * @param {(row: { level: number, why: string, at: string }) => void} keep
 */
function makeCriterion(parent, name, keep) {
  const box = element("fieldset", "ib-crit", parent);
  const legend = element("legend", "ib-title", box);
  const levels = element("div", "ib-levels", box);
  groups += 1;
  const group = `ib-level-${groups}`;
  const anchor = element("div", "ib-small", box);
  anchor.id = `${group}-anchor`;
  box.setAttribute("aria-describedby", anchor.id);
  const inputs = LEVELS.map((level) => {
    const label = element("label", "ib-level", levels);
    const input = element("input", "", label);
    input.type = "radio";
    input.name = group;
    input.value = String(level);
    label.append(String(level));
    input.addEventListener("change", send);
    return input;
  });
  const why = text("Why", "ib-why");
  const at = text("Turns", "ib-at");
  const others = element("div", "ib-small", box);
  /** @type {string[]} */
  let anchors = [];

  /**
   * @param {string} label
   * @param {string} className
   */
  function text(label, className) {
    const field = element("label", `ib-field ${className}`, box, `${label} `);
    const input = element("input", "ib-input", field);
    input.type = "text";
    input.addEventListener("change", () => chosen() !== null && send());
    input.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook's shortcuts are not meant
    return input;
  }

  function chosen() {
    const input = inputs.find((one) => one.checked);
    return input ? Number(input.value) : null;
  }

  function send() {
    const level = chosen();
    if (level === null) return;
    setText(anchor, `${level}: ${anchors[level] ?? ""}`);
    keep({ level, why: why.value, at: at.value });
  }

  /**
   * @param {Row} row
   * @param {boolean} open whether a first level may be given
   */
  function draw(row, open) {
    anchors = row.anchors;
    setText(legend, row.title);
    const typing = box.contains(document.activeElement);
    for (const input of inputs) {
      input.disabled = row.level === null && !open;
      input.parentElement?.setAttribute("title", anchors[Number(input.value)] ?? "");
      if (!typing || chosen() === null) input.checked = Number(input.value) === row.level;
    }
    if (!typing) {
      why.value = row.why;
      at.value = row.at;
    }
    const all = anchors.map((words, level) => `${level} ${words}`).join(" · ");
    setText(anchor, row.level === null ? `Not rated. ${all}` : `${row.level}: ${anchors[row.level]}`);
    const shown = row.others.length ? `Others: ${row.others.join("; ")}` : "Nobody else has rated it.";
    setText(others, row.level === null && open ? "What others gave stands here once you have rated." : shown);
  }
  /** Take back what was chosen and refused. */
  function forget() {
    for (const input of inputs) input.checked = false;
  }
  return { name, draw, forget };
}

/** @param {{ model: import("@anywidget/types").AnyModel, el: HTMLElement }} context */
function render({ model, el }) {
  const root = element("div", "ib ib-widget ib-scorecard", el);
  const isTrue = makeStale(root);
  const title = element("div", "ib-title", root);
  const progress = element("div", "ib-small", root);
  const list = element("div", "", root);
  const said = element("div", "ib-said", root);
  said.setAttribute("role", "status");
  const blind = element("label", "ib-field", root);
  const box = element("input", "", blind);
  box.type = "checkbox";
  blind.append(" Replace names until every criterion is rated");
  box.addEventListener("change", () => {
    model.set("blind", box.checked);
    model.save_changes();
  });
  const noteLabel = element("label", "ib-field ib-why", root, "Note ");
  const note = element("input", "ib-input", noteLabel);
  note.type = "text";
  note.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" || !note.value.trim()) return;
    send({ do: "note", text: note.value });
    note.value = "";
  });
  const notes = element("ul", "ib-notes", root);
  /** @type {ReturnType<typeof makeCriterion>[]} */
  let criteria = [];
  let last = 0;

  /** @param {object} message */
  function send(message) {
    last = clicks += 1;
    model.send({ ...message, n: last });
  }

  /** @param {Row[]} rows */
  function arrange(rows) {
    const names = rows.map((row) => row.name);
    if (names.join("\n") === criteria.map((one) => one.name).join("\n")) return;
    list.replaceChildren();
    criteria = names.map((name) =>
      makeCriterion(list, name, ({ level, why, at }) => {
        const turns = turnsOf(at);
        if (turns) send({ do: "score", criterion: name, level, why, turns });
        else setText(said, "✗ Not done: turns are numbers, such as 3 or 3,5.");
      }),
    );
  }

  function draw() {
    isTrue();
    /** @type {Row[]} */
    const rows = model.get("rated");
    arrange(rows);
    setText(title, model.get("title"));
    const missing = model.get("missing");
    const left = missing ? `${missing} of ${rows.length} to go` : "Every criterion is rated";
    const none = "This session has no criteria; give it some with %interview rubric FILE.toml";
    setText(
      progress,
      model.get("trouble") ||
        (rows.length ? `${left}. Others see a level of yours once they have given their own.` : none),
    );
    rows.forEach((row, i) => {
      criteria[i]?.draw(row, model.get("is_open"));
    });
    box.checked = model.get("blind");
    notes.replaceChildren();
    for (const line of model.get("notes")) element("li", "ib-small", notes, line);
  }

  function answer() {
    const { ok, text, n } = model.get("said");
    if (!last || n !== last) return;
    last = 0;
    setText(said, ok ? `✓ Done: ${text}.` : `✗ Not done: ${text.replace(/\.$/, "")}.`);
    if (!ok) for (const one of criteria) one.forget();
  }
  const end = follow(model, ["revision"], () => {
    answer();
    draw();
  });
  draw();
  return end;
}

export default { render };
