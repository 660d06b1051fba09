"""Exits as axes of a sweep, in every way that a sweep can be run, and as they are written."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.backtest.recorded_market import environment, record_market
from tests.candle_builders import martingale
from tests.conftest import shared_path
from workbench.backtest.batches import Batch, run_batch
from workbench.backtest.grids import Grid
from workbench.backtest.setting import Costs
from workbench.core.exits import UNIT_ATR, UNIT_NONE, UNIT_OFFSET, UNIT_PCT
from workbench.errors import UsageError
from workbench.execution.exits import exits_of
from workbench.strategies import load

MACD = load("macd")
AXES = {"stop": ["1%", "2atr", 0], "take_profit": "4%", "time_stop": [0, 24]}


def test_each_row_of_a_sweep_is_the_backtest_with_its_exits() -> None:
    candles = martingale(900, 3)
    swept = wb.sweep(candles, MACD, fast=[5, 12], exits=AXES, filters="none", progress=False)
    assert len(swept) == 2 * 3 * 2
    names = ["fast", "exit_stop", "exit_stop_unit", "exit_take_profit", "exit_time_stop"]
    assert swept.frame.select(names).rows()[:3] == [
        (5, 0.01, "pct", 0.04, 0),
        (5, 0.01, "pct", 0.04, 24),
        (5, 2.0, "atr", 0.04, 0),
    ]
    suffix = {"pct": "%", "atr": "atr", "none": ""}
    for row in swept.frame.iter_rows(named=True):
        unit = row["exit_stop_unit"]
        value = row["exit_stop"] * (100 if unit == "pct" else 1)
        exits = {
            "stop": f"{value}{suffix[unit]}",
            "take_profit": "4%",
            "time_stop": row["exit_time_stop"],
        }
        run = wb.backtest(candles, MACD, fast=row["fast"], exits=exits, filters="none")
        assert run.metrics["final_equity"] == pytest.approx(row["final_equity"], rel=1e-9)
        assert (run.metrics["trades"], run.ambiguous) == (row["trades"], row["ambiguous"])
    assert swept.frame["final_equity"].n_unique() > 6


def test_a_sweep_without_exits_has_no_columns_of_them() -> None:
    plain = wb.sweep(martingale(300, 3), MACD, progress=False)
    assert not [name for name in plain.frame.columns if name.startswith("exit_")]


def test_a_stream_a_search_and_a_batch_from_elsewhere_give_the_same_rows(tmp_path: Path) -> None:
    candles = martingale(500, 4)
    whole = wb.sweep(candles, MACD, fast=[5, 12], exits=AXES, progress=False)
    out = tmp_path / "rows.parquet"
    streamed = wb.sweep(candles, MACD, fast=[5, 12], exits=AXES, out=out, progress=False)
    assert streamed.frame.equals(whole.frame)
    grid = Grid.of(MACD, {"fast": [5, 12]}, AXES)
    batch = pickle.loads(pickle.dumps(Batch(MACD, grid.all(), Costs())))
    assert run_batch(candles, batch).equals(whole.frame)
    found = wb.sweep(
        candles, MACD, fast=[5, 12], exits=AXES, search="random", trials=6, progress=False
    )
    keys = ["fast", "exit_stop", "exit_stop_unit", "exit_time_stop"]
    joined = found.frame.join(whole.frame, on=keys, suffix="_whole")
    assert joined.height == 6
    assert joined["final_equity"].equals(joined["final_equity_whole"], check_names=False)


def test_finer_candles_are_part_of_the_data_that_a_result_names() -> None:
    fine = martingale(800, 5, interval="15m")
    blocks = fine.records.reshape(200, 4)
    hours = martingale(200, 5).records.copy()
    for name, value in (
        ("open", blocks["open"][:, 0]), ("close", blocks["close"][:, -1]),
        ("high", blocks["high"].max(axis=1)), ("low", blocks["low"].min(axis=1)),
    ):  # fmt: skip
        hours[name] = value
    candles = replace(martingale(200, 5), records=hours)
    exits = {"stop": "0.4%", "take_profit": "0.4%"}
    chosen = {"fast": 3, "slow": 7, "signal": 3}
    blind = wb.backtest(candles, MACD, exits=exits, filters="none", **chosen)
    seeing = wb.backtest(candles, MACD, exits=exits, filters="none", fine=fine, **chosen)
    assert blind.ambiguous > seeing.ambiguous
    assert blind.data_sha256 != seeing.data_sha256
    swept = wb.sweep(candles, MACD, exits=exits, fine=fine, progress=False, **chosen)
    assert swept.frame["ambiguous"].to_list() == [seeing.ambiguous]


def test_a_study_runs_every_set_with_every_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = record_market(tmp_path / "market")
    monkeypatch.setenv("WORKBENCH_DATA", environment(market)["WORKBENCH_DATA"])
    study = wb.study(
        symbols=["BBBUSDT"], intervals=["1h"], strategy=[MACD, load("sma_cross")],
        params={"macd": {"fast": [5, 12]}}, exits={"stop": ["2%", 0]}, guards={"trades_a_day": 1},
        progress=False,
    )  # fmt: skip
    assert len(study) == 2 * 2 + 2
    texts = study.frame.filter(strategy="macd")["params"].to_list()
    assert texts[0] == "fast=5, slow=26, signal=9, stop=2%"
    assert texts[1].startswith("fast=5, slow=26, signal=9")
    assert len(set(texts)) == 4
    row = study.frame.row(0, named=True)
    run = wb.backtest(
        wb.load("BBBUSDT", "1h"), MACD, fast=5, exits="stop=2%", guards={"trades_a_day": 1},
        filters="none",
    )  # fmt: skip
    assert row["total_return"] == run.metrics["total_return"]
    assert study.pivot("exit_stop", "strategy").height == 2


def test_levels_are_read_as_they_are_written() -> None:
    exits = exits_of("stop=2%, take_profit=3atr, trail=150, atr_period=7, time_stop=48")[0]
    assert tuple(exits["stop"]) == (0.02, UNIT_PCT)
    assert tuple(exits["take_profit"]) == (3.0, UNIT_ATR)
    assert tuple(exits["trail"]) == (150.0, UNIT_OFFSET)
    assert (exits["atr_period"], exits["time_stop_bars"]) == (7, 48)
    none = exits_of({"stop": 0, "take_profit": None, "trail": "0%"})[0]
    assert {int(none[name]["unit"]) for name in ("stop", "take_profit", "trail")} == {UNIT_NONE}
    grid = Grid.of(MACD, {}, "stop=1%:2%:0.5%,take_profit=2atr|3atr|100,time_stop=10:30:10")
    assert len(grid) == 3 * 3 * 3
    stops = np.unique(grid.all()["exits"]["stop"]["value"])
    assert stops.tolist() == pytest.approx([0.01, 0.015, 0.02])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"stopp": "2%"}, "exits have no 'stopp'; they take stop, take_profit, trail"),
        ({"stop": "-2%"}, "not a level; write 2%, 3atr"),
        ({"stop": "nan"}, "not a level"),
        ({"stop": "two"}, "not a level"),
        ({"stop": True}, "not a level"),
        ({"stop": "100%"}, "lies at or below 0"),
        ({"stop": []}, "has no value"),
        ({"stop": ["1%", "2%"]}, "has 2 values; one run takes one"),
        ({"atr_period": 0}, "not a whole number of candles from 1 on"),
        ({"time_stop": 1.5}, "not a whole number"),
        (
            ["stop=2%"],
            "exits are of type list; write them as text, 'stop=2%,time_stop=48', or as a mapping",
        ),
        (5, "exits are of type int; write them as text"),
        ("stop", "not name=value"),
        ("stop=1%,stop=2%", "given twice"),
        ("stop=1%:2atr", "in one unit"),
        ("stop=3%:1%", "the stop not below the start"),
    ],
)
def test_what_is_no_exit_is_one_clear_error(bad: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        exits_of(bad)  # type: ignore[arg-type]  # on purpose


def test_the_command_line_takes_exits_guards_and_finer_candles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.cli import COMMANDS
    from workbench.command_table import run as command

    shared_path("data/klines_1h.parquet")
    window = ["--symbol", "BTCUSDT", "--interval", "4h", "--start", "2025-03-01"]
    window += ["--end", "2025-04-01"]
    out = tmp_path / "trades.parquet"
    protected = ["--exits", "stop=2%,take_profit=3%", "--fine", "1h", "--guards", "trades_a_day=1"]
    code = command(
        "workbench",
        COMMANDS,
        "",
        ["backtest", *window, *protected, "--trades-out", str(out), "--json"],
    )
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["exits"] == "stop=2%, take_profit=3%"
    reasons = set(pl.read_parquet(out)["exit_reason"].drop_nulls())
    assert {"stop"} <= reasons <= {"signal", "stop", "take_profit"}
    command(
        "workbench",
        COMMANDS,
        "",
        ["sweep", *window, "--grid", "fast=5|12", "--exits", "stop=1%|2%", "--json"],
    )
    swept = json.loads(capsys.readouterr().out)
    assert swept["combinations"] == 4
    assert {row["exit_stop"] for row in swept["top"]} == {0.01, 0.02}
