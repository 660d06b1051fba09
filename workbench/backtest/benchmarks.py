"""What asks no skill, beside one backtest: cash, holding the symbol, bitcoin, a basket of all symbols.

Each buys once at the open of the window's second candle, pays slippage and one fee, and never sells; a
basket puts the same amount into every symbol. Bitcoin and the basket are of the recording that the
run's own candles come from, in its interval and over its window: nothing is fetched or made up, a symbol
that lacks a candle of the window is left out, and where there is none but the run's own the row is too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.scorecard import Span, growth
from workbench.backtest.setting import Costs, holding_curve
from workbench.data import Places, available, load_frame, source_of
from workbench.errors import WorkbenchError
from workbench.market.candles import Candles

if TYPE_CHECKING:
    import polars as pl

BITCOIN = "BTCUSDT"
SHOWN = ("total_return", "cagr", "sharpe", "calmar", "max_drawdown")


def benchmarks(
    candles: Candles, costs: Costs, equity: np.ndarray, *, places: Places | None = None
) -> pl.DataFrame:
    """Return one row each: the strategy, then what asks no skill, with growth, ratios and drawdown.

    `equity` is the strategy's at every close; `symbols` counts what is held. What cannot be computed is
    null, as in a run's metrics.
    """
    import polars as pl

    held = {candles.symbol: holding_curve(candles, costs)}
    held |= dict(_others(candles, costs, places or Places.here()))
    curves = {
        "strategy": (1, equity),
        "cash": (0, np.full(len(equity), costs.cash)),
        "holding": (1, held[candles.symbol]),
    }
    if BITCOIN in held:
        curves["bitcoin"] = (1, held[BITCOIN])
    if len(held) > 1:
        curves["basket"] = (len(held), np.mean(list(held.values()), axis=0))
    span, rows = Span.of(candles), []
    for name, (symbols, curve) in curves.items():
        found = growth(span, costs.cash, curve)
        told = (found[one] for one in SHOWN)
        rows.append((name, symbols, *(None if math.isnan(one) else one for one in told)))
    kinds = dict.fromkeys(SHOWN, pl.Float64)
    return pl.DataFrame(
        rows, schema={"name": pl.String, "symbols": pl.Int64, **kinds}, orient="row"
    )


def _others(candles: Candles, costs: Costs, places: Places) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the other symbols of the run's recording that have all candles of its window, held."""
    if not candles.source.startswith("recorded"):
        return
    symbols = set(available(places=places)["symbol"])
    for symbol in sorted(symbols - {candles.symbol}):
        try:
            other = _of_the_window(symbol, candles, places)
        except (
            WorkbenchError
        ):  # nobody asked for this symbol: what is wrong with it is not told here
            continue
        if other is not None:
            yield symbol, holding_curve(other, costs)


def _of_the_window(symbol: str, candles: Candles, places: Places) -> Candles | None:
    """Return another symbol's candles of the same window and source; None where it lacks any."""
    times, timeframe = candles.window["open_time"], candles.timeframe
    start, end = int(times[0]), timeframe.next(int(times[-1]))
    if _place(source_of(symbol, timeframe, start, end, places=places)) != _place(candles.source):
        return None
    frame = load_frame(symbol, timeframe, start, end, places=places)
    other = Candles.from_frame(frame, timeframe)
    same = np.array_equal(other.records["open_time"], times)
    return other if same else None


def _place(source: str) -> str:
    """Return where candles come from, without what was repaired in them."""
    return source.partition(" (")[0]
