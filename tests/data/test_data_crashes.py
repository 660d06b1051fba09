"""Collections killed with SIGKILL, twice, anywhere: what is there is whole, and the end is the same."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.data.crashing import INTERVALS, collect_all, start
from tests.data.test_data_store import bytes_of
from workbench.data.quality import check
from workbench.data.store import Store
from workbench.market.timeframes import TIMEFRAMES


@dataclass(frozen=True, slots=True)
class Calm:
    """A collection that nobody disturbed: its bytes, its steps and its time."""

    files: dict[str, bytes]
    steps: int
    seconds: float


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    folder = tmp_path_factory.mktemp("calm")
    process, told = start(folder)
    assert told.recv() == "begins"
    began = time.monotonic()
    steps = told.recv()
    seconds = time.monotonic() - began
    process.join(20)
    return Calm(bytes_of(folder), steps, seconds)


def kill_at_step(folder: Path, step: int) -> None:
    process, _ = start(folder, dies_at_step=step)
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)  # 0: little was left to do, and it is done


def kill_after(folder: Path, seconds: float) -> None:
    process, told = start(folder)
    assert told.recv() == "begins"
    time.sleep(seconds)
    process.kill()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)


def whole(folder: Path) -> int:
    """Return how many candles the store holds; every one of them is right."""
    count = 0
    for interval in INTERVALS:
        series = Store(folder).series("test", "BTCUSDT", TIMEFRAMES[interval])
        frame = series.scan().collect()
        assert check(frame, interval).errors == ()
        if not frame.is_empty():
            assert series.provenance()["provenance"].to_list() == ["a test"]
        series.manifest()  # is JSON, or not there
        count += len(frame)
    return count


def crash_twice(folder: Path, calm: Calm, chance: random.Random) -> None:
    """Kill at a step or at a time, twice, and finish; the bytes must be those of the calm run."""
    before = 0
    for _ in range(2):
        if chance.random() < 0.5:
            kill_at_step(folder, chance.randint(1, max(2, calm.steps // 2)))
        else:
            kill_after(folder, chance.uniform(0, calm.seconds))
        now = whole(folder)
        assert now >= before
        before = now
    collect_all(folder)
    assert bytes_of(folder) == calm.files


@pytest.mark.parametrize("seed", range(5))
def test_a_collection_killed_twice_ends_with_the_bytes_of_a_calm_one(
    tmp_path: Path, calm: Calm, seed: int
) -> None:
    crash_twice(tmp_path, calm, random.Random(seed))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 150))
def test_fifty_collections_killed_twice_end_with_the_bytes_of_a_calm_one(
    tmp_path: Path, calm: Calm, seed: int
) -> None:
    crash_twice(tmp_path, calm, random.Random(seed))


def test_the_calm_collection_has_all_candles_and_a_reason_for_its_gap(calm: Calm) -> None:
    assert calm.steps > 60
    manifests = [text for name, text in calm.files.items() if name.endswith("manifest.json")]
    assert len(manifests) == len(INTERVALS)
    assert all(b"absent at a test" in text for text in manifests)


def test_two_collectors_at_once_leave_the_bytes_of_one(tmp_path: Path, calm: Calm) -> None:
    both = [start(tmp_path) for _ in range(2)]
    for process, told in both:
        assert told.recv() == "begins"
        assert told.recv() > 0
        process.join(60)
        assert process.exitcode == 0
    assert bytes_of(tmp_path) == calm.files


def test_two_collectors_of_which_one_dies_leave_the_bytes_of_one(
    tmp_path: Path, calm: Calm
) -> None:
    survivor, told = start(tmp_path)
    kill_at_step(tmp_path, calm.steps // 3)
    assert told.recv() == "begins"
    assert told.recv() > 0
    survivor.join(60)
    collect_all(tmp_path)
    assert bytes_of(tmp_path) == calm.files
