"""The journal: all or nothing, durable, chained, and on a disk that keeps it."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.journal import Journal, file_system
from bridge.journal_reader import JournalReader
from bridge.journal_rows import CommandRow, Event, TicketStatus
from tests.bridge.doubles import instance_row, journal_in, ticket
from workbench.errors import DataError, UsageError


def test_what_is_written_is_read_back_after_reopening(tmp_path: Path) -> None:
    """State, intent and ticket of one decision come back as they were, NaN included."""
    row = instance_row(last_target=math.nan, strategy_state=bytes(range(256)))
    journal_in(tmp_path).write(7, [row, ticket(), Event("decision", "one", 5, {"target": 1.0})])
    again = JournalReader.open_read_only(tmp_path / "journal.db")
    (read,) = again.instances()
    assert math.isnan(read.last_target)
    assert read.strategy_state == bytes(range(256))
    assert again.tickets("one") == [ticket()]
    assert [(e.seq, e.time_ms, e.market_ms, e.data) for e in again.events(after=0)] == [
        (1, 7, 5, '{"target":1.0}')
    ]


def test_a_transaction_whose_last_row_fails_leaves_nothing(tmp_path: Path) -> None:
    """A ticket is never there without the state that decided it."""
    journal = journal_in(tmp_path)
    journal.write(1, [CommandRow("c", 201, "{}")])
    with pytest.raises(sqlite3.IntegrityError):
        journal.write(
            2,
            [instance_row(), ticket(), Event("decision", "one", 0, {}), CommandRow("c", 201, "{}")],
        )
    assert journal.instances() == []
    assert journal.tickets("one") == []
    assert journal.last_seq() == 0
    assert journal.write(3, [Event("alarm", "one", 0, {"reason": "why"})])[0].seq == 1
    assert journal.first_bad_event() is None


def test_a_ticket_moves_on_but_its_attempts_stay_apart(tmp_path: Path) -> None:
    """Another attempt is another row; the same client order id is the same row."""
    journal = journal_in(tmp_path)
    journal.write(1, [ticket()])
    journal.write(
        2, [ticket(status=TicketStatus.VOID), ticket(client_order_id="wb-00000abc-1-2", attempt=2)]
    )
    assert [(t.attempt, t.status) for t in journal.tickets("one")] == [
        (1, TicketStatus.VOID),
        (2, TicketStatus.WRITTEN),
    ]
    with pytest.raises(sqlite3.IntegrityError):
        journal.write(3, [ticket(client_order_id="wb-otherabc-1-1")])


def test_the_journal_uses_wal_and_full_synchronisation(tmp_path: Path) -> None:
    """NORMAL could lose the last commits at a power cut."""
    journal = journal_in(tmp_path)
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_another_accounts_journal_is_refused(tmp_path: Path) -> None:
    """A copied journal would book another account's fills."""
    journal_in(tmp_path).close()
    with pytest.raises(DataError, match="belongs to account 'paper', not 'other'"):
        Journal(tmp_path / "journal.db", account="other", allow_any_file_system=True)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_chain_names_the_first_edited_or_removed_event(data: st.DataObject) -> None:
    """Whatever happened to one event, it is found, and no earlier one is blamed."""
    folder = Path(os.environ["WORKBENCH_HOME"]) / f"chain-{data.draw(st.integers(0, 2**40))}"
    folder.mkdir()
    journal = journal_in(folder)
    journal.write(1, [Event("candle", "one", i, {"close": 100 + i}) for i in range(6)])
    assert journal.first_bad_event() is None
    bad = data.draw(st.integers(1, 6))
    change = data.draw(
        st.sampled_from(
            [
                "data = '{}'",
                "time_ms = time_ms + 1",
                "instance = 'two'",
                "hash = zeroblob(32)",
                "kind = 'fill'",
            ]
        )
    )
    if data.draw(st.booleans()):
        journal._db.execute(f"UPDATE events SET {change} WHERE seq = ?", (bad,))
        assert journal.first_bad_event() == bad
    elif (
        bad < 6
    ):  # the removal of the very last one leaves a shorter, sound chain: its head is kept elsewhere
        journal._db.execute("DELETE FROM events WHERE seq = ?", (bad,))
        assert journal.first_bad_event() == bad
    journal.close()
    shutil.rmtree(folder)


def test_a_file_system_that_forgets_is_refused() -> None:
    """tmpfs loses the journal with the power."""
    memory = Path("/dev/shm")
    if not memory.exists() or file_system(memory) != "tmpfs":
        pytest.skip("needs a tmpfs at /dev/shm")
    folder = memory / f"workbench-test-{os.getpid()}"
    folder.mkdir()
    try:
        with pytest.raises(UsageError, match="lies on tmpfs"):
            Journal(folder / "journal.db", account="paper")
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()


def test_every_acknowledged_commit_survives_kill_9(tmp_path: Path) -> None:
    """What was acknowledged is there, at most one more is, and the file is whole."""
    code = (
        "import sys; from pathlib import Path; from tests.bridge.doubles import journal_in;"
        "from bridge.journal_rows import Event\n"
        f"journal = journal_in(Path({str(tmp_path)!r}))\n"
        "for i in range(10**6):\n"
        "    journal.write(i, [Event('candle', 'one', i, {})])\n"
        "    print(i, flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(50):
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])
    writer.wait()
    writer.stdout.close()
    journal = journal_in(tmp_path)
    assert acknowledged + 1 <= journal.last_seq() <= acknowledged + 2
    assert journal.first_bad_event() is None


def test_a_file_that_is_no_journal_is_one_error(tmp_path: Path) -> None:
    """Neither a missing file nor one of another kind ends in a traceback."""
    other = tmp_path / "notes.db"
    other.write_text("no database at all, but long enough for a header" * 9)
    with pytest.raises(DataError, match=r"notes.db is no journal .*name a gateway's journal.db"):
        JournalReader.open_read_only(other)
    with pytest.raises(DataError, match="has this account ever been started"):
        JournalReader.open_read_only(tmp_path / "journal.db")
