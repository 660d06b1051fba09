"""The metrics of one backtest, worked out from its equity curve and round trips.

The compiled loop keeps the columns of a sweep online; engines that are not compiled come here for
them (`score`). What a sweep shows on request alone is described here for every engine (`details`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workbench.analysis import metrics
from workbench.backtest.columns import DETAIL_COLUMNS, METRIC_COLUMNS
from workbench.backtest.kernels import curve_kernel
from workbench.backtest.setting import samples_a_year, window_days
from workbench.core.curve import CURVE
from workbench.market.candles import Candles
from workbench.market.timeframes import YEAR_MS

Metrics = dict[str, float | int | bool | None]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a curve covers: where return samples end, and how many make a year."""

    ends: np.ndarray
    days: float
    samples_a_year: float
    bars_a_year: float

    @classmethod
    def of(cls, candles: Candles) -> Span:
        """Return the span of a window, one bar a candle."""
        return cls(
            ends=candles.sample_ends[candles.first :],
            days=window_days(candles),
            samples_a_year=samples_a_year(candles.timeframe),
            bars_a_year=YEAR_MS / candles.timeframe.mean_ms,
        )


def score(
    span: Span,
    cash: float,
    curve: np.ndarray,
    profits: np.ndarray,
    *,
    held: int,
    open_trade: bool,
    fees: float,
) -> Metrics:
    """Return every metric by name, None where it cannot be computed.

    `curve` has the fields equity and cash, one record a bar; `profits` are those of the closed round
    trips; `held` counts the bars with a position,
    `fees` are in quote.
    """
    equity = curve["equity"]
    values: dict[str, float | int | bool] = {
        **growth(span, cash, equity),
        "trades": len(profits),
        "open_trade": open_trade,
        "win_rate": metrics.win_rate(profits),
        "profit_factor": metrics.profit_factor(profits),
        "exposure": held / len(equity),
        "fees": fees,
        "bars": len(equity),
    }
    plain = {n: None if math.isnan(values[n]) else values[n] for n in METRIC_COLUMNS}
    return plain | details(span, cash, curve, profits)


def growth(span: Span, cash: float, equity: np.ndarray) -> dict[str, float]:
    """Return the metrics that an equity curve alone has, NaN where one cannot be computed."""
    returns = metrics.returns_of(cash, equity[span.ends.astype(bool)])
    a_year = metrics.cagr(float(equity[-1] / cash), span.days)
    drawdown = metrics.max_drawdown(cash, equity)
    return {
        "final_equity": float(equity[-1]),
        "total_return": float(equity[-1] / cash - 1.0),
        "cagr": a_year,
        "sharpe": metrics.sharpe(returns, span.samples_a_year),
        "sortino": metrics.sortino(returns, span.samples_a_year),
        "calmar": metrics.calmar(a_year, drawdown),
        "max_drawdown": drawdown,
    }


def details(span: Span, cash: float, curve: np.ndarray, profits: np.ndarray) -> Metrics:
    """Return the metrics that a sweep has columns for on request alone, None where one is undefined."""
    out = described(span, cash, curve, profits)
    found = {name: float(out[name]) for name in DETAIL_COLUMNS}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def described(span: Span, cash: float, curve: np.ndarray, profits: np.ndarray) -> np.void:
    """Return the CURVE record of an equity curve and the profits of its closed round trips."""
    out = np.zeros(1, CURVE)
    curve_kernel()(
        cash,
        np.ascontiguousarray(curve["equity"]),
        np.ascontiguousarray(curve["cash"]),
        np.ascontiguousarray(span.ends, np.int8),
        profits,
        (span.samples_a_year, span.bars_a_year),
        out,
    )
    record: np.void = out[0]
    return record
