"""The journal of one account: what was decided, ordered and filled, durable before anything is sent.

SQLite in WAL mode with synchronous=FULL; one process writes (the gateway). Everything that
belongs together goes into one `write`, which returns only after the disk has it. Events form a
hash chain h_i = SHA-256(h_{i-1} || canonical JSON of event i), so that an edit, a removal or a
cut is found by `first_bad_event`. Reading is in `journal_reader`, which never writes and may be
used while the gateway lives.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sqlite3
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from bridge.journal_reader import (
    GENESIS,
    JournalReader,
    StoredEvent,
    chained,
    event_json,
    stored_event,
)
from bridge.journal_rows import (
    CandleRow,
    CommandRow,
    DecisionRow,
    Event,
    FillRow,
    InstanceRow,
    Row,
    Ticket,
)
from workbench.errors import DataError, UsageError

VERSION = 3
KEPT_ALARMS = 5
# A journal there would be lost at a power cut, or written by two machines at once.
REFUSED_FILE_SYSTEMS = frozenset(
    {
        "tmpfs",
        "ramfs",
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "fuse.sshfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
    }
)

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, market_ms INTEGER NOT NULL, instance TEXT NOT NULL,
    leg INTEGER NOT NULL DEFAULT 0, kind TEXT NOT NULL, data TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE instances (
    name TEXT PRIMARY KEY, tag TEXT NOT NULL UNIQUE, strategy TEXT NOT NULL, code_sha TEXT NOT NULL,
    params TEXT NOT NULL, symbol TEXT NOT NULL, interval TEXT NOT NULL, capital_e8 INTEGER NOT NULL,
    late_entry TEXT NOT NULL, started_ms INTEGER NOT NULL, synthetic INTEGER NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, seq INTEGER NOT NULL, bars INTEGER NOT NULL, first_warm_ms INTEGER NOT NULL,
    last_candle_ms INTEGER NOT NULL, last_close REAL NOT NULL, last_target REAL, strategy_state BLOB NOT NULL,
    state_layout TEXT NOT NULL, stop_policy TEXT NOT NULL, exits TEXT NOT NULL, plan BLOB NOT NULL,
    ladder BLOB NOT NULL, guards TEXT NOT NULL) STRICT;
CREATE TABLE tickets (
    client_order_id TEXT PRIMARY KEY, instance TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL,
    symbol TEXT NOT NULL, side TEXT NOT NULL, quote_e8 INTEGER NOT NULL, quantity_e8 INTEGER NOT NULL,
    reason TEXT NOT NULL, candle_ms INTEGER NOT NULL, target_before REAL, status TEXT NOT NULL,
    order_id INTEGER NOT NULL, executed_e8 INTEGER NOT NULL, note TEXT NOT NULL, kind TEXT NOT NULL,
    price_e8 INTEGER NOT NULL, stop_e8 INTEGER NOT NULL, list_id TEXT NOT NULL,
    leg INTEGER NOT NULL DEFAULT 0, UNIQUE (instance, seq, attempt, leg)) STRICT;
CREATE TABLE decisions (
    instance TEXT NOT NULL, seq INTEGER NOT NULL, open_time_ms INTEGER NOT NULL, kind TEXT NOT NULL, target REAL,
    acted INTEGER NOT NULL, side TEXT NOT NULL, equity REAL, cash REAL, quantity REAL, late INTEGER NOT NULL,
    note TEXT NOT NULL, intent BLOB NOT NULL, state_sha TEXT NOT NULL, guard TEXT NOT NULL,
    leg INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (instance, seq, leg)) STRICT;
CREATE TABLE fills (
    symbol TEXT NOT NULL, trade_id INTEGER NOT NULL, instance TEXT NOT NULL, order_id INTEGER NOT NULL,
    client_order_id TEXT NOT NULL, side TEXT NOT NULL, price_e8 INTEGER NOT NULL, quantity_e8 INTEGER NOT NULL,
    commission_e8 INTEGER NOT NULL, commission_asset TEXT NOT NULL, market_ms INTEGER NOT NULL,
    time_ms INTEGER NOT NULL, is_maker INTEGER NOT NULL, ticks INTEGER NOT NULL, lots INTEGER NOT NULL,
    after_seq INTEGER NOT NULL, leg INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (symbol, trade_id)) STRICT;
CREATE INDEX fills_of_order ON fills (client_order_id);
CREATE INDEX fills_of_instance ON fills (instance);
CREATE TABLE candles (
    instance TEXT NOT NULL, open_time_ms INTEGER NOT NULL, open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL,
    close REAL NOT NULL, volume REAL NOT NULL, missing_before INTEGER NOT NULL, warm INTEGER NOT NULL,
    PRIMARY KEY (instance, open_time_ms)) STRICT;
CREATE TABLE commands (command_id TEXT PRIMARY KEY, status INTEGER NOT NULL, answer TEXT NOT NULL) STRICT;
"""

# Instances and tickets move on; a decision, a fill or a command is a fact and is written once.
_TABLES: dict[type, tuple[str, str]] = {
    InstanceRow: ("instances", "name"),
    Ticket: ("tickets", "client_order_id"),
    DecisionRow: ("decisions", ""),
    FillRow: ("fills", ""),
    CandleRow: ("candles", ""),
    CommandRow: ("commands", ""),
}


class Journal(JournalReader):
    """The one writer of an account's journal."""

    def __init__(self, path: Path, *, account: str, allow_any_file_system: bool = False) -> None:
        """Open or create it. Raises UsageError for an unsuitable disk, DataError for a damaged file."""
        _demand_durable_disk(path.parent, allowed=allow_any_file_system)
        fresh = not path.exists()
        if fresh:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        super().__init__(_writer(path), path)
        if fresh or not self._has_tables():
            self._create(account)
        self._demand_sound(account)
        self._head = self._last_hash()
        self.alarms: deque[str] = deque(self._newest_alarms(), maxlen=KEPT_ALARMS)

    def write(self, time_ms: int, rows: Iterable[Row]) -> list[StoredEvent]:
        """Commit all rows in one durable transaction and return its events. Raises sqlite3.Error."""
        stored: list[StoredEvent] = []
        head = self._head
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                if isinstance(row, Event):
                    event, head = self._append(row, time_ms, head)
                    stored.append(event)
                else:
                    self._put(row)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._head = head
        self.alarms.extend(_alarm(event) for event in stored if event.kind == "alarm")
        return stored

    def _append(self, event: Event, time_ms: int, head: bytes) -> tuple[StoredEvent, bytes]:
        data = json.dumps(dict(event.data), separators=(",", ":"), sort_keys=True, allow_nan=False)
        seq = self._db.execute("SELECT coalesce(max(seq), 0) + 1 FROM events").fetchone()[0]
        stored = StoredEvent(seq, time_ms, event.market_ms, event.instance, event.kind, data)
        digest = chained(head, event_json(stored))
        self._db.execute(
            "INSERT INTO events (seq, time_ms, market_ms, instance, kind, data, hash) VALUES (?,?,?,?,?,?,?)",
            (seq, time_ms, event.market_ms, event.instance, event.kind, data, digest),
        )
        return stored, digest

    def _put(self, row: Row) -> None:
        table, key = _TABLES[type(row)]
        names = [field.name for field in dataclasses.fields(row)]
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        if key:
            changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
            insert += f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
        elif isinstance(row, CandleRow):
            insert += " ON CONFLICT DO NOTHING"
        self._db.execute(insert, [_stored(getattr(row, name)) for name in names])

    def _create(self, account: str) -> None:
        # One script, one transaction: a crash leaves either no tables or all of them.
        meta = f"INSERT INTO meta VALUES ('version', '{VERSION}'), ('account', '{account}');"
        self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {meta} COMMIT;")

    def _has_tables(self) -> bool:
        return bool(self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone())

    def _demand_sound(self, account: str) -> None:
        finding = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if finding != "ok":
            raise DataError(
                f"journal {self.path} is damaged ({finding}); restore a backup, then start again"
            )
        meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        if meta.get("version") != str(VERSION):
            raise DataError(
                f"journal {self.path} has version {meta.get('version')}, this program writes {VERSION}; "
                "use the program that wrote it"
            )
        if meta.get("account") != account:
            raise DataError(
                f"journal {self.path} belongs to account {meta.get('account')!r}, not {account!r}; do not copy journals"
            )

    def _newest_alarms(self) -> list[str]:
        rows = self._db.execute(
            "SELECT * FROM events WHERE kind = 'alarm' ORDER BY seq DESC LIMIT ?", (KEPT_ALARMS,)
        )
        return [_alarm(stored_event(row)) for row in rows.fetchall()[::-1]]

    def _last_hash(self) -> bytes:
        row = self._db.execute("SELECT hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return row[0] if row else GENESIS


def _alarm(event: StoredEvent) -> str:
    return f"{event.instance}: {json.loads(event.data)['reason']}"


def _writer(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


def _stored(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    if isinstance(value, str):
        return str(value)  # enums become plain text
    return value


def _demand_durable_disk(folder: Path, *, allowed: bool) -> None:
    kind = file_system(folder)
    if kind in REFUSED_FILE_SYSTEMS and not allowed:
        raise UsageError(
            f"{folder} lies on {kind}, which may lose or share the journal; set WORKBENCH_HOME to a local disk"
        )


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds `folder`, or "" where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return ""
    best, kind = "", ""
    real = str(folder.resolve())
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, mount, fs_type, *_ = line.split(" ")
            mount = mount.replace("\\040", " ")
            inside = real == mount or real.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, fs_type
    return kind
