"""The trial ledger: every distinct trial that was ever made, so that nobody has to type N.

One SQLite file, `trials.sqlite` in WORKBENCH_HOME, in WAL mode with synchronous=FULL: a batch is one
transaction, on the disk before its result is returned; two processes queue for the lock, and a process
that is killed leaves the file as it was before or after. An append-only file of our own would need a
lock, a repair of torn tails and an index of scopes, all of which SQLite has.

    entries     one a batch: what its trials have in common, how many rows it had (`seen`), how many of
                them were new, and the sums that N and the variance are made of
    blocks      the new trials: identities as they are, for a quick look-up, other columns compressed
    head        number and hash of the last entry: what was cut off the end is missed

Each entry holds SHA-256 over the entry before it and its own content, and triggers refuse changes, so an
edit or a deletion is found (`workbench.analysis.trial_check`). Who rewrites the whole file, or deletes
it, is not: write the head's hash down where that matters; verdicts print it.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.trial_file import COLUMNS, connect, told, transaction
from workbench.analysis.trial_rows import (
    Tally,
    TrialBatch,
    chained,
    first_of_each,
    header_of,
    packed,
)
from workbench.errors import DataError
from workbench.home import home_path

if TYPE_CHECKING:
    import sqlite3  # imported when a ledger is opened: half the time of `import workbench` otherwise

FILE_NAME = "trials.sqlite"
LEAST_FREE_BYTES = 4_000_000
MOST_SCOPES_KEPT = 64


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """How many trials there were of a strategy's name, over all its versions, symbols and windows.

    `n` counts distinct ones, `seen` re-runs too; `sharpe_variance` (ddof 1; NaN under two) is of the
    per-day Sharpes of the `with_trades` that ever held a position. `ledger_n` counts the whole ledger's,
    `head` is the hash of its last entry.
    """

    n: int
    seen: int
    with_trades: int
    sharpe_variance: float
    ledger_n: int
    head: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an append did: how many rows it was given, and how many trials of them were new."""

    seen: int
    fresh: int


class TrialLedger:
    """The ledger in one file, made when the first batch is appended; safe for threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = 0
        self._inode = 0
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[int, np.ndarray]] = {}
        self._inherited: list[sqlite3.Connection | None] = []

    def demand_writable(self) -> None:
        """Raise DataError, with the mend, where it can be told now that an append would fail."""
        with self._open() as db:
            self._head(db)
        folder = self.path.parent
        if not os.access(folder, os.W_OK) or not os.access(self.path, os.W_OK):
            raise DataError(
                f"the trial ledger {self.path} may not be written, and no trial goes uncounted; give "
                "yourself write permission, or set WORKBENCH_HOME to a folder of your own"
            )
        room = os.statvfs(folder)
        if room.f_bavail * room.f_frsize < LEAST_FREE_BYTES:
            raise DataError(
                f"the trial ledger {self.path} has {room.f_bavail * room.f_frsize:,} bytes of disk left, "
                f"under {LEAST_FREE_BYTES:,}, and no trial goes uncounted; free some disk space"
            )

    def append(self, batches: Sequence[TrialBatch], *, now_ms: int) -> Receipt:
        """Append one entry a batch, all or none, on the disk when this returns.

        Raises DataError, with nothing appended, where the disk or the file does not allow it.
        """
        seen = fresh = 0
        with self._open() as db, transaction(db):
            seq, sha = self._head(db)
            for batch in batches:
                seq += 1
                rows = first_of_each(batch.rows, self._identities(db, batch.scope.sha))
                sha = _write(db, seq, sha, header_of(seq, now_ms, batch, Tally.of(rows)), rows)
                seen, fresh = seen + len(batch.rows), fresh + len(rows)
            db.execute("UPDATE head SET seq = ?, sha = ?", (seq, sha))
        return Receipt(seen, fresh)

    def counts(self, *strategies: str) -> TrialCounts:
        """Return N and the variance of Sharpes of strategies by name; DataError for a file that is no ledger."""
        if not self.path.exists():
            return TrialCounts(0, 0, 0, math.nan, 0)
        marks = ", ".join("?" * len(strategies))
        with self._open() as db:
            n, seen, traded, total, squares = db.execute(
                "SELECT coalesce(sum(fresh), 0), coalesce(sum(seen), 0), coalesce(sum(traded), 0), "
                "coalesce(sum(sharpe_sum), 0.0), coalesce(sum(sharpe_squares), 0.0) "
                f"FROM entries WHERE strategy IN ({marks})",
                strategies,
            ).fetchone()
            (whole,) = db.execute("SELECT coalesce(sum(fresh), 0) FROM entries").fetchone()
            _, head = self._head(db)
        variance = math.nan
        if traded > 1:
            variance = max(0.0, (squares - total * total / traded) / (traded - 1))
        return TrialCounts(n, seen, traded, variance, whole, head.hex())

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hand out a connection for questions that this class does not answer."""
        with self._open() as db:
            yield db

    def _head(self, db: sqlite3.Connection) -> tuple[int, bytes]:
        found: tuple[int, bytes] | None = db.execute("SELECT seq, sha FROM head").fetchone()
        if found is None:
            raise DataError(
                f"the trial ledger {self.path} has lost its head: somebody changed it; put a backup in its "
                "place, or move it away and say that the count begins anew"
            )
        return found

    def _identities(self, db: sqlite3.Connection, scope: bytes) -> np.ndarray:
        """Return the identities of a scope; what was read before is kept, entries never change."""
        last, known = self._known.pop(scope, (0, np.zeros(0, np.uint64)))
        found = db.execute(
            "SELECT seq, identities FROM blocks JOIN entries USING (seq) "
            "WHERE scope = ? AND seq > ? ORDER BY seq",
            (scope, last),
        ).fetchall()
        if found:
            known = np.concatenate([known, *(np.frombuffer(ids, "<u8") for _, ids in found)])
            last = found[-1][0]
        while len(self._known) >= MOST_SCOPES_KEPT:
            del self._known[next(iter(self._known))]
        self._known[scope] = (last, known)
        return known

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():  # a forked child uses no lock or connection of its parent
            self._inherited.append(self._connection)
            self._pid, self._lock, self._connection = os.getpid(), threading.Lock(), None
        import sqlite3

        with self._lock:
            try:
                yield self._connected()
            except BaseException as error:
                self._known.clear()  # what was read inside a transaction may have been undone
                if isinstance(error, sqlite3.DatabaseError):
                    raise DataError(told(self.path, error)) from None
                raise

    def _connected(self) -> sqlite3.Connection:
        with suppress(OSError):
            if self._connection is not None and os.stat(self.path).st_ino == self._inode:
                return self._connection
        self._connection = None
        self._known.clear()
        self._connection = connect(self.path)
        self._inode = os.stat(self.path).st_ino
        return self._connection


def home_ledger() -> TrialLedger:
    """Return the ledger of WORKBENCH_HOME as it is set now; one object a path and process."""
    path = home_path() / FILE_NAME
    if path not in _ledgers:
        _ledgers[path] = TrialLedger(path)
    return _ledgers[path]


_ledgers: dict[Path, TrialLedger] = {}


def _write(
    db: sqlite3.Connection, seq: int, previous: bytes, header: tuple[object, ...], rows: np.ndarray
) -> bytes:
    """Insert one entry with its block; return its hash."""
    identities, columns = packed(rows)
    sha = chained(previous, header, identities, columns)
    db.execute(f"INSERT INTO entries VALUES ({', '.join('?' * len(COLUMNS))})", (*header, sha))
    db.execute("INSERT INTO blocks VALUES (?, ?, ?)", (seq, identities, columns))
    return sha
