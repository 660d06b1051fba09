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
SQN_MOST_TRADES = 100


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


def calmar(growth_a_year: float, drawdown: float) -> float:
    """Return yearly growth over the depth of the deepest drawdown; NaN without one."""
    return growth_a_year / -drawdown if drawdown < 0.0 else math.nan


def bar_sharpe(cash: float, equity: np.ndarray, bars_a_year: float) -> float:
    """Return the annualised Sharpe ratio of the returns of every bar, flat bars included."""
    return sharpe(returns_of(cash, equity), bars_a_year)


def capital_exposure(equity: np.ndarray, position_value: np.ndarray) -> float:
    """Return the mean share of the equity that was in the position, over all bars."""
    return float(np.mean(position_value / equity)) if len(equity) else math.nan


def expectancy(profits: np.ndarray) -> float:
    """Return the mean profit of a closed round trip: in quote, or in R where R is given."""
    return float(np.mean(profits)) if len(profits) else math.nan


def sqn(profits: np.ndarray) -> float:
    """Return the system quality number: sqrt(n) mean / standard deviation, n capped at 100.

    Takes profits in R or in quote. Source: Tharp, V. (2008), Definitive Guide to Position Sizing.
    """
    return sharpe(profits, float(min(len(profits), SQN_MOST_TRADES)))


def autocorrelations(returns: np.ndarray, lags: int) -> np.ndarray:
    """Return the sample autocorrelations of lags 1 to `lags` (one mean, divided by all squares)."""
    centred = returns - np.mean(returns)
    squares = float(centred @ centred)
    if squares == 0.0:
        return np.full(lags, math.nan)
    return np.array([float(centred[k:] @ centred[:-k]) / squares for k in range(1, lags + 1)])


def annualising_factor(samples_a_year: int, correlations: np.ndarray) -> float:
    """Return by what a per-sample Sharpe ratio is multiplied when returns are autocorrelated.

    eta(q) = q / sqrt(q + 2 sum_{k=1}^{q-1} (q - k) rho_k); lags beyond `correlations` count as 0, and
    without any it is sqrt(q). Source: Lo, A. (2002), Financial Analysts Journal 58(4).
    """
    q = samples_a_year
    used = correlations[: q - 1]
    spread = q + 2.0 * float((q - np.arange(1, len(used) + 1)) @ used)
    return q / math.sqrt(spread) if spread > 0.0 else math.nan


def adjusted_sharpe(returns: np.ndarray, samples_a_year: int, lags: int) -> float:
    """Return the Sharpe ratio annualised by Lo's factor with the sample's first autocorrelations."""
    if len(returns) <= lags:
        return math.nan
    factor = annualising_factor(samples_a_year, autocorrelations(returns, lags))
    return sharpe(returns, 1.0) * factor
