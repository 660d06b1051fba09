"""What a whole equity curve and its round trips tell, beyond what the loop keeps online.

    bar Sharpe          of the returns of every bar, flat bars included, annualised by sqrt(bars a year)
    adjusted Sharpe     of the return samples, annualised by Lo's factor instead of sqrt(samples a year):
                        eta(q) = q / sqrt(q + 2 sum_k (q - k) rho_k), lags up to 4 (n / 100)^(2/9)
    capital exposure    mean share of the equity that was in the position
    expectancy          mean profit of a closed round trip, in quote and in R; one R is the average loss
    SQN                 sqrt(n) mean / standard deviation of the profits, n counted to 100 at most

Sources: Lo, A. (2002), Financial Analysts Journal 58(4); Newey, W. and West, K. (1994), Review of
Economic Studies 61(4), for the lags; Tharp, V. (2008), Definitive Guide to Position Sizing.
What cannot be computed is NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.core.statistics import sharpe_ratio

CURVE = np.dtype(
    [
        ("bar_sharpe", "<f8"),
        ("adjusted_sharpe", "<f8"),
        ("capital_exposure", "<f8"),
        ("expectancy", "<f8"),
        ("expectancy_r", "<f8"),
        ("sqn", "<f8"),
    ],
    align=True,
)

MIN_SAMPLES_TO_CORRELATE = 30
SQN_MOST_TRADES = 100


@njit(nogil=True)
def describe_curve(cash, equity, cash_left, ends, profits, scale, out):
    """Fill one CURVE record.

    `equity` and `cash_left` hold one value a bar, `ends` is 1 where a return sample ends with the bar,
    `profits` are those of closed round trips in quote, `scale` is (samples a year, bars a year).
    """
    returns = np.empty(equity.shape[0])
    count = 0
    last = before = cash
    total = squares = invested = 0.0
    for t in range(equity.shape[0]):
        change = equity[t] / before - 1.0
        before = equity[t]
        total += change
        squares += change * change
        invested += (equity[t] - cash_left[t]) / equity[t]
        if ends[t]:
            returns[count] = equity[t] / last - 1.0
            last = equity[t]
            count += 1
    out.bar_sharpe = sharpe_ratio(equity.shape[0], total, squares, scale[1])
    out.capital_exposure = invested / equity.shape[0] if equity.shape[0] else np.nan
    out.adjusted_sharpe = lo_sharpe(returns[:count], scale[0])
    describe_trades(profits, out)


@njit(nogil=True)
def describe_trades(profits, out):
    """Fill expectancy and SQN from the profits of closed round trips."""
    n = profits.shape[0]
    out.expectancy = out.expectancy_r = out.sqn = np.nan
    if n == 0:
        return
    lost = losses = 0.0
    for profit in profits:
        if profit < 0.0:
            lost -= profit
            losses += 1.0
    total, squares = sums_of(profits)
    out.expectancy = total / n
    if losses > 0.0:
        out.expectancy_r = out.expectancy / (lost / losses)
    out.sqn = sharpe_ratio(n, total, squares, min(n, SQN_MOST_TRADES))


@njit(nogil=True)
def sums_of(values):
    """Return the sum of values and of their squares; a loop compiles in a tenth of what `sum` takes."""
    total = squares = 0.0
    for value in values:
        total += value
        squares += value * value
    return total, squares


@njit(nogil=True)
def lags_for(count):
    """Return how many autocorrelations `count` samples are worth: 4 (n / 100)^(2/9)."""
    return int(4.0 * (count / 100.0) ** (2.0 / 9.0))


@njit(nogil=True)
def annualising_factor(samples_a_year, correlations):
    """Return Lo's eta(q) for the autocorrelations of the first lags; NaN where they are too negative."""
    q = samples_a_year
    spread = q
    for i in range(correlations.shape[0]):
        if i + 1 < q:
            spread += 2.0 * (q - (i + 1)) * correlations[i]
    return q / math.sqrt(spread) if spread > 0.0 else np.nan


@njit(nogil=True)
def lo_sharpe(returns, samples_a_year):
    """Return the Sharpe ratio annualised by Lo's factor; NaN under 30 samples."""
    n = returns.shape[0]
    if n < MIN_SAMPLES_TO_CORRELATE:
        return np.nan
    total, squares = sums_of(returns)
    ratio = sharpe_ratio(n, total, squares, 1.0)
    if math.isnan(ratio):
        return np.nan
    centred, mean = np.empty(n), total / n
    for t in range(n):
        centred[t] = returns[t] - mean
    _, squares = sums_of(centred)
    correlations = np.empty(lags_for(n))
    for i in range(correlations.shape[0]):
        lagged = 0.0
        for t in range(n - i - 1):
            lagged += centred[t + i + 1] * centred[t]
        correlations[i] = lagged / squares
    return ratio * annualising_factor(samples_a_year, correlations)
