"""How much of a result hangs on little: on costs, on a few trades, on one season.

    break-even cost   gross profit / traded notional, a side: the cost at which nothing would be left
    best trades       share of the net gains that the five best round trips made
    quarters          return of every calendar quarter (UTC) that the window touches

What cannot be computed is NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def break_even_cost(gross_profit: float, traded: float) -> float:
    """Return the cost a side, as a fraction, at which the profit is gone; below 0 where there was none.

    `gross_profit` is before all costs, `traded` is the notional of all buys and sells; both in quote.
    """
    return gross_profit / traded if traded > 0.0 else math.nan


def best_trades_share(gains: Floats, count: int = 5) -> float:
    """Return the share of all gains that the best trades made; NaN where they come to no profit.

    Gains are fractions of what was paid, so that a trade of a grown account counts like an early one. The
    share is above 1 where all other trades together lost.
    """
    total = float(gains.sum())
    return float(np.sort(gains)[-count:].sum()) / total if total > 0.0 else math.nan


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
