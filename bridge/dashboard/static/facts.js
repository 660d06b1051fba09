// The figures of the selected instance, side by side.

function render({ model, el }) {
  const { box, heading, note } = panel(el, "", "facts");
  const list = element("div", "wb-facts");
  box.append(list);
  const kept = [];

  function draw() {
    const facts = model.get("facts");
    box.hidden = !facts.length;
    say(heading, model.get("title"));
    say(note, model.get("note"));
    while (kept.length < facts.length) {
      const fact = element("div", "wb-fact");
      const label = element("span");
      const value = element("b");
      fact.append(label, value);
      list.append(fact);
      kept.push({ fact, label, value });
    }
    kept.forEach(({ fact, label, value }, i) => {
      fact.hidden = i >= facts.length;
      if (fact.hidden) return;
      fact.dataset.fact = facts[i].label;
      say(label, facts[i].label);
      say(value, facts[i].text);
      tone(value, "", facts[i].tone);
    });
  }

  return follow(model, ["facts", "title", "note"], draw);
}

export default { render };
