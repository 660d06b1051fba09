"""The stationary bootstrap: other pasts that might have been, from blocks of the one that was.

A resample goes on with the next sample of the past, or with probability 1 / L begins anew at a random one,
so blocks have a mean length of L and returns keep what dependence they have; the past is a circle. Permuting
instead would end every path at the same wealth. Sources: Politis and Romano (1994) JASA 89 for the
bootstrap; Politis and White (2004) Econometric Reviews 23(1), corrected by Patton, Politis and White (2009)
Econometric Reviews 28(4), for the block length. Chance is handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

DRAWS: Final = 1_000
SIGNIFICANT: Final = 2.0  # an autocorrelation beyond this times sqrt(log10 T / T) is one
QUANTILES: Final = (0.05, 0.5, 0.95)


def stationary_draws(
    samples: int, *, draws: int, block: float, rng: np.random.Generator
) -> Indices:
    """Return, for each of `draws` resamples, the number of the past sample at every place.

    Raises UsageError for a mean block shorter than one sample.
    """
    if not block >= 1.0 or samples < 1:
        raise UsageError(
            f"blocks of {block} of {samples} samples are none; a mean block has 1 sample or more"
        )
    begins = rng.random((draws, samples)) < 1.0 / block
    begins[:, 0] = True
    places = np.arange(samples)
    since = np.maximum.accumulate(np.where(begins, places, 0), axis=1)  # where each block began
    starts = rng.integers(0, samples, (draws, samples))
    drawn: Indices = (np.take_along_axis(starts, since, axis=1) + places - since) % samples
    return drawn


def weights_of(draws: Indices) -> Floats:
    """Return how often each resample drew each sample, as a share: weights @ returns are its means."""
    count, samples = draws.shape
    cells = draws + np.arange(count)[:, None] * samples
    found = np.bincount(cells.ravel(), minlength=count * samples).reshape(count, samples)
    return found / samples


def block_length(returns: Floats) -> float:
    """Return the mean block length that estimates the variance of the mean best; 1 or more samples.

    Lags count up to twice the last autocorrelation that is significant, under a flat-top window.
    """
    samples = len(returns)
    centred = returns - np.mean(returns)
    if samples < 4 or not float(centred @ centred) > 0.0:
        return 1.0
    apart = max(5, math.ceil(math.sqrt(math.log10(samples))))
    most = min(samples - 1, math.ceil(math.sqrt(samples)) + apart)
    covariances = np.array(
        [float(centred[lag:] @ centred[: samples - lag]) / samples for lag in range(most + 1)]
    )
    last = _last_significant(covariances[1:] / covariances[0], samples, apart)
    lags = np.arange(1, min(2 * last, most) + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lags / max(1, len(lags))))
    weighted = window * covariances[1 : len(lags) + 1]
    spread = 2.0 * float(lags @ weighted)
    long_run = float(covariances[0]) + 2.0 * float(weighted.sum())
    if long_run <= 0.0:
        return 1.0
    length = (spread / long_run) ** 2 * samples
    longest = math.ceil(min(3.0 * math.sqrt(samples), samples / 3.0))
    return float(min(max(1.0, length ** (1.0 / 3.0)), longest))


def _last_significant(correlations: Floats, samples: int, apart: int) -> int:
    """Return the lag after which `apart` autocorrelations in a row are small; at least 1."""
    small = np.abs(correlations) < SIGNIFICANT * math.sqrt(math.log10(samples) / samples)
    for lag in range(len(small) - apart + 1):
        if small[lag : lag + apart].all():
            return max(1, lag)
    large = np.flatnonzero(~small)
    return max(1, int(large[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Pasts:
    """What might have been: quantiles (5 %, half, 95 %) of growth, depth and length of the worst fall."""

    growth: tuple[float, float, float]  # factor of the starting cash
    max_drawdown: tuple[float, float, float]  # <= 0; the first is the severe tail
    under_water: tuple[float, float, float]  # samples of the longest time below a peak
    ruined: float  # share of the pasts that fall to the limit
    draws: int
    block: float


def resampled_pasts(
    returns: Floats, *, limit: float, draws: Indices, block: float = math.nan
) -> Pasts:
    """Return what resamples of the returns come to; ruin is a drawdown of `limit`, a fraction above 0."""
    if not 0.0 < limit <= 1.0:
        raise UsageError(
            f"limit={limit} is no drawdown to stop at; it takes a fraction, such as 0.2"
        )
    curves = np.cumprod(1.0 + returns[draws], axis=1)
    peaks = np.maximum(1.0, np.maximum.accumulate(curves, axis=1))  # the starting cash is a peak
    falls = (curves / peaks - 1.0).min(axis=1)
    return Pasts(
        growth=_quantiles(curves[:, -1]),
        max_drawdown=_quantiles(falls),
        under_water=_quantiles(_longest(curves < peaks)),
        ruined=float(np.mean(falls <= -limit)),
        draws=len(draws),
        block=block,
    )


def _longest(under: NDArray[np.bool_]) -> Floats:
    """Return the longest run of true values in each row."""
    places = np.arange(1, under.shape[1] + 1)
    last_above = np.maximum.accumulate(np.where(under, 0, places), axis=1)
    return (places - last_above).max(axis=1).astype(np.float64)


def _quantiles(values: NDArray[np.floating]) -> tuple[float, float, float]:
    low, middle, high = (float(one) for one in np.quantile(values, QUANTILES))
    return low, middle, high
