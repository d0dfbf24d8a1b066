// A session played back: the notebook on the left, the conversation on the right, below them the budget, marks and
// a slider. The notebook's widget and the host's page draw it alike; neither of them is known here.

/**
 * @typedef {object} Moment
 * @property {string} kind
 * @property {string} mark "question", "check", "hint", "refused", "failed", or "" for none
 * @property {number} at seconds since the start
 * @property {boolean} ok
 * @property {string} name such as "Cell 3"
 * @property {string} text plain text; of what somebody said "" (`html` has it)
 * @property {string} html
 * @property {string} note
 * @property {number} left tokens
 * @property {number} budget tokens
 */

/**
 * What the place it is drawn in gives: how HTML becomes nodes, how figures are written, its buttons' class.
 *
 * @typedef {object} Tools
 * @property {(html: string) => Node[]} nodes
 * @property {(n: number) => string} number
 * @property {(seconds: number) => string} clock
 * @property {string} button
 * @property {(place: number) => void} moved called when somebody has gone to another moment
 */

/** @typedef {{ moments: Moment[], about: string, place: number }} Shown */

const MOST = 80; // what one side shows at most, the newest
const MOST_MARKS = 400;
const LEFT = new Set(["cell", "check", "event"]);
const SVG = "http://www.w3.org/2000/svg";

/** Marks are told apart by their shape: the words are the slider's and the legend's. */
const SHAPES = {
  question: "M5 1a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
  check: "m1.5 5.5 2.5 2.5L8.5 2",
  hint: "M5 .5l4.5 4.5L5 9.5.5 5z",
  refused: "M5 1 9.5 9h-9z",
  failed: "m1.5 1.5 7 7m0-7-7 7",
};
const WORDS = {
  question: "question",
  check: "check",
  hint: "hint",
  refused: "refused",
  failed: "failed cell",
};

/** @typedef {keyof typeof SHAPES} Mark */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} name
 * @param {ParentNode} parent
 * @param {string} [text]
 */
function make(tag, name, parent, text) {
  const node = document.createElement(tag);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/**
 * @param {Node} node
 * @param {string} text
 */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Mark} mark */
function glyph(mark) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `ib-glyph ib-glyph-${mark}`);
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[mark]);
  svg.append(path);
  return svg;
}

/**
 * One half: a titled list that scrolls.
 *
 * @param {ParentNode} parent
 * @param {string} title
 */
function makeSide(parent, title) {
  const box = make("section", "ib-side", parent);
  make("div", "ib-title", box, title);
  const list = make("div", "ib-past", box);
  list.tabIndex = 0;
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", title);
  return list;
}

/**
 * Where the slider's thumb is at a moment, from 0 to 100.
 *
 * @param {number} i
 * @param {number} n
 */
const share = (i, n) => (n > 1 ? (100 * i) / (n - 1) : 0);

/**
 * The budget's course above the slider, and a mark for each moment that somebody looks for.
 *
 * @param {ParentNode} parent
 */
function makeCourse(parent) {
  const box = make("div", "ib-course", parent);
  box.setAttribute("aria-hidden", "true");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "ib-burn");
  const area = document.createElementNS(SVG, "path");
  svg.append(area);
  box.append(svg);
  const now = make("i", "ib-burn-now", box);
  const marks = make("div", "ib-marks", box);

  /** @param {Moment[]} moments */
  function lay(moments) {
    const n = moments.length;
    const most = Math.max(1, ...moments.map((moment) => moment.budget));
    const steps = moments.map(({ left }, i) => `H${share(i, n)}V${100 - (100 * Math.max(0, left)) / most}`);
    area.setAttribute(
      "d",
      n ? `M0 ${100 - (100 * (moments[0]?.left ?? 0)) / most}${steps.join("")}H100V100H0Z` : "",
    );
    marks.replaceChildren();
    let made = 0;
    moments.forEach((moment, i) => {
      if (!(moment.mark in SHAPES) || made >= MOST_MARKS) return;
      made += 1;
      const mark = glyph(/** @type {Mark} */ (moment.mark));
      mark.style.left = `${share(i, n)}%`;
      marks.append(mark);
    });
  }
  /**
   * @param {number} place
   * @param {number} n
   */
  const go = (place, n) => {
    now.style.left = `${share(place, n)}%`;
  };
  return { lay, go };
}

/** @param {ParentNode} parent */
function makeLegend(parent) {
  const box = make("div", "ib-legend ib-small", parent);
  /** @param {Moment[]} moments */
  return function draw(moments) {
    box.replaceChildren();
    const there = new Set(moments.map(({ mark }) => mark));
    for (const [mark, word] of Object.entries(WORDS)) {
      if (!there.has(mark)) continue;
      const item = make("span", "ib-key", box);
      item.append(glyph(/** @type {Mark} */ (mark)), ` ${word}`);
    }
  };
}

/**
 * @param {Moment[]} moments
 * @param {number} from
 * @param {(moment: Moment) => boolean} wanted
 */
function next(moments, from, wanted) {
  const found = moments.findIndex((moment, i) => i > from && wanted(moment));
  return found < 0 ? from : found;
}

/** @type {[string, (moment: Moment) => boolean][]} */
const JUMPS = [
  ["Next failure", (moment) => !moment.ok],
  ["Next question", (moment) => moment.kind === "question"],
  ["Next check", (moment) => moment.kind === "check"],
];

/**
 * @param {HTMLElement} list
 * @param {Moment[]} moments
 * @param {Moment} now
 * @param {Tools} tools
 */
function fill(list, moments, now, { nodes, clock }) {
  list.replaceChildren();
  const shown = moments.slice(-MOST);
  if (!shown.length) make("div", "ib-small", list, "nothing yet");
  for (const moment of shown) {
    const item = make("div", `ib-moment ib-moment-${moment.kind}`, list);
    if (moment === now) item.setAttribute("aria-current", "step");
    const failed = moment.kind === "cell" && !moment.ok ? " · failed" : ""; // the others say it in words
    const note = moment.note ? ` · ${moment.note}` : "";
    make("div", "ib-who", item, `${moment.name}${failed}${note} · ${clock(moment.at)}`);
    if (moment.html) make("div", "ib-words", item).append(...nodes(moment.html));
    else if (moment.kind === "cell") {
      const code = make("pre", "ib-source", item, moment.text);
      code.tabIndex = 0;
      code.setAttribute("role", "group");
      code.setAttribute("aria-label", moment.name);
    } else make("div", "", item, moment.text);
  }
  list.scrollTop = list.scrollHeight;
}

/**
 * Put a replay into *root*; what is returned draws it.
 *
 * @param {HTMLElement} root
 * @param {Tools} tools
 */
export function makeReplay(root, tools) {
  root.classList.add("ib-replay");
  const about = make("div", "ib-title", root);
  const sides = make("div", "ib-sides", root);
  const [left, right] = [makeSide(sides, "Notebook"), makeSide(sides, "Conversation")];
  const figures = make("div", "ib-where", root);
  figures.setAttribute("role", "status");
  const track = make("div", "ib-track", root);
  const course = makeCourse(track);
  const slider = make("input", "ib-slider", track);
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", "Moment");
  const legend = makeLegend(root);
  const line = make("div", "ib-jumps", root);
  /** @type {Moment[]} */
  let moments = [];
  let place = 0;

  /** @param {number} wanted */
  function go(wanted) {
    const to = Math.max(0, Math.min(wanted, moments.length - 1));
    if (to === place) return;
    place = to;
    tools.moved(place);
    drawPlace();
  }
  for (const [words, wanted] of JUMPS) {
    const button = make("button", tools.button, line, words);
    button.type = "button";
    button.addEventListener("click", () => go(next(moments, place, wanted)));
  }
  slider.addEventListener("input", () => go(Number(slider.value)));
  root.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // a notebook would go to another cell
    go(place + step);
  });

  function drawPlace() {
    const now = moments[place];
    track.hidden = !now;
    if (!now) {
      say(figures, "Nothing was recorded.");
      left.replaceChildren();
      right.replaceChildren();
      return;
    }
    slider.value = String(place);
    const words = `${now.name}, ${place + 1} of ${moments.length}, at ${tools.clock(now.at)}`;
    slider.setAttribute("aria-valuetext", words);
    say(figures, `${words} · ${tools.number(now.left)} of ${tools.number(now.budget)} tokens left`);
    course.go(place, moments.length);
    const past = moments.slice(0, place + 1);
    const done = past.filter((moment) => LEFT.has(moment.kind));
    const told = past.filter((moment) => !LEFT.has(moment.kind));
    fill(left, done, now, tools);
    fill(right, told, now, tools);
  }

  /** @param {Shown} shown */
  return function draw(shown) {
    const others = shown.moments !== moments;
    moments = shown.moments;
    place = Math.max(0, Math.min(shown.place, moments.length - 1));
    say(about, shown.about);
    slider.max = String(Math.max(0, moments.length - 1));
    if (others) {
      course.lay(moments);
      legend(moments);
    }
    drawPlace();
  };
}
