// A new interview: one form, and beside it what the candidate gets.

import { ask } from "./api.js";
import { addressOf, LINES } from "./invitation.js";
import { add, el, field, number, setText, wholeNumber } from "./parts.js";

/**
 * @typedef {object} Choices
 * @property {{ name: string, title: string, level: string, roles: string[] }[]} challenges
 * @property {string[]} models
 * @property {string[]} personas
 * @property {{ name: string, fields: Record<string, string> }[]} presets
 * @property {string[]} charges
 * @property {boolean} may_adapt
 * @property {{ model: string, persona: string, token_budget: number, minutes: number | null, client: string, charge: string, hours: number }} defaults
 * @property {boolean} gateway
 * @property {string} gateway_why
 * @property {number | null} keep_days
 */

/** @type {Record<string, string>} */
const PERSONAS = {
  interviewer: "Interviewer: asks, probes, gives no solution",
  assistant: "Assistant: helps with what is asked",
};

/**
 * Say which field a refusal is about; "" when it is about none.
 *
 * @param {string} message
 */
export function fieldOf(message) {
  /** @type {[RegExp, string][]} */
  const known = [
    [/preset/i, "preset"],
    [/keep.?days/i, "keep_days"],
    [/accommodation/i, "accommodation"],
    [/budget_usd|money|price|dollar/i, "budget_usd"],
    [/hours/i, "hours"],
    [/charge/i, "charge"],
    [/minutes|time.?limit/i, "minutes"],
    [/model/i, "model"],
    [/challenge/i, "challenge"],
    [/gateway/i, "gateway"],
    [/candidate.?id|external/i, "candidate_id"],
    [/token|budget/i, "token_budget"],
    [/role/i, "role"],
    [/level/i, "level"],
    [/candidate|locked/i, "candidate"],
  ];
  return known.find(([pattern]) => pattern.test(message))?.[1] ?? "";
}

/**
 * Make the form under *place*.
 *
 * @param {HTMLElement} place
 * @param {{ go: (path: string) => void, failed: (error: unknown) => void }} given
 */
export function makeCreate(place, given) {
  const head = el("div", { class: "head" }, el("h1", { text: "New interview" }));
  const body = el("div", { class: "two" });
  add(place, head, body);
  ask("/v1/desk/choices").then((choices) => form(body, choices, given), given.failed);
  return { hear() {}, tick() {}, close() {} };
}

/** The form's fields. */
function makeParts(/** @type {Choices} */ choices) {
  const { defaults, challenges, models, personas, presets, charges, may_adapt } = choices;
  const input = (/** @type {string} */ id, value = "", more = {}) =>
    el("input", { id, name: id, value, autocomplete: "off", ...more });
  const tasks = challenges.map((c) => /** @type {[string, string]} */ ([c.name, c.title]));
  const names = models.map((name) => /** @type {[string, string]} */ ([name, name]));
  const roles = personas.map((name) => /** @type {[string, string]} */ ([name, PERSONAS[name] ?? name]));
  const minutes = defaults.minutes === null ? "" : String(Math.round(defaults.minutes));
  const sets = presets.map(({ name }) => /** @type {[string, string]} */ ([name, name]));
  return {
    ...(sets.length
      ? {
          preset: field("Preset", select("preset", [["", "None"], ...sets]), {
            hint: "Fills in the fields below; what you change there comes first.",
          }),
        }
      : {}),
    candidate: field("Candidate", input("candidate"), {
      hint: "A code is enough. The AI and the record have it.",
    }),
    candidate_id: field("Candidate ID", input("candidate_id"), {
      hint: "Optional: what joins several interviews of one person.",
    }),
    role: field("Role", input("role", "", { placeholder: "Backend engineer" })),
    level: field("Level", input("level", "", { placeholder: "senior" })),
    challenge: field("Challenge", select("challenge", [["", "None: the AI chooses a problem"], ...tasks])),
    model: field("Model", select("model", names, defaults.model), {
      hint: defaults.client === "demo" ? "The demo answers: scripted, nobody bills it." : "",
    }),
    token_budget: field(
      "Tokens",
      input("token_budget", number(defaults.token_budget), { class: "n", inputmode: "numeric" }),
      { hint: "Question, reply and what is sent again count.", unit: "tokens" },
    ),
    minutes: field("Time", input("minutes", minutes, { class: "n", inputmode: "decimal" }), {
      hint: "Starts with the first question. Empty: no limit.",
      unit: "min",
    }),
    charge: field("What counts", select("charge", charges.map(chargeOption), defaults.charge)),
    budget_usd: field("Money", input("budget_usd", "", { class: "n", inputmode: "decimal" }), {
      hint: "Optional: about what the service bills, beside the tokens.",
      unit: "US dollars",
    }),
    hours: field(
      "The line is valid",
      input("hours", String(defaults.hours), { class: "n", inputmode: "decimal" }),
      {
        hint: "It lets one person in, once.",
        unit: "hours",
      },
    ),
    keep_days: field(
      "Kept for",
      input("keep_days", String(choices.keep_days ?? ""), { class: "n", inputmode: "numeric" }),
      { hint: "Then due to be erased; the notice says so. Empty: no date.", unit: "days" },
    ),
    ...(may_adapt
      ? {
          accommodation: field("Accommodation", input("accommodation", "", { placeholder: "time=1.25" }), {
            hint: "Optional: more time for this person. Counts as equal; only coordinators see it.",
          }),
        }
      : {}),
    persona: field("The AI is", select("persona", roles, defaults.persona), { wide: true }),
  };
}

/** @typedef {ReturnType<typeof makeParts>} Parts */

/** @type {Record<string, string>} */
const CHARGES = {
  billed: "All that the service bills",
  new: "What each turn adds: question, attachments, reply",
};

/** @param {string} name @returns {[string, string]} */
const chargeOption = (name) => [name, CHARGES[name] ?? name];

/**
 * The gateway's box, with why it may not be ticked.
 *
 * @param {Choices} choices
 */
function makeGateway(choices) {
  const box = el("input", { type: "checkbox", id: "gateway", disabled: !choices.gateway });
  const why = choices.gateway ? "They spend from the same budget." : `Not here: ${choices.gateway_why}`;
  const words = "Open the gateway for the candidate's own tools ";
  const text = el("span", null, words, el("span", { class: "m", text: why }));
  return { box, node: el("label", { class: "chk w", for: "gateway" }, box, text) };
}

/**
 * Return what the candidate gets, in lines.
 *
 * @param {Parts} parts
 * @param {Choices} choices
 * @param {boolean} gateway
 * @returns {[string, string][]}
 */
function summaryLines(parts, choices, gateway) {
  const value = (/** @type {keyof Parts} */ name) => parts[name]?.control.value.trim() ?? "";
  const tokens = wholeNumber(value("token_budget"));
  const money = value("budget_usd");
  const challenge = choices.challenges.find((c) => c.name === value("challenge"));
  const kept = value("keep_days") ? `, kept ${value("keep_days")} days` : "";
  return [
    ["AI", `${value("model")}, as ${value("persona")}`],
    ["Task", challenge ? challenge.title : "none: the AI chooses one"],
    [
      "Budget",
      tokens > 0 ? `${number(tokens)} tokens${money ? `, and $${money}` : ""}` : "not set, see Tokens",
    ],
    ["Time", value("minutes") ? `${value("minutes")} min from the first question` : "no limit"],
    ["Own tools", gateway ? "through the gateway, from the same budget" : "not through us"],
    ["Notice", `what is recorded${kept}, before the first question`],
  ];
}

/**
 * Return what to send; null when a field is wrong, which then says so.
 *
 * @param {Parts} parts
 * @param {Choices["defaults"]} defaults
 */
function readForm(parts, defaults) {
  const value = (/** @type {keyof Parts} */ name) => parts[name]?.control.value.trim() ?? "";
  const tokens = wholeNumber(value("token_budget"));
  const minutes = value("minutes");
  const [money, hours] = [amount(value("budget_usd")), amount(value("hours"))];
  const time = Number(minutes.replace(",", "."));
  let good = true;
  if (!(tokens >= 1))
    good = wrong(parts.token_budget, `Type a whole number, such as ${number(defaults.token_budget)}.`);
  if (minutes && !(time > 0))
    good = wrong(parts.minutes, "Type minutes above 0, such as 45, or leave it empty.");
  if (value("budget_usd") && !(money > 0))
    good = wrong(parts.budget_usd, "Type US dollars above 0, such as 0.50, or leave it empty.");
  if (!(hours > 0)) good = wrong(parts.hours, "Type hours above 0, such as 48.");
  const days = wholeNumber(value("keep_days"));
  if (value("keep_days") && !(days >= 1))
    good = wrong(parts.keep_days, "Type a whole number of days, such as 90, or leave it empty.");
  if (!value("candidate")) good = wrong(parts.candidate, "Type a name or a code, such as A-17.");
  if (!good) return null;
  const texts = /** @type {const} */ ([
    ...["candidate", "candidate_id", "role", "level", "challenge", "model", "persona", "charge"],
  ]);
  const adapted = value("accommodation");
  return {
    ...Object.fromEntries(texts.map((name) => [name, value(/** @type {keyof Parts} */ (name))])),
    token_budget: tokens,
    hours,
    ...(minutes ? { minutes: time } : {}),
    ...(money > 0 ? { budget_usd: money } : {}),
    ...(adapted ? { accommodation: adapted } : {}),
    ...(days >= 1 ? { keep_days: days } : {}),
    ...(value("preset") ? { preset: value("preset") } : {}),
  };
}

/**
 * @param {HTMLElement} place
 * @param {Choices} choices
 * @param {{ go: (path: string) => void }} given
 */
function form(place, choices, given) {
  const parts = makeParts(choices);
  const gateway = makeGateway(choices);
  const said = el("p", { class: "said w", role: "alert" });
  const button = el("button", { class: "btn pri", type: "submit", text: "Create invitation" });
  const cancel = el("a", { class: "btn q", href: "/", text: "Cancel" });
  const fields = Object.values(parts).map((part) => part.node);
  const row = el("div", { class: "w row" }, button, cancel);
  const node = el(
    "form",
    { class: "card", novalidate: true, onsubmit: submit, oninput: summary },
    el("div", { class: "f" }, ...fields, gateway.node, said, row),
  );
  const gets = el("dl");
  add(place, node, el("aside", { class: "card sum" }, el("h2", { text: "What the candidate gets" }), gets));

  function summary() {
    const lines = summaryLines(parts, choices, gateway.box.checked);
    gets.replaceChildren(...lines.flatMap(([dt, dd]) => [el("dt", { text: dt }), el("dd", { text: dd })]));
    const challenge = choices.challenges.find((c) => c.name === parts.challenge.control.value);
    const known = [challenge?.level, challenge?.roles.join(", ")].filter(Boolean).join(", ");
    if (!parts.challenge.node.classList.contains("err")) setText(parts.challenge.hint, known);
  }
  summary();
  parts.preset?.control.addEventListener("change", () => {
    const chosen = choices.presets.find(({ name }) => name === parts.preset?.control.value);
    fill(parts, chosen?.fields ?? {});
    summary();
  });

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    setText(said, "");
    for (const part of Object.values(parts)) part.say("");
    const value = readForm(parts, choices.defaults);
    if (!value) return;
    button.disabled = true;
    try {
      const answer = await ask("/v1/desk/invitations", { ...value, gateway: gateway.box.checked });
      LINES.set(answer.session.id, { line: answer.line, expires_at: answer.expires_at });
      given.go(addressOf(answer.session.id));
    } catch (error) {
      const line = error instanceof Error ? error.message : String(error);
      const name = fieldOf(line);
      if (name in parts) wrong(parts[/** @type {keyof Parts} */ (name)], line);
      else setText(said, line);
    } finally {
      button.disabled = false;
    }
  }
}

/**
 * Fill in what a preset says; what is a file of the host's is left to the preset itself.
 *
 * @param {Parts} parts
 * @param {Record<string, string>} values
 */
function fill(parts, values) {
  for (const [name, value] of Object.entries(values)) {
    const control = parts[/** @type {keyof Parts} */ (name)]?.control;
    if (!control) continue;
    const offered = "options" in control ? [...control.options].map((one) => one.value) : [value];
    if (!offered.includes(value)) add(control, el("option", { value, text: "As the preset says" }));
    control.value = value;
  }
}

/** @param {string} text a number with a point or a comma */
const amount = (text) => (text ? Number(text.replace(",", ".")) : Number.NaN);

/**
 * @param {ReturnType<typeof field> | undefined} part
 * @param {string} line
 */
function wrong(part, line) {
  part?.say(line);
  part?.control.focus();
  return false;
}

/**
 * @param {string} id
 * @param {[value: string, label: string][]} options
 * @param {string} [chosen]
 */
function select(id, options, chosen = "") {
  const node = el("select", { id, name: id });
  for (const [value, text] of options) add(node, el("option", { value, text, selected: value === chosen }));
  return node;
}
