"""The files of schedules: whole or not there, strict about what they hold, patient with a torn log."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.schedule.moments import SIX, WEDNESDAY, schedule
from workbench.errors import DataError, UsageError
from workbench.schedule.book import Book, find
from workbench.schedule.history import History, Run, Status, last_of

RUNNING = Run("daily", "daily", SIX, moments=1, status=Status.RUNNING, started=SIX, pid=4321)


def test_schedules_come_back_as_they_were_added_by_name(tmp_path: Path) -> None:
    values = {"symbol": "BTCUSDT", "fast": 12, "fee_bps": 0.5, "deep": True, "note": None}
    second, first = schedule("second"), schedule("first", parameters=values)
    book = Book(tmp_path / "schedules")
    assert book.read() == []
    book.add(second)
    book.add(first)
    assert book.read() == [first, second]
    assert [type(v) for v in book.read()[0].parameters.values()] == [
        str, int, float, bool, type(None),
    ]  # fmt: skip
    assert book.remove("first") == first
    assert book.read() == [second]


def test_a_name_is_taken_once_and_known_when_removed(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.add(schedule("daily"))
    with pytest.raises(UsageError, match="'daily' is there already; `workbench schedule remove"):
        book.add(schedule("daily"))
    with pytest.raises(UsageError, match="no schedule is named 'weekly'; there is daily"):
        book.remove("weekly")
    with pytest.raises(UsageError, match="there is none; add one with"):
        find([], "weekly")


@pytest.mark.parametrize("name", ["", "../up", "A", "a b", ".a", "x" * 65])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not plain; use a-z"):
        schedule(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"crom": "0 6 * * *"}, "schedules.0.crom: unknown key"),
        ({"cron": "61 * * * *"}, "minute '61'"),
        ({"grace_seconds": 0}, "schedules.0.grace_seconds"),
        ({"report": None}, "schedules.0.report"),
    ],
)
def test_a_file_with_something_unknown_or_wrong_is_one_error(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    book = Book(tmp_path)
    book.add(schedule())
    held = json.loads(book.path.read_text())
    held["schedules"][0] |= change
    book.path.write_text(json.dumps(held))
    with pytest.raises(DataError, match=said) as caught:
        book.read()
    assert "mend that, or move the file away" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"version": 2, "schedules": []}', "\xff\xfe"])
def test_a_file_that_is_none_or_of_another_version_is_refused(tmp_path: Path, text: str) -> None:
    book = Book(tmp_path)
    book.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="is no file of schedules"):
        book.add(schedule())
    assert book.path.read_bytes() == text.encode("latin-1")


def test_schedules_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    names = [f"s{i}" for i in range(8)]
    adding = [threading.Thread(target=Book(tmp_path).add, args=(schedule(name),)) for name in names]
    for one in adding:
        one.start()
    for one in adding:
        one.join()
    assert [one.name for one in Book(tmp_path).read()] == names


def test_the_log_keeps_each_run_as_it_ended(tmp_path: Path) -> None:
    history = History(tmp_path)
    ended = replace(RUNNING.ended(Status.OK, SIX.replace(minute=2)), html="/r/daily.html")
    later = replace(RUNNING, schedule="other", started=WEDNESDAY)
    history.write(RUNNING)
    history.write(later)
    history.write(ended)
    assert history.read() == [ended, later]
    assert last_of(history.read())["daily"].seconds == 120.0
    assert len(history.path.read_text().splitlines()) == 3


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_torn_by_a_death_is_passed_over_and_the_log_goes_on(
    tmp_path: Path, cut: int
) -> None:
    history = History(tmp_path)
    history.write(RUNNING)
    history.write(RUNNING.ended(Status.OK, SIX))
    history.path.write_bytes(history.path.read_bytes()[:-cut])
    assert history.read() in ([RUNNING], [RUNNING.ended(Status.OK, SIX)])
    failed = RUNNING.ended(Status.FAILED, SIX, error="no candles")
    history.write(failed)
    assert history.read() == [failed]


def test_a_log_of_another_format_is_refused(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.path.write_text('{"format": 2}\n')
    with pytest.raises(DataError, match="is of another format than 1; move it away"):
        history.read()
