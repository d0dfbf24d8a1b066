// The extension's plugins: cells in Markdown, Stop beside a reply, reopened widgets, and the status item with its panel.

/** @import { App, NotebookPanel, Palette, Shared, StatusBar, Tracker } from "./lab.js" */
/** @import { Link } from "./link.js" */

import { isQuestion, watchNotebooks } from "./cells.js";
import { makeLink } from "./link.js";
import { makePanel } from "./panel.js";
import { watchReopened } from "./reopened.js";
import { runBelow } from "./run.js";
import { makeStatusItem } from "./statusitem.js";
import { watchStops } from "./stop.js";

const TYPING_MS = 300;
const MAX_CELL = 100_000; // characters that are counted while typing
const COMMAND = "interview-buddy:open";

/**
 * Keep a link to the kernel of each notebook; *changed* is called when the one in front has news.
 *
 * @param {Tracker} tracker
 * @param {() => void} changed
 */
function makeLinks(tracker, changed) {
  /** @type {Map<NotebookPanel, Link>} */
  const links = new Map();
  const front = () => (tracker.currentWidget ? (links.get(tracker.currentWidget) ?? null) : null);

  /** @param {NotebookPanel} panel */
  function add(panel) {
    if (links.has(panel)) return;
    let turns = -1;
    const link = makeLink(panel.sessionContext, () => {
      const now = link?.known.state?.turns ?? -1;
      const asked = now !== turns;
      turns = now;
      if (asked && now >= 0) estimate(panel, link, true); // another turn goes along from now on
      if (panel === tracker.currentWidget) changed();
    });
    links.set(panel, link);
    watchTyping(panel, () => estimate(panel, link, false));
    panel.disposed.connect(() => {
      link.dispose();
      links.delete(panel);
      changed();
    });
  }

  tracker.forEach(add);
  tracker.widgetAdded.connect((_, panel) => add(panel));
  tracker.currentChanged.connect(changed);
  return front;
}

/**
 * Ask what the active cell would take, if it is a question; another cell has no estimate.
 *
 * @param {NotebookPanel} panel
 * @param {Link | undefined} link
 * @param {boolean} again
 */
function estimate(panel, link, again) {
  const cell = panel.content.activeCell?.model;
  const source = cell?.type === "code" ? cell.sharedModel.getSource() : "";
  if (!isQuestion(source) || source.length > MAX_CELL) link?.dropEstimate();
  else if (link?.known.state) link.estimate(source, again);
}

/**
 * Call *act* a moment after the active cell, or what is in it, has changed.
 *
 * @param {NotebookPanel} panel
 * @param {() => void} act
 */
function watchTyping(panel, act) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(act, TYPING_MS);
  };
  /** @type {import("./lab.js").CellModel | undefined} */
  let active;
  const follow = () => {
    active?.contentChanged.disconnect(soon);
    active = panel.content.activeCell?.model;
    active?.contentChanged.connect(soon);
    soon();
  };
  panel.content.activeCellChanged.connect(follow);
  panel.disposed.connect(() => clearTimeout(timer));
  follow();
}

/**
 * Put panel and status item into JupyterLab.
 *
 * @param {App} app
 * @param {Shared} shared
 * @param {Tracker} tracker
 * @param {StatusBar | null} bar
 * @param {Palette | null} palette
 */
function activate(app, shared, tracker, bar, palette) {
  const widget = new shared.lumino.Widget();
  widget.id = "interview-buddy-panel";
  widget.title.label = "Interview";
  widget.title.caption = "Task, time and budget of the interview in this notebook";
  const panel = makePanel(widget.node, (source) =>
    runBelow(tracker.currentWidget, shared.notebook.NotebookActions, source),
  );
  app.shell.add(widget, "right", { rank: 600 });
  const open = () => app.shell.activateById(widget.id);
  app.commands.addCommand(COMMAND, { label: "Show the interview's panel", execute: open });
  palette?.addItem({ command: COMMAND, category: "Interview" });

  const item = new shared.lumino.Widget();
  const status = makeStatusItem(item.node, open);
  bar?.registerStatusItem("interview-buddy:status", { item, align: "right", rank: 100, priority: 1 });

  const front = makeLinks(tracker, draw);
  function draw() {
    const known = front()?.known ?? null;
    panel.draw(known);
    status.draw(known);
  }
  draw();
  setInterval(() => {
    panel.tick();
    status.tick();
  }, 1000);
}

/**
 * Return the plugins as JupyterLab takes them.
 *
 * @param {Shared} shared
 */
export function makePlugins(shared) {
  const { INotebookTracker } = shared.notebook;
  return [
    {
      id: "interview-buddy:cells",
      description: "Edits %%interview cells as Markdown.",
      autoStart: true,
      requires: [INotebookTracker],
      activate: (/** @type {App} */ _, /** @type {Tracker} */ tracker) => watchNotebooks(tracker),
    },
    {
      id: "interview-buddy:stop",
      description: "Shows a Stop button beside a reply that is being written.",
      autoStart: true,
      requires: [INotebookTracker],
      activate: (/** @type {App} */ _, /** @type {Tracker} */ tracker) => watchStops(tracker),
    },
    {
      id: "interview-buddy:reopened",
      description: "Shows what a widget showed last where the notebook is opened without its kernel.",
      autoStart: true,
      requires: [INotebookTracker],
      activate: (/** @type {App} */ _, /** @type {Tracker} */ tracker) => watchReopened(tracker),
    },
    {
      id: "interview-buddy:status",
      description: "Shows an interview's task, time and budget beside the notebook and in the status bar.",
      autoStart: true,
      requires: [INotebookTracker],
      optional: [shared.statusbar?.IStatusBar, shared.apputils?.ICommandPalette].filter(Boolean),
      activate: (
        /** @type {App} */ app,
        /** @type {Tracker} */ tracker,
        /** @type {any[]} */ ...optional
      ) => {
        const [bar, palette] = shared.statusbar ? optional : [null, ...optional];
        activate(app, shared, tracker, bar ?? null, palette ?? null);
      },
    },
  ];
}
