"""The headline study gives the numbers that were worked out independently of this code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import shared_path
from workbench.analysis.trial_check import entries_of
from workbench.analysis.trials import home_ledger
from workbench.backtest.study.headline import PARAMETER_SETS, Headline, headline_study
from workbench.backtest.study.headline_rules import cold_start, ema_series, published


@pytest.fixture(scope="module")
def study() -> Headline:
    shared_path("data/klines_1d.parquet")
    return headline_study()


def test_published_rules_give_the_published_numbers(study: Headline) -> None:
    column = study.summary()["published"]
    assert column["n"] == 2_400
    assert round(column["mean"], 2) == 34.74
    assert round(column["by_interval"]["1d"], 2) == 39.11
    assert round(column["by_interval"]["4h"], 2) == 62.43
    assert round(column["claimed"]["value"], 2) == 413.52
    assert column["claimed"]["trades"] == 5
    assert column["top_params"][0]["params"] == "3/7/3"
    assert round(column["top_params"][0]["value"], 2) == 66.45
    best = column["best"]
    assert (best["symbol"], best["interval"], best["days"]) == ("XRPUSDT", "1d", 365)
    assert best["params"] == "30/60/15"


def test_cold_start_and_honest_columns_give_the_known_numbers(study: Headline) -> None:
    cold, honest = (study.summary()[name] for name in ("cold_start", "honest"))
    assert round(cold["mean"], 2) == 12.26
    assert round(cold["claimed"]["value"], 2) == 28.07
    assert round(honest["claimed"]["value"], 2) == 403.90
    assert round(honest["claimed"]["holding"], 1) == 464.5
    assert honest["claimed"]["trades"] == 4


def test_the_honest_column_says_what_the_study_says_in_words(study: Headline) -> None:
    honest = study.summary()["honest"]
    assert honest["beat_holding_pct"] == pytest.approx(10.0, abs=2.0)  # about one in ten
    assert honest["top_params"][-1]["params"] == "3/7/3"  # the published best is the worst
    assert honest["by_interval"]["1h"] < 0.0  # hourly ones earn nothing after costs
    assert honest["mean"] < honest["holding_mean"]


def test_the_study_file_gives_the_honest_column_scenario_by_scenario(study: Headline) -> None:
    import workbench as wb
    from workbench.cli.study import read_study

    shipped = Path(__file__).parents[2] / "notebooks" / "studies" / "headline.toml"
    rows = wb.study(**read_study(shipped), progress=False).frame
    entries = entries_of(home_ledger(), "macd", most=96)
    # The same trials, whichever of the two runs them; weeks begin with one candle more or less here.
    assert sum(one.seen for one in entries) == 2_400
    assert all(one.fresh == 0 for one in entries if one.interval != "1w")
    assert rows.height == study.frame.height == 2_400
    sets = ["/".join(map(str, one)) for one in rows.select("fast", "slow", "signal").rows()]
    days = [int(window.removesuffix("d")) for window in rows["window"]]
    keys = ["symbol", "interval", "days", "params"]
    mine = rows.with_columns(days=pl.Series(days), params=pl.Series(sets))
    both = study.frame.join(mine, on=keys, suffix="_mine", validate="1:1")
    assert both.height == 2_400
    for theirs, ours in (("honest", "total_return"), ("holding", "holding_mine")):
        assert np.abs(both[theirs] - 100.0 * both[ours]).max() < 1e-9
    assert (both["honest_trades"] == both["trades"]).all()
    assert (both["honest_entered"] == ((both["trades"] > 0) | both["open_trade"])).all()


def test_published_trades_of_the_claimed_scenario_are_the_five_known_ones() -> None:
    import workbench as wb

    shared_path("data/klines_1d.parquet")
    candles = wb.load("XRPUSDT", "1d", start="2024-10-02T17:40", end="2025-10-02T17:41")
    close = candles.window["close"].copy()
    parts = [369.80, 6.34, -21.12, 10.23, 48.26]
    assert published(close, 30, 60, 15).value == pytest.approx(sum(parts), abs=0.05)


@pytest.mark.parametrize(("period", "count"), [(3, 10), (1, 5), (7, 7)])
def test_an_average_is_seeded_with_the_plain_mean(period: int, count: int) -> None:
    values = np.random.default_rng(period).normal(100, 5, count)
    got, expected = ema_series(values, period), [float(np.mean(values[:period]))]
    for value in values[period:]:
        expected.append(expected[-1] + 2 / (period + 1) * (value - expected[-1]))
    assert got == pytest.approx(expected, rel=1e-12)


def test_published_rules_earn_on_noise_and_aligned_rules_do_not() -> None:
    rng = np.random.default_rng(7)
    wrong, right = [], []
    for _ in range(200):
        steps = rng.normal(-(0.03**2) / 2, 0.03, 366)
        close = 100 * np.exp(np.cumsum(steps))
        opens = np.concatenate([[100.0], close[:-1]])
        for one in PARAMETER_SETS[:6]:
            wrong.append(published(close, *one).value)
            right.append(cold_start(opens, close, *one, fee=0.0).value)
    assert np.mean(wrong) > 15.0
    assert abs(np.mean(right)) < 4 * np.std(right) / np.sqrt(200)  # scenarios of one walk correlate


def test_too_few_candles_are_no_trades_and_zero() -> None:
    close = np.linspace(1.0, 2.0, 34)
    assert published(close, 12, 26, 9).value == 0.0
    assert not cold_start(close, close, 12, 26, 9).entered


def test_the_command_prints_the_three_columns_as_json() -> None:
    shared_path("data/klines_1d.parquet")
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "headline", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    keys = {
        "n", "mean", "by_interval", "by_symbol", "best", "top_params", "holding_mean",
        "beat_holding_pct", "no_trades", "claimed",
    }  # fmt: skip
    assert set(printed) == {"published", "cold_start", "honest"}
    assert all(set(column) == keys for column in printed.values())
    assert round(printed["honest"]["claimed"]["value"], 2) == 403.90
