"""The grid in every engine: the same fills, the sweep's rows, the commands, and what it costs others."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.backtest.scripted_ladder import Script, Scripted
from tests.candle_builders import martingale, to_cents
from tests.naive_ladder import Rules
from tests.strategies.deciding import intents
from tests.strategies.test_every_strategy import broken_series
from workbench.backtest.event.driven import event_driven
from workbench.backtest.kernels import kernel
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.cli import COMMANDS
from workbench.command_table import run
from workbench.strategies.spec import Spec

GRID = wb.strategies.grid
EXACT = Costs(filters="exchange")
SAME = ["time", "signal_time", "side", "ticks", "lots", "price", "quantity", "fee"]


@pytest.mark.parametrize("inventory", [0, 1])
@pytest.mark.parametrize("spacing", [0, 1])
def test_kernel_and_matching_engine_fill_the_same_rungs(inventory: int, spacing: int) -> None:
    params = {"low": 0.93, "high": 1.08, "lines": 12, "spacing": spacing, "inventory": inventory}
    ends = params | {"stop": 0.9, "take_profit": 1.1}
    for series, chosen in (
        (to_cents(martingale(700, 5)), params), (broken_series(), params), (broken_series(), ends),
    ):  # fmt: skip
        fast = backtest(series, GRID, costs=EXACT, **chosen)
        slow = event_driven(series, GRID, costs=EXACT, **chosen)
        assert fast.fills.height > 10
        assert fast.fills.select(SAME).equals(slow.fills.select(SAME))
        a, b = (one.equity["equity"].to_numpy() for one in (fast, slow))
        assert np.max(np.abs(a / b - 1.0)) <= 1e-9
        for name, value in fast.metrics.items():
            expected = None if value is None else pytest.approx(value, rel=1e-9)
            assert slow.metrics[name] == expected, name


def test_the_grids_own_ladder_traded_by_the_oracle_gives_the_same_equity() -> None:
    series = martingale(160, 8)
    params = {"low": 0.95, "high": 1.05, "lines": 8}
    found = backtest(series, GRID, costs=Costs(filters="none"), **params)
    written = intents("grid", series.records, **params)
    laid = written["revision"].tolist()
    lines = written[laid.index(max(laid))]["ladder"][: written["n_ladder"].max()]
    rungs = []
    for rung in lines.tolist():  # each is laid once a close was above it, and stays
        id, side, price, quote, pair = rung
        begin = next(t for t in range(len(series)) if written["n_ladder"][t] >= id)
        rungs.append(Scripted(begin, 10**6, id, side, price, quote, pair))
    book = Script(tuple(rungs)).oracle(series, cash=10_000.0, rules=Rules())
    assert len(book.fills) == found.fills.height > 30
    expected = [float(one) for one in book.equity]
    assert np.allclose(found.equity["equity"], expected, rtol=1e-9, atol=0.0)


def test_a_sweep_has_a_row_for_each_valid_grid_and_each_row_is_a_backtest() -> None:
    series = martingale(600, 9)
    found = wb.sweep(
        series, GRID, lines=(2, 9, 65), low=(0.9, 1.2), stop=(0.0, 0.85), high=1.1, progress=False
    )
    assert (len(found), found.invalid_combinations) == (6, 6)  # low 1.2 is above high
    assert found.frame["error"].to_list() == [None] * 6
    names = ["final_equity", "sharpe", "max_drawdown", "trades", "fees", "exposure", "win_rate"]
    for row in found.frame.iter_rows(named=True):
        one = wb.backtest(
            series, GRID, filters="none", lines=row["lines"], low=0.9, high=1.1, stop=row["stop"]
        )
        for name in names:
            assert row[name] == one.metrics[name], name
    assert found.frame["fees"].n_unique() == 3  # the stop is not reached


def test_threads_and_slices_change_no_grid() -> None:
    series = to_cents(martingale(400, 10))
    axes = {"lines": range(3, 40, 3), "low": (0.9, 0.95), "high": (1.02, 1.1), "progress": False}
    one = wb.sweep(series, GRID, **axes, filters="exchange")
    again = wb.sweep(series, GRID, **axes, filters="exchange")
    assert one.frame.equals(again.frame)


def test_what_writes_no_ladder_runs_in_a_loop_without_one_and_the_grid_never_tries_that() -> None:
    def compiled(spec: Spec) -> dict[str, int]:
        forms = kernel(spec).forms.items()
        return {name: len(form.signatures) for name, form in forms}  # type: ignore[attr-defined]

    series, macd = to_cents(martingale(100, 11)), wb.strategies.macd
    before = compiled(macd), compiled(GRID)
    backtest(series, macd, fast=3, slow=7, signal=3)
    backtest(series, GRID)
    for name in ("ladders", "protected_ladders"):
        assert compiled(macd)[name] == before[0][name]
    assert compiled(GRID)["plain"] == before[1]["plain"]
    assert compiled(GRID)["ladders"] == 1


def test_the_commands_sweep_and_backtest_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    window = ["--start", "2025-03-01", "--end", "2025-04-01", "--json"]
    words = ["sweep", "--strategy", "grid", "--grid", "lines=9|17,low=0.8|0.9", *window]
    assert run("workbench", COMMANDS, "", words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["combinations"] == 4
    words = ["backtest", "--strategy", "grid", "--params", "lines=17,low=0.9,high=1.1", *window]
    for engine in ("kernel", "event"):
        assert run("workbench", COMMANDS, "", [*words, "--engine", engine]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["strategy"], told["engine"]) == ("grid", engine)
        assert told["fees"] > 0


def test_a_tearsheet_shows_the_grids_round_trips() -> None:
    done = wb.backtest(to_cents(martingale(600, 12)), GRID, low=0.95, high=1.05, lines=9)
    assert done.trades.height > 3
    page = done.tearsheet()._repr_html_()
    assert "grid" in page
    closed = done.trades.filter(~pl.col("is_open"))
    assert closed["pnl"].sum() > 0  # each of its swings was closed above where it was opened
    assert replace(done.costs).filters == "exchange"
