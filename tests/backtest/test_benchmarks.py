"""Beside one backtest stand cash, holding, bitcoin and a basket: what each earned, by hand."""

from __future__ import annotations

import json
import statistics
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from tests.candle_builders import martingale, to_cents
from workbench.cli import COMMANDS
from workbench.command_table import run as command
from workbench.face.research import Run
from workbench.market.candles import Candles
from workbench.market.timeframes import parse_timeframe

MACD = wb.strategies.macd
DAYS, FIRST = 120, 20  # of 4h candles: the window begins on the twenty-first day
SEEDS = {"AAAUSDT": 1, "BBBUSDT": 2, "BTCUSDT": 3, "LATEUSDT": 4}
START = "2025-01-21"


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    """Return four symbols, of which the last one lacks the window's first candle."""
    found = {
        symbol: Candles(
            symbol,
            parse_timeframe("4h"),
            to_cents(martingale(DAYS * 6, seed, interval="4h")).records,
        ).frame()
        for symbol, seed in SEEDS.items()
    }
    found["LATEUSDT"] = found["LATEUSDT"].slice(FIRST * 6 + 1)
    return found


@pytest.fixture(autouse=True)
def on_the_market(
    frames: dict[str, pl.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pl.concat(frames.values()).write_parquet(tmp_path / "klines_4h.parquet")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))


@pytest.fixture
def run() -> Run:
    return wb.backtest(wb.load("AAAUSDT", "4h", start=START), MACD, fee_bps=20, slippage_bps=5)


def _held(frame: pl.DataFrame) -> list[float]:
    """Return 10,000 that bought the second candle's open, 5 bps worse, for a fee of 20, at every close."""
    rows = frame.slice(FIRST * 6).to_dicts()
    base = 10_000.0 / (rows[1]["open"] * 1.0005) * 0.998
    return [10_000.0, *(base * row["close"] for row in rows[1:])]


def _told(curve: list[float]) -> dict[str, float]:
    days = [10_000.0, *curve[5::6]]
    gains = [after / before - 1.0 for before, after in pairwise(days)]
    peak, deepest = 10_000.0, 0.0
    for value in curve:
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1.0)
    cagr = (curve[-1] / 10_000.0) ** (365 / (DAYS - FIRST)) - 1.0
    return {
        "total_return": curve[-1] / 10_000.0 - 1.0,
        "cagr": cagr,
        "sharpe": statistics.fmean(gains) / statistics.stdev(gains) * 365**0.5,
        "calmar": cagr / -deepest,
        "max_drawdown": deepest,
    }


def test_each_is_bought_once_at_the_runs_costs_and_held(
    run: Run, frames: dict[str, pl.DataFrame]
) -> None:
    beside = run.benchmarks()
    assert beside["name"].to_list() == ["strategy", "cash", "holding", "bitcoin", "basket"]
    assert beside["symbols"].to_list() == [1, 0, 1, 1, 3]  # LATEUSDT lacks a candle
    curves = {symbol: _held(frames[symbol]) for symbol in ("AAAUSDT", "BBBUSDT", "BTCUSDT")}
    basket = [sum(three) / 3 for three in zip(*curves.values(), strict=True)]
    by_name = {row["name"]: row for row in beside.to_dicts()}
    for name, curve in (
        ("holding", curves["AAAUSDT"]),
        ("bitcoin", curves["BTCUSDT"]),
        ("basket", basket),
        ("strategy", run.equity["equity"].to_list()),
    ):
        for metric, value in _told(curve).items():
            assert by_name[name][metric] == pytest.approx(value, rel=1e-9), (name, metric)
    assert list(by_name["cash"].values())[1:] == [0, 0.0, 0.0, None, None, 0.0]


def test_the_strategys_row_is_the_runs_own_in_every_engine() -> None:
    candles = wb.load("BBBUSDT", "4h", start=START)
    runs = [wb.backtest(candles, MACD, engine=engine) for engine in ("kernel", "event")]
    for one in runs:
        row = one.benchmarks().row(0, named=True)
        for metric in ("total_return", "cagr", "sharpe", "calmar", "max_drawdown"):
            assert row[metric] == pytest.approx(one.metrics[metric], rel=1e-9)
    assert runs[0].benchmarks()[1:].equals(runs[1].benchmarks()[1:])


def test_candles_of_no_recording_stand_beside_cash_and_holding_alone() -> None:
    usual = ["strategy", "cash", "holding"]
    frame = wb.load("AAAUSDT", "4h", start=START).frame()
    assert wb.backtest(frame, MACD).benchmarks()["name"].to_list() == usual
    bitcoin = to_cents(martingale(600, 5, interval="4h"))
    assert wb.backtest(bitcoin, MACD).benchmarks()["name"].to_list() == [*usual, "bitcoin"]


def test_another_place_is_no_benchmark(
    frames: dict[str, pl.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = wb.load("AAAUSDT", "4h", start=START)
    alone = tmp_path / "alone"
    alone.mkdir()
    frames["AAAUSDT"].write_parquet(alone / "klines_4h.parquet")
    monkeypatch.setenv("WORKBENCH_DATA", str(alone))
    assert wb.backtest(own, MACD).benchmarks()["name"].to_list() == ["strategy", "cash", "holding"]


def test_a_broken_series_of_another_symbol_is_left_out_and_breaks_nothing(
    frames: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    broken = frames["BTCUSDT"].with_columns(high=pl.col("low") - 1.0)
    rest = [one for symbol, one in frames.items() if symbol != "BTCUSDT"]
    pl.concat([*rest, broken]).write_parquet(tmp_path / "klines_4h.parquet")
    beside = wb.backtest(wb.load("AAAUSDT", "4h", start=START), MACD).benchmarks()
    assert beside["name"].to_list() == ["strategy", "cash", "holding", "basket"]
    assert beside["symbols"][-1] == 2


def test_the_sheet_and_the_command_show_them(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run.tearsheet()._repr_html_()
    assert "Beside what asks no skill" in shown
    assert "<td>basket of 3</td>" in shown
    assert "<td>bitcoin</td>" in shown
    bitcoin = wb.backtest(wb.load("BTCUSDT", "4h", start=START), MACD)
    assert "<td>bitcoin</td>" not in bitcoin.tearsheet()._repr_html_()  # it is what is held
    asked = ["backtest", "--symbol", "AAAUSDT", "--interval", "4h", "--start", START]
    assert (
        command("workbench", COMMANDS, "", [*asked, "--fee-bps", "20", "--slippage-bps", "5"]) == 0
    )
    said = capsys.readouterr().out
    held = run.benchmarks().filter(name="basket")["total_return"].item()
    assert f"{held:+.2%}" in said
    assert command("workbench", COMMANDS, "", [*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["benchmarks"]
    assert [one["name"] for one in told] == ["strategy", "cash", "holding", "bitcoin", "basket"]
    assert told[1]["sharpe"] is None
