"""Collecting: what is missing follows from what is there; the commands say what they did."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from workbench.cli.collect import collect as collect_command
from workbench.cli.data import app as data_app
from workbench.data.collect import collect, missing_ranges
from workbench.data.sources.folder import Folder
from workbench.data.store import Store
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import TIMEFRAMES, parse_timeframe

HOUR_MS = 3_600_000


@settings(max_examples=100, deadline=None)
@given(
    interval=st.sampled_from(["1h", "1w", "1M"]),
    kept=st.lists(st.booleans(), min_size=1, max_size=40),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
)
def test_the_missing_stretches_and_the_stored_candles_make_the_window(
    interval: str, kept: list[bool], before: int, after: int
) -> None:
    timeframe = parse_timeframe(interval)
    opens = candle_frame(before + len(kept) + after, interval)["open_time"].to_physical().to_list()
    stored = [
        time for time, keep in zip(opens[before : before + len(kept)], kept, strict=True) if keep
    ]
    ranges = missing_ranges(stored, timeframe, opens[0], timeframe.next(opens[-1]))
    missing = [time for time in opens if any(start <= time < end for start, end in ranges)]
    assert sorted(stored + missing) == opens
    assert all(earlier[1] < later[0] for earlier, later in pairwise(ranges))


def test_a_window_between_two_opening_times_has_nothing_missing() -> None:
    hour = TIMEFRAMES["1h"]
    assert missing_ranges([], hour, JANUARY_2024_MS + 1, JANUARY_2024_MS + HOUR_MS) == []


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_folder_of_files_is_collected_into_the_store(tmp_path: Path, suffix: str) -> None:
    files, frame = tmp_path / "files", candle_frame(48, raw=False)
    files.mkdir()
    if suffix == "csv":
        frame.write_csv(files / "BTCUSDT_1h.csv")
    else:
        frame.write_parquet(files / "BTCUSDT_1h.parquet")
    (done,) = collect(
        Folder(files),
        Store(tmp_path / "store"),
        symbols=["BTCUSDT"],
        intervals=["1h"],
        since_ms=0,
        until_ms=JANUARY_2024_MS + 40 * HOUR_MS,
        clock_ms=lambda: 0,
        progress=False,
    )
    assert (done.new, done.rows, done.gaps, done.venue) == (40, 40, 0, "binance")
    stored = (
        Store(tmp_path / "store").series("binance", "BTCUSDT", TIMEFRAMES["1h"]).scan().collect()
    )
    assert stored["close"].to_list() == frame["close"].head(40).to_list()
    assert stored["trades"].null_count() == 40  # what the files do not know stays empty


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"symbols": ["BTC/USDT"]}, UsageError, "is not a symbol"),
        ({"intervals": ["7h"]}, UsageError, "unknown interval '7h'"),
        ({"since_ms": 9, "until_ms": 3}, UsageError, "is not before until"),
        ({"symbols": ["ETHUSDT"]}, DataError, "has no such candles"),
        ({"until_ms": JANUARY_2024_MS}, DataError, "has no closed candle between"),
    ],
)
def test_a_collection_that_cannot_be_is_refused_and_leaves_nothing(
    tmp_path: Path, arguments: dict, error: type, message: str
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    candle_frame(48).write_parquet(files / "BTCUSDT_1h.parquet")
    asked = {
        "symbols": ["BTCUSDT"],
        "intervals": ["1h"],
        "since_ms": 0,
        "until_ms": JANUARY_2024_MS + 48 * HOUR_MS,
    } | arguments
    with pytest.raises(error, match=message):
        collect(
            Folder(files), Store(tmp_path / "store"), clock_ms=lambda: 0, progress=False, **asked
        )
    assert not (tmp_path / "store").exists()


@pytest.fixture
def collect_app() -> typer.Typer:
    app = typer.Typer()
    app.command()(collect_command)
    return app


def test_the_collect_command_prints_one_object(collect_app: typer.Typer, tmp_path: Path) -> None:
    words = ["--symbols", "BTCUSDT,ETHUSDT", "--intervals", "4h", "--source", "synthetic"]
    words += ["--since", "2024-01-01", "--until", "2024-01-11"]
    run = CliRunner().invoke(collect_app, [*words, "--store", str(tmp_path), "--json"])
    assert run.exit_code == 0, run.output
    series = json.loads(run.stdout)["series"]
    assert [(one["symbol"], one["new"], one["venue"]) for one in series] == [
        ("BTCUSDT", 60, "synthetic"),
        ("ETHUSDT", 60, "synthetic"),
    ]
    again = CliRunner().invoke(collect_app, [*words, "--store", str(tmp_path)])
    assert "BTCUSDT 4h: 0 new, 60 stored from 2024-01-01T00:00Z" in again.stdout


def test_the_check_command_exits_with_1_where_it_finds_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    good = candle_frame(30)
    good.write_parquet(tmp_path / "klines_1h.parquet")
    run = CliRunner().invoke(data_app, ["check", "BTCUSDT", "1h", "--json"])
    assert run.exit_code == 0
    shown = json.loads(run.stdout)
    assert set(shown) >= {"rows", "first", "last", "errors", "warnings", "gaps"}
    assert (shown["rows"], shown["errors"], shown["gaps"]) == (30, [], [])
    bad = good.with_columns(low=good["high"] + 1)
    bad.write_parquet(tmp_path / "klines_1h.parquet")
    run = CliRunner().invoke(data_app, ["check", "BTCUSDT", "1h"])
    assert run.exit_code == 1
    assert "error    high: 30 candles have a high below their open, close or low" in run.stdout


def test_the_list_command_names_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    candle_frame(30, symbol="QQQUSDT").write_parquet(tmp_path / "klines_1h.parquet")
    run = CliRunner().invoke(data_app, ["list", "--json"])
    mine = [one for one in json.loads(run.stdout)["series"] if one["symbol"] == "QQQUSDT"]
    assert mine == [
        {
            "symbol": "QQQUSDT",
            "interval": "1h",
            "first": "2024-01-01T00:00Z",
            "last": "2024-01-02T05:00Z",
            "rows": 30,
            "source": "recorded Binance candles, WORKBENCH_DATA",
        }
    ]


def test_the_recorded_candles_are_checked_by_command(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(shared_data))
    run = CliRunner().invoke(data_app, ["check", "BTCUSDT", "1h", "--json"])
    shown = json.loads(run.stdout)
    assert (run.exit_code, shown["rows"], len(shown["gaps"])) == (0, 65_653, 20)
    assert (
        shown["gaps"][-1]["first_missing"]
        == shown["gaps"][-1]["last_missing"]
        == "2023-03-24T13:00Z"
    )
    assert sum(gap["bars"] for gap in shown["gaps"]) == 59


def test_a_store_of_its_own_is_listed_and_checked_by_command(
    collect_app: typer.Typer, tmp_path: Path
) -> None:
    words = ["--symbols", "BTCUSDT", "--intervals", "4h", "--source", "synthetic"]
    words += ["--since", "2024-01-01", "--until", "2024-01-11", "--store", str(tmp_path / "mine")]
    assert CliRunner().invoke(collect_app, words).exit_code == 0
    run = CliRunner().invoke(data_app, ["list", "--store", str(tmp_path / "mine"), "--json"])
    (one,) = json.loads(run.stdout)["series"]
    assert (one["symbol"], one["rows"], one["source"]) == (
        "BTCUSDT",
        60,
        "SYNTHETIC market, datasets",
    )
    words = ["check", "BTCUSDT", "4h", "--venue", "synthetic", "--store", str(tmp_path / "mine")]
    shown = json.loads(CliRunner().invoke(data_app, [*words, "--json"]).stdout)
    assert (shown["rows"], shown["gaps"]) == (60, [])
    words = ["check", "BTCUSDT", "4h", "--store", str(tmp_path / "mine")]
    assert "nothing is recorded of venue binance, but of synthetic; name one with --venue" in str(
        CliRunner().invoke(data_app, words).exception
    )
    words[1] = "ETHUSDT"
    assert "unknown symbol 'ETHUSDT': nobody recorded it" in str(
        CliRunner().invoke(data_app, words).exception
    )
    run = CliRunner().invoke(data_app, ["list", "--store", str(tmp_path / "none")])
    assert isinstance(run.exception, UsageError)
    assert "--store none: no such folder; `workbench collect` makes one" in str(run.exception)
