// A page without a browser, and the front end's side of a widget's model.
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
const { document, DOMParser, Element, Event, HTMLElement, KeyboardEvent, ResizeObserver } = window;
Object.assign(globalThis, {
  document,
  DOMParser,
  Element,
  Event,
  HTMLElement,
  KeyboardEvent,
  ResizeObserver,
});

/** @returns {HTMLElement} an empty element on the page */
export function place() {
  const node = globalThis.document.createElement("div");
  globalThis.document.body.replaceChildren(node);
  return node;
}

/** What a view sees of a widget: traits, changes, messages. */
export class Model {
  /** @type {any[]} */
  sent = [];
  saved = 0;
  /** @type {Map<string, Set<() => void>>} */
  listeners = new Map();

  /** @param {Record<string, any>} traits */
  constructor(traits) {
    /** @type {Record<string, any>} */
    this.traits = { said: {}, controls: false, revision: 0, ...traits };
  }
  /** @param {string} name */
  get(name) {
    if (!(name in this.traits)) throw new Error(`no trait is called ${name}`);
    return this.traits[name];
  }
  /** @param {string} name @param {any} value */
  set(name, value) {
    this.traits[name] = value;
  }
  save_changes() {
    this.saved += 1;
  }
  /** @param {any} message */
  send(message) {
    this.sent.push(message);
  }
  /** @param {string} event @param {() => void} act */
  on(event, act) {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(act));
  }
  /** @param {string} event @param {() => void} act */
  off(event, act) {
    this.listeners.get(event)?.delete(act);
  }
  /**
   * Take new traits, as one message of the kernel brings them.
   *
   * @param {Record<string, any>} traits
   */
  update(traits) {
    Object.assign(this.traits, traits, { revision: this.traits.revision + 1 });
    for (const act of this.listeners.get("change:revision") ?? []) act();
  }
}

/**
 * Show a widget's view and return its model, its element and what ends it.
 *
 * @param {{ render: Function }} view
 * @param {Record<string, any>} traits
 */
export function show(view, traits) {
  const el = place();
  const model = new Model(traits);
  const stop = view.render({ model, el });
  return { model, el, stop };
}

/**
 * The one element that a selector finds.
 *
 * @param {ParentNode} el
 * @param {string} selector
 * @returns {any}
 */
export function find(el, selector) {
  const found = [...el.querySelectorAll(selector)];
  if (found.length !== 1) throw new Error(`${found.length} elements are ${selector}`);
  return found[0];
}

/**
 * The button with this text.
 *
 * @param {ParentNode} el
 * @param {string} text
 * @returns {HTMLButtonElement}
 */
export function button(el, text) {
  const found = [...el.querySelectorAll("button")].filter((node) => node.textContent === text);
  if (found.length !== 1) throw new Error(`${found.length} buttons say ${text}`);
  return /** @type {HTMLButtonElement} */ (found[0]);
}

/** @type {import("../../../ib_kernel/notebook/widgets/gauge.js").BudgetState} */
export const ACTIVE = {
  session_id: "abc",
  title: "Budget · Ada · active",
  status: "active",
  level: "normal",
  budget: 10_000,
  used: 2_500,
  held: 0,
  in_doubt: 0,
  left: 7_500,
  input_tokens: 2_000,
  output_tokens: 500,
  turns: 2,
  turns_left: 6,
  cost: "$0.01",
  money: "",
  time_left_s: 600,
  time_limit_s: 1_200,
  notes: [],
  history: [
    [1, 900, 200],
    [2, 1_100, 300],
  ],
  doubts: [],
  locked: false,
};
