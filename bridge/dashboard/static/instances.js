// The table of instances: one row each, selection, and the question that a stop asks first.

function render({ model, el }) {
  const { box, note } = panel(el, "Instances", "instances");
  const table = element("table", "wb-table wb-instances");
  const head = element("thead");
  const body = element("tbody");
  table.append(head, body);
  const empty = element("div", "wb-empty");
  box.append(table, empty);
  const kept = new Map(); // name -> row, so that a button is not rebuilt under the pointer
  let asking = "";

  function build(name) {
    const row = element("tr", "wb-row");
    row.dataset.instance = name;
    row.tabIndex = 0;
    const select = () => { model.set("selected", name); model.save_changes(); };
    row.addEventListener("click", select);
    row.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target === row) select(); });
    const cells = model.get("columns").map((column) => {
      const cell = element("td");
      cell.dataset.align = column.align;
      cell.dataset.column = column.key;
      if (column.align === "left") cell.classList.add("wb-clip");
      const main = element("span");
      const small = element("small");
      cell.append(main, small);
      row.append(cell);
      return { main, small, cell };
    });
    const action = element("td");
    const button = element("button", "wb-small", "Stop…");
    button.dataset.action = "stop";
    button.addEventListener("click", (event) => { event.stopPropagation(); asking = asking === name ? "" : name; draw(); });
    action.append(button);
    row.append(action);
    const made = { row, cells, button, question: question(name) };
    kept.set(name, made);
    return made;
  }

  function question(name) {
    const row = element("tr", "wb-confirm");
    const cell = element("td");
    cell.colSpan = 99;
    const words = element("p");
    const choices = element("div", "wb-choices");
    const answer = (policy, classes) => {
      const button = element("button", classes);
      button.dataset.policy = policy;
      button.addEventListener("click", () => {
        asking = "";
        if (policy !== "cancel") model.send({ kind: "stop", name, policy });
        draw();
      });
      choices.append(button);
      return button;
    };
    const flatten = answer("flatten", "wb-danger");
    const keep = answer("keep", "");
    answer("cancel", "").textContent = "Go on trading";
    cell.append(words, choices);
    row.append(cell);
    return { row, words, flatten, keep };
  }

  function draw() {
    const rows = model.get("rows");
    const columns = model.get("columns");
    if (!head.childElementCount) {
      const line = element("tr");
      columns.forEach((column) => { const cell = element("th", "", column.label); cell.dataset.align = column.align; cell.dataset.column = column.key; line.append(cell); });
      line.append(element("th"));
      head.append(line);
    }
    const wanted = [];
    for (const one of rows) {
      const made = kept.get(one.name) ?? build(one.name);
      made.row.dataset.selected = String(one.name === model.get("selected"));
      made.row.dataset.state = one.state;
      made.row.dataset.bars = one.bars;
      made.row.dataset.ended = String(one.ended);
      made.row.title = one.title;
      one.cells.forEach((cell, i) => {
        const to = made.cells[i];
        say(to.main, cell.text);
        say(to.small, cell.small);
        to.small.hidden = !cell.small;
        tone(to.main, cell.badge ? "wb-badge" : "", cell.tone);
      });
      made.button.hidden = !one.can_stop;
      wanted.push(made.row);
      if (asking === one.name && one.can_stop) {
        say(made.question.words, one.question);
        say(made.question.flatten, one.flatten);
        say(made.question.keep, one.keep);
        wanted.push(made.question.row);
      }
    }
    const now = [...body.children];
    if (now.length !== wanted.length || now.some((node, i) => node !== wanted[i])) body.replaceChildren(...wanted);
    table.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    say(empty, model.get("empty"));
    say(note, model.get("note"));
  }

  return follow(model, ["rows", "selected", "empty", "note"], draw);
}

export default { render };
