// The interviewer's controls. A click is one message; the kernel's answer comes back as `said`.
// What cannot be undone needs a second click. The passphrase leaves its field with the message that needs it.
const WAIT_MS = 400, CONFIRM_MS = 8000, DOUBLE_MS = 350;
let clicks = Math.floor(Math.random() * 1e9); // an answer to a page that was reloaded since is not for this one

function makeControls(parent, send) {
  const root = element("fieldset", "ib-controls", parent);
  element("legend", "", root, "Interviewer's controls");
  const row = () => element("div", "ib-row", root);
  const secret = row();
  const pass = field("Passphrase", "password", "", secret);
  pass.autocomplete = "off";
  pass.size = 18;
  element("span", "ib-small", secret, "needed to add, resume and write off");
  const limits = row(), states = row(), doubts = row(), line = element("div", "ib-said", root);
  line.setAttribute("role", "status");
  let waiting = 0, timer = 0, state = {}, listed = "";

  function ask(message, guarded) {
    waiting = ++clicks;
    const key = guarded && state.locked && pass.value ? { passphrase: pass.value } : {};
    if (guarded) pass.value = "";
    setText(line, "");
    clearTimeout(timer);
    timer = setTimeout(() => { if (waiting) setText(line, "sent; the kernel answers when its cell has ended…"); }, WAIT_MS);
    send({ ...message, ...key, n: waiting });
  }

  function button(label, place, act, dangerous) {
    const node = element("button", "ib-button", place, label);
    node.type = "button";
    let armed = 0, revert = 0;
    const disarm = () => {
      if (!armed) return;
      armed = 0;
      clearTimeout(revert);
      setText(node, label);
      setText(line, "");
      node.classList.remove("ib-armed");
    };
    node.addEventListener("keydown", (event) => { if (event.key === "Escape" && armed) { disarm(); event.stopPropagation(); } });
    node.addEventListener("blur", disarm);
    node.addEventListener("click", () => {
      if (node.getAttribute("aria-disabled") === "true") return;
      if (!dangerous) return act();
      if (armed) { if (Date.now() - armed > DOUBLE_MS) { disarm(); act(); } return; }
      armed = Date.now();
      setText(node, dangerous);
      node.classList.add("ib-armed");
      setText(line, `This cannot be undone. Press “${dangerous}” to do it, Escape to leave it.`);
      revert = setTimeout(disarm, CONFIRM_MS);
    });
    return node;
  }

  function amount(label, value, name, low, step, text) {
    const input = field(label, "number", value, limits);
    input.min = low;
    input.step = step;
    const act = () => {
      const n = Number(input.value);
      if (input.value === "" || !(n > 0) || (name === "tokens" && !Number.isInteger(n)))
        return setText(line, `Not done: ${label.toLowerCase()} needs a ${name === "tokens" ? "whole " : ""}number above 0.`);
      ask({ do: `add_${name}`, [name]: n }, true);
    };
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); act(); } event.stopPropagation(); });
    return button(text, limits, act);
  }

  const buttons = {
    tokens: amount("Tokens to add", 5000, "tokens", 1, "any", "Add tokens"),
    minutes: amount("Minutes to add", 10, "minutes", 1, "any", "Add minutes"),
    pause: button("Pause", states, () => ask({ do: "pause" })),
    resume: button("Resume", states, () => ask({ do: "resume" }, true)),
    end: button("End session", states, () => ask({ do: "end" }), "Really end it"),
  };
  pass.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook's shortcuts stay out

  function enable(name, on) { buttons[name].setAttribute("aria-disabled", String(!on)); }

  function draw(now) {
    state = now;
    const over = now.status === "completed" || now.status === "cancelled";
    secret.hidden = !now.locked || over;
    enable("tokens", !over);
    enable("minutes", !over && now.time_left_s !== null);
    enable("pause", now.status === "active");
    enable("resume", now.status === "paused" || now.status === "expired");
    enable("end", !over && now.status !== "created");
    const key = JSON.stringify(now.doubts);
    if (key !== listed) {
      listed = key;
      doubts.replaceChildren();
      for (const [id, words] of now.doubts)
        button(`Write off ${words}`, doubts, () => ask({ do: "write_off", reservation_id: id }, true), `Really write off ${words}`);
    }
    doubts.hidden = !now.doubts.length;
  }

  function answer(said) {
    if (!waiting || said.n !== waiting) return;
    waiting = 0;
    clearTimeout(timer);
    setText(line, `${said.ok ? "✓ Done" : "✗ Not done"}: ${said.text}.`.replace(/\.\.$/, "."));
  }

  function forget() { // another session: what was typed for the last one does not go to this one
    pass.value = "";
    waiting = 0;
    clearTimeout(timer);
    setText(line, "");
  }

  return { root, draw, answer, forget };
}
