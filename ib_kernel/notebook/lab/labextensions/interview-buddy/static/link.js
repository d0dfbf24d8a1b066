// The wire to one notebook's kernel. The kernel has a comm when it has loaded the package; the page looks for it
// when it meets the kernel and after a cell that may have loaded it, and greets it. The kernel says nothing first.

/** @import { Comm, Kernel, SessionContext } from "./lab.js" */
/** @import { Figures } from "./rails.js" */

/** The comm's target, the same word as in the kernel. */
export const TARGET = "ib_kernel.status";

const MAY_LOAD = /ib_kernel|interview|%budget/;

/** The version of the messages that this page understands; another one is answered by showing nothing. */
export const VERSION = 1;

/**
 * One turn that was held.
 *
 * @typedef {object} Turn
 * @property {number} turn
 * @property {number} input tokens
 * @property {number} output tokens
 * @property {string} question its first line, "" where transcripts are not stored
 */

/**
 * What the kernel says about the session in use; `session_id` is "" while there is none.
 *
 * @typedef {object} Own
 * @property {string} session_id
 * @property {string} title
 * @property {number} turns
 * @property {boolean} running whether the clock runs
 * @property {string} cost
 * @property {string[]} notes what needs attention
 * @property {Turn[]} history oldest first
 * @property {string} line what the interviewer has written last, "" for nothing
 * @property {string[] | null} hints those that were taken, null while there are none
 * @property {{ passed: number, of: number } | null} checks how the last run ended, null before one
 */

/** @typedef {Figures & Own} State */

/**
 * The task, sanitised by the kernel.
 *
 * @typedef {object} Task
 * @property {string} title
 * @property {string} html
 * @property {boolean} checks whether there is code to write that tests can check
 * @property {boolean} hints whether there may be hints
 */

/**
 * What the next turn would take, in tokens.
 *
 * @typedef {object} Estimate
 * @property {string} problem why it cannot be sent, "" where it can
 * @property {number} prompt what would be sent
 * @property {number} new the part that is new
 * @property {number} reply about as much for the reply
 * @property {number} total what is charged for both
 * @property {number} after what would be left
 * @property {number | null} history_from_turn from where on the conversation goes along, null for all of it
 */

/**
 * What a page knows of one notebook.
 *
 * @typedef {object} Known
 * @property {State | null} state null without a session
 * @property {Task | null} task
 * @property {Estimate | null} estimate
 * @property {boolean} counting whether an estimate was asked for
 * @property {boolean} lost whether the kernel does not answer
 * @property {boolean} restarted whether a session was in use before the kernel was started again
 * @property {number} received when the state arrived, in milliseconds
 */

/** @returns {Known} */
const nothing = () => ({
  state: null,
  task: null,
  estimate: null,
  counting: false,
  lost: false,
  restarted: false,
  received: 0,
});

let asked = Math.floor(Math.random() * 1e9); // two pages may share a kernel: each knows its own questions

/**
 * Return what looks for the comm of a kernel, once the kernel has done what it is doing.
 *
 * @param {() => Kernel | null} where the kernel to look at, null for none
 * @param {(comm: Comm) => void} found
 */
function makeSearch(where, found) {
  let looking = false;
  let again = false;
  return async function look() {
    again = true; // a cell that began meanwhile may have loaded the package
    if (looking) return;
    looking = true;
    for (let kernel = where(); again && kernel; kernel = where()) {
      again = false;
      const answer = await kernel.requestCommInfo({ target_name: TARGET }).catch(() => null); // closed meanwhile
      const [open] = Object.keys(answer?.content.comms ?? {});
      if (open && kernel === where() && !kernel.isDisposed) found(kernel.createComm(TARGET, open));
    }
    looking = false;
  };
}

/**
 * Listen to a kernel; what is returned ends that.
 *
 * @param {Kernel} kernel
 * @param {(kernel: Kernel, status: string) => void} status
 * @param {(kernel: Kernel, message: unknown) => void} message
 * @param {(kernel: Kernel, status: string) => void} connection
 */
function watch(kernel, status, message, connection) {
  kernel.statusChanged.connect(status);
  kernel.iopubMessage.connect(message);
  kernel.connectionStatusChanged.connect(connection);
  return () => {
    kernel.statusChanged.disconnect(status);
    kernel.iopubMessage.disconnect(message);
    kernel.connectionStatusChanged.disconnect(connection);
  };
}

/**
 * Follow the kernel of *context*; *changed* is called when what is known has changed.
 *
 * @param {SessionContext} context
 * @param {() => void} changed
 */
export function makeLink(context, changed) {
  let known = nothing();
  /** @type {Comm | null} */
  let comm = null;
  /** @type {Kernel | null} */
  let kernel = null;
  let waiting = 0;
  /** @type {string | null} */
  let queued = null;
  let shown = "";
  let ready = false;
  let unwatch = () => {};
  const look = makeSearch(() => (comm ? null : kernel), take);

  /** @param {Partial<Known>} news */
  function learn(news) {
    known = { ...known, ...news };
    changed();
  }

  /** @param {any} data */
  function receive(data) {
    if (!data || data.version !== VERSION) return;
    if (data.type === "state") {
      const state = data.state.session_id ? data.state : null;
      const other = state?.session_id !== known.state?.session_id;
      learn({
        state,
        received: Date.now(),
        restarted: false,
        ...(other ? { task: null, estimate: null } : {}),
      });
    } else if (data.type === "task") {
      learn({ task: data.task });
    } else if (data.type === "estimate" && data.n === waiting) {
      waiting = 0;
      learn({ estimate: data.estimate, counting: false });
      ask();
    }
  }

  /** @param {Comm} opened */
  function take(opened) {
    comm = opened;
    comm.onMsg = (message) => receive(message.content.data);
    comm.onClose = () => {
      if (comm !== opened) return;
      comm = null;
      forget();
    };
    comm.send({ do: "hello" });
  }

  function forget() {
    waiting = 0;
    shown = "";
    queued = null;
    known = { ...nothing(), restarted: known.restarted || known.state !== null };
    changed();
  }

  function ask() {
    if (queued === null || waiting || !comm || comm.isDisposed) return;
    const cell = queued;
    queued = null;
    waiting = ++asked;
    comm.send({ do: "estimate", n: waiting, cell });
    if (!known.counting) learn({ counting: true });
  }

  /**
   * Ask what the cell would take; the answer is the next `estimate`.
   *
   * @param {string} cell
   * @param {boolean} again even when it was asked for last
   */
  function estimate(cell, again = false) {
    if (cell === shown && !again) return;
    shown = cell;
    queued = cell;
    ask();
  }

  const statusChanged = (/** @type {Kernel} */ _, /** @type {string} */ status) => {
    if (status === "idle" && !ready) {
      ready = true;
      look();
    }
    if (!/restarting|dead|terminating|starting/.test(status)) return;
    ready = false;
    comm = null;
    if (known.state || known.task) forget();
  };
  const executed = (/** @type {Kernel} */ _, /** @type {any} */ message) => {
    if (message.header.msg_type === "execute_input" && MAY_LOAD.test(message.content.code)) look();
  };
  const connectionChanged = (/** @type {unknown} */ _, /** @type {string} */ status) =>
    learn({ lost: status !== "connected" });

  function leave() {
    unwatch();
    comm = kernel = null;
  }

  function takeKernel() {
    leave();
    const now = context.session?.kernel ?? null;
    kernel = now;
    if (known.state || known.task) forget();
    if (!now) return;
    ready = true;
    unwatch = watch(now, statusChanged, executed, connectionChanged);
    look();
  }

  context.kernelChanged.connect(takeKernel);
  takeKernel();

  return {
    get known() {
      return known;
    },
    estimate,
    /** Show no estimate: nobody is writing a question. */
    dropEstimate() {
      waiting = 0;
      queued = null;
      shown = "";
      if (known.estimate || known.counting) learn({ estimate: null, counting: false });
    },
    /** Stop following; the kernel goes on. */
    dispose() {
      context.kernelChanged.disconnect(takeKernel);
      leave();
    },
  };
}

/** @typedef {ReturnType<typeof makeLink>} Link */

/**
 * Return the seconds that are left now, null without a limit.
 *
 * @param {Pick<Known, "state" | "received">} known
 * @param {number} now milliseconds
 */
export function timeLeft({ state, received }, now) {
  if (!state || state.time_left_s === null) return null;
  return Math.max(0, state.time_left_s - (state.running ? (now - received) / 1000 : 0));
}
