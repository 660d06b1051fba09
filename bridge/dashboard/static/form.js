// The start form, built from the parameter ranges that strategies declare; the kernel checks it.

function render({ model, el }) {
  const { box, note } = panel(el, "Start an instance", "form");
  const form = element("form", "wb-form");
  form.noValidate = true;
  box.append(form);
  const values = { ...model.get("values") };
  const remember = () => { model.set("values", { ...values }); model.save_changes(); };

  function field(name, labelText, input, { wide = false, hint = "" } = {}) {
    const label = element("label", wide ? "wb-field wb-wide" : "wb-field");
    const words = element("span");
    words.append(element("b", "", labelText), element("em", "", hint));
    words.firstChild.style.fontWeight = "500";
    input.name = name;
    input.addEventListener("input", () => { values[name] = input.value; remember(); });
    label.append(words, input);
    return label;
  }

  function fillOptions(select, options, wanted) {
    select.replaceChildren(...options.map((one) => {
      const option = element("option", "", one.label);
      option.value = one.value;
      return option;
    }));
    if (options.some((one) => one.value === wanted)) select.value = wanted;
  }

  const text = (mode) => { const node = element("input"); node.type = "text"; node.inputMode = mode; node.autocomplete = "off"; node.spellcheck = false; return node; };
  const strategy = element("select");
  const symbol = element("select");
  const interval = element("select");
  const account = element("select");
  const capital = text("decimal");
  const exits = text("text");
  exits.placeholder = "stop=2%,take_profit=3atr";
  const guards = text("text");
  guards.placeholder = "daily_loss=5%,drawdown=20%";
  guards.title = "When it may not buy, or how large it may be: trades_a_day, daily_loss, drawdown, cooldown_bars, loss_streak, streak_pause_bars, volatility, volatility_bars";
  const name = text("text");
  const doc = element("p", "wb-note wb-doc");
  const params = element("div", "wb-params");
  const button = element("button", "wb-primary wb-wide", "Start");
  button.type = "submit";
  button.dataset.action = "start";
  const alert = element("div", "wb-alert");
  alert.setAttribute("role", "alert");
  form.append(
    field("strategy", "Strategy", strategy, { wide: true }), doc, params,
    field("symbol", "Symbol", symbol), field("interval", "Timeframe", interval),
    field("account", "Account", account, { wide: true }),
    field("exits", "Protective exits", exits, { wide: true }),
    field("guards", "Guards", guards, { wide: true }),
    field("capital", "Capital", capital, { hint: "USDT" }), field("name", "Name", name), button, alert,
  );

  function drawParameters() {
    const spec = model.get("specs").find((one) => one.name === strategy.value);
    say(doc, spec ? spec.title : "");
    params.replaceChildren(...(spec ? spec.parameters : []).map((one) => {
      const input = text(one.kind === "int" ? "numeric" : "decimal");
      const key = `params.${spec.name}.${one.name}`;
      values[key] ??= String(one.default);
      input.value = values[key];
      const label = field(key, one.name, input, { hint: `${one.low}–${one.high}` });
      label.title = one.doc;
      return label;
    }));
  }

  function draw() {
    const plain = (list) => list.map((value) => ({ value, label: value }));
    fillOptions(strategy, model.get("specs").map((one) => ({ value: one.name, label: one.name })), values.strategy);
    fillOptions(symbol, plain(model.get("symbols")), values.symbol);
    fillOptions(interval, plain(model.get("intervals")), values.interval);
    fillOptions(account, model.get("accounts"), values.account);
    capital.value = values.capital ?? "";
    exits.value = values.exits ?? "";
    guards.value = values.guards ?? "";
    drawParameters();
    drawName();
  }

  function drawName() {
    name.placeholder = model.get("suggested");
    if (document.activeElement !== name) name.value = values.name ?? "";
  }

  function drawAnswer() {
    const busy = model.get("busy");
    button.disabled = busy || !model.get("specs").length;
    say(button, busy ? "Starting…" : "Start");
    say(alert, model.get("error"));
    say(note, model.get("note"));
    alert.hidden = !model.get("error");
    form.dataset.busy = String(busy);
  }

  function cleared() {
    values.name = model.get("values").name ?? "";
    drawName();
  }

  strategy.addEventListener("change", drawParameters);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true; // at once: the kernel's answer follows
    const fields = { strategy: strategy.value, symbol: symbol.value, interval: interval.value, account: account.value,
      exits: exits.value, guards: guards.value, capital: capital.value, name: name.value, params: {} };
    const prefix = `params.${strategy.value}.`;
    params.querySelectorAll("input").forEach((input) => { fields.params[input.name.slice(prefix.length)] = input.value; });
    model.send({ kind: "start", fields });
    setTimeout(drawAnswer, 400);
  });
  const ends = [
    follow(model, ["specs", "symbols", "intervals", "accounts"], draw),
    follow(model, ["suggested"], drawName),
    follow(model, ["values"], cleared),
    follow(model, ["error", "busy", "note", "specs"], drawAnswer),
  ];
  return () => ends.forEach((end) => end());
}

export default { render };
