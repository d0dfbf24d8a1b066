// The gauge: bar, words, countdown, and one small bar per turn. The words say everything that the bars show.
const SEGMENTS = [["used", "used"], ["held", "held"], ["in_doubt", "in doubt"], ["left", "left"]];

function timeLine(seconds) {
  if (seconds === null) return "no time limit";
  if (seconds <= 0) return "time is up";
  const s = Math.ceil(seconds), two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return `${h ? `${h}:${two(m)}` : m}:${two(s % 60)} left`;
}

function makeTurns(parent) {
  const box = element("div", "ib-turns", parent);
  const caption = element("div", "ib-small", box);
  const bars = element("div", "ib-bars", box);
  bars.setAttribute("role", "img");
  const more = element("details", "ib-small", box);
  element("summary", "", more, "Figures per turn");
  const table = element("table", "ib-table", more);
  let shown = "";

  function rows(history) {
    table.replaceChildren();
    const head = element("tr", "", element("thead", "", table));
    for (const name of ["turn", "in", "out"]) element("th", "", head, name).scope = "col";
    const body = element("tbody", "", table);
    for (const turn of [...history].reverse()) {
      const row = element("tr", "", body);
      for (const n of turn) element("td", "", row, number(n));
    }
  }

  return function draw(history) {
    const key = JSON.stringify(history);
    if (key === shown) return;
    shown = key;
    box.hidden = !history.length;
    if (!history.length) return;
    const most = Math.max(...history.map(([, i, o]) => i + o), 1);
    const [turn, i, o] = history[history.length - 1];
    setText(caption, `tokens per turn (in: solid, out: striped), at most ${number(most)}`);
    bars.setAttribute("aria-label",
      `${several(history.length, "turn")}, at most ${number(most)} tokens; turn ${turn}: ${number(i)} in, ${number(o)} out`);
    bars.replaceChildren();
    for (const [t, a, b] of history) {
      const bar = element("span", "ib-turn", bars);
      bar.title = `turn ${t}: ${number(a)} in + ${number(b)} out`;
      element("span", "ib-out", bar).style.height = `${(100 * b) / most}%`;
      element("span", "ib-in", bar).style.height = `${(100 * a) / most}%`;
    }
    rows(history);
  };
}

function makeGauge(parent) {
  const root = element("div", "ib-gauge", parent);
  root.setAttribute("role", "group");
  const title = element("div", "ib-title", root);
  const bar = element("div", "ib-bar", root);
  bar.setAttribute("aria-hidden", "true"); // the words below say everything it does
  const legend = element("div", "", root), facts = element("div", "", root), money = element("div", "", root), time = element("div", "ib-time", root);
  const notes = element("div", "ib-notes", root);
  notes.setAttribute("role", "status");
  const turns = makeTurns(root);
  const segments = {}, words = {};
  for (const [key] of SEGMENTS) {
    segments[key] = element("span", `ib-part ib-${key}`, bar);
    const item = element("span", "ib-key", legend);
    element("span", `ib-mark ib-${key}`, item).setAttribute("aria-hidden", "true");
    words[key] = element("span", "", item);
  }
  let state = null, received = Date.now(), noted = null;

  function tick() {
    if (!state) return;
    const passed = state.status === "active" ? (Date.now() - received) / 1000 : 0;
    setText(time, timeLine(state.time_left_s === null ? null : state.time_left_s - passed));
  }

  function draw(now) {
    if (!state || now.time_left_s !== state.time_left_s || now.status !== state.status || now.session_id !== state.session_id)
      received = Date.now();
    state = now;
    setText(title, now.title);
    root.setAttribute("aria-label", now.title);
    const total = SEGMENTS.reduce((sum, [key]) => sum + now[key], 0) || 1;
    for (const [key, word] of SEGMENTS) {
      const n = now[key];
      segments[key].style.width = `${(100 * n) / total}%`;
      segments[key].hidden = !n;
      words[key].parentNode.hidden = !n && key !== "used" && key !== "left";
      const share = now.budget ? Math.round((100 * n) / now.budget) : 100;
      setText(words[key], `${word} ${number(n)}` + (key === "used" ? ` of ${number(now.budget)} (${share} %)` : ""));
    }
    const left = now.turns_left === null ? "not known yet" : `about ${number(now.turns_left)}`;
    setText(facts,
      `${number(now.input_tokens)} in + ${number(now.output_tokens)} out, over ${several(now.turns, "turn")}` +
      ` · turns left at this rate: ${left} · cost: ${now.cost}${now.locked ? " · locked" : ""}`);
    setText(money, now.money);
    if (JSON.stringify(now.notes) !== noted) {
      noted = JSON.stringify(now.notes);
      notes.replaceChildren();
      for (const line of now.notes) element("div", "ib-note", notes, line);
    }
    root.dataset.level = now.level;
    turns(now.history);
    tick();
  }

  return { root, draw, tick };
}
