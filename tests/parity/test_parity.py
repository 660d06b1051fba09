"""One decision everywhere: kernel, event engine and a live instance over the same month."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import polars as pl
import pytest

from tests.candle_builders import martingale, to_cents
from tests.conftest import shared_path
from workbench.backtest.event_driven import event_driven
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.report.parity import EngineRun, compare, from_backtest
from workbench.strategies import load


@pytest.mark.slow
def test_a_month_of_recorded_candles_is_equal_in_all_three_engines() -> None:
    shared_path("data/klines_1h.parquet")
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "parity", "--json"]
    command += ["--symbol", "BTCUSDT", "--start", "2025-03-01", "--end", "2025-04-01"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=os.environ)
    assert done.returncode == 0, done.stderr or done.stdout
    printed = json.loads(done.stdout)
    assert [one["engine"] for one in printed["comparisons"]] == ["event", "live"]
    for one in printed["comparisons"]:
        assert one["decisions"] == 744  # 31 days of hours, none missing
        assert one["fills"] == 49
        assert one["decision_differences"] == one["fill_differences"] == 0
        assert one["equity_difference"] <= 1e-9


def _two_runs() -> tuple[EngineRun, EngineRun]:
    candles = to_cents(martingale(400, 3))
    costs, params = Costs(filters="exchange"), {"fast": 3, "slow": 7, "signal": 3}
    spec = load("macd")
    return (
        from_backtest(backtest(candles, spec, costs=costs, **params)),
        from_backtest(event_driven(candles, spec, costs=costs, **params)),
    )


def test_a_single_lot_tick_side_target_or_candle_that_differs_is_found() -> None:
    kernel, event = _two_runs()
    assert compare(event, kernel).equal
    for column in ("ticks", "lots", "time_ms"):
        moved = event.fills.with_columns(
            pl.when(pl.int_range(pl.len()) == 5).then(pl.col(column) + 1).otherwise(pl.col(column))
        )
        found = compare(EngineRun("event", event.closes, moved), kernel)
        assert (found.fill_differences, found.equal) == (1, False)
    swapped = event.closes.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(0.5).otherwise(pl.col("target")).alias("target")
    )
    assert compare(EngineRun("event", swapped, event.fills), kernel).decision_differences == 1
    missing = compare(EngineRun("event", event.closes.tail(-1), event.fills), kernel)
    assert not missing.equal
    assert missing.decision_differences == 1


def test_equity_may_differ_by_rounding_and_no_more() -> None:
    kernel, event = _two_runs()
    for factor, equal in ((1 + 5e-10, True), (1 + 2e-9, False)):
        closes = event.closes.with_columns(pl.col("equity") * factor)
        assert compare(EngineRun("event", closes, event.fills), kernel).equal is equal
    empty = event.closes.with_columns(pl.lit(float("nan")).alias("equity"))
    assert not compare(EngineRun("event", empty, event.fills), kernel).equal
