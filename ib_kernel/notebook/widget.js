// The live budget gauge. Text only ever reaches the page as text (textContent), never as HTML.
const PARTS = [
  ["used", "#1f6feb", "0 solid #fff"],
  ["held", "#9a6700", "4px dashed #fff"],
  ["in_doubt", "#a0111f", "4px dotted #fff"],
  ["left", "#d0d7de", "0 solid #fff"],
];
const WORDS = { used: "used", held: "held", in_doubt: "in doubt", left: "left" };
const number = (n) => n.toLocaleString("en-US");

function element(tag, style, parent) {
  const node = document.createElement(tag);
  node.style.cssText = style;
  parent.appendChild(node);
  return node;
}

function timeLine(seconds, limited) {
  if (!limited) return "no time limit";
  if (seconds <= 0) return "time is up";
  const s = Math.ceil(seconds);
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")} left`;
}

function render({ model, el }) {
  const root = element("div", "max-width:720px;line-height:1.5;color:var(--jp-ui-font-color1,inherit)", el);
  root.setAttribute("role", "group");
  const title = element("div", "font-weight:bold", root);
  const bar = element("div", "border:1px solid #767676;font-size:0;line-height:0;margin:4px 0;height:14px", root);
  bar.setAttribute("aria-hidden", "true"); // the words below say everything it does
  const legend = element("div", "", root);
  const facts = element("div", "", root);
  const time = element("div", "", root);
  const notes = element("div", "", root);
  notes.setAttribute("role", "status");
  const segments = {}, words = {};
  for (const [key, colour, edge] of PARTS) {
    const look = `display:inline-block;box-sizing:border-box;vertical-align:top;background-color:${colour};border-top:${edge}`;
    segments[key] = element("div", `${look};height:14px`, bar);
    const item = element("span", "white-space:nowrap;margin-right:12px", legend);
    element("span", `${look};width:10px;height:10px;margin:4px 4px 0 0`, item).setAttribute("aria-hidden", "true");
    words[key] = element("span", "", item);
  }
  let received = Date.now();

  function tick() {
    const running = model.get("status") === "active";
    const passed = running ? (Date.now() - received) / 1000 : 0;
    const limited = model.get("time_left_s") !== null;
    time.textContent = timeLine((model.get("time_left_s") ?? 0) - passed, limited);
  }

  function draw() {
    const get = (key) => model.get(key);
    title.textContent = get("title");
    root.setAttribute("aria-label", get("title"));
    const total = PARTS.reduce((sum, [key]) => sum + get(key), 0) || 1;
    for (const [key] of PARTS) {
      const n = get(key);
      segments[key].style.width = `${(100 * n) / total}%`;
      segments[key].style.display = n ? "inline-block" : "none";
      words[key].parentNode.style.display = n || key === "used" || key === "left" ? "" : "none";
      words[key].textContent = `${WORDS[key]} ${number(n)}` + (key === "used" ? ` of ${number(get("budget"))}` : "");
    }
    const turns = get("turns_left");
    facts.textContent =
      `${number(get("input_tokens"))} in + ${number(get("output_tokens"))} out, over ${number(get("turns"))} turn${get("turns") === 1 ? "" : "s"}` +
      ` · turns left at this rate: ${turns === null ? "not known yet" : "about " + number(turns)}` +
      ` · cost: ${get("cost")}`;
    notes.replaceChildren();
    for (const line of get("notes")) element("div", "", notes).textContent = line;
    tick();
  }

  const changed = () => draw();
  const timed = () => { received = Date.now(); tick(); };
  model.on("change:time_left_s", timed);
  model.on("change:revision", changed);
  const timer = setInterval(tick, 1000);
  draw();
  return () => {
    clearInterval(timer);
    model.off("change:time_left_s", timed);
    model.off("change:revision", changed);
  };
}

export default { render };
