"""Reading an account's journal: by the gateway at start, by the supervisor while the gateway is dead, by `export`."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.exchanges.base import OrderKind, Side
from bridge.journal_rows import (
    CandleRow,
    CommandRow,
    DecisionRow,
    FillRow,
    InstanceRow,
    InstanceState,
    Ticket,
    TicketStatus,
)
from workbench.errors import DataError

GENESIS = hashlib.sha256(b"workbench journal 1").digest()
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it stands in the journal; `data` is canonical JSON."""

    seq: int
    time_ms: int
    market_ms: int
    instance: str
    kind: str
    data: str


class JournalReader:
    """Queries on an open journal."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._db.row_factory = sqlite3.Row
        self.path = path

    @classmethod
    def open_read_only(cls, path: Path) -> JournalReader:
        """Open an existing journal without the right to write. Raises DataError where there is none."""
        if not path.exists():
            raise DataError(f"no journal at {path}; has this account ever been started?")
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
        try:
            db.execute("SELECT 1 FROM meta")
        except sqlite3.OperationalError as error:
            db.close()
            raise DataError(f"the journal at {path} cannot be read yet ({error})") from None
        except sqlite3.DatabaseError as error:
            db.close()
            raise DataError(
                f"{path} is no journal ({error}); name a gateway's journal.db"
            ) from None
        return cls(db, path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def instances(self) -> list[InstanceRow]:
        """Return all instances in the order of their start."""
        rows = self._db.execute("SELECT * FROM instances ORDER BY started_ms, rowid")
        return [_instance(row) for row in rows]

    def tickets(self, instance: str) -> list[Ticket]:
        """Return an instance's tickets in the order of their decisions."""
        rows = self._db.execute(
            "SELECT * FROM tickets WHERE instance = ? ORDER BY seq, attempt", (instance,)
        )
        return [_ticket(row) for row in rows]

    def fills(self, instance: str | None = None, *, after: int = 0) -> list[tuple[int, FillRow]]:
        """Return (seq, fill) in booking order, from the one after `after`; of all instances when None."""
        rows = self._db.execute(
            "SELECT rowid AS seq, * FROM fills WHERE rowid > ? AND (?2 IS NULL OR instance = ?2) ORDER BY rowid",
            (after, instance),
        )
        return [(row["seq"], _fill(row)) for row in rows]

    def fills_of(self, client_order_id: str) -> list[FillRow]:
        """Return the fills of one order in booking order."""
        rows = self._db.execute(
            "SELECT * FROM fills WHERE client_order_id = ? ORDER BY rowid", (client_order_id,)
        )
        return [_fill(row) for row in rows]

    def fill_count(self, instance: str) -> int:
        """Return how many fills an instance has booked."""
        query = "SELECT count(*) FROM fills WHERE instance = ?"
        return int(self._db.execute(query, (instance,)).fetchone()[0])

    def booked_e8(self, client_order_id: str) -> int:
        """Return how much of an order's quantity is booked."""
        query = "SELECT coalesce(sum(quantity_e8), 0) FROM fills WHERE client_order_id = ?"
        return int(self._db.execute(query, (client_order_id,)).fetchone()[0])

    def decisions(self, instance: str, *, after: int = 0, limit: int = -1) -> list[DecisionRow]:
        """Return an instance's decisions with seq above `after`."""
        rows = self._db.execute(
            "SELECT * FROM decisions WHERE instance = ? AND seq > ? ORDER BY seq LIMIT ?",
            (instance, after, limit),
        )
        return [_decision(row) for row in rows]

    def candles(self, instance: str, *, after_ms: int | None, limit: int) -> list[CandleRow]:
        """Return closed candles, oldest first: those after `after_ms`, or else the last `limit`."""
        if after_ms is None:
            query = "SELECT * FROM candles WHERE instance = ? ORDER BY open_time_ms DESC LIMIT ?"
            found = self._db.execute(query, (instance, limit)).fetchall()[::-1]
        else:
            query = "SELECT * FROM candles WHERE instance = ? AND open_time_ms > ? ORDER BY open_time_ms LIMIT ?"
            found = self._db.execute(query, (instance, after_ms, limit)).fetchall()
        return [_candle(row) for row in found]

    def command(self, command_id: str) -> CommandRow | None:
        """Return the answer a command got, if it was carried out."""
        row = self._db.execute(
            "SELECT * FROM commands WHERE command_id = ?", (command_id,)
        ).fetchone()
        return CommandRow(row["command_id"], row["status"], row["answer"]) if row else None

    def events(self, *, after: int, limit: int = 500) -> list[StoredEvent]:
        """Return events with seq above `after`."""
        rows = self._db.execute(
            "SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [stored_event(row) for row in rows]

    def last_seq(self) -> int:
        """Return the seq of the newest event, 0 in an empty journal."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def first_bad_event(self) -> int | None:
        """Return the seq of the first event that does not fit the chain, or None when all do."""
        head, expected = GENESIS, 1
        for row in self._all_events():
            head = chained(head, event_json(stored_event(row)))
            if row["seq"] != expected or row["hash"] != head:
                return expected
            expected += 1
        return None

    def _all_events(self) -> Iterator[sqlite3.Row]:
        yield from self._db.execute("SELECT * FROM events ORDER BY seq")


def event_json(event: StoredEvent) -> bytes:
    """Return the canonical bytes of an event that the chain is made of."""
    entry = [event.seq, event.time_ms, event.market_ms, event.instance, event.kind, event.data]
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()


def chained(head: bytes, entry: bytes) -> bytes:
    """Return the next hash of the chain."""
    return hashlib.sha256(head + entry).digest()


def stored_event(row: sqlite3.Row) -> StoredEvent:
    """Return a row of the events table."""
    return StoredEvent(
        row["seq"], row["time_ms"], row["market_ms"], row["instance"], row["kind"], row["data"]
    )


def _instance(row: sqlite3.Row) -> InstanceRow:
    values = dict(row)
    values["params"] = json.loads(row["params"])
    values["synthetic"] = bool(row["synthetic"])
    values["state"] = InstanceState(row["state"])
    values["last_target"] = _float(row["last_target"])
    return InstanceRow(**values)


def _ticket(row: sqlite3.Row) -> Ticket:
    values = _without_leg(row)
    values["side"] = Side(row["side"])
    values["status"] = TicketStatus(row["status"])
    values["kind"] = OrderKind(row["kind"])
    values["target_before"] = _float(row["target_before"])
    return Ticket(**values)


def _fill(row: sqlite3.Row) -> FillRow:
    values = _without_leg(row)
    values.pop("seq", None)
    values["side"] = Side(row["side"])
    values["is_maker"] = bool(row["is_maker"])
    return FillRow(**values)


def _decision(row: sqlite3.Row) -> DecisionRow:
    values = _without_leg(row)
    for name in ("target", "equity", "cash", "quantity"):
        values[name] = _float(row[name])
    values["acted"] = bool(row["acted"])
    values["late"] = bool(row["late"])
    return DecisionRow(**values)


def _candle(row: sqlite3.Row) -> CandleRow:
    values = dict(row)
    values["warm"] = bool(row["warm"])
    return CandleRow(**values)


def _without_leg(row: sqlite3.Row) -> dict[str, Any]:
    values = dict(row)
    del values["leg"]
    return values


def _float(value: float | None) -> float:
    return _NAN if value is None else value
