"""Does the best of many sets beat a benchmark, or did the search make it look so: Hansen's SPA, and StepM.

With d the returns above the benchmark, their mean m, and w the deviation of sqrt(T) m under the bootstrap:

    SPA     V = max(0, max_k sqrt(T) m_k / w_k) against the same of resamples, centred at m_k where set k is
            not clearly bad (sqrt(T) m_k / w_k >= -sqrt(2 log log T)) and at 0 where it is; p is the share
            of resamples that reach V
    StepM   sets above the 95 % quantile of the resampled maximum beat the benchmark; they are taken out and
            the rest is asked again, until none is found

Both divide by w: without that one wild set hides all the others. Sources: White (2000) Econometrica 68(5);
Hansen (2005) J. of Business and Economic Statistics 23(4); Romano and Wolf (2005) Econometrica 73(4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.bootstrap import Indices, weights_of

Floats = NDArray[np.float64]

ROUNDING: Final = 1e-14  # a variance below this share of the mean square is rounding


@dataclass(frozen=True, slots=True)
class Snooping:
    """How likely it is that no set beats the benchmark, and which do after all that was tried."""

    p_value: float
    statistic: float
    winners: NDArray[np.int64]  # columns that StepM finds above the benchmark
    sets: int
    draws: int


def snooping_tests(excess: Floats, draws: Indices, *, level: float = 0.05) -> Snooping:
    """Test returns above a benchmark (samples, sets) with resamples; p is NaN where no set ever moves.

    Sets that never differ from the benchmark do not count. Memory: one number a resample and set.
    """
    moving = np.flatnonzero(np.var(excess, axis=0) > ROUNDING * np.mean(excess**2, axis=0))
    nobody = np.zeros(0, np.int64)
    if len(excess) < 3 or not len(moving):
        return Snooping(math.nan, math.nan, nobody, len(moving), len(draws))
    returns, root = excess[:, moving], math.sqrt(len(excess))
    means = returns.mean(axis=0)
    scores = weights_of(draws) @ returns
    deviations = root * scores.std(axis=0)
    scores *= root / deviations  # of resampled means, in deviations
    own = root * means / deviations
    bad = own < -math.sqrt(2.0 * math.log(math.log(len(excess))))
    statistic = max(0.0, float(own.max()))
    highest = np.maximum(0.0, (scores - np.where(bad, 0.0, own)).max(axis=1))
    return Snooping(
        p_value=float(np.mean(highest >= statistic)),
        statistic=statistic,
        winners=moving[_stepwise(own, scores - own, level)],
        sets=len(moving),
        draws=len(draws),
    )


def _stepwise(own: Floats, centred: Floats, level: float) -> NDArray[np.int64]:
    """Return the sets that step after step stand out of the maximum over those that are left."""
    left = np.arange(len(own))
    won: list[NDArray[np.int64]] = []
    while len(left):
        highest = centred.max(axis=1, where=np.isin(np.arange(len(own)), left), initial=-np.inf)
        bound = np.quantile(highest, 1.0 - level)
        above = own[left] > bound
        if not above.any():
            break
        won.append(left[above])
        left = left[~above]
    return np.sort(np.concatenate(won)) if won else np.zeros(0, np.int64)
