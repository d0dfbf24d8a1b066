// The conversation and the burn-down line of the selected session.
// The kernel has sanitised the HTML of a message; here it is parsed without running anything, and what is not
// on this list is dropped once more before it reaches the page.
const ALLOWED = new Set(
  "DIV P BR A BLOCKQUOTE CODE DEL EM H1 H2 H3 H4 H5 H6 HR LI OL UL PRE S SPAN STRONG TABLE THEAD TBODY TR TH TD".split(" "));
const KEPT = { A: ["href", "rel"], CODE: ["style"], OL: ["start"], TD: ["style"], TH: ["style"], SPAN: ["style"], PRE: ["style"], DIV: ["class"] };

function safeNodes(html) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of [...body.querySelectorAll("*")]) {
    if (!ALLOWED.has(node.tagName)) { node.remove(); continue; }
    for (const { name, value } of [...node.attributes]) {
      const kept = (KEPT[node.tagName] || []).includes(name);
      if (!kept || (name === "href" && !/^(https?:|mailto:)/i.test(value)) || /url\(/i.test(value)) node.removeAttribute(name);
    }
    if (node.tagName === "A") { node.target = "_blank"; node.rel = "noopener noreferrer nofollow"; }
    const level = /^H([1-6])$/.exec(node.tagName);
    if (level) { // a reply's headings are no headings of the page
      const line = document.createElement("div");
      line.className = "ib-heading";
      line.append(...node.childNodes);
      node.replaceWith(line);
    }
  }
  return [...body.childNodes];
}

function makeTalk(parent, askForMore) {
  const box = element("section", "", parent);
  element("div", "ib-title", box, "Conversation");
  const more = element("button", "ib-button", box, "");
  more.type = "button";
  more.addEventListener("click", askForMore);
  const list = element("div", "ib-talk", box);
  list.tabIndex = 0;
  list.setAttribute("role", "log");
  list.setAttribute("aria-label", "Conversation");
  let keys = [], atEnd = true, shown = null;
  const toEnd = () => { if (atEnd) list.scrollTop = list.scrollHeight; };
  list.addEventListener("scroll", () => { atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30; });
  new ResizeObserver(toEnd).observe(list); // it gets its size only when the page shows it

  return function draw(talk, earlier, whose) {
    more.hidden = !earlier;
    setText(more, `Show earlier messages (${number(earlier)})`);
    const now = talk.map((part) => `${whose}\n${part[0]}\n${part[2]}`);
    const added = keys.length > 0 && now.length >= keys.length && keys.every((key, i) => key === now[i]);
    if (whose !== shown) atEnd = true;
    shown = whose;
    const fromEnd = list.scrollHeight - list.scrollTop; // earlier messages come in above what is being read
    if (!added) list.replaceChildren();
    for (const [who, candidate, html] of talk.slice(added ? keys.length : 0)) {
      const item = element("div", `ib-message${candidate ? " ib-candidate" : ""}`, list);
      element("div", "ib-who", item, who);
      element("div", "", item).append(...safeNodes(html));
    }
    if (!talk.length && !list.childNodes.length) element("div", "ib-small", list, "nothing was said yet, or transcripts are not stored");
    if (!added && !atEnd) list.scrollTop = list.scrollHeight - fromEnd;
    toEnd();
    keys = now;
  };
}

const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes, parent, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function makeChart(parent) {
  const box = element("section", "", parent);
  element("div", "ib-title", box, "Tokens left over time");
  const svg = shape("svg", { viewBox: "0 0 420 150", role: "img", class: "ib-chart" }, box);
  const words = element("div", "ib-small", box);
  let shown = "";

  return function draw(points) {
    const key = JSON.stringify(points);
    if (key === shown) return;
    shown = key;
    svg.replaceChildren();
    box.hidden = !points.length;
    if (!points.length) return;
    const last = points[points.length - 1], most = Math.max(1, ...points.map((p) => p[2])), end = Math.max(last[0], 1);
    const x = (s) => (58 + (350 * s) / end).toFixed(1), y = (n) => (128 - (112 * n) / most).toFixed(1);
    for (const share of [0, 0.5, 1]) {
      shape("line", { x1: 58, x2: 408, y1: y(most * share), y2: y(most * share), class: "ib-grid" }, svg);
      shape("text", { x: 54, y: Number(y(most * share)) + 4, "text-anchor": "end", class: "ib-tick" }, svg, number(most * share));
    }
    const steps = (at) => points.map((p, i) => (i ? `H${x(p[0])}V${y(p[at])}` : `M${x(p[0])},${y(p[at])}`)).join("");
    shape("path", { d: steps(2), class: "ib-budget-line" }, svg);
    shape("path", { d: steps(1), class: "ib-left-line" }, svg);
    shape("circle", { cx: x(last[0]), cy: y(last[1]), r: 3, class: "ib-dot" }, svg);
    const long = end >= 120 ? `${number(end / 60)} min` : `${number(end)} s`;
    shape("text", { x: 58, y: 144, class: "ib-tick" }, svg, "start");
    shape("text", { x: 408, y: 144, "text-anchor": "end", class: "ib-tick" }, svg, long);
    setText(words, `solid: left, dashed: budget · from ${number(points[0][1])} to ${number(last[1])} tokens within ${long}`);
    svg.setAttribute("aria-label", `Tokens left went from ${number(points[0][1])} to ${number(last[1])} within ${long}; the budget is ${number(last[2])}`);
  };
}
