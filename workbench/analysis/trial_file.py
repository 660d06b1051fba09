"""The ledger's file: its tables, how it is opened, and what is said where it cannot be.

A file of another program is left as it is; a newer workbench's is refused. Changes are refused by triggers
too: they stop a slip, the chain of hashes finds what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import DataError

if TYPE_CHECKING:
    import sqlite3  # imported when a ledger is opened: half the time of `import workbench` otherwise

APPLICATION_ID = 0x77627472  # "wbtr"
VERSION = 1
GENESIS = bytes(32)
MOST_WAIT_S = 20.0  # for another process that appends
SYNCHRONOUS = "FULL"  # a batch is on the disk, not in its cache, before its result is handed back
COLUMNS = (
    "seq", "written_ms", "scope", "strategy", "strategy_sha", "data_sha256", "symbol", "interval", "first_ms",
    "last_ms", "costs", "engine", "seen", "fresh", "traded", "sharpe_sum", "sharpe_squares", "best_sharpe",
    "sha",
)  # fmt: skip

_SCHEMA = f"""
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, written_ms INTEGER NOT NULL, scope BLOB NOT NULL, strategy TEXT NOT NULL,
    strategy_sha TEXT NOT NULL, data_sha256 TEXT NOT NULL, symbol TEXT NOT NULL, interval TEXT NOT NULL,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, costs TEXT NOT NULL, engine TEXT NOT NULL,
    seen INTEGER NOT NULL, fresh INTEGER NOT NULL, traded INTEGER NOT NULL, sharpe_sum REAL NOT NULL,
    sharpe_squares REAL NOT NULL, best_sharpe REAL, sha BLOB NOT NULL) STRICT;
CREATE TABLE blocks (seq INTEGER PRIMARY KEY, identities BLOB NOT NULL, columns BLOB NOT NULL) STRICT;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, sha BLOB NOT NULL) STRICT;
INSERT INTO head VALUES (1, 0, zeroblob(32));
CREATE INDEX entries_of_scope ON entries (scope);
CREATE INDEX entries_of_strategy ON entries (strategy);
CREATE TRIGGER no_change BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries stay'); END;
CREATE TRIGGER no_removal BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries stay'); END;
CREATE TRIGGER no_other_block BEFORE UPDATE ON blocks BEGIN SELECT RAISE(ABORT, 'blocks stay'); END;
CREATE TRIGGER no_lost_block BEFORE DELETE ON blocks BEGIN SELECT RAISE(ABORT, 'blocks stay'); END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made where there is none; DataError where it is no ledger of this version."""
    import sqlite3

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the trial ledger's folder {path.parent} cannot be made: {error.strerror}, and no trial goes "
            "uncounted; set WORKBENCH_HOME to a folder of your own"
        ) from None
    db = sqlite3.connect(path, timeout=MOST_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        _demand_ours(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _demand_ours(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file; DataError for a file of another program or a newer workbench."""
    if _is_new(db):
        db.execute("PRAGMA journal_mode = WAL")  # stays with the file; another's is left as it is
        with transaction(db):
            if _is_new(db):  # another process may have made them meanwhile
                for statement in _statements():
                    db.execute(statement)
        path.chmod(0o600)
    (kind,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if kind != APPLICATION_ID:
        raise DataError(
            f"{path} is a database of another program, not the trial ledger; move it away, or set "
            "WORKBENCH_HOME to another folder"
        )
    if version != VERSION:
        raise DataError(
            f"the trial ledger {path} has version {version}, this workbench reads version {VERSION}; "
            "install the newer workbench again, or set WORKBENCH_HOME to another folder"
        )
    # A file that was cut short is told by its last pages, before any work is done for it.
    db.execute("SELECT length(columns) FROM head LEFT JOIN blocks USING (seq)").fetchone()


def _is_new(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def _statements() -> list[str]:
    """Return the schema's statements; those of a trigger hold a semicolon themselves."""
    return [line for line in _SCHEMA.replace(";\n", ";\0").split("\0") if line.strip()]


def told(path: Path, error: sqlite3.DatabaseError) -> str:
    """Return what SQLite found, with the mend."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return (
            f"the trial ledger {path} is held by another process for {MOST_WAIT_S:.0f} s; end that "
            "process (`fuser` names it), then run again"
        )
    if any(word in text for word in ("full", "I/O", "readonly", "unable to open")):
        return (
            f"the trial ledger {path} cannot be written: {text}; free some disk space or give yourself "
            "write permission, then run again"
        )
    return (
        f"{path} is no trial ledger, or a damaged one: {text}; put a backup in its place, or move it away "
        "and say that the count begins anew"
    )


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is executed inside, or undo it; other processes wait."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
