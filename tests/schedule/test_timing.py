"""When a schedule is due: crontab's rules in UTC, spans that count from a moment, and clear refusals."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedule.moments import WEDNESDAY, at, naive_next, schedule
from workbench.errors import UsageError
from workbench.schedule.timing import (
    Cron,
    Every,
    Moments,
    moments,
    parse_clock,
    parse_duration,
    write_duration,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 6 * * *", "2026-11-26T06:00"),
        ("*/15 * * * *", "2026-11-25T12:15"),
        ("30 7 * * mon-fri", "2026-11-26T07:30"),
        ("0 6 * * 0", "2026-11-29T06:00"),  # a Sunday
        ("0 6 * * 7", "2026-11-29T06:00"),
        ("0 6 * * 1", "2026-11-30T06:00"),  # a Monday
        ("0 6 * * fri-sun", "2026-11-27T06:00"),
        ("0 6 * * 5-7", "2026-11-27T06:00"),
        ("0 6 13 * 5", "2026-11-27T06:00"),  # the 13th or a Friday
        ("0 0 1 * *", "2026-12-01T00:00"),
        ("0 0 29 feb *", "2028-02-29T00:00"),
        ("0 6 * JAN Sat", "2027-01-02T06:00"),
    ],
)
def test_a_cron_text_means_what_it_means_in_crontab(text: str, expected: str) -> None:
    assert Cron(text).next(WEDNESDAY) == at(expected)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_next_minute_is_the_one_that_trying_each_finds(data: st.DataObject) -> None:
    bounds = [(0, 59), (0, 23), (1, 28), (1, 12), (0, 6)]
    axes = [st.none() | st.sets(st.integers(*one), min_size=1, max_size=3) for one in bounds]
    fields = [data.draw(axis) for axis in axes]
    text = " ".join("*" if one is None else ",".join(map(str, sorted(one))) for one in fields)
    after = WEDNESDAY + timedelta(seconds=data.draw(st.integers(0, 400 * 86_400)))
    assert Cron(text).next(after) == naive_next(fields, after)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 6 * *", "has 4 fields; five are needed"),
        ("@daily", "has 1 fields; five are needed"),
        ("61 * * * *", "minute '61'"),
        ("0 24 * * *", "hour '24'"),
        ("0 6 0 * *", "day of the month '0'"),
        ("0 6 * 13 *", "month '13'"),
        ("0 6 * * 8", "day of the week '8' is none of 0-7"),
        ("0 6 * * fri-mon", "day of the week 'fri-mon'"),
        ("0 6 * * */0", r"day of the week '\*/0'"),
        ("a * * * *", "minute 'a'"),
        ("*/0 * * * *", r"minute '\*/0'"),
        ("0 6 31 feb *", "names a day that never comes"),
    ],
)
def test_a_wrong_cron_text_is_one_error_with_an_example(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Cron(text)
    assert '"0 6 * * *" is 06:00 every day' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_six_hours_at_six_is_six_twelve_six_and_midnight() -> None:
    timing = schedule(every_seconds=6 * 3_600, at="06:00").timing
    found, now = [], WEDNESDAY
    for _ in range(4):
        now = timing.next(now) or now
        found.append(now)
    days = ("25T18:00", "26T00:00", "26T06:00", "26T12:00")
    assert found == [at(f"2026-11-{day}") for day in days]


def test_every_two_days_counts_from_the_day_it_was_added() -> None:
    timing = schedule(every_seconds=2 * 86_400, at="18:30").timing
    assert timing.next(WEDNESDAY) == at("2026-11-25T18:30")
    assert timing.next(at("2026-11-25T18:30")) == at("2026-11-27T18:30")


def test_moments_count_what_went_by_and_keep_the_latest() -> None:
    timing = Every(timedelta(hours=1), WEDNESDAY)
    assert moments(timing, WEDNESDAY, at("2026-11-25T12:59:59")) is None
    assert moments(timing, WEDNESDAY, at("2026-11-25T15:30")) == Moments(at("2026-11-25T15:00"), 3)


@pytest.mark.parametrize("text", ["* * * * *", "* 0 * * *", "*/7 3,4 * * *"])
def test_two_years_that_went_by_are_looked_through_from_their_end(text: str) -> None:
    until = WEDNESDAY + timedelta(days=730, minutes=5)
    found = moments(Cron(text), WEDNESDAY, until)
    assert found is not None
    assert found.count == 1_000
    assert found.latest <= until
    assert (Cron(text).next(found.latest) or until) > until


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5_400), ("6h", 21_600), ("1d", 86_400), ("1w", 604_800)]
)
def test_spans_are_read_and_written(text: str, seconds: int) -> None:
    assert parse_duration(text, "--every") == seconds
    assert write_duration(seconds) == text


@pytest.mark.parametrize("text", ["", "6", "h", "0h", "-1h", "1.5h", "6 h", "1M", "9999999h"])
def test_a_text_that_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no span of time; write it like 30m, 6h"):
        parse_duration(text, "--every")


@pytest.mark.parametrize("text", ["6", "24:00", "06:60", "6:00", "noon"])
def test_a_text_that_is_no_time_of_the_day_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write it like 06:00"):
        parse_clock(text)


def test_a_schedule_says_once_when_it_is_due() -> None:
    with pytest.raises(UsageError, match="needs either --cron or --every"):
        schedule(cron=None)
    with pytest.raises(UsageError, match="--at goes with --every"):
        schedule(at="06:00")
    with pytest.raises(UsageError, match="--every 30s is too often; 1m is the least"):
        schedule(every_seconds=30)
