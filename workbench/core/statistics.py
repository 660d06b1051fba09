"""Statistics kept online: drawdown from the running peak, and sums of sampled returns.

Returns are sampled once a UTC day (once a candle where candles are longer than a day), from the
equity before the first trade on. Sharpe is mean / standard deviation (ddof 1) times the square root
of samples a year, Sortino divides by the root mean square of the losses over all samples; the
risk-free rate is 0. What cannot be computed is NaN: never 0, never infinite.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

METRICS = np.dtype(
    [
        ("final_equity", "<f8"),
        ("total_return", "<f8"),
        ("cagr", "<f8"),
        ("sharpe", "<f8"),
        ("sortino", "<f8"),
        ("calmar", "<f8"),
        ("max_drawdown", "<f8"),
        ("trades", "<i8"),
        ("open_trade", "<i1"),
        ("pending", "<i1"),
        ("win_rate", "<f8"),
        ("profit_factor", "<f8"),
        ("exposure", "<f8"),
        ("fees", "<f8"),
        ("bars", "<i8"),
        ("refused", "<i8"),
        ("guarded", "<i8"),  # entries that a guard refused
        ("ambiguous", "<i8"),  # exits of which the candles do not tell which came first
        ("error", "<i1"),
    ],
    align=True,
)

MIN_DAYS_TO_ANNUALISE = 90.0
DAYS_A_YEAR = 365.0


@njit(nogil=True)
def sharpe_ratio(count, total, squares, samples_a_year):
    """Return the annualised Sharpe ratio from the sums of returns and of their squares."""
    if count < 2:
        return np.nan
    mean = total / count
    variance = (squares - total * mean) / (count - 1)
    if variance <= 1e-14 * squares / count:  # what is left is rounding
        return np.nan
    return mean / math.sqrt(variance) * math.sqrt(samples_a_year)


@njit(nogil=True)
def sortino_ratio(count, total, loss_squares, samples_a_year):
    """Return the annualised Sortino ratio (target return 0) from its sums."""
    if count < 2 or loss_squares <= 0.0:
        return np.nan
    return total / count / math.sqrt(loss_squares / count) * math.sqrt(samples_a_year)


@njit(nogil=True)
def growth_a_year(factor, days):
    """Return the compound annual growth rate; NaN under 90 days or where everything is lost."""
    if days < MIN_DAYS_TO_ANNUALISE or factor <= 0.0:
        return np.nan
    return factor ** (DAYS_A_YEAR / days) - 1.0
