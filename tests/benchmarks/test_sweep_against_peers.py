"""A sweep of 2,400 MACD parameter sets over a year of hours against vectorbt and raptorbt."""

from __future__ import annotations

import itertools
from statistics import median

import numpy as np
import pytest

import workbench as wb
from tests.benchmarks import peers
from tests.benchmarks.workloads import GRID, SLACK, alternated, machine, seconds, year_of_hours
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.market.candles import Candles

VECTORBT_GOAL, RAPTORBT_GOAL = 300.0, 80.0
CHUNKS = (100, 300, 600)
OWN_ROUNDS = 7  # of ours in each round of theirs
SETTLED = 1_000  # vectorbt seeds its averages with the first close: no trace of it after that
MACD = wb.strategies.load("macd")
SETS = np.array(list(itertools.product(*GRID.values())))


@pytest.fixture(scope="module")
def candles() -> Candles:
    return year_of_hours()


def own_fills(candles: Candles, one: np.ndarray) -> peers.Indices:
    """Return the candles at whose close ours decides what fills."""
    fast, slow, signal = (int(n) for n in one)
    costs = Costs(slippage_bps=0.0)
    run = backtest(candles, MACD, fast=fast, slow=slow, signal=signal, costs=costs)
    times = candles.records["open_time"]
    index = np.searchsorted(times, run.fills["signal_time"].dt.epoch("ms").to_numpy())
    buys = (run.fills["side"] == "BUY").to_numpy()
    return index[buys].tolist(), index[~buys].tolist()


def after(fills: peers.Indices, begin: int, last: int) -> peers.Indices:
    """Return the fills from the first buy after a candle on, without what only we leave pending."""
    buys = [i for i in fills[0] if begin <= i < last]
    return buys, [i for i in fills[1] if buys and buys[0] < i < last]


def sweep(candles: Candles) -> object:
    return wb.sweep(candles, MACD, slippage_bps=0.0, progress=False, **GRID)


def test_a_sweep_takes_the_same_trades_as_both_peers(candles: Candles) -> None:
    for one in SETS[:: len(SETS) // 11]:
        ours = own_fills(candles, one)
        last = len(candles) - 1
        assert ours == peers.raptorbt_fills(candles, one), one
        theirs = peers.vectorbt_fills(candles, one)
        assert after(ours, SETTLED, last) == after(theirs, SETTLED, last), one
    trades = sweep(candles).frame["trades"].to_numpy()
    counted = [m.total_closed_trades for m in peers.raptorbt_sweep(candles, SETS)]
    assert np.abs(trades - np.array(counted)).max() <= 1  # it counts an open trade as closed


def test_a_sweep_is_hundreds_of_times_as_fast_as_the_peers(candles: Candles) -> None:
    def vectorbt(chunk: int, columns: str = "five") -> object:
        return peers.vectorbt_sweep(candles, SETS, chunk=chunk, columns=columns)

    vectorbt(CHUNKS[0])  # compiles
    chunk = min(CHUNKS, key=lambda size: seconds(lambda: vectorbt(size)))
    rounds = []
    for _ in range(3):
        own = median(row[0] for row in alternated(OWN_ROUNDS, lambda: sweep(candles)))
        rounds.append(
            (
                own,
                seconds(lambda: vectorbt(chunk)),
                seconds(lambda: vectorbt(chunk, "all")),
                seconds(lambda: peers.raptorbt_sweep(candles, SETS)),
            )
        )
    five, every, raptor = (median(row[i] / row[0] for row in rounds) for i in (1, 2, 3))
    own, five_s, every_s, raptor_s = (median(column) for column in zip(*rounds, strict=True))
    print(
        f"\nsweep of 2,400 x 8,760, wb.sweep to its frame of all columns: {own * 1e3:.1f} ms "
        f"({len(SETS) * len(candles) / own / 1e9:.2f} G bar x set a second)"
        f"\n  vectorbt (numba, chunks of {chunk}): {five_s:.2f} s with five metrics, {five:.0f} times ours; "
        f"{every_s:.2f} s with all columns, {every:.0f} times"
        f"\n  raptorbt (one batch, all its metrics): {raptor_s:.2f} s, {raptor:.0f} times ({machine()})"
    )
    assert five >= VECTORBT_GOAL * (1 - SLACK)
    assert raptor >= RAPTORBT_GOAL * (1 - SLACK)
