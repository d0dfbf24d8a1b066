// One person's scorecard: a level for each criterion, why, and the candidate's words that show it. Levels of others
// come from the host only once this person has given their own.

import { ask, at } from "./api.js";
import { askFirst } from "./dialog.js";
import { add, el, exactTime, icon, setText } from "./parts.js";

/**
 * @typedef {object} Quote
 * @property {number} turn
 * @property {string} words "" where only the turn is meant
 */

/**
 * @typedef {object} Score
 * @property {string} rater
 * @property {"person" | "model"} rater_kind
 * @property {number | null} level
 * @property {number | null} low
 * @property {number | null} high
 * @property {string} reason
 * @property {Quote[]} quotes
 * @property {number} created_at
 */

/** @typedef {{ name: string, title: string, anchors: string[] }} Criterion */
/** @typedef {{ criterion: Criterion, own: Score | null, others: Score[] }} Rated */

/**
 * @typedef {object} Card
 * @property {Rated[]} rated
 * @property {boolean} blind
 * @property {boolean} is_open
 * @property {boolean} may_unfold
 * @property {number} missing
 */

const LEVELS = [0, 1, 2, 3];
const KEY = "ib-blind";

/** What asks the host to hide names where this browser does. */
export const blindQuery = () => (isBlind() ? "?blind=1" : "");

/** Whether names are to be hidden in this browser until a session is rated. */
export function isBlind() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false;
  }
}

/** @param {boolean} on */
function setBlind(on) {
  try {
    if (on) localStorage.setItem(KEY, "1");
    else localStorage.removeItem(KEY);
  } catch {
    // a browser that keeps nothing shows names again when the page is loaded anew
  }
}

/**
 * Return a level in words, with a range where passes differ.
 *
 * @param {Score} score
 */
export function levelWords({ level, low, high }) {
  if (low !== null && high !== null && low !== high) return `${low} to ${high}`;
  return level === null ? "people decide" : String(level);
}

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
 * Return the candidate's words that are selected on the page, with their turn; null when none are.
 *
 * @returns {Quote | null}
 */
function selectedQuote() {
  const selection = document.getSelection();
  const words = selection?.toString().trim() ?? "";
  const from = selection?.anchorNode;
  const inside = from instanceof Element ? from : from?.parentElement;
  const turn = Number(inside?.closest("[data-said-in]")?.getAttribute("data-said-in"));
  return words && turn > 0 ? { turn, words: words.slice(0, 2000) } : null;
}

/**
 * Make one criterion; *keep* sends a level.
 *
 * @param {Criterion} criterion
 * @param {(body: object) => Promise<unknown>} keep
 * @param {(text: string) => void} announce
 */
function makeCriterion(criterion, keep, announce) {
  const id = `crit-${criterion.name}`;
  const anchor = el("div", { class: "s", id: `${id}-anchor` });
  const said = el("p", { class: "said s", role: "alert" });
  const inputs = LEVELS.map((level) =>
    el("input", { type: "radio", name: id, value: level, onchange: () => void send() }),
  );
  const labels = inputs.map((input, level) =>
    el("label", { title: criterion.anchors[level] }, input, String(level)),
  );
  const why = el("input", { class: "in", id: `${id}-why`, maxlength: 4000, onchange: () => void resend() });
  const turns = el("input", { class: "in n", id: `${id}-turns`, onchange: () => void resend() });
  const quotes = el("div");
  const others = el("div", { class: "s m" });
  const words = "Quote from the conversation";
  const quote = el(
    "button",
    { class: "btn sm", type: "button", onclick: addQuote },
    icon("plus"),
    ` ${words}`,
  );
  const node = el(
    "div",
    { class: "crit" },
    el(
      "fieldset",
      { "aria-describedby": anchor.id },
      el("legend", { text: criterion.title }),
      el("div", { class: "lv" }, ...labels),
      anchor,
    ),
    el(
      "div",
      { class: "why" },
      el("label", { for: why.id, text: "Why" }),
      why,
      el("label", { for: turns.id, text: "Turns" }),
      turns,
    ),
    quotes,
    quote,
    said,
    others,
  );
  /** @type {Quote[]} */
  let kept = [];

  const chosen = () => inputs.findIndex((input) => input.checked);

  async function resend() {
    if (chosen() >= 0) await send();
  }

  async function send() {
    const numbers = turnsOf(turns.value);
    setText(said, numbers ? "" : "Turns are numbers, such as 3 or 3, 5.");
    if (!numbers) return;
    const body = { criterion: criterion.name, level: chosen(), why: why.value, turns: numbers, quotes: kept };
    try {
      await keep(body);
    } catch (error) {
      setText(said, error instanceof Error ? error.message : String(error));
    }
  }

  function addQuote() {
    const found = selectedQuote();
    if (!found) {
      setText(said, "Select words of the candidate in the conversation first, then press this.");
      return;
    }
    setText(said, "");
    kept = [...kept, found];
    drawQuotes();
    announce(`Quote from turn ${found.turn}.`);
    if (chosen() >= 0) void send();
  }

  function drawQuotes() {
    const shown = kept.map(({ turn, words }) =>
      el("blockquote", { class: "qt" }, `“${words}” `, el("span", { class: "m", text: `turn ${turn}` })),
    );
    quotes.replaceChildren(...shown);
  }

  /** Say what the level means, and what the next one adds. */
  function drawAnchor(/** @type {number | null} */ level) {
    const { anchors } = criterion;
    if (level === null) {
      setText(anchor, `Not rated. ${anchors.map((text, i) => `${i} ${text}`).join(", ")}`);
      return;
    }
    const more = level < 3 ? ` ${level + 1} adds: ${anchors[level + 1]}` : "";
    anchor.replaceChildren(
      el("b", { text: `${level}: ${anchors[level]}` }),
      el("span", { class: "m", text: more }),
    );
  }

  /**
   * @param {Rated} rated
   * @param {boolean} open whether a first level may be given
   */
  function draw(rated, open) {
    const own = rated.own;
    drawAnchor(own ? own.level : null);
    for (const input of inputs) input.disabled = !own && !open;
    if (!node.contains(document.activeElement) || chosen() < 0) {
      inputs.forEach((input, level) => {
        input.checked = own !== null && own.level === level;
      });
    }
    if (own && !node.contains(document.activeElement)) {
      why.value = own.reason;
      turns.value = own.quotes
        .filter((one) => !one.words)
        .map((one) => one.turn)
        .join(", ");
      kept = own.quotes.filter((one) => one.words);
    }
    drawQuotes();
    const given = rated.others.map(
      (one) => `${one.rater}${one.rater_kind === "model" ? " (model)" : ""} ${levelWords(one)}`,
    );
    const waits = !own && open;
    const none = waits ? "What others gave stands here once you have rated." : "Nobody else has rated it.";
    setText(others, given.length && !waits ? `Others: ${given.join("; ")}` : none);
  }
  return { node, draw };
}

/**
 * Make the scorecard of a session; `refresh` reads it.
 *
 * @param {{ id: string, announce: (text: string) => void, failed: (error: unknown) => void, again: () => void }} given
 */
export function makeScorecard(given) {
  const path = at(given.id);
  const about = el("span", { class: "s m plain-weight" });
  const list = el("div");
  const blind = el("input", {
    type: "checkbox",
    id: "blind",
    onchange: () => {
      setBlind(blind.checked);
      given.again();
    },
  });
  const unfold = el("button", {
    class: "btn sm",
    type: "button",
    text: "See all levels without rating…",
    hidden: true,
    onclick: () => askFirst(QUESTION, async () => draw(await ask(`${path}/unfold${blindQuery()}`, {}))),
  });
  const file = el("input", {
    type: "file",
    id: "rubric",
    accept: ".toml",
    onchange: () => void giveRubric(),
  });
  const said = el("p", { class: "said s", role: "alert" });
  const words = el(
    "span",
    null,
    "Hide names ",
    el("span", { class: "m", text: "until every criterion is rated" }),
  );
  const node = el(
    "section",
    { class: "card", "aria-labelledby": "scorecard" },
    el("h2", { id: "scorecard" }, "Scorecard ", about),
    list,
    el("label", { class: "chk", for: blind.id }, blind, words),
    unfold,
    el(
      "details",
      null,
      el("summary", { class: "s m", text: "Other criteria" }),
      el("label", { class: "s", for: file.id, text: "A rubric's file (.toml) for this session " }),
      file,
    ),
    said,
  );
  blind.checked = isBlind();
  /** @type {Map<string, ReturnType<typeof makeCriterion>>} */
  let criteria = new Map();
  let shown = "";

  /** @param {object} body */
  const keep = async (body) => draw(await ask(`${path}/score${blindQuery()}`, body));

  async function giveRubric() {
    const chosen = file.files?.[0];
    if (!chosen) return;
    setText(said, "");
    try {
      draw(await ask(`${path}/rubric${blindQuery()}`, { text: await chosen.text() }));
      given.announce("The session has these criteria now.");
    } catch (error) {
      setText(said, error instanceof Error ? error.message : String(error));
    } finally {
      file.value = "";
    }
  }

  /** @param {Card} card */
  function draw(card) {
    const names = card.rated.map(({ criterion }) => criterion.name + criterion.title).join("\n");
    if (names !== shown || !criteria.size) {
      shown = names;
      const made = card.rated.map(({ criterion }) => makeCriterion(criterion, keep, given.announce));
      criteria = new Map(
        card.rated.map(({ criterion }, i) => [criterion.name, /** @type {any} */ (made[i])]),
      );
      list.replaceChildren(...made.map((one) => one.node));
      if (!made.length)
        add(list, el("p", { class: "m", text: "This session has no criteria. Give it some below." }));
    }
    for (const rated of card.rated) criteria.get(rated.criterion.name)?.draw(rated, card.is_open);
    const last = Math.max(0, ...card.rated.map(({ own }) => own?.created_at ?? 0));
    const saved = last ? `, saved ${exactTime(last)}` : "";
    const who = "others see a level once they have given theirs";
    setText(about, card.is_open ? `${who}${saved}` : "you have looked, and give no first levels here");
    unfold.hidden = !card.may_unfold || !card.missing;
  }

  async function refresh() {
    try {
      draw(await ask(`${path}/scorecard${blindQuery()}`));
    } catch (error) {
      given.failed(error);
    }
  }
  return { node, draw, refresh };
}

const QUESTION = {
  title: "See all levels without rating?",
  text:
    "You see what everybody and the model gave. It is recorded, and you give no first levels in this session " +
    "any more, because they would not be your own.",
  yes: "See all levels",
};
