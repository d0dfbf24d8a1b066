// What the page asks the host for. Every answer is JSON; what is refused is one line to show.

/**
 * One session as the list has it: tokens, seconds, seconds since 1970.
 *
 * @typedef {object} Row
 * @property {string} id
 * @property {string} candidate
 * @property {string} candidate_id
 * @property {string} role
 * @property {string} level
 * @property {string} challenge
 * @property {string} model
 * @property {"created" | "active" | "paused" | "completed" | "expired" | "cancelled"} status
 * @property {"open" | "invited" | "ended"} group
 * @property {boolean} locked
 * @property {number} budget
 * @property {number} used
 * @property {number} held
 * @property {number} in_doubt
 * @property {number} left
 * @property {number} turns
 * @property {number | null} turns_left
 * @property {number | null} asking the turn whose reply is being written
 * @property {number | null} time_limit_s
 * @property {number | null} time_left_s
 * @property {number} active_s
 * @property {number} created_at
 * @property {number | null} started_at
 * @property {number | null} ended_at
 * @property {number} last_at
 * @property {{ kind: string, who: string }} last
 * @property {number} given_tokens
 * @property {number} given_s
 * @property {{ passed: number, total: number } | null} checks
 * @property {Doubt[]} doubts
 */

/** @typedef {{ reservation_id: string, turn: number, tokens: number, reason: string }} Doubt */
/** @typedef {{ sessions: Row[], total: number, found: number, as_of: number }} Sessions */

/**
 * @typedef {object} Said
 * @property {string} key
 * @property {number} turn
 * @property {string} role
 * @property {string} who
 * @property {number} at
 * @property {number} at_s active seconds since the start
 * @property {boolean} partial
 * @property {number | null} tokens
 * @property {string} [html] left out of what the page has already
 */

/**
 * @typedef {object} Moment
 * @property {string} key
 * @property {string} kind
 * @property {number} at
 * @property {number} at_s
 * @property {string} who
 * @property {Record<string, any>} detail
 */

/** @typedef {{ turn: number, tokens: number, text: string }} Writing */
/** @typedef {{ at: number, at_s: number, who: string, text: string }} Note */
/** @typedef {{ id: string, state: string, expires_at: number, gateway: boolean }} Invited */

/**
 * @typedef {object} Course
 * @property {{ turn: number, at_s: number, state: "answered" | "asking" | "in_doubt" | "unanswered" }[]} questions
 * @property {{ at_s: number, ok: boolean }[]} cells
 * @property {{ at_s: number, passed: number, total: number, suite: string }[]} checks
 * @property {{ at_s: number, n: number }[]} hints
 * @property {[seconds: number, left: number, budget: number][]} left
 * @property {number} now_s
 * @property {number | null} limit_s
 */

/**
 * @typedef {object} Detail
 * @property {Row} session
 * @property {string} persona
 * @property {string} phase "" for none
 * @property {string[]} phases that there are
 * @property {string} client
 * @property {string} charge
 * @property {string} title
 * @property {string} task
 * @property {string} cost
 * @property {number} billed
 * @property {Said[]} messages
 * @property {Moment[]} moments
 * @property {Writing[]} writing
 * @property {Course} course
 * @property {Note[]} notes
 * @property {Invited[]} invitations
 * @property {number} as_of
 * @property {string} [accommodation] "" unless a coordinator looks
 * @property {boolean} [blind]
 */

/** @typedef {{ name: string, role: "interviewer" | "coordinator", csrf: string, version: string }} Me */

const WAIT_MS = 20_000;

/** What the host refused, or why it could not be asked: `message` is the line to show. */
export class Refused extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 when the host could not be reached
   * @param {string} code
   */
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let csrf = "";

/**
 * Ask the host; a write carries *body* and the header that shows it comes from this page.
 *
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  /** @type {RequestInit} */
  const how = { credentials: "same-origin", signal: AbortSignal.timeout(WAIT_MS) };
  if (body) {
    how.method = "POST";
    how.body = JSON.stringify(body);
    how.headers = { "Content-Type": "application/json", "X-IB-CSRF": csrf };
  }
  let answer;
  try {
    answer = await fetch(path, how);
  } catch {
    throw new Refused("The host cannot be reached; nothing was changed.", 0, "unreachable");
  }
  const value = await answer.json().catch(() => ({}));
  if (answer.ok) return value;
  const error = value.error ?? {};
  throw new Refused(error.message ?? `The host answered ${answer.status}.`, answer.status, error.code ?? "");
}

/**
 * Say who looks at the page: of a link's token if there is one, else of the cookie. Null when nobody is signed in.
 *
 * @param {string} link
 * @returns {Promise<Me | null>}
 */
export async function signIn(link) {
  try {
    if (link) await ask("/v1/link", { token: link });
    const me = await ask("/v1/whoami");
    csrf = me.csrf;
    return me;
  } catch (error) {
    if (error instanceof Refused && error.status >= 400 && error.status < 500) return null;
    throw error;
  }
}

/** @param {string} id */
export const at = (id) => `/v1/desk/sessions/${encodeURIComponent(id)}`;
