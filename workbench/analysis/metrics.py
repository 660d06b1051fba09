"""Metrics of an equity curve and its round trips, in plain numpy: the conventions, readable.

The curve is sampled once a UTC day (once a candle where candles are longer), from the cash before
the first trade on. Sharpe uses ddof 1, Sortino divides by the root mean square of the losses over
*all* samples, the risk-free rate is 0, drawdown counts from the starting cash. What cannot be
computed is NaN.
"""

from __future__ import annotations

import math

import numpy as np

DAYS_A_YEAR = 365.0
MIN_DAYS_TO_ANNUALISE = 90.0


def returns_of(cash: float, sampled_equity: np.ndarray) -> np.ndarray:
    """Return the simple returns between samples, the first one from the starting cash."""
    levels = np.concatenate([[cash], sampled_equity])
    return levels[1:] / levels[:-1] - 1.0


def sharpe(returns: np.ndarray, samples_a_year: float) -> float:
    """Return the annualised Sharpe ratio (ddof 1, risk-free rate 0); NaN without variation."""
    if len(returns) < 2:
        return math.nan
    deviation = float(np.std(returns, ddof=1))
    if deviation <= 1e-14 * max(1e-300, float(np.abs(returns).max())):
        return math.nan
    return float(np.mean(returns)) / deviation * math.sqrt(samples_a_year)


def sortino(returns: np.ndarray, samples_a_year: float) -> float:
    """Return the annualised Sortino ratio (target 0, all samples in the denominator)."""
    losses = np.minimum(returns, 0.0)
    if len(returns) < 2 or not losses.any():
        return math.nan
    return (
        float(np.mean(returns)) / math.sqrt(float(np.mean(losses**2))) * math.sqrt(samples_a_year)
    )


def max_drawdown(cash: float, equity: np.ndarray) -> float:
    """Return the deepest fall from a running peak, as a fraction <= 0; the peak starts at `cash`."""
    levels = np.concatenate([[cash], equity])
    return float(np.min(levels / np.maximum.accumulate(levels) - 1.0))


def cagr(factor: float, days: float) -> float:
    """Return the compound annual growth rate; NaN under 90 days or when everything was lost."""
    if days < MIN_DAYS_TO_ANNUALISE or factor <= 0.0:
        return math.nan
    return float(factor ** (DAYS_A_YEAR / days) - 1.0)


def win_rate(profits: np.ndarray) -> float:
    """Return the share of closed round trips that won; zero profit counts as not won."""
    return float(np.mean(profits > 0.0)) if len(profits) else math.nan


def profit_factor(profits: np.ndarray) -> float:
    """Return gross profit over gross loss of closed round trips; NaN without a loss."""
    lost = -float(profits[profits < 0.0].sum())
    return float(profits[profits > 0.0].sum()) / lost if lost > 0.0 else math.nan
