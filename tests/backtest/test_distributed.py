"""Sweeps and studies on a Dask cluster of real processes: the same bytes, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from polars.testing import assert_frame_equal

import workbench as wb
from tests.backtest.recorded_market import record_market
from tests.candle_builders import candles_of, martingale
from workbench.analysis.trials import home_ledger
from workbench.backtest import distributed as on_cluster
from workbench.backtest.batches import Batch
from workbench.backtest.grids import Grid
from workbench.backtest.setting import Costs
from workbench.backtest.streaming import sweep_to
from workbench.errors import UsageError, WorkbenchError

MACD = wb.strategies.macd
WALK = martingale(2_000, 21, substeps=10)
AXES = {"fast": range(2, 30), "slow": range(20, 80, 2), "signal": (3, 5, 9)}
OWN = """
from numba import njit

PARAMS = {"after": (5, 1, 50)}
STATE = {"rises": int, "before": float}
WARM_UP = 50

@njit
def decide(state, candle, position, params, intent):
    state.rises = state.rises + 1 if candle.close > state.before else 0
    state.before = candle.close
    if state.rises >= params.after:
        intent.target = 1.0
    elif state.rises == 0:
        intent.target = 0.0
"""


@pytest.fixture(scope="module")
def client(workbench_home: Path) -> Iterator[Client]:
    """Return the client of two worker processes of one thread each."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", memory_limit=0, silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def test_a_sweep_on_a_cluster_has_the_bytes_of_the_one_at_home(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    there = wb.sweep(WALK, MACD, **AXES, on=client)
    assert "/2430" in capsys.readouterr().err, "progress is shown, batch after batch"
    counted = home_ledger().counts("macd")  # by the caller: workers have no ledger
    here = wb.sweep(WALK, MACD, **AXES, progress=False)
    assert home_ledger().counts("macd").n == counted.n >= len(here)
    assert_frame_equal(there.frame, here.frame, check_exact=True)
    assert there.data_sha256 == here.data_sha256
    assert (len(there), there.invalid_combinations) == (len(here), here.invalid_combinations)


def test_exits_guards_finer_candles_and_columns_go_along(client: Client) -> None:
    fine = martingale(2_400, 22, interval="5m", sigma=0.02, substeps=20)
    records = fine.records
    hours = candles_of(
        records["open"][::12].tolist(), records["close"][11::12].tolist(), interval="1h"
    )
    hours.records["high"] = records["high"].reshape(-1, 12).max(axis=1)
    hours.records["low"] = records["low"].reshape(-1, 12).min(axis=1)
    sweep = {
        "fast": (2, 3, 5), "slow": (7, 9), "signal": 3, "fine": fine, "progress": False,
        "exits": {"stop": ["1%", "2%"], "take_profit": ["1%", "3%"]}, "guards": {"trades_a_day": 2},
        "columns": "all",
    }  # fmt: skip
    here, there = wb.sweep(hours, MACD, **sweep), wb.sweep(hours, MACD, **sweep, on=client)
    assert_frame_equal(there.frame, here.frame, check_exact=True)
    assert here.frame.height == 3 * 2 * 4
    assert here.frame["trades"].min() > 5
    assert here.frame["sqn"].null_count() == 0


def test_a_users_own_strategy_streams_from_a_cluster(client: Client, tmp_path: Path) -> None:
    own = wb.strategies.register("after_rises", OWN)
    here = wb.sweep(WALK, own, after=range(1, 50), progress=False)
    grid = Grid.of(own, {"after": range(1, 50)})
    there = sweep_to(tmp_path / "rows.parquet", WALK, grid, on=client, rows_a_part=7)
    assert_frame_equal(there.frame, here.frame, check_exact=True)
    assert here.frame["trades"].max() > 100


def test_a_walk_forward_on_a_cluster_has_the_bytes_of_the_one_at_home(client: Client) -> None:
    asked = {"train": 800, "test": 300, "choose": "plateau", "progress": False, **AXES}
    there, here = (wb.walk_forward(WALK, MACD, on=one, **asked) for one in (client, None))
    for name in ("folds", "equity", "trades"):
        assert_frame_equal(getattr(there, name), getattr(here, name), check_exact=True)
    assert {**there.to_dict(), "notes": 0} == {**here.to_dict(), "notes": 0}


def test_a_study_on_a_cluster_has_the_bytes_of_the_one_at_home(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(record_market(tmp_path / "market")))
    study = {
        "symbols": ["AAAUSDT", "BBBUSDT"], "intervals": ["1h", "4h"], "strategy": MACD,
        "windows": [("2025-01-10", None), ("2025-01-20", "2025-03-01")],
        "params": {"fast": (3, 5, 8), "slow": (10, 20), "signal": range(2, 8)}, "progress": False,
        "columns": "sqn",
    }  # fmt: skip
    here, there = wb.study(**study), wb.study(**study, on=client)
    assert_frame_equal(there.frame, here.frame, check_exact=True)
    streamed = wb.study(**study, on=client, out=tmp_path / "rows.parquet")
    assert_frame_equal(streamed.frame, here.frame, check_exact=True)


def test_what_goes_wrong_on_a_worker_is_said_here_in_one_line(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "engine_sha", lambda: "0" * 64)
    with pytest.raises(
        UsageError, match=r"this worker's engine is .*, the caller's 0{12}; install"
    ):
        wb.sweep(WALK, MACD, **AXES, on=client, progress=False)


def test_what_is_no_cluster_is_refused(client: Client) -> None:
    with pytest.raises(UsageError, match=r"on='127.0.0.1:8786' is no Dask client; give"):
        wb.sweep(WALK, MACD, **AXES, on="127.0.0.1:8786")
    with pytest.raises(UsageError, match="a search runs here"):
        wb.sweep(WALK, MACD, **AXES, on=client, search="random")
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as none,
        Client(none) as nobody,
        pytest.raises(UsageError, match="the cluster has no workers; start one"),
    ):
        wb.sweep(WALK, MACD, **AXES, on=nobody)


def test_who_stops_leaves_nothing_under_way(client: Client) -> None:
    params = MACD.grid({"fast": range(2, 60), "slow": range(60, 200), "signal": 5})
    handed_out = []

    def work(number: int):  # type: ignore[no-untyped-def]
        handed_out.append(number)
        return WALK, Batch(MACD, params, Costs())

    with closing(on_cluster.run_batches(range(1_000), work, on=client)) as finished:
        assert next(finished)[1].height == len(params)
    assert len(handed_out) <= 2 * on_cluster.AHEAD_PER_CORE + 1, "no more than is needed is sent"
    until = time.monotonic() + 30
    while any(client.processing().values()):
        assert time.monotonic() < until, client.processing()
        time.sleep(0.05)


def test_a_worker_that_is_killed_costs_time_and_nothing_else(client: Client) -> None:
    params = MACD.grid({"fast": range(2, 40), "slow": range(40, 160), "signal": 5})
    parts = [params[at : at + 190] for at in range(0, len(params), 190)]
    here = [on_cluster.run_batch(WALK, Batch(MACD, one, Costs())) for one in parts]
    victim = min(client.run(os.getpid).values())
    rows: dict[int, object] = {}

    def work(number: int):  # type: ignore[no-untyped-def]
        return WALK, Batch(MACD, parts[number], Costs())

    for number, frame in on_cluster.run_batches(range(len(parts)), work, on=client):
        rows[number] = frame
        if len(rows) == 3:
            os.kill(victim, signal.SIGKILL)
    assert sorted(rows) == list(range(len(parts)))
    for number, frame in rows.items():
        assert_frame_equal(frame, here[number], check_exact=True)
    assert victim not in client.run(os.getpid).values()


def test_a_cluster_that_goes_away_is_one_line(workbench_home: Path) -> None:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False,
        dashboard_address="127.0.0.1:0", silence_logs="CRITICAL",
    ) as cluster:  # fmt: skip
        client = Client(cluster)
        params = MACD.grid(AXES)
        batches = on_cluster.run_batches(
            range(50), lambda _: (WALK, Batch(MACD, params, Costs())), on=client
        )
        next(batches)
        client.close()
        with pytest.raises(WorkbenchError, match="the cluster could not run a batch"):
            list(batches)
