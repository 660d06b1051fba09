// A candle chart: history arrives as one block of numbers, each later candle as one message.
//
// A row is six float64: open time in ms, open, high, low, close, volume. A view that is created
// again (another tab, a scrolled notebook) draws the history it finds in the model, then says
// "ready", and the kernel answers with the candles that came since. Older rows are ignored, so the
// answer may reach every view.

const ROW = 6;
const LABEL_PX = 92; // the width of a price beside its arrow: nearer ones would cover each other

function rows(view) {
  if (!view || !view.byteLength) return new Float64Array(0);
  const start = view.byteOffset;
  return new Float64Array(view.buffer.slice(start, start + view.byteLength));
}

function colour(el, name) {
  return getComputedStyle(el).getPropertyValue(`--wb-${name}`).trim();
}

// A view is drawn before it hangs in the page, where the palette comes from: wait for that.
async function attached(el) {
  while (!el.isConnected) await new Promise((resume) => setTimeout(resume, 10));
}

async function render({ model, el }) {
  await attached(el);
  el.classList.add("wb");
  const root = element("section", "wb-panel wb-chart");
  root.dataset.panel = "chart";
  const legend = element("div", "wb-legend");
  const title = element("b");
  const label = element("span", "wb-badge wb-warn");
  label.dataset.synthetic = "label";
  const reading = element("span");
  legend.append(title, label, reading);
  const waiting = element("div", "wb-waiting");
  const canvas = element("div", "wb-canvas");
  canvas.style.height = `${model.get("height")}px`;
  root.append(legend, waiting, canvas);
  el.append(root);

  const up = colour(el, "up");
  const down = colour(el, "down");
  const line = colour(el, "line");
  const chart = LWC.createChart(canvas, {
    autoSize: true,
    layout: {
      background: { color: "transparent" },
      textColor: colour(el, "muted"),
      fontFamily: getComputedStyle(el).fontFamily,
      fontSize: 11,
      attributionLogo: true,
    },
    grid: { vertLines: { color: line + "80" }, horzLines: { color: line + "80" } },
    rightPriceScale: { borderColor: line, scaleMargins: { top: 0.14, bottom: 0.22 } },
    timeScale: { borderColor: line, timeVisible: true, secondsVisible: false, rightOffset: 4, minBarSpacing: 0.2 },
    localization: { priceFormatter: (value) => price(value) },
    crosshair: { mode: LWC.CrosshairMode.Normal },
  });
  const candles = chart.addSeries(LWC.CandlestickSeries, {
    upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false,
  });
  const volumes = chart.addSeries(LWC.HistogramSeries, {
    priceFormat: { type: "volume" }, priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false,
  });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
  const markers = LWC.createSeriesMarkers(candles, []);
  let overlays = [];
  let cost = null;
  let times = []; // opening times in ms, rising
  let last = null;

  const price = (value) =>
    value.toLocaleString("en-US", { minimumFractionDigits: model.get("decimals"), maximumFractionDigits: model.get("decimals") });
  const candle = (a, i) => ({ time: a[i] / 1000, open: a[i + 1], high: a[i + 2], low: a[i + 3], close: a[i + 4] });
  const volume = (a, i) => ({ time: a[i] / 1000, value: a[i + 5], color: (a[i + 4] >= a[i + 1] ? up : down) + "55" });

  function read(bar) {
    if (!bar) return say(reading, "");
    const percent = (bar.close / bar.open - 1) * 100;
    const change = `${percent < 0 ? "−" : "+"}${Math.abs(percent).toFixed(2)}`;
    reading.className = bar.close >= bar.open ? "wb-up" : "wb-down";
    say(reading, `O ${price(bar.open)}  H ${price(bar.high)}  L ${price(bar.low)}  C ${price(bar.close)}  ${change} %`);
  }

  function placeMarkers() {
    const fills = model.get("fills");
    const range = chart.timeScale().getVisibleLogicalRange();
    const inView = [];
    const next = times.length > 1 ? times[times.length - 1] + (times[times.length - 1] - times[times.length - 2]) : Infinity;
    const placed = [];
    for (const fill of fills) {
      if (!times.length || fill.time_ms >= next || fill.time_ms < times[0]) continue; // its candle is not here (yet)
      let low = 0;
      let high = times.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (times[middle] <= fill.time_ms) low = middle;
        else high = middle - 1;
      }
      const buy = fill.side === "BUY";
      if (!range || (low >= range.from && low <= range.to)) inView.push([low, placed.length]);
      placed.push({
        time: times[low] / 1000,
        position: buy ? "belowBar" : "aboveBar",
        shape: buy ? "arrowUp" : "arrowDown",
        color: buy ? up : down,
        text: "",
        label: `${buy ? "B" : "S"} ${price(fill.price)}`,
      });
    }
    const spacing = chart.timeScale().options().barSpacing;
    let labels = 0;
    let left = Infinity; // of the label to the right: the newest price is always said
    for (const [bar, i] of inView.sort((a, b) => b[0] - a[0] || b[1] - a[1])) {
      if (left - bar * spacing < LABEL_PX) continue;
      placed[i].text = placed[i].label;
      left = bar * spacing;
      labels += 1;
    }
    placed.sort((a, b) => a.time - b.time);
    markers.setMarkers(placed);
    root.dataset.markers = placed.length;
    root.dataset.fills = fills.length;
    root.dataset.labels = labels;
  }

  function describe() {
    root.dataset.bars = times.length;
    root.dataset.lastTime = times.length ? times[times.length - 1] : "";
    waiting.hidden = times.length > 0;
  }

  function drawLines(values) {
    overlays.forEach((series) => chart.removeSeries(series));
    const lines = model.get("lines");
    overlays = lines.map((one, column) => {
      const series = chart.addSeries(LWC.LineSeries, {
        color: one.color, lineWidth: 1.5, title: one.name, lastValueVisible: false, priceLineVisible: false,
        crosshairMarkerVisible: false,
      }, one.pane || 0);
      const points = [];
      for (let i = 0; i < times.length; i++) {
        const value = values[i * lines.length + column];
        points.push(Number.isFinite(value) ? { time: times[i] / 1000, value } : { time: times[i] / 1000 });
      }
      series.setData(points);
      return series;
    });
    chart.panes().forEach((pane, i) => pane.setStretchFactor(i ? 1 : 3));
  }

  function drawHistory() {
    const a = rows(model.get("history"));
    const bars = [];
    const bulks = [];
    times = [];
    for (let i = 0; i + ROW <= a.length; i += ROW) {
      times.push(a[i]);
      bars.push(candle(a, i));
      bulks.push(volume(a, i));
    }
    const decimals = model.get("decimals");
    candles.applyOptions({ priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals } });
    candles.setData(bars);
    volumes.setData(bulks);
    last = bars[bars.length - 1] ?? null;
    drawLines(rows(model.get("line_values")));
    const shown = model.get("visible_bars");
    const from = Math.min(times.length - 60, Math.max(0, times.length - shown)); // few candles fill the width
    if (times.length) chart.timeScale().setVisibleLogicalRange({ from, to: times.length + 4 });
    read(last);
    describe();
    placeMarkers();
  }

  function addRows(message, buffers) {
    if (message.kind !== "bars" || message.series !== model.get("series")) return;
    const a = rows(buffers[0]);
    for (let i = 0; i + ROW <= a.length; i += ROW) {
      const newest = times.length ? times[times.length - 1] : -Infinity;
      if (a[i] < newest) continue;
      if (a[i] > newest) times.push(a[i]);
      last = candle(a, i);
      candles.update(last);
      volumes.update(volume(a, i));
    }
    read(last);
    describe();
    placeMarkers();
  }

  function drawWords() {
    say(title, model.get("title"));
    say(label, model.get("synthetic"));
    label.hidden = !model.get("synthetic");
    say(waiting, model.get("waiting"));
  }

  function drawCost() {
    if (cost) candles.removePriceLine(cost);
    const at = model.get("cost_price");
    cost = at > 0
      ? candles.createPriceLine({ price: at, color: colour(el, "accent"), lineWidth: 1, lineStyle: LWC.LineStyle.Dashed, title: "cost" })
      : null;
    root.dataset.cost = at;
  }

  chart.subscribeCrosshairMove((move) => read(move.seriesData.get(candles) ?? last));
  let resting = null;
  chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
    clearTimeout(resting);
    resting = setTimeout(placeMarkers, 120);
  });
  const ends = [
    follow(model, ["series"], drawHistory),
    follow(model, ["fills"], placeMarkers),
    follow(model, ["title", "synthetic", "waiting"], drawWords),
    follow(model, ["cost_price"], drawCost),
  ];
  model.on("msg:custom", addRows);
  model.send({ kind: "ready" });
  return () => {
    model.off("msg:custom", addRows);
    clearTimeout(resting);
    ends.forEach((end) => end());
    chart.remove();
  };
}

export default { render };
