"""A whole verdict on 2,400 sets, and the halves of time that are most of it."""

from __future__ import annotations

from statistics import median

import numpy as np

import workbench as wb
from tests.benchmarks.workloads import SLACK, alternated, machine, year_of_hours
from tests.candle_builders import to_cents
from workbench.analysis.cross_validation import cscv

PLAIN_HALVES = 40
HALVES = 12_870
MOST_HALVES = 8.0  # times what the halves take, at most
GOAL = 40.0  # times as quick a half as from whole columns, at least


def from_whole_columns(returns: np.ndarray, count: int) -> float:
    """Choose on so many halves of sixteen blocks and rank in the rest, straight from the columns."""
    rng, below = np.random.default_rng(1), 0
    parts = np.array_split(returns, 16)
    for _ in range(count):
        half = rng.permutation(16)[:8]
        first = np.concatenate([parts[b] for b in half])
        second = np.concatenate([parts[b] for b in range(16) if b not in half])
        chosen, other = (part.mean(axis=0) / part.std(axis=0, ddof=1) for part in (first, second))
        below += other[np.argmax(chosen)] <= np.median(other)
    return below / count


def test_a_half_from_sums_of_blocks_against_whole_columns() -> None:
    returns = np.random.default_rng(5).normal(0.0, 0.02, (365, 2_400))
    rounds = alternated(5, lambda: cscv(returns), lambda: from_whole_columns(returns, PLAIN_HALVES))
    ratio = median((plain / PLAIN_HALVES) / (ours / HALVES) for ours, plain in rounds)
    print(f"\n{HALVES:,} halves of 2,400 sets in {median(one for one, _ in rounds):.2f} s, each {ratio:.0f} "
          f"times as quick as from whole columns ({machine()})")  # fmt: skip
    assert ratio >= GOAL * (1 - SLACK)


def test_a_whole_verdict_costs_a_few_times_what_its_halves_do() -> None:
    macd = wb.strategies.load("macd")
    axes = {"fast": range(2, 21, 2), "slow": range(22, 80, 3), "signal": range(3, 15)}
    sweep = wb.sweep(to_cents(year_of_hours()), macd, progress=False, **axes)
    returns = np.random.default_rng(5).normal(0.0, 0.02, (365, len(sweep)))
    rounds = alternated(5, lambda: sweep.verdict(progress=False), lambda: cscv(returns))
    ratio = median(ours / halves for ours, halves in rounds)
    print(f"\nverdict on {len(sweep):,} sets over a year of hours: {median(one for one, _ in rounds):.2f} s, "
          f"{ratio:.1f} times its halves ({machine()})")  # fmt: skip
    assert ratio <= MOST_HALVES * (1 + SLACK)
