"""What the gateway holds in memory: instances, their accounts and tickets; all of it a fold of the journal.

Nothing here is truth by itself: after a crash `load` gives the same books from the rows on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.gateway import core
from bridge.journal import Journal
from bridge.journal_reader import JournalReader
from bridge.journal_rows import (
    UNSETTLED,
    FillRow,
    InstanceRow,
    Row,
    Ticket,
)
from workbench.execution.ledger import Ledger
from workbench.market.instruments import Instrument


@dataclass(slots=True)
class Book:
    """One instance as the gateway sees it now."""

    row: InstanceRow
    instrument: Instrument
    tickets: dict[str, Ticket] = field(default_factory=dict)
    last_price: float = 0.0
    runner_pid: int | None = None
    settled: bool = True

    @property
    def unsettled(self) -> list[Ticket]:
        """Return the tickets whose fate is not known to the end."""
        return [ticket for ticket in self.tickets.values() if ticket.status in UNSETTLED]


class Books:
    """All instances of an account, their ledger, and the journal behind them."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.ledger = Ledger()
        self.by_name: dict[str, Book] = {}

    def open(self, row: InstanceRow, instrument: Instrument) -> Book:
        """Add an instance that is journaled already, its fills and bars booked again in their order."""
        book = Book(row, instrument, last_price=row.last_close)
        self.ledger.open_instance(row.name, row.capital_e8, instrument)
        book.tickets = {t.client_order_id: t for t in self.journal.tickets(row.name)}
        self.by_name[row.name] = book
        fold(self.ledger, self.journal, row.name, book.tickets)
        return book

    def commit(self, book: Book, step: core.Step, time_ms: int) -> None:
        """Make a step durable, then true in memory."""
        self.journal.write(time_ms, step.rows)
        book.row = step.instance
        for row in step.rows:
            if isinstance(row, Ticket):
                book.tickets[row.client_order_id] = row

    def commit_ticket(self, book: Book, ticket: Ticket, more: list[Row], time_ms: int) -> None:
        """Make news of an order durable, then true in memory."""
        rows: list[Row] = [ticket, *more]
        known = book.tickets.get(ticket.client_order_id)
        if known is None or known.status is not ticket.status:
            rows.append(core.ticket_event(ticket))
        self.journal.write(time_ms, rows)
        book.tickets[ticket.client_order_id] = ticket

    def ticket(self, client_order_id: str) -> tuple[Book, Ticket] | None:
        """Return the ticket of that id and its instance's book, None for a foreign order."""
        for book in self.by_name.values():
            if client_order_id in book.tickets:
                return book, book.tickets[client_order_id]
        return None


def fold(ledger: Ledger, journal: JournalReader, instance: str, tickets: dict[str, Ticket]) -> None:
    """Book an instance's bars and fills again, each fill after the decision that it came from."""
    by_seq: dict[int, list[FillRow]] = {}
    for _, fill in journal.fills(instance):
        by_seq.setdefault(tickets[fill.client_order_id].seq, []).append(fill)
    for decision in journal.decisions(instance):
        if decision.kind == "bar":
            ledger.end_candle(instance)
        for fill in by_seq.get(decision.seq, ()):
            ledger.book_fill(core.ledger_fill(fill))
