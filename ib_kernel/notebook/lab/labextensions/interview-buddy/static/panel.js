// The panel beside the notebook: time and budget, the next turn, the task, the turns so far.

/** @import { Estimate, Known, State, Task, Turn } from "./link.js" */

import { timeLeft } from "./link.js";
import { clock, element, number, setText } from "./parts.js";
import { makeRails, makeState, stateOf } from "./rails.js";
import { safeNodes } from "./safe.js";

const SHOWN_TURNS = 20;

/**
 * Put a section with a heading into *parent*.
 *
 * @param {string} title
 * @param {ParentNode} parent
 */
function section(title, parent) {
  const root = element("section", "ib-section", parent);
  const head = element("h2", "", root);
  element("span", "", head, title);
  return { root, head };
}

/** @param {ParentNode} parent */
function makeLimits(parent) {
  const { root, head } = section("Time and budget", parent);
  const state = makeState(head);
  const two = element("div", "ib-two", root);
  const timeBox = element("div", "", two);
  const time = element("div", "ib-big", timeBox);
  const timeOf = element("div", "ib-small", timeBox);
  const tokenBox = element("div", "", two);
  const left = element("div", "ib-big", tokenBox);
  const leftOf = element("div", "ib-small", tokenBox);
  const rails = makeRails(root);
  const words = element("div", "ib-small", root);
  const notes = element("div", "ib-notes", root);
  notes.setAttribute("role", "status");
  let noted = "";

  /**
   * @param {State} now
   * @param {number | null} seconds
   */
  return function draw(now, seconds) {
    state(stateOf(now));
    timeBox.hidden = seconds === null;
    setText(time, clock(seconds ?? 0));
    setText(timeOf, `left of ${Math.round((now.time_limit_s ?? 0) / 60)} min`);
    setText(left, number(now.left));
    setText(leftOf, `tokens left of ${number(now.budget)}`);
    rails({ ...now, time_left_s: seconds });
    const turns =
      now.turns_left === null
        ? "How many turns it carries is known after the first."
        : `About ${number(now.turns_left)} more ${now.turns_left === 1 ? "turn" : "turns"}.`;
    const set = [
      now.held ? `${number(now.held)} held until the reply is done.` : "",
      now.in_doubt ? `${number(now.in_doubt)} in doubt: the service may have billed them.` : "",
    ];
    setText(words, [turns, ...set].filter(Boolean).join(" "));
    if (noted !== JSON.stringify(now.notes)) {
      noted = JSON.stringify(now.notes);
      notes.replaceChildren();
      for (const line of now.notes) element("p", "ib-note ib-warn-note", notes, line);
    }
  };
}

/** @param {ParentNode} parent */
function makeNext(parent) {
  const { root } = section("Next turn", parent);
  const row = element("div", "ib-between", root);
  element("span", "", row, "As written now");
  const total = element("b", "ib-figures", row);
  const words = element("div", "ib-small", root);

  /**
   * @param {State} now
   * @param {Estimate | null} estimate
   * @param {boolean} counting
   */
  return function draw(now, estimate, counting) {
    root.hidden = now.status !== "active" && now.status !== "created";
    row.hidden = !estimate || Boolean(estimate.problem);
    if (!estimate)
      setText(
        words,
        counting
          ? "Counting what you have written…"
          : "Write in a cell that begins with %%interview; what it takes stands here.",
      );
    else if (estimate.problem) setText(words, estimate.problem);
    else {
      setText(total, `about ${number(estimate.total)} tokens`);
      const free = estimate.total < estimate.prompt + estimate.reply;
      setText(
        words,
        [
          `${number(estimate.prompt)} to send (${number(estimate.new)} are new) and about ` +
            `${number(estimate.reply)} for the reply.`,
          free ? "Only what is new is charged." : "",
          estimate.history_from_turn
            ? `The conversation goes along from turn ${estimate.history_from_turn} on.`
            : "",
          `After it: about ${number(estimate.after)} left.`,
        ]
          .filter(Boolean)
          .join(" "),
      );
    }
  };
}

/** @param {ParentNode} parent */
function makeTask(parent) {
  const root = element("section", "ib-section", parent);
  const box = element("details", "", root);
  box.open = true;
  const title = element("summary", "", box);
  const text = element("div", "ib-task", box);
  let shown = "";

  /** @param {Task | null} task */
  return function draw(task) {
    root.hidden = !task;
    if (!task || shown === task.title + task.html) return;
    shown = task.title + task.html;
    setText(title, `Task: ${task.title}`);
    text.replaceChildren(...safeNodes(task.html));
  };
}

/** @param {ParentNode} parent */
function makeTurns(parent) {
  const { root, head } = section("Turns", parent);
  const count = element("span", "ib-figures", head);
  const list = element("ol", "ib-history", root);
  let shown = "";

  /** @param {State} now */
  return function draw(now) {
    root.hidden = !now.history.length;
    setText(count, `${number(now.turns)} so far`);
    if (shown === JSON.stringify(now.history)) return;
    shown = JSON.stringify(now.history);
    list.replaceChildren();
    for (const turn of now.history.slice(-SHOWN_TURNS).reverse()) drawTurn(turn, list);
  };
}

/**
 * @param {Turn} turn
 * @param {ParentNode} list
 */
function drawTurn(turn, list) {
  const item = element("li", "", list);
  const row = element("div", "ib-between", item);
  element("span", "", row, `Turn ${number(turn.turn)}`);
  element("span", "ib-figures", row, `${number(turn.input)} in, ${number(turn.output)} out`);
  if (turn.question) element("div", "ib-small ib-one-line", item, turn.question).title = turn.question;
}

/**
 * A button that runs a magic in a cell of its own.
 *
 * @param {string} label
 * @param {string} magic
 * @param {ParentNode} parent
 * @param {(source: string) => void} run
 */
function makeButton(label, magic, parent, run) {
  const button = element("button", "ib-button", parent, label);
  button.type = "button";
  button.title = `Run ${magic} in a new cell`;
  button.addEventListener("click", () => run(magic));
  return button;
}

/**
 * Checks and hints: shown where the task has any; the buttons while the session takes them.
 *
 * @param {ParentNode} parent
 * @param {(source: string) => void} run
 */
function makeHelp(parent, run) {
  const checks = section("Checks", parent);
  const passed = element("span", "ib-figures", checks.head);
  const check = makeButton("Run the visible tests", "%interview check", checks.root, run);
  const hints = section("Hints", parent);
  const taken = element("span", "ib-figures", hints.head);
  const lines = element("ol", "ib-list", hints.root);
  const hint = makeButton("Take the next hint", "%interview hint", hints.root, run);

  /**
   * @param {State} now
   * @param {Task | null} task
   */
  return function draw(now, task) {
    const { checks: last, hints: had } = now;
    const open = now.status === "active";
    check.hidden = !(open && task?.checks);
    hint.hidden = !(open && task?.hints);
    checks.root.hidden = !last && check.hidden;
    hints.root.hidden = !had && hint.hidden;
    setText(passed, last ? `${number(last.passed)} of ${number(last.of)} passed` : "not run yet");
    setText(taken, had ? `${number(had.length)} taken` : "none taken");
    lines.hidden = !had;
    lines.replaceChildren();
    for (const line of had ?? []) element("li", "", lines, line);
  };
}

/**
 * Return what stands in a panel without a session.
 *
 * @param {Known | null} known null without a notebook
 */
function whyEmpty(known) {
  if (!known) return "Open a notebook with an interview; its task, time and budget stand here.";
  if (known.restarted)
    return "The kernel was started again. Run the cell with %load_ext ib_kernel; %interview sessions lists what can go on.";
  return "No interview is in use in this notebook. It begins with %load_ext ib_kernel and %interview start; an invitation with %interview join.";
}

/**
 * Put the panel into *node*; `draw` shows what is known, `tick` the time that has passed.
 *
 * @param {HTMLElement} node
 * @param {(source: string) => void} run runs a cell in the notebook in front
 */
export function makePanel(node, run) {
  const root = element("div", "ib ib-panel", node);
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "Interview");
  const empty = element("p", "ib-small ib-empty", root);
  const lost = element("p", "ib-note ib-bad-note", root);
  lost.setAttribute("role", "alert");
  const full = element("div", "", root);
  const line = section("From your interviewer", full);
  const said = element("p", "ib-said-line", line.root);
  said.setAttribute("role", "status");
  const limits = makeLimits(full);
  const next = makeNext(full);
  const task = makeTask(full);
  const help = makeHelp(full, run);
  const turns = makeTurns(full);
  /** @type {Known | null} */
  let known = null;

  function tick() {
    if (known?.state) limits(known.state, timeLeft(known, Date.now()));
  }

  /** @param {Known | null} now */
  function draw(now) {
    known = now;
    const state = now?.state ?? null;
    empty.hidden = Boolean(state);
    setText(empty, state ? "" : whyEmpty(now));
    lost.hidden = !(state && now?.lost);
    setText(lost, state && now?.lost ? `No contact. Last known: ${number(state.left)} left.` : "");
    full.hidden = !state;
    if (!state || !now) return;
    line.root.hidden = !state.line;
    setText(said, state.line);
    tick();
    next(state, now.estimate, now.counting);
    task(now.task);
    help(state, now.task);
    turns(state);
  }

  return { draw, tick };
}
