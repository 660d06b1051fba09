"""What notebooks call: candles in, results out, with every setting by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.backtest import single
from workbench.backtest.results import BacktestResult, SweepResult
from workbench.backtest.setting import (
    DEFAULT_CASH,
    DEFAULT_FEE_BPS,
    DEFAULT_SLIPPAGE_BPS,
    Costs,
    Filters,
)
from workbench.backtest.sweep import sweep_params
from workbench.data import load
from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles
from workbench.market.timeframes import DAY_MS, TIMEFRAMES, Timeframe, parse_timeframe
from workbench.strategies.spec import Axis, Number, Spec

if TYPE_CHECKING:
    from workbench.report.tearsheet import Tearsheet

__all__ = ["Run", "backtest", "candles_of", "load", "sweep"]

ENGINES = ("kernel", "event", "backtrader")


class Run(BacktestResult):
    """A backtest that can draw itself."""

    def tearsheet(self) -> Tearsheet:
        """Return metrics, equity with drawdown and holding, and trades as one page."""
        from workbench.report.tearsheet import tearsheet

        return tearsheet(self)


def backtest(
    candles: Candles | pl.DataFrame,
    strategy: Spec,
    *,
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    cash: float = DEFAULT_CASH,
    filters: Filters | None = None,
    engine: str = "kernel",
    **params: Number,
) -> Run:
    """Backtest one parameter set: signal at the close, fill at the next open, costs on.

    `engine` is "kernel" (compiled), "event" (the exchange's matching engine, order by order) or
    "backtrader" (for cross-checking). `filters` are the exchange's, and "none" for backtrader, which
    has none.
    Raises UsageError for bad parameters, DataError for candles that cannot be traded.
    """
    filters = filters or ("none" if engine == "backtrader" else "exchange")
    costs = Costs(fee_bps, slippage_bps, cash, filters)
    series = candles_of(candles)
    if engine == "kernel":
        result = single.backtest(series, strategy, costs=costs, **params)
    elif engine == "event":
        from workbench.backtest.event_driven import event_driven

        result = event_driven(series, strategy, costs=costs, **params)
    elif engine == "backtrader":
        from workbench.backtest.reference import reference

        result = reference(series, strategy, costs=costs, **params)
    else:
        raise UsageError(f"unknown engine {engine!r}; use one of {', '.join(ENGINES)}")
    return Run(**vars(result))


def sweep(
    candles: Candles | pl.DataFrame,
    strategy: Spec,
    *,
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    cash: float = DEFAULT_CASH,
    filters: Filters = "none",
    progress: bool = True,
    **axes: Axis,
) -> SweepResult:
    """Run every combination of the axes on a thread pool; one row of metrics for each.

    Raises UsageError for a bad axis or where no combination is valid, DataError for bad candles.
    """
    costs = Costs(fee_bps, slippage_bps, cash, filters)
    grid = strategy.grid(axes)
    return sweep_params(candles_of(candles), strategy, grid, costs=costs, progress=progress)


def candles_of(candles: Candles | pl.DataFrame) -> Candles:
    """Return a polars frame of one series, with the candle store's columns, as Candles.

    Raises DataError where columns are missing, several symbols are mixed or the interval is none
    that is known.
    """
    if isinstance(candles, Candles):
        return candles
    if "open_time" not in candles.columns:
        raise DataError("the frame lacks open_time; it needs the columns of the candle store")
    return Candles.from_frame(candles, _interval(candles["open_time"]))


def _interval(open_time: pl.Series) -> Timeframe:
    times = np.diff(open_time.dt.epoch("ms").to_numpy())
    step = int(times.min()) if len(times) else 0
    for timeframe in TIMEFRAMES.values():
        if timeframe.fixed_ms == step:
            return timeframe
    if 28 * DAY_MS <= step <= 31 * DAY_MS:
        return parse_timeframe("1M")
    raise DataError(f"the shortest distance between candles is {step} ms: no known interval")
