"""Archives and REST together: who is asked for what, and what is said where the two disagree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.data.archive_server import ArchiveServer
from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.klines_server import KlinesServer
from workbench.cli.collect import collect as collect_command
from workbench.data.collect import collect
from workbench.data.comparisons import differing_times, rebuilt, sampled
from workbench.data.sources.auto import Auto
from workbench.data.sources.binance_archive import BinanceArchive
from workbench.data.sources.binance_rest import BinanceRest
from workbench.data.sources.folder import Folder
from workbench.data.store import Store
from workbench.data.times import to_ms
from workbench.errors import UsageError
from workbench.market.timeframes import TIMEFRAMES

HOUR_MS = 3_600_000
NOW_MS = to_ms("2025-02-10T12:30")
START_MS = to_ms("2024-12-01")
COUNT = (NOW_MS - START_MS) // HOUR_MS
FRAME = candle_frame(COUNT, start_ms=START_MS).with_columns(pl.col(pl.Float64).round(8))


@pytest.fixture
def venue() -> Iterator[tuple[ArchiveServer, KlinesServer]]:
    """Hours since December: the archives hold the whole months, the API everything."""
    series = {("BTCUSDT", "1h"): candle_frame(COUNT + 1, start_ms=START_MS)}
    with ArchiveServer() as archives, KlinesServer(series, now_ms=NOW_MS) as api:
        yield archives, api


def auto(archives: ArchiveServer, api: KlinesServer) -> Auto:
    archive = BinanceArchive(archives.url, clock_ms=lambda: NOW_MS)
    return Auto(archive, BinanceRest(api.url), now_ms=NOW_MS)


def collected(source: Auto, folder: Path):
    (done,) = collect(
        source,
        Store(folder),
        symbols=["BTCUSDT"],
        intervals=["1h"],
        since_ms=START_MS,
        until_ms=NOW_MS,
        clock_ms=lambda: NOW_MS,
        progress=False,
    )
    return done, Store(folder).series("local", "BTCUSDT", TIMEFRAMES["1h"])


def test_whole_months_come_from_the_archives_and_the_tail_from_the_api(
    venue: tuple[ArchiveServer, KlinesServer], tmp_path: Path
) -> None:
    archives, api = venue
    archives.publish(FRAME, "1h")
    done, series = collected(auto(archives, api), tmp_path)
    assert (done.new, done.gaps, done.declared) == (COUNT, 0, ())
    assert series.scan().collect().equals(FRAME)
    assert archives.zips == ["BTCUSDT-1h-2024-12", "BTCUSDT-1h-2025-01"]
    february = to_ms("2025-02-01")
    found = series.provenance().select("provenance", "candles").rows()
    assert found == [
        ("archives of 127.0.0.1", 62 * 24),
        ("REST klines of 127.0.0.1", COUNT - 62 * 24),
    ]
    asked = [(int(q["startTime"]), int(q["endTime"])) for q in api.requests]
    assert len(asked) == 3  # a stretch of 1 % a month, and the tail
    assert [end - start for start, end in asked[:2]] == [8 * HOUR_MS] * 2
    assert asked[2][0] == february


def test_what_the_archives_leave_open_comes_from_the_api(
    venue: tuple[ArchiveServer, KlinesServer], tmp_path: Path
) -> None:
    archives, api = venue
    archives.publish(pl.concat([FRAME.slice(5, 95), FRAME.slice(103)]), "1h")
    done, series = collected(auto(archives, api), tmp_path)
    assert (done.new, done.gaps) == (COUNT, 0)
    assert series.scan().collect().equals(FRAME)
    api_candles = dict(series.provenance().select("provenance", "candles").rows())
    assert api_candles["REST klines of 127.0.0.1"] == 5 + 3 + COUNT - 62 * 24


def test_a_difference_between_archives_and_api_is_declared_and_kept(
    venue: tuple[ArchiveServer, KlinesServer], tmp_path: Path
) -> None:
    archives, api = venue
    archives.publish(FRAME.with_columns(volume=pl.col("volume") + 0.5), "1h")
    done, series = collected(auto(archives, api), tmp_path)
    assert len(done.declared) == 2  # one a month
    assert (
        "8 candles of 8 sampled differ between archives of 127.0.0.1 and REST klines"
        in done.declared[0]
    )
    again, _ = collected(auto(archives, api), tmp_path)
    assert (again.new, again.declared) == (0, done.declared)
    manifest = series.manifest() or {}
    assert [one["kind"] for one in manifest["declared"]] == ["overlap"] * 2  # type: ignore[attr-defined]


def test_two_venues_are_not_joined(venue: tuple[ArchiveServer, KlinesServer]) -> None:
    with pytest.raises(UsageError, match=r"venue local.*venue binance.*give --archive-url and"):
        Auto(BinanceArchive(venue[0].url), BinanceRest(), now_ms=NOW_MS)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 5_000), key=st.text(max_size=5), share=st.sampled_from([0.01, 0.3, 1.0])
)
def test_a_sample_holds_its_share_in_pages_of_the_series(
    count: int, key: str, share: float
) -> None:
    hour = TIMEFRAMES["1h"]
    times = [JANUARY_2024_MS + HOUR_MS * at for at in range(count)]
    stretches = sampled(times, hour, key=key, share=share)
    assert stretches == sampled(times, hour, key=key, share=share)
    sizes = [(end - start) // HOUR_MS for start, end in stretches]
    assert max(sizes) <= 1_000
    assert count * share <= sum(sizes) <= count * share + len(sizes)
    covered = [t for t in times if any(start <= t < end for start, end in stretches)]
    assert len(covered) == sum(sizes)


def test_a_candle_that_only_one_of_two_has_is_a_difference() -> None:
    frame = candle_frame(10)
    assert differing_times(frame, frame) == []
    third = [JANUARY_2024_MS + 3 * HOUR_MS]
    holed = pl.concat([frame.head(3), frame.slice(4)])
    assert differing_times(frame, holed) == differing_times(holed, frame) == third
    nearly = frame.with_columns(volume=pl.col("volume") * (1 + 1e-14))
    assert differing_times(frame, nearly) == []
    assert differing_times(frame.drop("trades"), frame) == []


def test_hours_that_differ_from_their_minutes_are_found() -> None:
    from workbench.data.resample import resample

    hour, minute = TIMEFRAMES["1h"], TIMEFRAMES["1m"]
    minutes = candle_frame(600, "1m", start_ms=JANUARY_2024_MS + 30 * 60_000)
    hours = resample(minutes, minute, hour)
    assert rebuilt(hours, minutes, interval=hour, finer=minute) == ()
    spoilt = hours.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 4).then(99.0).otherwise("close")
    )
    (finding,) = rebuilt(spoilt, minutes, interval=hour, finer=minute)
    assert (finding.kind, finding.count, finding.at) == ("rebuilt", 1, ("2024-01-01T04:00Z",))
    assert "differ from those rebuilt from 1m" in finding.message


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(collect_command)
    return app


def test_the_collect_command_takes_archives(
    app: typer.Typer,
    venue: tuple[ArchiveServer, KlinesServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archives, api = venue
    monkeypatch.setattr("workbench.cli.sources.wall_ms", lambda: api.now_ms)
    archives.publish(FRAME, "1h")
    words = ["--symbols", "BTCUSDT", "--intervals", "1h", "--since", "2024-12-01", "--json"]
    words += ["--until", "2025-02-01", "--archive-url", archives.url]
    run = CliRunner().invoke(
        app, [*words, "--source", "archive", "--store", str(tmp_path / "archive")]
    )
    assert run.exit_code == 0, run.output
    (alone,) = json.loads(run.stdout)["series"]
    run = CliRunner().invoke(
        app,
        [*words, "--source", "auto", "--base-url", api.url, "--store", str(tmp_path / "auto")],
    )
    assert run.exit_code == 0, run.output
    (joined,) = json.loads(run.stdout)["series"]
    assert alone["rows"] == joined["rows"] == 62 * 24
    assert alone["sha256"] == joined["sha256"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "nonsense"], "use rest, archive, auto, synthetic or folder:PATH"),
        (["--source", "archive", "--base-url", "http://127.0.0.1:9"], "--base-url goes with"),
        (["--source", "rest", "--archive-url", "http://127.0.0.1:9"], "--archive-url goes with"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    app: typer.Typer, words: list[str], message: str
) -> None:
    run = CliRunner().invoke(app, ["--symbols", "BTCUSDT", *words])
    assert isinstance(run.exception, UsageError)
    assert message in str(run.exception)


def test_a_folder_and_the_archives_can_be_compared_too(
    venue: tuple[ArchiveServer, KlinesServer], tmp_path: Path
) -> None:
    from workbench.data.comparisons import overlap

    archives, _ = venue
    archives.publish(FRAME, "1h")
    FRAME.write_parquet(tmp_path / "BTCUSDT_1h.parquet")
    december = FRAME.head(31 * 24)
    assert overlap(december, TIMEFRAMES["1h"], Folder(tmp_path), named="archives") == ()
    other = december.with_columns(open=pl.col("open") + 0.01)
    (finding,) = overlap(other, TIMEFRAMES["1h"], Folder(tmp_path), named="archives")
    assert finding.count == 8
