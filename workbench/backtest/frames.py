"""The tables of one backtest, as polars frames made from its records when somebody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.setting import Costs, holding_curve
from workbench.core.exits import (
    REASON_NONE,
    REASON_STOP,
    REASON_TAKE_PROFIT,
    REASON_TIME,
    REASON_TRAIL,
)
from workbench.market.candles import Candles

if TYPE_CHECKING:
    import polars as pl

REASON_FOLD_END = 5  # no exit of the position's own: a fold of a walk-forward ended (`fold_end`)
EXIT_REASONS = {
    REASON_NONE: "signal",
    REASON_STOP: "stop",
    REASON_TAKE_PROFIT: "take_profit",
    REASON_TRAIL: "trail",
    REASON_TIME: "time",
    REASON_FOLD_END: "fold_end",
}


def fills_frame(fills: np.ndarray, candles: Candles) -> pl.DataFrame:
    """Return FILL records with their times; quantity before fees, fee in the asset received."""
    import polars as pl

    times = candles.records["open_time"]
    numbers = ("price", "quantity", "fee", "ticks", "lots", "realised")
    return pl.DataFrame(
        [
            _times("time", times[fills["index"]]),
            _times("signal_time", times[fills["signal_index"]]),
            _texts("side", ["BUY" if side > 0 else "SELL" for side in fills["side"].tolist()]),
            *(_numbers(name, fills[name]) for name in numbers),
            _texts("reason", [EXIT_REASONS[one] for one in fills["reason"].tolist()]),
        ]
    )


def trades_frame(trips: np.ndarray, candles: Candles) -> pl.DataFrame:
    """Return one row a TRIP record, the open one last with null exits; `return` is its gain."""
    import polars as pl

    times, is_open = candles.records["open_time"], trips["exit_index"] < 0
    exits = _times("exit_time", times[trips["exit_index"]])
    reasons: list[str | None] = [EXIT_REASONS[one] for one in trips["reason"].tolist()]
    if is_open.any():
        exits = exits.scatter(len(trips) - 1, None)
        reasons[-1] = None
    return pl.DataFrame(
        [
            _times("entry_time", times[trips["entry_index"]]),
            exits,
            _numbers("entry_price", trips["entry_price"]),
            _numbers("exit_price", trips["exit_price"], nan_to_null=True),
            *(_numbers(name, trips[name]) for name in ("quantity", "fees", "pnl")),
            _numbers("return", trips["gain"]),
            pl.Series("is_open", is_open),
            _texts("exit_reason", reasons),
        ]
    )


def equity_frame(curve: np.ndarray, candles: Candles, costs: Costs) -> pl.DataFrame:
    """Return equity, cash, base and the target written at every close, with holding beside them."""
    import polars as pl

    window = candles.window
    return pl.DataFrame(
        [
            _times("open_time", window["open_time"]),
            _numbers("close", window["close"]),
            *(_numbers(name, curve[name]) for name in ("equity", "cash", "quantity")),
            _numbers("target", curve["target"], nan_to_null=True),
            _numbers("holding", holding_curve(candles, costs)),
        ]
    )


def _numbers(name: str, values: np.ndarray, *, nan_to_null: bool = False) -> pl.Series:
    """Return a field of records as a column; polars copies a contiguous one ten times as fast."""
    import polars as pl

    return pl.Series(name, np.ascontiguousarray(values), nan_to_null=nan_to_null)


def _times(name: str, times_ms: np.ndarray) -> pl.Series:
    import polars as pl

    return _numbers(name, times_ms).cast(pl.Datetime("ms", "UTC"))


def _texts(name: str, values: list[str] | list[str | None]) -> pl.Series:
    import polars as pl

    return pl.Series(name, values, pl.String)
