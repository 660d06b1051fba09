// The top bar: accounts, the link to the bridge, and messages nobody may miss.
//
// The view tells the kernel that somebody looks (so that an unseen kernel falls silent and is
// culled), and it notices when the kernel itself is gone, which no kernel could report.

const HERE_EVERY_MS = 5000;
const SILENCE_MS = 7000;

function render({ model, el }) {
  el.classList.add("wb");
  const bar = element("header", "wb-top");
  bar.dataset.panel = "status";
  const title = element("h1", "", model.get("title"));
  const accounts = element("div", "wb-top");
  const link = element("div", "wb-link");
  const dot = element("span", "wb-dot");
  const words = element("span");
  link.append(words, dot);
  bar.append(title, accounts, link);
  const messages = element("div");
  el.append(bar, messages);
  let heard = Date.now();
  let orphaned = false;

  function draw() {
    const state = orphaned ? "lost" : model.get("link");
    dot.dataset.link = state;
    bar.dataset.link = state;
    say(words, orphaned ? "page disconnected" : model.get("words"));
    accounts.replaceChildren(...model.get("accounts").map((one) => {
      const box = element("span", "wb-account");
      box.dataset.account = one.name;
      box.append(element("b", "", one.name), element("span", one.tone ? `wb-badge wb-${one.tone}` : "wb-badge", one.venue), element("span", "", one.balances));
      return box;
    }));
    const list = orphaned
      ? [{ tone: "down", text: "This page has lost its kernel. Instances trade on without it: reload the page to see them." }]
      : model.get("messages");
    messages.replaceChildren(...list.map((one) => {
      const box = element("div", "wb-message", one.text);
      box.dataset.tone = one.tone;
      box.setAttribute("role", "status");
      return box;
    }));
  }

  function beat() {
    heard = Date.now();
    if (orphaned) { orphaned = false; draw(); }
  }

  const end = follow(model, ["link", "words", "accounts", "messages"], draw);
  model.on("change:beat", beat);
  const here = () => model.send({ kind: "here" });
  const calling = setInterval(here, HERE_EVERY_MS);
  const listening = setInterval(() => {
    if (!orphaned && Date.now() - heard > SILENCE_MS) { orphaned = true; draw(); }
  }, 1000);
  here();
  return () => { clearInterval(calling); clearInterval(listening); model.off("change:beat", beat); end(); };
}

export default { render };
