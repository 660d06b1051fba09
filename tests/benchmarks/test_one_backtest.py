"""One backtest with everything in it against raptorbt's metrics, and the event-driven one a candle."""

from __future__ import annotations

from statistics import median

import numpy as np

import workbench as wb
from tests.benchmarks import peers
from tests.benchmarks.workloads import SLACK, alternated, machine, year_of_hours
from tests.candle_builders import to_cents
from workbench.analysis.trials import home_ledger

ROUNDS = 21
SINGLE_GOAL = 1.5  # times raptorbt's time, at most
EVENT_GOAL = 25.0  # microseconds a candle where the goal was set: printed
PLAIN_LOOPS = 12.0  # times a bare Python loop over the same candles, at most
ONE = np.array([12, 26, 9])


def wait_for_the_disk(level: str) -> None:
    """Let the trial ledger's commits wait for the disk ("FULL", as ever) or not ("OFF")."""
    with home_ledger().reading() as db:
        db.execute(f"PRAGMA synchronous = {level}")


def test_one_backtest_with_trades_and_equity_against_metrics_alone() -> None:
    """Each run is counted in the trial ledger; how long the disk takes for that is printed beside."""
    candles, macd = year_of_hours(), wb.strategies.load("macd")

    def ours() -> object:
        run = wb.backtest(
            candles, macd, filters="none", slippage_bps=0.0, fast=12, slow=26, signal=9
        )
        return run.metrics, run.trades, run.equity

    counted = median(seconds for (seconds,) in alternated(ROUNDS, ours)) * 1e3
    wait_for_the_disk("OFF")
    rounds = alternated(ROUNDS, ours, lambda: peers.raptorbt_metrics(candles, ONE))
    wait_for_the_disk("FULL")
    own, theirs = (median(column) * 1e3 for column in zip(*rounds, strict=True))
    ratio = median(one / other for one, other in rounds)
    print(f"\none backtest of 8,760 candles with trades and equity frame {own:.2f} ms, {counted:.2f} ms with "
          f"its trial on the disk; raptorbt's metrics {theirs:.2f} ms, ratio {ratio:.2f} ({machine()})")  # fmt: skip
    assert ratio <= SINGLE_GOAL * (1 + SLACK)


def test_the_event_driven_backtest_costs_a_few_python_steps_a_candle() -> None:
    candles = to_cents(year_of_hours())
    macd, grid = wb.strategies.load("macd"), wb.strategies.load("grid")
    chosen: dict[str, int] = {"fast": 12, "slow": 26, "signal": 9}
    guarded = "stop=2%,take_profit=3%"

    def bare() -> float:
        """Touch each candle as plainly as Python can: read its record, add up what is in it."""
        total = 0.0
        for record in candles.records:
            total += record["open"] + record["high"] + record["low"] + record["close"]
        return total

    rounds = alternated(
        7,
        lambda: wb.backtest(candles, macd, engine="event", **chosen),
        bare,
        lambda: wb.backtest(candles, macd, engine="event", exits=guarded, **chosen),
        lambda: wb.backtest(candles, grid, engine="event"),
    )
    own, loop, protected, ladder = (
        median(column) / len(candles) * 1e6 for column in zip(*rounds, strict=True)
    )
    ratio = median(one / other for one, other, *_ in rounds)
    print(f"\nevent-driven backtest: {own:.1f} us a candle (goal {EVENT_GOAL:.0f}), a bare loop over the "
          f"records {loop:.2f} us, ratio {ratio:.1f}; with stop and target {protected:.1f} us, a grid "
          f"{ladder:.1f} us ({machine()})")  # fmt: skip
    assert ratio <= PLAIN_LOOPS * (1 + SLACK)
