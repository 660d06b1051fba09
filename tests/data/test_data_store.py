"""The store holds what it was given, whole, whatever the order, the overlap or the crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from workbench.data.store import Store, StoredSeries
from workbench.errors import DataError
from workbench.market.timeframes import parse_timeframe


def series_in(folder: Path, interval: str = "1h") -> StoredSeries:
    return Store(folder).series("binance", "BTCUSDT", parse_timeframe(interval))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file that says something, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    interval=st.sampled_from(["15m", "1h"]),
    pieces=st.lists(st.tuples(st.integers(0, 79), st.integers(1, 40)), min_size=1, max_size=8),
)
def test_any_order_and_overlap_of_pieces_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, interval: str, pieces: list[tuple[int, int]]
) -> None:
    frame = candle_frame(80, interval, start_ms=JANUARY_2024_MS - 40 * 900_000)  # crosses a month
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for start, length in pieces:
        series_in(one, interval).add(frame.slice(start, length), collected_ms=0)
    wanted = sorted(
        {row for start, length in pieces for row in range(start, min(start + length, 80))}
    )
    series_in(other, interval).add(frame[wanted], collected_ms=0)
    for folder in (one, other):
        series_in(folder, interval).seal(source="test", collected_ms=0)
    assert bytes_of(one) == bytes_of(other)
    assert series_in(one, interval).scan().collect().equals(frame[wanted])


def test_adding_twice_changes_nothing(tmp_path: Path) -> None:
    series, frame = series_in(tmp_path), candle_frame(50)
    assert series.add(frame, collected_ms=0).new == 50
    assert series.seal(source="test", collected_ms=0)
    before = bytes_of(tmp_path)
    again = series.add(frame, collected_ms=99)
    assert (again.new, again.known, again.revised) == (0, 50, 0)
    assert not series.seal(source="test", collected_ms=99)
    assert bytes_of(tmp_path) == before


def test_a_revised_candle_is_kept_beside_and_never_over(tmp_path: Path) -> None:
    series, frame = series_in(tmp_path), candle_frame(10)
    series.add(frame, collected_ms=0)
    revised = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 4).then(99.0).otherwise("volume").alias("volume")
    )
    for _ in range(2):
        outcome = series.add(revised, collected_ms=JANUARY_2024_MS)
        assert (outcome.new, outcome.known, outcome.revised) == (0, 9, 1)
    assert series.scan().collect().equals(frame)
    (kept,) = series.revisions()
    assert kept["open_time"] == "2024-01-01T04:00Z"
    assert kept["kept"]["volume"] == frame.item(4, "volume")
    assert kept["came"]["volume"] == 99.0


def test_the_manifest_says_what_is_there(tmp_path: Path) -> None:
    series, frame = series_in(tmp_path), candle_frame(10)
    series.add(pl.concat([frame.head(4), frame.slice(6)]), collected_ms=0)
    hour = 3_600_000
    asked = [(JANUARY_2024_MS + 4 * hour, JANUARY_2024_MS + 6 * hour)]
    series.seal(source="a test", asked=asked, collected_ms=JANUARY_2024_MS)
    manifest = json.loads((series.folder / "manifest.json").read_text())
    assert manifest["rows"] == 8
    assert (manifest["first"], manifest["last"]) == ("2024-01-01T00:00Z", "2024-01-01T09:00Z")
    assert manifest["missing"] == 2
    assert manifest["gaps"][0]["first_missing"] == "2024-01-01T04:00Z"
    assert manifest["gaps"][0]["last_missing"] == "2024-01-01T05:00Z"
    assert manifest["gaps"][0]["cause"] == "absent at a test"
    assert manifest["sha256"] == series.sha256()
    assert (manifest["source"], manifest["collected"]) == ("a test", "2024-01-01T00:00Z")


def test_bad_candles_are_refused_and_leave_the_store_as_it_was(tmp_path: Path) -> None:
    series, frame = series_in(tmp_path), candle_frame(10)
    series.add(frame, collected_ms=0)
    before = bytes_of(tmp_path)
    bad = candle_frame(12).with_columns(pl.lit(1.0).alias("high"))
    with pytest.raises(DataError, match="BTCUSDT 1h: 12 candles have a high below"):
        series.add(bad, collected_ms=0)
    with pytest.raises(DataError, match="candles of ETHUSDT were handed to the series of BTCUSDT"):
        series.add(candle_frame(3, symbol="ETHUSDT"), collected_ms=0)
    assert bytes_of(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "candles").write_text("a file where a folder belongs")
    with pytest.raises(
        DataError,
        match=r"BTCUSDT 1h: the store cannot be written: .*where a folder belongs.*--store",
    ):
        series_in(tmp_path).add(candle_frame(3), collected_ms=0)


def test_a_full_disk_leaves_the_old_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series, frame = series_in(tmp_path), candle_frame(10)
    series.add(frame.head(5), collected_ms=0)
    before = bytes_of(tmp_path)

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:7])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left on device; free some disk space"):
        series.add(frame, collected_ms=0)
    monkeypatch.undo()
    assert bytes_of(tmp_path) == before


def test_two_collectors_at_once_leave_the_bytes_of_one_after_the_other(tmp_path: Path) -> None:
    frame = candle_frame(400)
    together, alone = tmp_path / "together", tmp_path / "alone"
    halves = [frame[::2], frame[1::2]]

    def collector(half: pl.DataFrame) -> None:
        for start in range(0, 200, 20):
            series_in(together).add(half.slice(start, 20), collected_ms=0)

    threads = [threading.Thread(target=collector, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    series_in(alone).add(frame, collected_ms=0)
    assert bytes_of(together) == bytes_of(alone)


_WRITER = """
import sys
from pathlib import Path
from tests.data.conftest import candle_frame
from tests.data.test_data_store import series_in
folder, frame = Path(sys.argv[1]), candle_frame(3000)
print("ready", flush=True)
for end in range(60, 3001, 60):
    series_in(folder).add(frame.slice(end - 60, 60), collected_ms=0)
    series_in(folder).seal(source="test", collected_ms=0)
"""


def test_a_kill_during_writing_leaves_whole_files_and_the_next_run_the_same_bytes(
    tmp_path: Path,
) -> None:
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    frame = candle_frame(3000)
    for delay in (0.05, 0.2):
        _kill_while_writing(killed, delay)
        stored = series_in(killed).scan().collect()  # readable at once, without any repair
        assert stored.equals(frame.head(len(stored)))
        assert len(stored) % 60 == 0
    for folder in (killed, calm):
        series_in(folder).add(frame, collected_ms=0)
        series_in(folder).seal(source="test", collected_ms=0)
    assert bytes_of(killed) == bytes_of(calm)


def _kill_while_writing(folder: Path, delay: float) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(delay)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(timeout=20)
    writer.stdout.close()


def test_every_candle_knows_where_it_came_from(tmp_path: Path) -> None:
    series, frame = series_in(tmp_path), candle_frame(30)
    series.add(frame.head(10), collected_ms=0, provenance="one")
    series.add(frame.slice(5, 15), collected_ms=0, provenance="another")
    told = frame.slice(20).with_columns(provenance=pl.lit("a third"))
    series.add(told, collected_ms=0, provenance="not asked")
    found = series.provenance().select("provenance", "candles").rows()
    assert found == [("one", 10), ("another", 10), ("a third", 10)]
    assert series.scan().collect().columns == frame.columns


def test_a_file_of_before_provenance_was_kept_can_still_be_added_to(tmp_path: Path) -> None:
    series, frame = series_in(tmp_path), candle_frame(30)
    series.folder.mkdir(parents=True)
    frame.head(10).write_parquet(series.folder / "candles.parquet")
    series.add(frame, collected_ms=0, provenance="one")
    assert series.scan().collect().equals(frame)
    assert series.provenance().select("provenance", "candles").rows() == [(None, 10), ("one", 20)]
