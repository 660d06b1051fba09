// The fills of the selected instance, newest first; the page scrolls, the table does not.

const FIRST = 12;

function render({ model, el }) {
  const { box, note } = panel(el, "Fills", "fills");
  const table = element("table", "wb-table");
  const head = element("thead");
  const body = element("tbody");
  table.append(head, body);
  const empty = element("div", "wb-empty");
  const more = element("button", "wb-more");
  box.append(table, empty, more);
  let all = false;
  more.addEventListener("click", () => { all = !all; draw(); });
  const heads = element("tr");
  model.get("columns").forEach((column) => {
    const cell = element("th", "", column.label);
    cell.dataset.align = column.align;
    heads.append(cell);
  });
  head.append(heads);

  function draw() {
    const rows = model.get("rows");
    const shown = all ? rows : rows.slice(0, FIRST);
    body.replaceChildren(...shown.map((one) => {
      const row = element("tr");
      row.dataset.fill = one.id;
      one.cells.forEach((cell, i) => {
        const node = element("td", cell.tone ? `wb-${cell.tone}` : "", cell.text);
        node.dataset.align = model.get("columns")[i].align;
        row.append(node);
      });
      return row;
    }));
    box.dataset.count = rows.length;
    table.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    say(empty, model.get("empty"));
    say(note, model.get("note"));
    more.hidden = rows.length <= FIRST;
    say(more, all ? `Show the latest ${FIRST}` : `Show all ${rows.length}`);
  }

  return follow(model, ["rows", "empty", "note"], draw);
}

export default { render };
