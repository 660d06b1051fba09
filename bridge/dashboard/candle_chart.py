"""A candle chart for JupyterLab and Voila: lightweight-charts in a widget, fed with binary rows.

The chart library comes from the installed `litecharts` package at run time. Its script hangs itself
on `window`; wrapped in a function, the widget takes it from there and puts back what was. History
travels once as float64 bytes; each later candle is one message, so that the cost of a candle does
not grow with the history. A view that is created again asks for what came since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar

import anywidget
import numpy as np
import traitlets

from bridge.dashboard.static_files import script, style_sheet
from bridge.dashboard.wording import decimals_of

if TYPE_CHECKING:
    from workbench.market.candles import Candles

COLUMNS = ("time_ms", "open", "high", "low", "close", "volume")
LINE_COLOURS = ("#5b9dff", "#e8b339", "#b38cff", "#4ecdc4", "#ff9f6b")


def _module() -> str:
    library = files("litecharts").joinpath("js/lightweight-charts.js").read_text(encoding="utf-8")
    wrapped = (
        "const LWC = (() => { const before = window.LightweightCharts;\n"
        f"{library}\n"
        "const library = window.LightweightCharts; window.LightweightCharts = before;\n"
        "return library; })();\n"
    )
    return wrapped + script("chart.js")


class CandleChart(anywidget.AnyWidget):
    """Candles with volume, fills as arrows, lines over or under them, and an honest label."""

    _esm: ClassVar[str] = _module()
    _css: ClassVar[str] = style_sheet()

    series = traitlets.Int(0, help="rises with each new history").tag(sync=True)
    history = traitlets.Bytes(b"").tag(sync=True)
    lines = traitlets.List(traitlets.Dict()).tag(sync=True)
    line_values = traitlets.Bytes(b"").tag(sync=True)
    fills = traitlets.List(traitlets.Dict()).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    synthetic = traitlets.Unicode("", help="what the label says; empty hides it").tag(sync=True)
    waiting = traitlets.Unicode("no candles yet").tag(sync=True)
    cost_price = traitlets.Float(0.0, help="what a unit of the position cost; 0 for none").tag(
        sync=True
    )
    decimals = traitlets.Int(2).tag(sync=True)
    visible_bars = traitlets.Int(140).tag(sync=True)
    height = traitlets.Int(420).tag(sync=True)

    def __init__(self, **traits: object) -> None:
        super().__init__(**traits)
        self._since: list[np.ndarray] = []
        self.on_msg(self._on_message)

    @classmethod
    def from_candles(
        cls,
        candles: Candles,
        fills: Sequence[Mapping[str, object]] = (),
        *,
        lines: Mapping[str, np.ndarray] | None = None,
        **traits: object,
    ) -> CandleChart:
        """Return a chart of the candles' window, with fills as arrows.

        A fill needs `time_ms`, `side` ("BUY" or "SELL") and `price`. A line is one float64 a candle
        of the window, NaN where it has no value.
        """
        window = candles.window
        rows = np.column_stack(
            [window["open_time"], *(window[name] for name in COLUMNS[1:])],
        ).astype(np.float64)
        label = "SYNTHETIC" if candles.synthetic else ""
        chart = cls(title=f"{candles.symbol} {candles.timeframe.name}", synthetic=label, **traits)
        chart.set_candles(rows, lines=lines)
        chart.set_fills(fills)
        return chart

    @property
    def last_time_ms(self) -> int | None:
        """Return the opening time of the newest candle, or None without candles."""
        rows = self._since[-1] if self._since else np.frombuffer(self.history).reshape(-1, 6)
        return int(rows[-1, 0]) if len(rows) else None

    def set_candles(
        self, rows: np.ndarray, *, lines: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Replace the history with rows of (time_ms, open, high, low, close, volume), oldest first."""
        rows = _checked(rows)
        named = dict(lines or {})
        for name, values in named.items():
            if len(values) != len(rows):
                raise ValueError(f"line {name!r} has {len(values)} values for {len(rows)} candles")
        stack = np.column_stack(list(named.values())) if named else np.empty((0, 0))
        self._since = []
        with self.hold_sync():
            self.decimals = decimals_of(rows[-500:, 1:5].ravel().tolist())
            self.lines = [
                {"name": name, "color": LINE_COLOURS[i % len(LINE_COLOURS)], "pane": 0}
                for i, name in enumerate(named)
            ]
            self.line_values = stack.astype(np.float64).tobytes()
            self.history = rows.tobytes()
            self.series += 1

    def add_candles(self, rows: np.ndarray) -> None:
        """Append candles in one message; a row with the newest time replaces that candle."""
        rows = _checked(rows)
        last = self.last_time_ms
        rows = rows[rows[:, 0] >= last] if last is not None else rows
        if len(rows):
            self._since.append(rows)
            self._send_rows(rows)

    def set_fills(self, fills: Sequence[Mapping[str, object]]) -> None:
        """Show these fills as arrows; each is drawn once its candle is on the chart."""
        self.fills = [
            {"time_ms": fill["time_ms"], "side": str(fill["side"]), "price": fill["price"]}
            for fill in fills
        ]

    def clear(self, waiting: str) -> None:
        """Take everything off the chart and say why it is empty."""
        with self.hold_sync():
            self.title = self.synthetic = ""
            self.waiting = waiting
            self.fills = []
            self.cost_price = 0.0
        self.set_candles(np.empty((0, 6)))

    def _on_message(
        self, _widget: object, content: Mapping[str, object], _buffers: Sequence[bytes]
    ) -> None:
        if content.get("kind") == "ready" and self._since:
            self._since = [np.concatenate(self._since)]
            self._send_rows(self._since[0])

    def _send_rows(self, rows: np.ndarray) -> None:
        self.send({"kind": "bars", "series": self.series}, buffers=[rows.tobytes()])


def rows_of(candles: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Return chart rows from the control API's candles."""
    return np.array([[one[name] for name in COLUMNS] for one in candles], np.float64).reshape(-1, 6)


def _checked(rows: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(rows, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"rows have shape {rows.shape}, not (n, 6): {', '.join(COLUMNS)}")
    if len(rows) > 1 and not np.all(np.diff(rows[:, 0]) > 0):
        raise ValueError("candle times must rise")
    return rows
