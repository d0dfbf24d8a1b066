// Shared by the widgets; read together with them as one module (ib_kernel.notebook.widgets.watching.source).
// Text only ever reaches the page as text (textContent), never as HTML.
const number = (n) => Math.round(n).toLocaleString("en-US");
const several = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;

function element(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function field(label, type, value, parent) {
  const box = element("label", "ib-field", parent, `${label} `);
  const input = element("input", "ib-input", box);
  input.type = type;
  input.value = value;
  return input;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text; // so that a screen reader hears changes only
}

function follow(model, names, act) {
  for (const name of names) model.on(`change:${name}`, act);
  return () => { for (const name of names) model.off(`change:${name}`, act); };
}
