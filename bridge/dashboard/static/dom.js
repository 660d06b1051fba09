// The few lines every widget shares: elements are built from text, never from markup.

function element(tag, classes = "", text = undefined) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  if (text !== undefined) node.textContent = text;
  return node;
}

function say(node, text) {
  const value = text ?? "";
  if (node.textContent !== value) node.textContent = value;
}

function tone(node, base, name) {
  const classes = name ? `${base} wb-${name}`.trim() : base;
  if (node.className !== classes) node.className = classes;
}

// A panel with a heading and a note on its right.
function panel(el, title, name) {
  el.classList.add("wb");
  const box = element("section", "wb-panel");
  box.dataset.panel = name;
  const head = element("header", "wb-head");
  const heading = element("h2", "", title);
  const note = element("span", "wb-note");
  head.append(heading, note);
  box.append(head);
  el.append(box);
  return { box, heading, note };
}

// Follow traits for as long as the view lives; returns what ends it.
function follow(model, names, draw) {
  const events = names.map((name) => `change:${name}`);
  events.forEach((event) => model.on(event, draw));
  draw();
  return () => events.forEach((event) => model.off(event, draw));
}
