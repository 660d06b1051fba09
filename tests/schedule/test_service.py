"""The loop that runs reports on time, in a time of the tests' own: no report runs, nothing sleeps."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.schedule.moments import SIX, WEDNESDAY, at, schedule
from workbench.errors import UsageError
from workbench.schedule.book import Schedule
from workbench.schedule.history import History, Run, Status, last_of
from workbench.schedule.process import try_lock
from workbench.schedule.service import Service


@dataclass
class Report:
    """A report that takes `seconds` and ends as `status`."""

    run: Run
    lock: int
    ends: datetime
    status: Status

    def poll(self, now: datetime) -> Run | None:
        if now < self.ends:
            return None
        os.close(self.lock)
        return self.run.ended(self.status, now)

    def stop(self, now: datetime, why: str) -> Run:
        os.close(self.lock)
        return self.run.ended(Status.INTERRUPTED, now, error=why)


@dataclass
class World:
    """A folder, a clock that moves when somebody waits, and reports that only pretend."""

    folder: Path
    now: datetime = WEDNESDAY
    seconds: float = 10.0
    status: Status = Status.OK
    told: list[tuple[str, str, str]] = field(default_factory=list)
    most_at_once: int = 0
    stops: datetime | None = None
    later: dict[datetime, Callable[[], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service = self.another()

    def another(self, slots: int = 2) -> Service:
        self.service = Service(
            self.folder, now=lambda: self.now, wait=self.wait, tell=self.tell, slots=slots,
            launch=self.launch,
        )  # fmt: skip
        return self.service

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += timedelta(seconds=seconds)
        for moment in [one for one in self.later if one <= self.now]:
            self.later.pop(moment)()
        if self.stops is not None and self.now >= self.stops:
            raise KeyboardInterrupt

    def launch(self, schedule: Schedule, run: Run, *, lock: int, folder: Path) -> Report:
        self.most_at_once = max(self.most_at_once, len(self.service.going) + 1)
        ends = self.now + timedelta(seconds=self.seconds)
        return Report(replace(run, pid=1), lock, ends, self.status)

    def tell(self, run: Run) -> None:
        self.told.append((f"{self.now:%dT%H:%M}", run.schedule, run.status.value))

    def serve(self, until: datetime) -> None:
        self.stops = until
        with pytest.raises(KeyboardInterrupt):
            self.another().serve()
        self.stops = None


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world on a Wednesday at noon, with one schedule for 06:00 every day."""
    world = World(tmp_path / "schedules")
    world.service.book.add(schedule())
    return world


def test_reports_run_at_their_time_day_after_day(world: World) -> None:
    world.serve(at("2026-11-28T05:00"))
    assert world.told == [
        ("26T06:00", "daily", "running"), ("26T06:00", "daily", "ok"),
        ("27T06:00", "daily", "running"), ("27T06:00", "daily", "ok"),
    ]  # fmt: skip
    runs = History(world.folder).read()
    assert [run.due for run in runs] == [SIX, at("2026-11-27T06:00")]
    assert all(run.started == run.due for run in runs)


def test_once_runs_what_is_due_and_only_that(world: World) -> None:
    assert world.service.once() == []
    world.now = at("2026-11-26T06:20")
    (run,) = world.another().once()
    assert (run.ok, run.due, run.seconds) == (True, SIX, 10.0)
    assert world.another().once() == []


def test_days_asleep_are_one_run_and_past_the_grace_a_missed_one(world: World) -> None:
    world.now = at("2026-11-29T06:30")
    (run,) = world.service.once()
    assert (run.ok, run.moments) == (True, 4)
    world.now = at("2026-12-02T09:00")
    (missed,) = world.another().once()
    assert (missed.status, missed.moments, missed.due) == (
        Status.MISSED, 3, at("2026-12-02T06:00"),
    )  # fmt: skip
    assert last_of(History(world.folder).read())["daily"] == missed


def test_a_run_longer_than_its_interval_is_alone_and_the_next_follows(world: World) -> None:
    world.service.book.remove("daily")
    world.service.book.add(schedule(every_seconds=60))
    world.seconds = 150
    world.serve(WEDNESDAY + timedelta(minutes=7))
    assert world.most_at_once == 1
    runs = [run for run in History(world.folder).read() if run.ok]
    assert [(f"{run.started:%H:%M}", run.moments) for run in runs] == [("12:01", 1), ("12:03", 2)]


def test_as_many_reports_run_at_once_as_there_are_slots_the_others_wait(world: World) -> None:
    for name in ("a", "b", "c"):
        world.service.book.add(schedule(name))
    world.now = at("2026-11-26T06:00")
    ended = world.another(slots=2).once()
    assert world.most_at_once == 2
    assert sorted(run.schedule for run in ended) == ["a", "b", "c", "daily"]
    assert all(run.ok for run in ended)


def test_a_failed_report_is_told_and_not_tried_again_before_its_next_time(world: World) -> None:
    world.status = Status.FAILED
    world.now = at("2026-11-26T05:50")
    world.serve(at("2026-11-26T09:00"))
    assert [one[2] for one in world.told] == ["running", "failed"]


def test_a_report_that_runs_when_the_scheduler_is_stopped_is_told_as_interrupted(
    world: World,
) -> None:
    world.seconds = 600
    world.now = at("2026-11-26T05:50")
    world.serve(at("2026-11-26T06:01"))
    (run,) = History(world.folder).read()
    assert (run.status, run.error) == (
        Status.INTERRUPTED,
        "the scheduler was stopped in the middle",
    )


def test_a_run_whose_scheduler_died_is_told_as_interrupted_by_the_next_one(world: World) -> None:
    run = Run("daily", "daily", SIX, moments=1, status=Status.RUNNING, started=SIX, pid=1)
    History(world.folder).write(run)
    world.now = SIX + timedelta(minutes=5)
    (ended,) = world.service.once()
    assert ended.status is Status.INTERRUPTED
    assert ended.error == "its scheduler, or the machine, went down in the middle"
    assert world.told == [("26T06:05", "daily", "interrupted")]


def words(world: World, page: Path, **fields: object) -> None:
    """Write what a report said when it was done."""
    told = {"status": "ok", "error": None, "html": str(page), "seconds": 7.5} | fields
    (world.folder / "runs").mkdir(parents=True)
    (world.folder / "runs" / "daily.json").write_text(json.dumps(told))


def test_a_report_that_was_done_when_its_scheduler_died_counts_as_it_ended(world: World) -> None:
    run = Run("daily", "daily", SIX, moments=1, status=Status.RUNNING, started=SIX, pid=1)
    History(world.folder).write(run)
    page = world.folder / "daily.html"
    page.touch()
    words(world, page)
    world.now = SIX + timedelta(hours=5)
    (ended,) = world.service.once()
    assert (ended.status, ended.seconds, ended.html) == (Status.OK, 7.5, str(page))


def test_a_page_that_a_power_cut_took_does_not_count(world: World) -> None:
    run = Run("daily", "daily", SIX, moments=1, status=Status.RUNNING, started=SIX, pid=1)
    History(world.folder).write(run)
    words(world, world.folder / "gone.html")
    world.now = SIX + timedelta(hours=5)
    (ended,) = world.service.once()
    assert (ended.status, ended.seconds) == (Status.INTERRUPTED, None)


def test_a_report_that_outlives_its_scheduler_is_waited_for_and_never_doubled(
    world: World,
) -> None:
    run = Run("daily", "daily", SIX, moments=1, status=Status.RUNNING, started=SIX, pid=1)
    History(world.folder).write(run)
    orphan = try_lock(world.folder / "runs" / "daily.lock")
    assert orphan is not None
    world.now = at("2026-11-27T06:00")
    world.later[world.now + timedelta(minutes=2)] = lambda: os.close(orphan)
    world.serve(at("2026-11-27T06:10"))
    assert [(when, how) for when, _, how in world.told] == [
        ("27T06:02", "interrupted"), ("27T06:02", "running"), ("27T06:02", "ok"),
    ]  # fmt: skip


def test_schedules_that_are_added_and_removed_while_it_runs_are_noticed(world: World) -> None:
    world.later[at("2026-11-25T13:00")] = lambda: world.service.book.add(
        schedule("hourly", every_seconds=3_600, added=at("2026-11-25T13:00"))
    )
    world.later[at("2026-11-25T15:30")] = lambda: world.service.book.remove("hourly") and None
    world.serve(at("2026-11-25T20:00"))
    assert [when for when, name, how in world.told if how == "ok"] == ["25T14:00", "25T15:00"]


def test_a_second_scheduler_is_refused_with_the_pid_of_the_first(world: World) -> None:
    world.folder.mkdir(exist_ok=True)
    with (world.folder / "scheduler.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        first.write("4711\n")
        first.flush()
        with pytest.raises(UsageError, match=r"a scheduler runs already \(pid 4711\)"):
            world.service.once()
    assert world.service.once() == []


def test_a_report_that_cannot_be_started_is_a_failed_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, lock: int, **__: object) -> Report:
        os.close(lock)
        raise UsageError("the report could not be started: no such folder")

    monkeypatch.setattr(world.service, "launch", refuse)
    world.now = SIX
    (run,) = world.service.once()
    assert (run.status, run.error) == (
        Status.FAILED, "the report could not be started: no such folder",
    )  # fmt: skip
