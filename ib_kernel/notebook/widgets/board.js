// SessionsWidget's view; parts.js, gauge.js, controls.js and talk.js stand before it in the same module.
const COLUMNS = [["candidate", "candidate"], ["role", "role"], ["state", "state"], ["used", "used"], ["left", "left"], ["time", "time"]];
const STATES = ["", "active", "paused", "created", "expired", "completed", "cancelled"];
const SORTS = [["newest", "newest first"], ["candidate", "candidate"], ["status", "state"], ["used", "most used"], ["left", "least left"]];
const TYPING_MS = 250;

function choice(label, options, parent, act) {
  const box = element("label", "ib-field", parent, `${label} `);
  const select = element("select", "ib-input", box);
  for (const [value, text] of options) element("option", "", select, text).value = value;
  select.addEventListener("change", () => act(select.value));
  return select;
}

function makeTable(parent, choose, turn) {
  const table = element("table", "ib-sessions", parent);
  element("caption", "ib-small", table);
  const head = element("tr", "", element("thead", "", table));
  for (const [, name] of COLUMNS) element("th", "", head, name).scope = "col";
  const body = element("tbody", "", table);
  const nav = element("div", "ib-row", parent);
  const previous = element("button", "ib-button", nav, "Previous page"), where = element("span", "", nav);
  const next = element("button", "ib-button", nav, "Next page");
  for (const [button, step] of [[previous, -1], [next, 1]]) {
    button.type = "button";
    button.addEventListener("click", () => { if (button.getAttribute("aria-disabled") !== "true") turn(step); });
  }

  return function draw(get) {
    const rows = get("rows"), selected = get("selected");
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    setText(table.caption, `${number(get("found"))} of ${number(get("total"))} sessions`);
    body.replaceChildren();
    for (const row of rows) {
      const line = element("tr", row.session === selected ? "ib-selected" : "", body);
      for (const [name] of COLUMNS) {
        const cell = element("td", "", line, name === "candidate" ? "" : String(row[name]));
        if (name !== "candidate") continue;
        const button = element("button", "ib-link", cell, `${row.session === selected ? "▸ " : ""}${row.candidate || "(no name)"}`);
        button.type = "button";
        button.dataset.id = row.session;
        button.setAttribute("aria-pressed", String(row.session === selected));
        button.setAttribute("aria-label", `${row.candidate || "no name"}, ${row.role || "no role"}, session ${row.session}`);
        button.addEventListener("click", () => choose(row.session));
        if (row.session === focused) button.focus();
      }
      line.addEventListener("click", (event) => { if (!event.target.closest("button")) choose(row.session); });
    }
    if (!rows.length) element("td", "", element("tr", "", body), "no session matches").colSpan = COLUMNS.length;
    nav.hidden = get("pages") < 2;
    setText(where, `page ${number(get("page") + 1)} of ${number(get("pages"))}`);
    previous.setAttribute("aria-disabled", String(get("page") <= 0));
    next.setAttribute("aria-disabled", String(get("page") >= get("pages") - 1));
  };
}

function render({ model, el }) {
  const root = element("div", "ib ib-board", el);
  const get = (name) => model.get(name);
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  const tools = element("div", "ib-row", root);
  tools.setAttribute("role", "search");
  tools.setAttribute("aria-label", "Sessions");
  const query = field("Filter", "search", get("query"), tools);
  let typing = 0;
  query.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => set("query", query.value), TYPING_MS); });
  query.addEventListener("keydown", (event) => event.stopPropagation());
  const state = choice("State", STATES.map((s) => [s, s || "all"]), tools, (value) => set("state", value));
  const sort = choice("Sort by", SORTS, tools, (value) => set("sort", value));
  const note = element("div", "ib-note", root);
  note.setAttribute("role", "status");
  const table = makeTable(root, (id) => set("selected", id), (step) => set("page", get("page") + step));
  const one = element("div", "ib-one", root);
  const gauge = makeGauge(one);
  const about = element("div", "ib-small", one);
  const controls = makeControls(one, (message) => model.send({ ...message, session_id: shownId }));
  const chart = makeChart(one);
  const talk = makeTalk(one, () => set("messages_shown", get("messages_shown") + 30));
  let shownId = "";

  function draw() {
    if (document.activeElement !== query) query.value = get("query");
    state.value = get("state");
    sort.value = get("sort");
    note.hidden = !get("note");
    setText(note, get("note"));
    table(get);
    const detail = get("detail");
    one.hidden = !detail.session_id;
    if (!detail.session_id) { shownId = ""; return; }
    if (shownId !== detail.session_id) controls.forget();
    shownId = detail.session_id;
    gauge.draw(detail);
    setText(about, detail.about);
    controls.root.hidden = !get("controls");
    controls.draw(detail);
    controls.answer(get("said"));
    chart(get("burn"));
    talk(get("talk"), get("earlier"), shownId);
  }

  const stop = follow(model, ["revision", "controls"], draw);
  const timer = setInterval(gauge.tick, 1000);
  draw();
  return () => { clearInterval(timer); clearTimeout(typing); stop(); };
}

export default { render };
