// The conversation: messages, what happened between them, and what is being written. New ones are added; those on
// the page stay as they are, so that reading, selecting and scrolling go on.

/** @import { Detail, Moment, Said, Writing } from "./api.js" */
/** @import { IconName } from "./parts.js" */

import { add, arrange, duration, el, icon, number, onClock, setText } from "./parts.js";
import { safeNodes } from "./safe.js";
import { stateWord } from "./states.js";

/**
 * Say what a moment was: a glyph and words.
 *
 * @param {Moment} moment
 * @returns {[icon: IconName, words: string]}
 */
export function momentWords({ kind, who, detail: d }) {
  const by = who ? ` by ${who}` : "";
  switch (kind) {
    case "status":
      return statusWords(String(d.from ?? ""), String(d.to ?? ""), by);
    case "budget": {
      const more = Number(d.to) - Number(d.from);
      if (d.unit !== "token_budget") return ["plus", `budget in money changed${by}`];
      return ["plus", `${number(Math.abs(more))} tokens ${more < 0 ? "taken away" : "added"}${by}`];
    }
    case "time_limit": {
      if (d.to === null || d.from === null) return ["clock", `time limit changed${by}`];
      const more = Number(d.to) - Number(d.from);
      return ["clock", `${duration(Math.abs(more))} ${more < 0 ? "taken away" : "added"}${by}`];
    }
    case "cell":
      return d.ok ? ["running", "ran a cell, no error"] : ["cross", `ran a cell, ${d.error || "an error"}`];
    case "check": {
      if (d.total === undefined) return ["check", "ran the checks"];
      const missing = d.missing?.length ? `, missing: ${d.missing.join(", ")}` : "";
      const which = d.suite === "hidden" ? "hidden checks" : "checks";
      return ["check", `${which} ${d.passed} of ${d.total}${missing}`];
    }
    case "hint":
      return ["hint", d.n ? `took hint ${d.n}${d.of ? ` of ${d.of}` : ""}` : "took a hint"];
    case "refused":
      return ["attention", refusedWords(d)];
    case "clock_stopped":
      return [
        "clock",
        `the clock stood still for ${duration(Number(d.seconds) || 0)}${d.reason ? `: ${d.reason}` : ""}`,
      ];
    case "in_doubt":
      return ["attention", "a call is in doubt: it was sent, and nobody knows what it cost"];
    case "resolved":
      return ["check", `what was in doubt was charged${by}`];
    case "written_off":
      return ["check", `what was in doubt was given back${by}`];
    case "withheld":
      return ["attention", "a reply was held back: it repeated what only you may see"];
    case "warned":
      return ["info", "warned that little is left"];
    case "phase":
      return ["info", d.phase ? `the phase is now ${d.phase}${by}` : `no phase any more${by}`];
    case "notice":
      return ["info", "was told what is recorded"];
    case "invited":
      return ["line", `invited${by}`];
    case "joined":
      return ["running", "joined"];
    case "revoked":
      return ["cross", `an invitation or token was withdrawn${by}`];
    default:
      return ["info", kind.replaceAll("_", " ")];
  }
}

/** @param {Record<string, any>} d */
function refusedWords(d) {
  if (d.status) return `a turn was refused: the interview was ${stateWord(String(d.status)).toLowerCase()}`;
  if (d.needed === undefined) return "something was refused";
  return `a turn was refused: ${number(Number(d.needed))} tokens needed, ${number(Number(d.left ?? 0))} left`;
}

/**
 * @param {string} from
 * @param {string} to
 * @param {string} by
 * @returns {[icon: IconName, words: string]}
 */
function statusWords(from, to, by) {
  if (to === "active") return ["running", from === "created" ? "started" : `resumed${by}`];
  if (!to) return ["info", "the state changed"];
  if (to === "expired") return ["expired", "the time is up"];
  const name = /** @type {IconName} */ (to === "completed" ? "ended" : to);
  return [
    name in { paused: 1, ended: 1, cancelled: 1 } ? name : "info",
    `${stateWord(to).toLowerCase()}${by}`,
  ];
}

/**
 * Make one message.
 *
 * @param {Said} said
 */
function makeSaid(said) {
  const role = { user: " c", interviewer: " i" }[said.role] ?? "";
  const who = said.role === "assistant" ? `AI, turn ${said.turn}` : said.who;
  const about =
    said.role === "assistant" ? (said.tokens === null ? "" : `${number(said.tokens)} tokens`) : "";
  const below = el("span", { class: "below", text: about || onClock(said) });
  const label = el(
    "div",
    { class: "w" },
    el("b", { text: who }),
    el("span", { class: "sep", text: about ? ": " : " " }),
    el("br"),
    below,
  );
  if (said.partial) add(label, el("br"), "cut short");
  const text = el("div", { class: "words" });
  add(text, ...safeNodes(said.html ?? "", `Code of turn ${said.turn}`));
  return el(
    "article",
    {
      class: `turn${role}`,
      "data-said-in": said.role === "user" ? said.turn : null,
      "data-key": said.key,
      "aria-label": `${who}, ${onClock(said)}`,
    },
    label,
    text,
  );
}

/** @param {Moment} moment */
function makeMoment(moment) {
  const [name, words] = momentWords(moment);
  return el(
    "div",
    { class: "ev", "data-key": moment.key },
    icon(name),
    el("span", { class: "n", text: onClock(moment) }),
    ` ${words}`,
  );
}

function makeWriting() {
  const who = el("b");
  const held = el("span", { class: "below" });
  const text = el("span");
  const words = el(
    "p",
    { class: "m" },
    text,
    el("span", { class: "caret", "aria-hidden": "true", text: "▍" }),
  );
  const node = el(
    "div",
    { class: "turn", "aria-busy": "true" },
    el("div", { class: "w" }, who, el("span", { class: "sep", text: " " }), el("br"), held),
    el("div", { class: "words" }, words),
  );
  /** @param {Writing} now */
  function draw(now) {
    setText(who, `AI, turn ${now.turn}`);
    setText(held, `${number(now.tokens)} held`);
    setText(text, now.text ? `Writing… “${now.text}` : "Thinking…");
  }
  return { node, draw };
}

/**
 * Make the conversation under *parent*.
 *
 * @param {HTMLElement} parent
 */
export function makeTalk(parent) {
  const list = el("div", { class: "talk" });
  const none = el("p", { class: "m", text: "Nothing was said yet." });
  const follow = el("button", {
    class: "btn sm",
    type: "button",
    text: "Follow live",
    "aria-pressed": "false",
    onclick: () => {
      following = !following;
      follow.setAttribute("aria-pressed", String(following));
      toEnd();
    },
  });
  add(parent, list, none, follow);
  let following = false;
  /** @type {Map<string, HTMLElement>} */
  const made = new Map();
  /** @type {Map<number, ReturnType<typeof makeWriting>>} */
  const pens = new Map();
  /** @type {HTMLElement[]} */
  let past = [];

  function toEnd() {
    if (following) follow.scrollIntoView({ block: "end" });
  }

  /** @param {Detail} now */
  function draw(now) {
    for (const said of now.messages)
      if (!made.has(said.key) && said.html !== undefined) made.set(said.key, makeSaid(said));
    for (const moment of now.moments) if (!made.has(moment.key)) made.set(moment.key, makeMoment(moment));
    const every = [...now.messages, ...now.moments].sort((a, b) => a.at - b.at);
    past = every.map(({ key }) => made.get(key)).filter((node) => node !== undefined);
    follow.hidden = now.session.group !== "open";
    write(now.writing);
  }

  /** @param {Writing[]} writing */
  function write(writing) {
    const turns = new Set(writing.map(({ turn }) => turn));
    for (const turn of pens.keys()) if (!turns.has(turn)) pens.delete(turn);
    for (const now of writing) {
      const pen = pens.get(now.turn) ?? makeWriting();
      pens.set(now.turn, pen);
      pen.draw(now);
    }
    const nodes = [...past, ...[...pens.values()].map(({ node }) => node)];
    const before = list.childElementCount;
    arrange(list, nodes);
    none.hidden = nodes.length > 0;
    if (list.childElementCount !== before || writing.length) toEnd();
  }

  /** Return how many messages are on the page, for `known`. */
  const known = () => [...made.keys()].filter((key) => key.startsWith("m")).length;
  return { draw, write, known };
}
