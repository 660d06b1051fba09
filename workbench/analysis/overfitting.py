"""How much of a Sharpe ratio is luck: its error, and what the best of many tries shows without any skill.

Every Sharpe ratio here is *per sample* (a day, as a rule), never annualised, and so is its variance
over trials: an annualised ratio beside a daily variance makes every deflated Sharpe ratio 1. Moments
are biased ones, kurtosis of the normal distribution is 3.

    error of SR     sqrt((1 - g3 SR + (g4 - 1)/4 SR^2) / (T - 1))
    PSR(SR*)        Z((SR - SR*) / error): how likely the true ratio is above SR*
    E[max N]        (1 - g) Z^-1(1 - 1/N) + g Z^-1(1 - 1/(N e)), in standard deviations of the trials
    DSR             PSR(sqrt(V) E[max N]), with moments and length of the *chosen* strategy
    MinBTL          (E[max N] / SR)^2 years, SR annual: below it the best of N shows SR by luck alone

Sources: Lo (2002) FAJ 58(4); Mertens (2002); Bailey and Lopez de Prado (2012) J. of Risk 15(2) and
(2014) J. of Portfolio Management 40(5); Bailey, Borwein, Lopez de Prado and Zhu (2014) Notices of the
AMS 61(5). What cannot be computed is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError

Floats = NDArray[np.float64]

NORMAL: Final = NormalDist()
EULER_GAMMA: Final = 0.5772156649015329
ROUNDING: Final = 1e-14  # a variance below this share of the mean square is rounding
FEW_TRIALS: Final = 5  # below it E[max N] is a rough guess


@dataclass(frozen=True, slots=True)
class Moments:
    """What inference needs of a series of returns: how many, Sharpe ratio a sample, skew, kurtosis."""

    count: int
    sharpe: float
    skew: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, returns: Floats) -> Moments:
        """Return the moments of returns; all NaN where they are fewer than two or never vary."""
        count = len(returns)
        if count < 2:
            return cls(count, math.nan, math.nan, math.nan)
        centred = returns - returns.mean()
        squares = float(np.mean(centred**2))
        if squares <= ROUNDING * float(np.mean(returns**2)):
            return cls(count, math.nan, math.nan, math.nan)
        deviation = math.sqrt(squares)
        scaled = centred / deviation
        return cls(
            count=count,
            sharpe=float(returns.mean()) / (deviation * math.sqrt(count / (count - 1))),
            skew=float(np.mean(scaled**3)),
            kurtosis=float(np.mean(scaled**4)),
        )


def sharpe_error(of: Moments) -> float:
    """Return the standard error of a Sharpe ratio (Lo 2002, for returns that are not normal Mertens)."""
    spread = _spread(of)
    return math.sqrt(spread / (of.count - 1)) if of.count > 1 and spread > 0.0 else math.nan


def probabilistic_sharpe(of: Moments, benchmark: float = 0.0) -> float:
    """Return how likely the true Sharpe ratio is above `benchmark`, both a sample."""
    error = sharpe_error(of)
    return NORMAL.cdf((of.sharpe - benchmark) / error) if error > 0.0 else math.nan


def min_track_record(of: Moments, benchmark: float = 0.0, *, level: float = 0.95) -> float:
    """Return how many samples it takes until PSR reaches `level`; NaN where the ratio is not above."""
    if not of.sharpe > benchmark:
        return math.nan
    return 1.0 + _spread(of) * (NORMAL.inv_cdf(level) / (of.sharpe - benchmark)) ** 2


def expected_max(trials: float) -> float:
    """Return the expected maximum of so many standard normal draws; 0 for one.

    A little too high for few trials (10: 1.575 where 1.539 is right). An effective number of trials is
    no whole one: where the formula falls below 0, short of two, it is 0.
    """
    if not (math.isfinite(trials) and trials >= 1.0):
        raise UsageError(
            f"{trials} trials: there is at least one; hand in how many were tried in all"
        )
    if trials == 1.0:
        return 0.0
    first = NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return max(0.0, (1.0 - EULER_GAMMA) * first + EULER_GAMMA * second)


def lucky_sharpe(trials: float, variance: float) -> float:
    """Return the Sharpe ratio a sample that the best of so many trials shows without any skill."""
    best = expected_max(trials)
    if best == 0.0:  # one trial alone was not chosen among others, and has no variance
        return 0.0
    if not variance >= 0.0:
        raise UsageError(
            f"a variance of {variance} over the trials' Sharpe ratios is none; hand in one of 0 or more"
        )
    return math.sqrt(variance) * best


def deflated_sharpe(of: Moments, *, trials: float, variance: float) -> float:
    """Return how likely the true Sharpe ratio is above what the best of `trials` shows by luck.

    `variance` is that of the trials' Sharpe ratios a sample, `of` the moments of the chosen one.
    """
    return probabilistic_sharpe(of, lucky_sharpe(trials, variance))


def min_backtest_years(trials: float, sharpe_a_year: float = 1.0) -> float:
    """Return the years below which the best of `trials` reaches an annual Sharpe ratio by luck alone."""
    return (expected_max(trials) / sharpe_a_year) ** 2 if sharpe_a_year > 0.0 else math.nan


def mean_correlation(returns: Floats) -> float:
    """Return the mean correlation between different columns of returns (samples, trials).

    The columns that never vary do not count; NaN where fewer than two are left. The square of the sum
    of all standardised columns holds every pair, so no table of trials x trials is laid out.
    """
    centred = returns - returns.mean(axis=0)
    squares = np.mean(centred**2, axis=0)
    moving = squares > ROUNDING * np.mean(returns**2, axis=0)
    count = int(moving.sum())
    if count < 2:
        return math.nan
    together = (centred[:, moving] / np.sqrt(squares[moving])).sum(axis=1)
    return (float(np.mean(together**2)) - count) / (count * (count - 1.0))


def effective_trials(trials: float, correlation: float) -> float:
    """Return how many independent trials so many correlated ones are worth: rho + (1 - rho) N.

    Never more than `trials`: that they move against each other makes them no more.
    """
    if math.isnan(correlation):
        return trials
    return min(trials, correlation + (1.0 - correlation) * trials)


def _spread(of: Moments) -> float:
    """Return the variance of a Sharpe ratio times (T - 1)."""
    return 1.0 - of.skew * of.sharpe + (of.kurtosis - 1.0) / 4.0 * of.sharpe**2
