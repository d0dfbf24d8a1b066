// Stand-ins for JupyterLab's edges: signals, cells, a kernel's connection with comms.

import "../widgets/page.js";

/** A Lumino signal: slots are called with sender and arguments. */
export class Signal {
  /** @type {Set<Function>} */
  slots = new Set();
  /** @param {any} slot */
  connect(slot) {
    this.slots.add(slot);
    return true;
  }
  /** @param {any} slot */
  disconnect(slot) {
    return this.slots.delete(slot);
  }
  /** @param {any} sender @param {any} [args] */
  emit(sender, args) {
    for (const slot of [...this.slots]) slot(sender, args);
  }
}

/** A cell's model: what sets the language tells its listeners, as JupyterLab's does. */
export class Cell {
  contentChanged = new Signal();
  mimeTypeChanged = new Signal();
  #mime = "text/x-ipython";
  sharedModel = { getSource: () => this.source };

  /** @param {string} source @param {string} [type] */
  constructor(source, type = "code") {
    this.source = source;
    this.type = type;
    this.id = source.slice(0, 8);
  }
  get mimeType() {
    return this.#mime;
  }
  set mimeType(value) {
    if (value === this.#mime) return;
    this.#mime = value;
    this.mimeTypeChanged.emit(this);
  }
  /** @param {string} source */
  write(source) {
    this.source = source;
    this.contentChanged.emit(this);
  }
}

/** A notebook with cells; the first is active. @param {Cell[]} cells @returns {any} */
export function notebook(...cells) {
  const list = Object.assign(cells, { changed: new Signal() });
  return {
    model: {
      cells: list,
      sharedModel: {
        insertCell: (/** @type {number} */ at, /** @type {{ source: string }} */ { source }) =>
          list.splice(at, 0, new Cell(source)),
      },
    },
    codeMimetype: "text/x-ipython",
    activeCell: cells.length ? { model: cells[0] } : null,
    activeCellIndex: cells.length ? 0 : -1,
    deselected: 0,
    deselectAll() {
      this.deselected += 1;
    },
    modelChanged: new Signal(),
    activeCellChanged: new Signal(),
  };
}

/** The page's end of a comm. */
export class Comm {
  /** @type {any[]} */
  sent = [];
  isDisposed = false;
  /** @type {(message: any) => void} */
  onMsg = () => {};
  onClose = () => {};
  /** @param {string} commId */
  constructor(commId) {
    this.commId = commId;
  }
  /** @param {any} data */
  send(data) {
    this.sent.push(data);
  }
  /** @param {any} data a message of the kernel */
  says(data) {
    this.onMsg({ content: { data: { version: 1, ...data } } });
  }
}

/** A kernel's connection; `open` are comms that the kernel has opened before the page came. */
export class Kernel {
  id = "k";
  status = "idle";
  connectionStatus = "connected";
  isDisposed = false;
  statusChanged = new Signal();
  connectionStatusChanged = new Signal();
  iopubMessage = new Signal();
  /** @type {Comm[]} */
  comms = [];

  /** @param {string[]} [open] */
  constructor(open = []) {
    this.open = open;
  }
  /** @param {string} _ @param {string} id */
  createComm(_, id) {
    const comm = new Comm(id);
    this.comms.push(comm);
    return /** @type {any} */ (comm);
  }
  asked = 0;
  async requestCommInfo() {
    this.asked += 1;
    return { content: { status: "ok", comms: Object.fromEntries(this.open.map((id) => [id, {}])) } };
  }
  /** A cell loads the package; the page finds its comm when the cell has ended. */
  async loads() {
    this.open = ["loaded"];
    this.runs("%load_ext ib_kernel");
    await settle();
    await settle();
    return /** @type {Comm} */ (this.comms.at(-1));
  }
  /** @param {string} code of a cell that begins to run */
  runs(code) {
    this.iopubMessage.emit(this, { header: { msg_type: "execute_input" }, content: { code } });
  }
  /** @param {string} status */
  becomes(status) {
    this.status = status;
    this.statusChanged.emit(this, status);
  }
}

/** A notebook's session. @param {Kernel | null} kernel @returns {any} */
export const context = (kernel) => ({
  session: { kernel },
  kernelChanged: new Signal(),
  statusChanged: new Signal(),
});

/** Let what was promised happen. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A state as the kernel sends it. @type {import("../../../ib_kernel/notebook/lab/labextensions/interview-buddy/static/link.js").State} */
export const STATE = {
  session_id: "abc",
  title: "Budget · Ada · active",
  status: "active",
  level: "normal",
  budget: 25_000,
  used: 14_319,
  held: 0,
  in_doubt: 1_480,
  left: 9_201,
  turns: 9,
  turns_left: 3,
  time_left_s: 1300,
  time_limit_s: 2700,
  running: true,
  cost: "$0.016",
  notes: [],
  history: [
    { turn: 8, input: 2_000, output: 200, question: "And when Redis is away?" },
    { turn: 9, input: 2_285, output: 190, question: "" },
  ],
  line: "",
  hints: null,
  checks: null,
};
