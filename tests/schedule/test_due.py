"""What is due, decided from schedules, the log and a moment alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.schedule.moments import SIX, WEDNESDAY, at, schedule
from workbench.schedule.due import due, next_due, spelled
from workbench.schedule.history import Run, Status

DAILY = schedule()


def ran(when: datetime, name: str = "daily") -> Run:
    return Run(name, "daily", due=when, moments=1, status=Status.OK, started=when)


def test_nothing_is_due_before_its_moment_nor_for_the_time_before_it_was_added() -> None:
    assert due([DAILY], [], WEDNESDAY) == []
    assert due([DAILY], [], SIX - timedelta(seconds=1)) == []
    assert next_due(DAILY, [], WEDNESDAY) == SIX


def test_it_is_due_at_its_moment_and_not_again_once_it_has_run() -> None:
    (found,) = due([DAILY], [], SIX)
    assert (found.moments.latest, found.missed) == (SIX, False)
    assert due([DAILY], [ran(SIX)], SIX + timedelta(minutes=5)) == []
    assert next_due(DAILY, [ran(SIX)], SIX + timedelta(minutes=5)) == at("2026-11-27T06:00")


def test_three_days_asleep_are_one_run_within_the_grace() -> None:
    (found,) = due([DAILY], [ran(SIX)], at("2026-11-29T06:40"))
    assert not found.missed
    assert found.moments.latest == at("2026-11-29T06:00")
    assert found.moments.count == 3
    run = found.run(at("2026-11-29T06:40"))
    assert (run.status, run.due, run.moments) == (Status.RUNNING, at("2026-11-29T06:00"), 3)


def test_past_the_grace_it_was_missed_and_says_how_late() -> None:
    now = at("2026-11-29T07:00:01")
    (found,) = due([DAILY], [ran(SIX)], now)
    assert found.missed
    run = found.run(now)
    assert run.status is Status.MISSED
    assert run.error == "1 h 1 s late when a scheduler looked, and the grace is 1 h"
    assert due([DAILY], [ran(SIX), run], now) == []


def test_a_schedule_that_runs_waits_and_others_do_not() -> None:
    other = schedule("other", every_seconds=3_600)
    now = SIX + timedelta(minutes=1)
    assert [one.schedule.name for one in due([DAILY, other], [], now)] == ["daily", "other"]
    assert [one.schedule.name for one in due([DAILY, other], [], now, busy={"daily"})] == ["other"]


def test_runs_of_another_schedule_do_not_count() -> None:
    assert len(due([DAILY], [ran(SIX, "other")], SIX)) == 1


def test_a_due_from_a_clock_that_was_years_ahead_holds_nothing_back() -> None:
    assert len(due([DAILY], [ran(at("2031-01-01T06:00"))], SIX)) == 1


def test_a_clock_set_back_by_seconds_does_not_run_it_twice() -> None:
    assert due([DAILY], [ran(SIX)], SIX - timedelta(seconds=2)) == []
    assert due([DAILY], [ran(SIX)], SIX) == []


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(span: timedelta, text: str) -> None:
    assert spelled(span) == text
