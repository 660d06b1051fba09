"""The metric columns of one backtest, worked out in numpy from its equity curve and round trips.

The compiled kernel keeps the same numbers online; engines that are not compiled come here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis import metrics
from workbench.backtest.results import METRIC_COLUMNS
from workbench.backtest.setting import Costs, sample_ends, samples_a_year, window_days
from workbench.market.candles import Candles

if TYPE_CHECKING:
    import polars as pl


def score(
    candles: Candles,
    costs: Costs,
    equity: np.ndarray,
    trades: pl.DataFrame,
    *,
    held: int,
    open_trade: bool,
    fees: float,
) -> dict[str, float | int | bool | None]:
    """Return every metric by name, None where it cannot be computed.

    `equity` holds one value a candle of the window, `held` counts the candles with a position,
    `fees` are in quote.
    """
    closed = trades.filter(~trades["is_open"])["pnl"].to_numpy()
    days = window_days(candles)
    ends = sample_ends(candles)[candles.first :].astype(bool)
    returns = metrics.returns_of(costs.cash, equity[ends])
    yearly = samples_a_year(candles.timeframe)
    growth = metrics.cagr(float(equity[-1] / costs.cash), days)
    drawdown = metrics.max_drawdown(costs.cash, equity)
    values: dict[str, float | int | bool] = {
        "final_equity": float(equity[-1]),
        "total_return": float(equity[-1] / costs.cash - 1.0),
        "cagr": growth,
        "sharpe": metrics.sharpe(returns, yearly),
        "sortino": metrics.sortino(returns, yearly),
        "calmar": metrics.calmar(growth, drawdown),
        "max_drawdown": drawdown,
        "trades": len(closed),
        "open_trade": open_trade,
        "win_rate": metrics.win_rate(closed),
        "profit_factor": metrics.profit_factor(closed),
        "exposure": held / len(candles),
        "fees": fees,
        "bars": len(candles),
    }
    return {n: None if math.isnan(values[n]) else values[n] for n in METRIC_COLUMNS}
