"""Columns that a sweep shows on request: those of the backtest, however the sweep is run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from tests.candle_builders import martingale, to_cents
from tests.conftest import shared_path
from workbench.backtest.batches import Batch, run_batch
from workbench.backtest.columns import DETAIL_COLUMNS
from workbench.backtest.grids import Grid
from workbench.backtest.kernels import kernel
from workbench.backtest.setting import Costs
from workbench.errors import UsageError
from workbench.strategies import load

MACD, GRID = load("macd"), load("grid")
CANDLES = to_cents(martingale(1_000, 12))
AXES = {"fast": (3, 5), "slow": (12, 26), "signal": 9}


@pytest.mark.parametrize("filters", ["none", "exchange"])
@pytest.mark.parametrize("exits", [None, {"stop": ["1%", "2atr"]}])
def test_each_is_that_of_the_backtest(filters: str, exits: dict[str, list[str]] | None) -> None:
    swept = wb.sweep(
        CANDLES, MACD, columns="all", filters=filters, exits=exits, progress=False, **AXES
    )
    assert swept.columns == DETAIL_COLUMNS
    for row in swept.frame.iter_rows(named=True):
        kind = {"pct": "1%", "atr": "2atr"}.get(row.get("exit_stop_unit", ""), 0)
        chosen = {name: row[name] for name in AXES}
        run = wb.backtest(CANDLES, MACD, filters=filters, exits={"stop": kind}, **chosen)
        assert {name: row[name] for name in DETAIL_COLUMNS} == {
            name: run.metrics[name] for name in DETAIL_COLUMNS
        }
        closed = run.trades.filter(~pl.col("is_open"))["pnl"]
        assert row["expectancy"] == pytest.approx(closed.mean())


def test_a_ladder_with_more_fills_than_there_was_room_for_has_them_too() -> None:
    axes = {"lines": 33, "low": 0.99, "high": 1.01}
    row = wb.sweep(CANDLES, GRID, columns="expectancy,sqn", progress=False, **axes).best()
    run = wb.backtest(CANDLES, GRID, filters="none", **axes)
    assert (
        not kernel(GRID).forms["plain"].signatures
    )  # what writes a ladder is compiled with it alone
    assert run.fills.height > len(CANDLES) // 4
    assert (row["expectancy"], row["sqn"]) == (run.metrics["expectancy"], run.metrics["sqn"])


def test_they_are_left_out_unless_they_are_asked_for_and_stand_behind_the_rest() -> None:
    plain = wb.sweep(CANDLES, MACD, progress=False, **AXES)
    assert not {*DETAIL_COLUMNS} & {*plain.frame.columns}
    some = wb.sweep(CANDLES, MACD, columns=("sqn", "bar_sharpe"), progress=False, **AXES)
    assert some.frame.columns == [*plain.frame.columns, "bar_sharpe", "sqn"]
    assert some.frame.select(plain.frame.columns).equals(plain.frame)
    best = some.best("sqn")
    assert best["sqn"] == some.frame["sqn"].max()


def test_a_stream_a_batch_from_elsewhere_and_a_search_have_the_same(tmp_path: Path) -> None:
    whole = wb.sweep(CANDLES, MACD, columns="all", progress=False, **AXES)
    out = tmp_path / "rows.parquet"
    streamed = wb.sweep(CANDLES, MACD, columns="all", out=out, progress=False, **AXES)
    assert pl.read_parquet(out).equals(whole.frame)
    assert streamed.best("sqn") == whole.best("sqn")
    batch = Batch(MACD, Grid.of(MACD, AXES).all(), Costs(), columns=DETAIL_COLUMNS)
    assert run_batch(CANDLES, pickle.loads(pickle.dumps(batch))).equals(whole.frame)
    for method in ("random", "optuna"):
        found = wb.sweep(
            CANDLES, MACD, columns="sqn", search=method, trials=4, search_metric="sqn",
            progress=False, **AXES,
        )  # fmt: skip
        joined = found.frame.drop_nulls("sqn").join(whole.frame, on=list(AXES), suffix="_whole")
        assert joined.height
        assert joined["sqn"].equals(joined["sqn_whole"], check_names=False)


def test_what_cannot_be_computed_is_null_and_a_failed_set_has_none() -> None:
    quiet = wb.sweep(CANDLES, MACD, slow=900, signal=200, columns="all", progress=False)
    assert quiet.frame["trades"].to_list() == [0]
    assert quiet.frame["expectancy"].to_list() == quiet.frame["sqn"].to_list() == [None]
    failed = wb.sweep(
        CANDLES, MACD, exits="stop=2atr,atr_period=400", columns="all", progress=False
    ).frame
    assert failed["error"].null_count() == 0
    assert [failed[name].null_count() for name in DETAIL_COLUMNS] == [1] * len(DETAIL_COLUMNS)


def test_an_unknown_one_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match=r"cannot add 'sqm'; it can add bar_sharpe, .* or 'all'"):
        wb.sweep(CANDLES, MACD, columns="sqm", progress=False)
    with pytest.raises(UsageError, match="for sqn sweep with columns='sqn'"):
        wb.sweep(CANDLES, MACD, progress=False).top(metric="sqn")


def test_the_command_line_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    from workbench.cli import COMMANDS
    from workbench.command_table import run as command

    shared_path("data/klines_1h.parquet")
    window = ["--symbol", "BTCUSDT", "--interval", "4h", "--start", "2025-03-01"]
    asked = ["--grid", "fast=5|12", "--columns", "expectancy,sqn", "--metric", "sqn", "--json"]
    assert command("workbench", COMMANDS, "", ["sweep", *window, *asked]) == 0
    top = json.loads(capsys.readouterr().out)["top"]
    assert top[0]["sqn"] >= top[1]["sqn"]
    assert {"expectancy", "sqn"} <= top[0].keys()
