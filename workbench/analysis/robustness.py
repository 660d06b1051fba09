"""How much of a result hangs on little: on costs, on a few trades, on one season.

    break-even cost   gross profit / traded notional, a side: the cost at which nothing would be left
    best trades       share of the net profit that the five best round trips made
    quarters          return of every calendar quarter (UTC) that the window touches

What cannot be computed is NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def break_even_cost(net_profit: float, paid: float, traded: float) -> float:
    """Return the cost a side, as a fraction, at which the profit is gone; below 0 where there was none.

    `net_profit` is after all costs, `paid` are these costs (fees and slippage), `traded` is the notional
    of all buys and sells; all in quote.
    """
    return (net_profit + paid) / traded if traded > 0.0 else math.nan


def best_trades_share(profits: Floats, count: int = 5) -> float:
    """Return the share of the net profit that the best trades made; NaN where there was no profit.

    Above 1 where all others together lost.
    """
    total = float(profits.sum())
    return float(np.sort(profits)[-count:].sum()) / total if total > 0.0 else math.nan


def quarter_returns(cash: float, equity: Floats, times_ms: NDArray[np.int64]) -> dict[str, float]:
    """Return the return of each calendar quarter, by names such as 2025Q1, from the starting cash on.

    `times_ms` are the times of the equity's values, each of the quarter in which it lies.
    """
    months = times_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    quarters = months // 3
    last = np.flatnonzero(np.append(quarters[1:] != quarters[:-1], True))
    levels = np.concatenate([[cash], equity[last]])
    names = [f"{1970 + q // 4}Q{q % 4 + 1}" for q in quarters[last]]
    return dict(zip(names, (levels[1:] / levels[:-1] - 1.0).tolist(), strict=True))
