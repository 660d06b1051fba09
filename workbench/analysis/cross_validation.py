"""Choosing on one part of the past and looking at another: CSCV's probability of overfitting, CPCV's paths.

A choice among columns of returns (samples, sets) is made on some blocks of time and judged on the others.

    CSCV   every half of S equal blocks chooses, the other half judges. With the chosen set's rank r among
           N there, w = r / (N + 1): PBO is the share of halves in which log(w / (1 - w)) <= 0, that is
           in which the chosen set is no better than the median.
    CPCV   k of n groups test, the others choose, less what lies too near a test (purge on both sides,
           embargo after it). Each group is tested several times, so the tests join into k/n C(n, k) paths.

A set that never moves in a part has earned a Sharpe ratio of 0 there, as cash has. Sources: Bailey, Borwein,
Lopez de Prado and Zhu (2017) J. of Computational Finance 20(4); Lopez de Prado (2018) Advances in
Financial Machine Learning, chapters 7 and 12.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError

Floats = NDArray[np.float64]
Metric = Callable[
    [Floats, Floats, int], Floats
]  # of sums, sums of squares and the count of samples

CELLS: Final = 200_000  # of a table that is worked on at once: it stays in the cache
MOST_BLOCKS: Final = 20  # 184,756 halves
ROUNDING: Final = 1e-14  # a variance below this share of the mean square is rounding


@dataclass(frozen=True, slots=True)
class Cscv:
    """What every half said: the metric of its choice there and in the other half, and its rank there."""

    in_sample: Floats
    out_of_sample: Floats
    ranks: Floats  # w = r / (N + 1), between 0 and 1
    sets: int

    @property
    def halves(self) -> int:
        """Return how many halves chose."""
        return len(self.ranks)

    @property
    def logits(self) -> Floats:
        """Return log(w / (1 - w)) of each rank."""
        return np.log(self.ranks / (1.0 - self.ranks))

    @property
    def probability(self) -> float:
        """Return the probability of backtest overfitting; half of the choices are expected of noise."""
        return float(np.mean(self.ranks <= 0.5))

    @property
    def loss_probability(self) -> float:
        """Return the share of choices whose metric was below 0 in the other half."""
        return float(np.mean(self.out_of_sample < 0.0))


def sharpe_of_sums(sums: Floats, squares: Floats, count: int) -> Floats:
    """Return Sharpe ratios a sample (ddof 1) from sums and sums of squares; 0 where nothing varies."""
    mean = sums / count
    spread = squares - sums * mean
    still = spread <= ROUNDING * squares
    spread[still] = np.inf
    ratio: Floats = mean / np.sqrt(spread / (count - 1))
    return ratio


def mean_of_sums(sums: Floats, squares: Floats, count: int) -> Floats:
    """Return means from sums."""
    return sums / count


def cscv(returns: Floats, *, blocks: int = 16, metric: Metric = sharpe_of_sums) -> Cscv:
    """Let every half of the blocks choose the set with the highest metric, and rank it in the other half.

    The first T mod `blocks` samples are dropped. Sums of blocks are exact for both metrics, and cost
    nothing: those of all subsets of the first and of the second half of the blocks are laid out once.
    Raises UsageError for an odd number of blocks, more blocks than pairs of samples, or fewer than two sets.
    """
    samples, sets = returns.shape
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise UsageError(
            f"{blocks} blocks cannot be halved; take an even number, 2 to {MOST_BLOCKS}"
        )
    if samples < 2 * blocks or sets < 2:
        raise UsageError(
            f"{samples} samples of {sets} sets make no {blocks} blocks to choose in; give at least "
            f"{2 * blocks} samples and 2 sets, or fewer blocks"
        )
    length = samples // blocks
    parts = returns[samples - length * blocks :].reshape(blocks, length, sets)
    count = length * (blocks // 2)
    sums, squares = _Subsets.of(parts.sum(axis=1)), _Subsets.of((parts**2).sum(axis=1))
    halves = np.array([_bits(one) for one in itertools.combinations(range(blocks), blocks // 2)])
    told = np.empty((3, len(halves)))
    step = max(1, CELLS // sets)
    for begin in range(0, len(halves) // 2, step):  # the complement of number i is number -1 - i
        chosen = halves[begin : min(begin + step, len(halves) // 2)]
        this = metric(sums.take(chosen), squares.take(chosen), count)
        other = metric(sums.others(chosen), squares.others(chosen), count)
        at = np.arange(begin, begin + len(chosen))
        told[:, at] = _judged(this, other)
        told[:, len(halves) - 1 - at] = _judged(other, this)
    return Cscv(in_sample=told[0], out_of_sample=told[1], ranks=told[2], sets=sets)


def _judged(choosing: Floats, judging: Floats) -> Floats:
    """Return metric, metric in the other half and rank there of each row's highest; ties share ranks."""
    rows = np.arange(len(choosing))
    best = np.argmax(choosing, axis=1)
    own = judging[rows, best][:, None]
    below, level = (judging < own).sum(axis=1), (judging == own).sum(axis=1)
    ranks = (below + (level + 1) / 2.0) / (judging.shape[1] + 1)
    return np.array([choosing[rows, best], own[:, 0], ranks])


@dataclass(frozen=True, slots=True)
class _Subsets:
    """Sums over any subset of the blocks, by its bits: those of the lower blocks, and of the upper."""

    lower: Floats
    upper: Floats
    bits: int  # of the lower blocks

    @classmethod
    def of(cls, blocks: Floats) -> _Subsets:
        middle = len(blocks) // 2
        return cls(_subset_sums(blocks[:middle]), _subset_sums(blocks[middle:]), middle)

    def take(self, subsets: NDArray[np.int64]) -> Floats:
        mask = len(self.lower) - 1
        found: Floats = self.lower[subsets & mask] + self.upper[subsets >> self.bits]
        return found

    def others(self, subsets: NDArray[np.int64]) -> Floats:
        everything = len(self.lower) * len(self.upper) - 1
        return self.take(everything ^ subsets)


def _subset_sums(blocks: Floats) -> Floats:
    sums = np.zeros((1, blocks.shape[1]))
    for block in blocks:
        sums = np.concatenate([sums, sums + block])
    return sums


def _bits(blocks: tuple[int, ...]) -> int:
    return sum(1 << block for block in blocks)


@dataclass(frozen=True, slots=True)
class Split:
    """One split: which groups test, and which samples are left to choose on."""

    tests: tuple[int, ...]
    train: NDArray[np.bool_]


def group_edges(samples: int, groups: int) -> NDArray[np.int64]:
    """Return where groups begin, and the end: as equal as can be, the longer ones first."""
    sizes = np.full(groups, samples // groups, np.int64)
    sizes[: samples % groups] += 1
    return np.concatenate([[0], np.cumsum(sizes)])


def purged_splits(
    samples: int, *, groups: int = 10, tests: int = 2, purge: int = 0, embargo: int = 0
) -> Iterator[Split]:
    """Yield the splits in the order of their tests; `purge` and `embargo` are in samples.

    Raises UsageError where groups and tests make no split.
    """
    if not 0 < tests < groups <= samples:
        raise UsageError(
            f"{tests} of {groups} groups of {samples} samples make no split; there must be groups left to "
            "choose on, and a sample for each"
        )
    edges = group_edges(samples, groups)
    for chosen in itertools.combinations(range(groups), tests):
        train = np.ones(samples, np.bool_)
        for group in chosen:
            begin, end = int(edges[group]), int(edges[group + 1])
            train[max(0, begin - purge) : end + purge + embargo] = False
        yield Split(chosen, train)


def path_count(groups: int, tests: int) -> int:
    """Return how many paths the tests join into: k / n C(n, k)."""
    return math.comb(groups, tests) * tests // groups


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths that were chosen on other times than they lie in: their returns, and each split's choice."""

    returns: Floats  # (samples, paths)
    chosen: NDArray[np.int64]  # the column that each split chose

    @property
    def sharpes(self) -> Floats:
        """Return the Sharpe ratio a sample of each path."""
        count = len(self.returns)
        return sharpe_of_sums(self.returns.sum(axis=0), (self.returns**2).sum(axis=0), count)

    @property
    def positive(self) -> int:
        """Return how many paths have a Sharpe ratio above 0."""
        return int((self.sharpes > 0.0).sum())


def combinatorial_paths(
    returns: Floats, *, groups: int = 10, tests: int = 2, purge: int = 0, embargo: int = 0
) -> Paths:
    """Choose the column with the highest Sharpe ratio on each split's train samples, and join its tests.

    For rules without a fitted model: the columns are the returns of every parameter set over all samples,
    so that indicators are warm where a test begins.
    """
    samples = len(returns)
    splits = list(purged_splits(samples, groups=groups, tests=tests, purge=purge, embargo=embargo))
    chosen = _choices(returns, splits, f"purge={purge} and embargo={embargo}")
    edges = group_edges(samples, groups)
    joined = np.empty((samples, path_count(groups, tests)))
    seen = np.zeros(groups, np.int64)
    for split, column in zip(splits, chosen, strict=True):
        for group in split.tests:
            test = slice(edges[group], edges[group + 1])
            joined[test, seen[group]] = returns[test, column]
            seen[group] += 1
    return Paths(joined, chosen)


def _choices(returns: Floats, splits: list[Split], kept_out: str) -> NDArray[np.int64]:
    """Return the column with the highest Sharpe ratio on each split's train samples."""
    masks = np.array([split.train for split in splits])
    counts = masks.sum(axis=1)
    if counts.min() < 2:
        raise UsageError(
            f"{kept_out} leave {counts.min()} of {len(returns)} samples to choose on; take smaller "
            "ones, or a longer window"
        )
    weights = masks.astype(np.float64)
    sums, squares = weights @ returns, weights @ returns**2
    rows = (
        np.argmax(sharpe_of_sums(one, two, int(count)))
        for one, two, count in zip(sums, squares, counts, strict=True)
    )
    return np.fromiter(rows, np.int64, len(splits))
