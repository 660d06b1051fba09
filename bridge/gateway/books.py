"""What the gateway holds in memory: instances, their accounts and tickets; all of it a fold of the journal.

Nothing here is truth by itself: after a crash `load` gives the same books from the rows on disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.exchanges.base import ANY_ORDER, OrderReport, OrderRules, Side
from bridge.gateway import core
from bridge.gateway.guards import LiveGuards
from bridge.gateway.tickets import ticket_event
from bridge.journal import Journal
from bridge.journal_reader import JournalReader
from bridge.journal_rows import (
    EXIT_STOP,
    EXIT_TAKE_PROFIT,
    EXIT_TIME,
    RUNG_STOP,
    STANDING_EXITS,
    UNSETTLED,
    DecisionRow,
    FillRow,
    InstanceRow,
    Row,
    Ticket,
)
from workbench.core.exits import REASON_STOP, REASON_TAKE_PROFIT, REASON_TIME
from workbench.execution.exits import exits_of
from workbench.execution.ledger import Ledger, LedgerAccount
from workbench.execution.protection import Protection, RangeMeter
from workbench.market.instruments import SCALE, Instrument
from workbench.strategies.spec import wilder_stable

_REASONS = {
    EXIT_STOP: REASON_STOP,
    RUNG_STOP: REASON_STOP,
    EXIT_TAKE_PROFIT: REASON_TAKE_PROFIT,
    EXIT_TIME: REASON_TIME,
}


@dataclass(slots=True)
class Book:
    """One instance as the gateway sees it now."""

    row: InstanceRow
    instrument: Instrument
    tickets: dict[str, Ticket] = field(default_factory=dict)
    last_price: float = 0.0
    runner_pid: int | None = None
    settled: bool = True
    # Fills of resting orders at or after this market time wait for the decision of the candle
    # before it: what the strategy sees at a close may not depend on who was told first. 0: none waits.
    frontier_ms: int = 0
    held: list[OrderReport] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)  # a resting ticket filled or ended
    rules: OrderRules = ANY_ORDER
    range_now: RangeMeter | None = None  # where the exits need it
    expects_stop: bool = False  # its first intents had one; known again when it has decided
    unprotected: str = ""  # why a position that should have exits has none
    protection: Protection = field(init=False)
    guards: LiveGuards = field(init=False)

    def __post_init__(self) -> None:
        self.protection = Protection(exits_of(self.row.exits), self.instrument, self.row.plan)
        self.guards = LiveGuards(self.row)

    @property
    def is_settled(self) -> bool:
        """Return whether every order is settled or rests, and all that was heard has been answered."""
        return self.settled and not self.news.is_set()

    @property
    def resting(self) -> list[Ticket]:
        """Return the tickets that stand at the exchange, or may do so."""
        return [ticket for ticket in self.unsettled if ticket.rests]

    @property
    def exits(self) -> list[Ticket]:
        """Return the protective orders that stand, or may do so."""
        return [ticket for ticket in self.resting if ticket.reason in STANDING_EXITS]

    def follow_fill(
        self, ticket: Ticket, fill: FillRow, before: LedgerAccount, after: LedgerAccount
    ) -> None:
        """Let exits and guards see a fill that the ledger has booked, with the account around it."""
        self.guards.filled(fill, before, after)
        if fill.side is Side.BUY:
            range_ = self.range_now.value if self.range_now else 0.0
            held, kept = before.quantity, after.quantity - before.quantity
            self.protection.bought(
                fill.price_e8 / SCALE, kept, held, range_, bars_held=after.bars_held
            )
        else:
            self.protection.sold(_REASONS.get(ticket.reason, 0), is_open=after.is_open)

    @property
    def locked_quote_e8(self) -> int:
        """Return the quote that buys of ours have locked at the exchange: owned, but not free there."""
        buys = (ticket for ticket in self.resting if ticket.side is Side.BUY)
        return sum(one.left_e8 * one.price_e8 // SCALE for one in buys)

    @property
    def exposed_if_down_e8(self) -> int:
        """Return the quote that a ladder's buys may spend while the gateway is down, without a stop for it."""
        stops = self.row.ladder and self.protection.has_stop
        return self.locked_quote_e8 if stops else 0

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

    def open(self, row: InstanceRow, instrument: Instrument, rules: OrderRules = ANY_ORDER) -> Book:
        """Add an instance that is journaled already, its fills and bars booked again in their order."""
        book = Book(row, instrument, last_price=row.last_close, rules=rules)
        self.ledger.open_instance(row.name, row.capital_e8, instrument)
        book.tickets = {t.client_order_id: t for t in self.journal.tickets(row.name)}
        self.by_name[row.name] = book
        fold(self.ledger, self.journal, book)
        self.measure(book)
        return book

    def measure(self, book: Book) -> None:
        """Feed what exits and guards measure of an instance's candles from its journal."""
        if book.guards.warm_up:
            newest = book.guards.warm_up + 1
            book.guards.measure(self.journal.candles(book.row.name, after_ms=None, limit=newest))
        period = book.protection.range_period
        candles = self.journal.candles(book.row.name, after_ms=-(2**62), limit=-1) if period else []
        if not candles:
            return
        book.range_now = RangeMeter(period)
        unread = sum(candle.warm for candle in candles) - range_warm_up(period)
        for candle in candles[max(0, unread) :]:
            book.range_now.see(candle.high, candle.low, candle.close)

    def commit(self, book: Book, step: core.Step, time_ms: int) -> None:
        """Make a step durable, then true in memory."""
        self.journal.write(time_ms, step.rows)
        book.row = step.instance
        for row in step.rows:
            if isinstance(row, Ticket):
                book.tickets[row.client_order_id] = row
            elif isinstance(row, DecisionRow):
                book.guards.decided(row)

    def commit_ticket(self, book: Book, ticket: Ticket, more: list[Row], time_ms: int) -> None:
        """Make news of an order durable, then true in memory."""
        self.commit_tickets(book, [ticket], more, time_ms)

    def commit_tickets(
        self, book: Book, tickets: Sequence[Ticket], more: list[Row], time_ms: int
    ) -> None:
        """Make news of several orders durable at once, then true in memory."""
        rows: list[Row] = [*tickets, *more]
        for ticket in tickets:
            known = book.tickets.get(ticket.client_order_id)
            if known is None or known.status is not ticket.status:
                rows.append(ticket_event(ticket))
        self.journal.write(time_ms, rows)
        for row in rows:
            if isinstance(row, InstanceRow):
                book.row = row
        book.tickets |= {ticket.client_order_id: ticket for ticket in tickets}

    def ticket(self, client_order_id: str) -> tuple[Book, Ticket] | None:
        """Return the ticket of that id and its instance's book, None for a foreign order."""
        for book in self.by_name.values():
            if client_order_id in book.tickets:
                return book, book.tickets[client_order_id]
        return None


def fold(ledger: Ledger, journal: JournalReader, book: Book) -> None:
    """Book an instance's bars and fills again, in the order in which they were written."""
    name, guards = book.row.name, book.guards
    fills = deque(fill for _, fill in journal.fills(name))
    for decision in journal.decisions(name):
        while fills and fills[0].after_seq < decision.seq:
            _book_again(ledger, fills.popleft(), guards)
        if decision.kind == "bar":
            ledger.end_candle(name)
            guards.closed(decision.open_time_ms, decision.equity)
        guards.decided(decision)
    for fill in fills:
        _book_again(ledger, fill, guards)


def _book_again(ledger: Ledger, fill: FillRow, guards: LiveGuards) -> None:
    before = ledger.account(fill.instance)
    ledger.book_fill(core.ledger_fill(fill))
    guards.filled(fill, before, ledger.account(fill.instance))


def range_warm_up(period: int) -> int:
    """Return from how many candles before the first an average true range is fed; 0 for no period."""
    return period + int(wilder_stable(period)) if period else 0
