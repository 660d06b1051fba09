"""Holes filled from another source: believed only where it agrees, marked for ever, and said."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.data.archive_server import ArchiveServer
from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.klines_server import KlinesServer
from workbench.cli.data import app as data_app
from workbench.data import Places, load, load_frame
from workbench.data.health import health
from workbench.data.repair import Repaired, repair
from workbench.data.sources.folder import Folder
from workbench.data.store import Store, StoredSeries
from workbench.errors import UsageError
from workbench.market.timeframes import TIMEFRAMES

HOUR_MS = 3_600_000
FRAME = candle_frame(60).with_columns(pl.col(pl.Float64).round(8))
HOLED = pl.concat([FRAME.head(10), FRAME.slice(13, 17), FRAME.slice(31)])  # 10–12 and 30


@pytest.fixture
def stored(tmp_path: Path) -> StoredSeries:
    """Hours of Binance with two holes, in a store."""
    series = Store(tmp_path / "datasets").series("binance", "BTCUSDT", TIMEFRAMES["1h"])
    series.add(HOLED, collected_ms=0, provenance="REST klines of api.binance.com")
    window = (JANUARY_2024_MS, JANUARY_2024_MS + 60 * HOUR_MS)
    series.seal(source="REST klines of api.binance.com", asked=[window], collected_ms=0)
    return series


def mended(stored: StoredSeries, tmp_path: Path, frame: pl.DataFrame) -> Repaired:
    folder = tmp_path / "other"
    folder.mkdir(exist_ok=True)
    frame.write_parquet(folder / "BTCUSDT_1h.parquet")
    return repair(Folder(folder), stored, clock_ms=lambda: 7)


def test_holes_are_filled_and_every_candle_that_came_is_marked(
    stored: StoredSeries, tmp_path: Path
) -> None:
    done = mended(stored, tmp_path, FRAME)
    assert (done.filled, done.missing) == (4, 0)
    assert [hole.outcome for hole in done.holes] == ["filled", "filled"]
    assert stored.scan().collect().equals(FRAME)
    found = stored.provenance().select("provenance", "candles").rows()
    assert found == [("REST klines of api.binance.com", 56), ("repaired from folder other", 4)]
    manifest = stored.manifest() or {}
    assert manifest["source"] == "REST klines of api.binance.com"
    assert manifest["gaps"] == []
    assert {one["from"]: one["candles"] for one in manifest["provenance"]} == dict(found)  # type: ignore[attr-defined]


def test_loaded_candles_tell_which_of_them_were_repaired(
    stored: StoredSeries, tmp_path: Path
) -> None:
    places = Places(None, tmp_path / "datasets", None)
    assert "repaired" not in load("BTCUSDT", "1h", places=places).source
    mended(stored, tmp_path, FRAME)
    candles = load("BTCUSDT", "1h", places=places)
    assert candles.source == (
        "recorded Binance candles, datasets (4 candles repaired from folder other)"
    )
    assert (candles.records["missing_before"] == 0).all()
    marks = load_frame("BTCUSDT", "1h", places=places, provenance=True)["provenance"]
    repaired = [row for row, mark in enumerate(marks) if mark == "repaired from folder other"]
    assert repaired == [10, 11, 12, 30]
    assert "provenance" not in load_frame("BTCUSDT", "1h", places=places).columns
    coarse = load_frame("BTCUSDT", "4h", places=places, provenance=True)
    assert coarse["provenance"].null_count() == len(coarse) == 15


def test_a_source_that_contradicts_the_neighbours_is_not_believed(
    stored: StoredSeries, tmp_path: Path
) -> None:
    row = pl.int_range(pl.len())
    other = FRAME.with_columns(
        close=pl.when(row == 9).then(pl.col("close") + 0.01).otherwise("close")
    )
    done = mended(stored, tmp_path, other)
    assert [hole.filled for hole in done.holes] == [0, 1]
    assert done.holes[0].outcome == (
        "refused: its candle of 2024-01-01T09:00Z is not the one that is stored"
    )
    assert len(stored.scan().collect()) == 57


def test_a_source_without_the_neighbours_is_not_believed(
    stored: StoredSeries, tmp_path: Path
) -> None:
    done = mended(stored, tmp_path, pl.concat([FRAME.head(1), FRAME.slice(10, 3), FRAME.tail(9)]))
    assert "neither neighbour" in done.holes[0].outcome
    assert done.filled == 0


def test_what_nobody_has_stays_a_gap_that_names_both(stored: StoredSeries, tmp_path: Path) -> None:
    done = mended(stored, tmp_path, pl.concat([FRAME.head(10), FRAME.slice(12)]))
    assert [(hole.filled, hole.outcome) for hole in done.holes] == [
        (1, "filled in part"),
        (1, "filled"),
    ]
    (gap,) = (stored.manifest() or {})["gaps"]  # type: ignore[misc]
    assert (gap["first_missing"], gap["bars"]) == ("2024-01-01T10:00Z", 2)
    again = mended(stored, tmp_path, HOLED)
    assert [hole.outcome for hole in again.holes] == ["absent there too"]
    (gap,) = (stored.manifest() or {})["gaps"]  # type: ignore[misc]
    assert gap["cause"] == "absent at REST klines of api.binance.com, folder other"


def test_two_venues_are_not_mixed_and_an_empty_store_is_said(
    stored: StoredSeries, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="candles of two venues are not mixed"):
        repair(Folder(tmp_path, named_venue="kraken"), stored, clock_ms=lambda: 0)
    empty = Store(tmp_path).series("binance", "ETHUSDT", TIMEFRAMES["1h"])
    with pytest.raises(UsageError, match="ETHUSDT 1h: the store holds no such candles of venue"):
        repair(Folder(tmp_path), empty, clock_ms=lambda: 0)
    assert not empty.folder.exists()


def test_rest_candles_with_a_hole_are_repaired_from_archives_by_command(tmp_path: Path) -> None:
    series = Store(tmp_path).series("local", "BTCUSDT", TIMEFRAMES["1h"])
    series.add(HOLED, collected_ms=0, provenance="REST klines of 127.0.0.1")
    words = ["repair", "BTCUSDT", "1h", "--venue", "local", "--store", str(tmp_path)]
    with ArchiveServer() as archives:
        archives.publish(FRAME, "1h")
        run = CliRunner().invoke(data_app, [*words, "--archive-url", archives.url])
        again = CliRunner().invoke(data_app, [*words, "--archive-url", archives.url, "--json"])
    assert run.exit_code == 0, run.output
    assert run.stdout.splitlines() == [
        "BTCUSDT 1h: 4 candles filled in, 0 still missing",
        "  2024-01-01T10:00Z to 2024-01-01T12:00Z: 3 of 3 candles, filled",
        "  2024-01-02T06:00Z to 2024-01-02T06:00Z: 1 of 1 candles, filled",
    ]
    assert json.loads(again.stdout)["holes"] == []
    found = series.provenance().select("provenance", "candles").rows()
    assert found[1] == ("repaired from archives of 127.0.0.1", 4)


def test_a_refused_hole_is_exit_code_1(tmp_path: Path) -> None:
    series = Store(tmp_path).series("local", "BTCUSDT", TIMEFRAMES["1h"])
    series.add(HOLED.with_columns(pl.col("volume") + 1), collected_ms=0)
    words = ["repair", "BTCUSDT", "1h", "--venue", "local", "--store", str(tmp_path)]
    with ArchiveServer() as archives:
        archives.publish(FRAME, "1h")
        run = CliRunner().invoke(data_app, [*words, "--archive-url", archives.url])
    assert run.exit_code == 1
    assert "refused: its candle of 2024-01-01T09:00Z is not the one that is stored" in run.stdout


def test_the_check_tells_revisions_and_what_a_source_gives_otherwise(
    stored: StoredSeries, tmp_path: Path
) -> None:
    places = Places(None, tmp_path / "datasets", None)
    row = pl.int_range(pl.len())
    other = HOLED.with_columns(volume=pl.when(row == 4).then(99.0).otherwise("volume"))
    stored.add(other, collected_ms=0)
    kinds = {one.kind: one for one in health("BTCUSDT", "1h", places=places).report.warnings}
    assert kinds["revised"].at == ("2024-01-01T04:00Z",)
    folder = tmp_path / "other"
    folder.mkdir()
    HOLED.with_columns(pl.col("volume") * 1.5).write_parquet(folder / "BTCUSDT_1h.parquet")
    report = health("BTCUSDT", "1h", places=places, against=Folder(folder)).report
    found = next(one for one in report.warnings if one.kind == "overlap")
    assert found.message.startswith("1 candles of 1 sampled differ between recorded Binance")


def test_the_check_command_compares_with_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("workbench.cli.sources.wall_ms", lambda: JANUARY_2024_MS * 2)
    folder = tmp_path / "venue=local" / "interval=1h" / "symbol=BTCUSDT"
    folder.mkdir(parents=True)
    FRAME.with_columns(pl.col("close") + 0.01).write_parquet(folder / "candles.parquet")
    with KlinesServer({("BTCUSDT", "1h"): FRAME}, now_ms=JANUARY_2024_MS * 2) as api:
        words = ["check", "BTCUSDT", "1h", "--venue", "local", "--json"]
        run = CliRunner().invoke(data_app, [*words, "--against", "rest", "--base-url", api.url])
    shown = json.loads(run.stdout)
    assert run.exit_code == 0, run.output
    assert "overlap" in [one["kind"] for one in shown["warnings"]]


def test_recorded_candles_are_held_against_the_finer_ones_beside_them(shared_data: Path) -> None:
    places = Places(shared_data, None, None)
    hours = health("BTCUSDT", "1h", places=places).report.warnings  # against January's minutes
    assert "rebuilt" not in [one.kind for one in hours]
    four = health("BTCUSDT", "4h", places=places).report.warnings
    (found,) = [one for one in four if one.kind == "rebuilt"]
    assert (found.count, found.at) == (1, ("2023-03-24T12:00Z",))  # an hour of it is missing
