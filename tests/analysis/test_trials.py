"""The trial ledger counts distinct trials, finds what was changed, and survives its processes."""

from __future__ import annotations

import math
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.trial_builders import batch, scope
from tests.conftest import ROOT
from workbench.analysis.trial_check import by_strategy, check, entries_of
from workbench.analysis.trial_rows import identities, packed, unpacked
from workbench.analysis.trials import TrialLedger
from workbench.errors import DataError


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "home" / "trials.sqlite")


def appender(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    """Start a process that appends `count` batches of 50 trials of its own."""
    command = [sys.executable, "-m", "tests.analysis.trial_builders", str(path), who, str(count)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def change(ledger: TrialLedger, statement: str) -> None:
    """Change the file as somebody would who knows that triggers are in the way."""
    with sqlite3.connect(ledger.path) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
    db.close()


# --- counting


def test_n_counts_all_and_the_variance_those_that_traded(ledger: TrialLedger) -> None:
    ledger.append([batch(scope(), [1, 2, 3, 4], [0.1, 0.2, 0.3, None])], now_ms=1)
    counts = ledger.counts("macd")
    assert (counts.n, counts.seen, counts.with_trades, counts.ledger_n) == (4, 4, 3, 4)
    assert counts.sharpe_variance == pytest.approx(0.01)  # (0.1² + 0² + 0.1²) / 2
    assert ledger.counts("rsi").n == 0
    assert ledger.counts("rsi").ledger_n == 4


def test_a_re_run_is_seen_and_not_counted(ledger: TrialLedger) -> None:
    one = batch(scope(), [1, 2, 3], [0.1, 0.2, 0.3])
    assert ledger.append([one], now_ms=1).fresh == 3
    before = ledger.counts("macd")
    assert ledger.append([one], now_ms=2).fresh == 0
    after = ledger.counts("macd")
    assert (after.n, after.seen) == (3, 6)
    assert after.sharpe_variance == before.sharpe_variance
    assert TrialLedger(ledger.path).append([one], now_ms=3).fresh == 0  # a process that starts anew


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.integers(-128, 127)
        ),
        min_size=2,
        max_size=5,
    )
)
def test_a_trial_is_the_same_alone_and_among_others(rows: list[tuple[int, float, int]]) -> None:
    kinds = (np.int64, np.float64, np.int8)
    columns = [
        np.array(one, kind) for one, kind in zip(zip(*rows, strict=True), kinds, strict=True)
    ]
    together = identities(scope(), columns)
    alone = [identities(scope(), [one[i : i + 1] for one in columns])[0] for i in range(len(rows))]
    assert together.tolist() == [int(one) for one in alone]
    assert together.dtype == alone[0].dtype == np.uint64


def test_of_overlapping_grids_only_what_is_new_counts(ledger: TrialLedger) -> None:
    ledger.append([batch(scope(), range(10), [0.1] * 10)], now_ms=1)
    receipt = ledger.append(
        [batch(scope(), range(5, 15), [0.1] * 10), batch(scope(), range(12, 18), [0.1] * 6)],
        now_ms=2,
    )
    assert (receipt.seen, receipt.fresh) == (16, 5 + 3)
    assert ledger.counts("macd").n == 18


@pytest.mark.parametrize(
    "other", [scope("rsi"), scope(data="d2"), scope(costs="fee=0")], ids=["name", "data", "costs"]
)
def test_another_strategy_data_or_costs_are_other_trials(
    ledger: TrialLedger, other: object
) -> None:
    ledger.append([batch(scope(), [1, 2], [0.1, 0.2])], now_ms=1)
    assert ledger.append([batch(other, [1, 2], [0.1, 0.2])], now_ms=2).fresh == 2  # type: ignore[arg-type]
    assert ledger.counts("macd", "rsi").n == 4


def test_no_trials_have_no_variance(ledger: TrialLedger) -> None:
    assert math.isnan(ledger.counts("macd").sharpe_variance)
    assert not ledger.path.exists()  # asking makes no file
    ledger.append([batch(scope(), [1, 2], [0.1, None])], now_ms=1)
    assert math.isnan(ledger.counts("macd").sharpe_variance)


def test_a_sharpe_of_minus_zero_is_read_as_it_was_written(ledger: TrialLedger) -> None:
    ledger.append([batch(scope(), [1], [-0.0]), batch(scope(), [2, 3], [-0.1, 0.1])], now_ms=1)
    assert check(ledger).faults == ()


batches = st.lists(
    st.tuples(
        st.sampled_from(["macd", "rsi"]),
        st.sampled_from(["d1", "d2"]),
        st.lists(st.integers(-4, 4), min_size=1, max_size=6),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(batches, st.data())
@settings(deadline=None, max_examples=25)
def test_the_ledger_counts_as_a_set_does(
    tmp_path_factory: pytest.TempPathFactory, drawn: list, data: st.DataObject
) -> None:
    ledger = TrialLedger(tmp_path_factory.mktemp("ledger") / "trials.sqlite")
    naive: dict[tuple[str, str, int], float | None] = {}
    seen = 0
    for strategy, market, params, reopened in drawn:
        sharpes = [data.draw(st.none() | st.floats(-0.5, 0.5)) for _ in params]
        ledger = TrialLedger(ledger.path) if reopened else ledger
        ledger.append([batch(scope(strategy, market), params, sharpes)], now_ms=1)
        seen += len(params) * (strategy == "macd")
        for param, sharpe in zip(params, sharpes, strict=True):
            naive.setdefault((strategy, market, param), sharpe)
    own = [sharpe for (name, *_), sharpe in naive.items() if name == "macd"]
    traded = [one for one in own if one is not None]
    counts = ledger.counts("macd")
    assert (counts.n, counts.seen, counts.ledger_n) == (len(own), seen, len(naive))
    assert counts.with_trades == len(traded)
    if len(traded) > 1:
        assert counts.sharpe_variance == pytest.approx(np.var(traded, ddof=1), rel=1e-9, abs=1e-15)
    assert check(ledger).faults == ()


def test_rows_come_back_as_they_were_packed() -> None:
    rows = batch(scope(), range(5), [0.1, -0.2, None, 0.0, 1e-9]).rows
    back = unpacked(*packed(rows))
    assert back.tobytes() == rows.tobytes()


def test_the_list_tells_each_strategy_once(ledger: TrialLedger) -> None:
    ledger.append([batch(scope(), [1, 2], [0.1, 0.3]), batch(scope("rsi"), [1], [None])], now_ms=10)
    ledger.append([batch(scope(data="d2"), [1, 2], [0.2, 0.1])], now_ms=20)
    macd, rsi = by_strategy(ledger)
    assert (macd.strategy, macd.n, macd.seen, macd.first_ms, macd.last_ms) == ("macd", 4, 4, 10, 20)
    assert macd.best_sharpe == pytest.approx(0.3 * math.sqrt(365))
    assert (rsi.strategy, rsi.n, rsi.best_sharpe) == ("rsi", 1, None)
    assert [one.seq for one in entries_of(ledger, "macd", most=5)] == [3, 1]


# --- tampering


@pytest.fixture
def three(ledger: TrialLedger) -> TrialLedger:
    """Return a ledger of three entries whose chain is whole."""
    for i in range(3):
        ledger.append([batch(scope(data=f"d{i}"), [1, 2, 3], [0.1, 0.2, 0.3])], now_ms=i)
    found = check(ledger)
    assert (found.entries, found.trials, found.faults) == (3, 9, ())
    assert found.head == ledger.counts("macd").head
    return ledger


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM entries WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM entries WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM entries WHERE seq = 3", "the head names entry 3, the last one is 2"),
        ("DELETE FROM blocks WHERE seq = 2", "entry 2 is not what was written"),
        ("UPDATE entries SET fresh = 1 WHERE seq = 2", "entry 2 is not what was written"),
        ("UPDATE entries SET strategy = 'rsi' WHERE seq = 1", "entry 1 is not what was written"),
        ("UPDATE blocks SET identities = zeroblob(24) WHERE seq = 3", "entry 3 is not what was"),
        ("INSERT INTO entries SELECT 4, written_ms, scope, strategy, strategy_sha, data_sha256, symbol,"
         " interval, first_ms, last_ms, costs, engine, seen, fresh, traded, sharpe_sum, sharpe_squares,"
         " best_sharpe, sha FROM entries WHERE seq = 3", "entry 4 is not what was written"),
        ("DELETE FROM head", "the head is missing"),
    ],
)  # fmt: skip
def test_a_change_is_found_and_named(three: TrialLedger, statement: str, said: str) -> None:
    change(three, statement)
    assert said in " ".join(check(three).faults)


def test_a_ledger_without_its_head_takes_nothing_more(three: TrialLedger) -> None:
    change(three, "DELETE FROM head")
    for call in (three.demand_writable, lambda: three.append([], now_ms=9)):
        with pytest.raises(DataError, match="has lost its head"):
            call()


def test_what_was_cut_off_stays_missing_after_more_was_appended(three: TrialLedger) -> None:
    change(three, "DELETE FROM entries WHERE seq = 3")
    three.append([batch(scope(), [9], [0.1])], now_ms=9)
    assert "entry 3 is missing" in " ".join(check(three).faults)


@pytest.mark.parametrize("statement", ["DELETE FROM entries", "UPDATE entries SET fresh = 0"])
def test_a_plain_change_is_refused(three: TrialLedger, statement: str) -> None:
    with sqlite3.connect(three.path) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    db.close()
    assert check(three).faults == ()


# --- processes


def test_two_processes_at_once_lose_nothing_and_keep_one_chain(ledger: TrialLedger) -> None:
    both = [appender(ledger.path, who, 20) for who in ("one", "other")]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert ledger.counts("macd").n == 2 * 20 * 50
    found = check(ledger)
    assert (found.entries, found.faults) == (40, ())


def test_a_kill_in_the_middle_keeps_what_was_acknowledged(ledger: TrialLedger) -> None:
    acknowledged = 0
    for run in range(4):
        process = appender(ledger.path, f"run {run}", 10_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3 + 7 * run)]
        assert lines[-1], process.communicate()[1]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        process.communicate()
        acknowledged += sum(line.endswith("\n") for line in lines)
        found = check(TrialLedger(ledger.path))
        assert found.faults == ()
        assert acknowledged <= found.entries <= acknowledged + run + 1  # one a kill may be unsaid
    ledger.append([batch(scope(), [1], [0.1])], now_ms=1)
    assert check(ledger).faults == ()


def test_a_batch_is_on_the_disk_before_append_returns(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.analysis.trials import TrialLedger\n"
        "with TrialLedger(Path(sys.argv[1])).reading() as db:\n"
        "    print(*(db.execute(f'PRAGMA {n}').fetchone()[0] for n in ('journal_mode', 'synchronous')))"
    )
    path = str(tmp_path / "trials.sqlite")
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split() == ["wal", "2"], done.stderr  # 2 is FULL


def test_a_forked_child_appends_to_the_same_chain(three: TrialLedger) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            three.append([batch(scope(data="child"), [1, 2], [0.1, 0.2])], now_ms=5)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    three.append([batch(scope(data="parent"), [1], [0.1])], now_ms=6)
    found = check(three)
    assert (found.entries, found.trials, found.faults) == (5, 12, ())


def test_a_file_that_was_moved_away_is_begun_anew(three: TrialLedger) -> None:
    three.path.rename(three.path.with_name("kept.sqlite"))
    for beside in three.path.parent.glob("trials.sqlite-*"):
        beside.unlink()
    three.append([batch(scope(), [1], [0.1])], now_ms=5)
    assert three.counts("macd").ledger_n == 1


# --- files that cannot be used


def _text(path: Path) -> None:
    path.write_text("these are notes of mine\n" * 100)


def _torn(path: Path) -> None:
    whole = TrialLedger(path)
    for i in range(5):
        whole.append([batch(scope(data=str(i)), range(500), [0.1] * 500)], now_ms=1)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    path.write_bytes(path.read_bytes()[:6_000])


def _newer(path: Path) -> None:
    TrialLedger(path).append([batch(scope(), [1], [0.1])], now_ms=1)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()


def _other_program(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    db.close()


@pytest.mark.parametrize(
    ("make", "said", "mend"),
    [
        (_text, "is no trial ledger, or a damaged one", "put a backup in its place"),
        (_torn, "is no trial ledger, or a damaged one", "put a backup in its place"),
        (_newer, "has version 2, this workbench reads version 1", "install the newer workbench"),
        (_other_program, "is a database of another program", "move it away"),
    ],
)
def test_a_file_that_is_no_ledger_is_one_clear_error(
    tmp_path: Path, make: Callable[[Path], None], said: str, mend: str
) -> None:
    path = tmp_path / "trials.sqlite"
    make(path)
    before = path.read_bytes()
    ledger = TrialLedger(path)
    for call in (ledger.demand_writable, lambda: ledger.append([], now_ms=1)):
        with pytest.raises(DataError) as error:
            call()
        assert said in str(error.value)
        assert mend in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=said):
        ledger.counts("macd")
    if make in (_text, _other_program):
        assert path.read_bytes() == before


def test_a_home_that_cannot_be_made_is_refused_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be made.*set WORKBENCH_HOME"):
        TrialLedger(tmp_path / "file" / "home" / "trials.sqlite").demand_writable()


def test_a_disk_that_is_nearly_full_is_refused_before(
    ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.demand_writable()
    room = os.statvfs(ledger.path.parent)
    full = os.statvfs_result((*room[:4], 3, *room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(DataError, match=r"bytes of disk left.*free some disk space"):
        ledger.demand_writable()


def test_a_disk_that_fills_while_appending_loses_nothing_that_was_there(three: TrialLedger) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
            three.append([batch(scope(data="big"), range(20_000), [0.1] * 20_000)], now_ms=5)
        except DataError as error:
            code = 0 if "cannot be written" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found = check(three)
    assert (found.entries, found.trials, found.faults) == (3, 9, ())
    three.append([batch(scope(), [9], [0.1])], now_ms=6)
    assert check(three).entries == 4
