"""Search beyond grids: what is tried, that all of it is kept, and that a seed says it all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workbench as wb
from tests.backtest.recorded_market import environment, record_market
from tests.candle_builders import martingale
from workbench.backtest.search import STAGES
from workbench.errors import UsageError
from workbench.face.research import Sweep
from workbench.market.candles import Candles

MACD = wb.strategies.macd
WALK = martingale(1_200, 31, substeps=10)
AXES = {"fast": range(2, 22), "slow": range(5, 45), "signal": range(2, 12)}
METHODS = ("random", "lhs", "optuna")


def search(method: str, *, trials: int = 60, seed: int = 1, **more: object) -> Sweep:
    return wb.sweep(
        WALK, MACD, **AXES, search=method, trials=trials, search_seed=seed, progress=False, **more
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_trial_is_kept_in_order_and_the_seed_says_which(method: str) -> None:
    first, again, other = search(method), search(method), search(method, seed=2)
    assert first.frame["trial"].to_list() == list(range(60))
    assert len(first) == 60
    assert_frame_equal(first.frame, again.frame, check_exact=True)
    names = ["fast", "slow", "signal"]
    assert first.frame.select(names).rows() != other.frame.select(names).rows()
    states = Counter(first.frame["state"])
    assert set(states) <= {"complete", "pruned", "invalid"}
    assert first.invalid_combinations == states["invalid"] > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_completed_trial_has_the_row_of_the_sweep_and_no_other_has_metrics(method: str) -> None:
    found = search(method).frame
    done = found.filter(state="complete")
    grid = wb.sweep(WALK, MACD, **AXES, progress=False).frame
    keys = ["fast", "slow", "signal"]
    wanted = done.select(keys).join(grid, on=keys, how="left", maintain_order="left")
    assert_frame_equal(done.select(grid.columns), wanted, check_exact=True)
    assert done["value"].equals(done["total_return"].rename("value"))
    assert done.height > 10
    rest = found.filter(pl.col("state") != "complete")
    assert rest["final_equity"].is_null().all()
    assert (rest.filter(state="invalid")["fast"] >= rest.filter(state="invalid")["slow"]).all()


def test_random_trials_are_of_the_grid_and_never_twice() -> None:
    tried = search("random", trials=500).frame.select("fast", "slow", "signal")
    assert tried.is_unique().all()
    for name, axis in AXES.items():
        assert set(tried[name]) <= set(axis)
    whole = wb.sweep(
        WALK, MACD, fast=(2, 3), slow=(9, 10), search="random", trials=99, progress=False
    )
    assert sorted(whole.frame.select("fast", "slow").rows()) == [(2, 9), (2, 10), (3, 9), (3, 10)]


def test_a_latin_hypercube_takes_every_value_of_every_axis_equally_often() -> None:
    tried = search("lhs", trials=80).frame
    assert set(Counter(tried["fast"]).values()) == {80 // 20}
    assert set(Counter(tried["slow"]).values()) == {80 // 40}
    assert set(Counter(tried["signal"]).values()) == {80 // 10}


def test_what_optuna_prunes_ran_on_the_first_part_of_the_window_alone() -> None:
    pruned = search("optuna", trials=80).frame.filter(state="pruned")
    assert pruned.height > 5
    assert set(pruned["stages"]) <= {1, 2, 3}
    for row in pruned.head(6).iter_rows(named=True):
        records = WALK.records[: int(1_200 * STAGES[row["stages"] - 1])]
        cut = Candles("TESTUSDT", WALK.timeframe, records)
        params = {name: row[name] for name in AXES}
        run = wb.backtest(cut, MACD, filters="none", **params)
        assert row["value"] == pytest.approx(run.metrics["total_return"], rel=1e-9)


def test_optuna_raises_the_metric_it_is_told_to() -> None:
    tried = search("optuna", trials=120, search_metric="max_drawdown").frame["value"].drop_nulls()
    first, last = tried[:30].mean(), tried[-30:].mean()
    assert last > first


HALF_WRONG = """
from numba import njit

PARAMS = {"target": (0.5, 0.0, 2.0)}
STATE = {}
WARM_UP = 1

@njit
def decide(state, candle, position, params, intent):
    intent.target = params.target
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_trial_that_ends_in_an_error_is_kept_as_one(method: str) -> None:
    spec = wb.strategies.register("half_wrong", HALF_WRONG)
    targets = [step / 20 for step in range(41)]
    found = wb.sweep(
        WALK, spec, target=targets, search=method, trials=30, progress=False
    ).frame  # fmt: skip
    wrong = found.filter(pl.col("target") > 1.0)
    assert wrong.height > 5
    assert set(wrong["state"]) == {"error"}
    assert set(found.filter(pl.col("target") <= 1.0)["state"]) <= {"complete", "pruned"}
    assert set(wrong["error"]) == {"a target outside 0..1 or infinite"}
    assert wrong["value"].is_null().all()


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"search": "annealing"}, "unknown search 'annealing'; use one of random, lhs, optuna"),
        ({"search": "random", "trials": 0}, "trials=0 is out of range; it takes 1 to 1,000,000"),
        ({"search": "optuna", "search_metric": "luck"}, "unknown metric 'luck'; known are"),
        ({"search": "random", "out": "rows.parquet"}, "leave out on= and out="),
    ],
)
def test_a_search_that_cannot_be_is_refused(wish: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        wb.sweep(WALK, MACD, **AXES, progress=False, **wish)


def test_the_command_searches_and_writes_every_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.cli import COMMANDS
    from workbench.command_table import run

    market = record_market(tmp_path / "market")
    monkeypatch.setenv("WORKBENCH_DATA", environment(market)["WORKBENCH_DATA"])
    out = tmp_path / "rows.parquet"
    call = ["sweep", "--symbol", "BBBUSDT", "--grid", "fast=2:20,slow=5:60,signal=3:9",
            "--search", "optuna", "--trials", "25", "--seed", "7", "--metric", "sharpe",
            "--out", str(out), "--top", "3", "--json"]  # fmt: skip
    assert run("workbench", COMMANDS, "", call) == 0
    said = json.loads(capsys.readouterr().out)
    rows = pl.read_parquet(out)
    assert (said["combinations"], rows.height, len(said["top"])) == (25, 25, 3)
    assert said["top"][0]["sharpe"] == rows["sharpe"].max()
    assert said["invalid_combinations"] == rows.filter(state="invalid").height
    assert rows.columns[:7] == [
        "trial",
        "fast",
        "slow",
        "signal",
        "state",
        "stages",
        "final_equity",
    ]
