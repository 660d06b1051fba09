"""What the order desk writes down of a ticket: its fills, its end, what goes wrong with it.

Nothing here asks the exchange. What is journaled is one transaction, on the disk when the call returns;
`book_new` and `left_bare` return rows for the caller's own.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.clock import Clock
from bridge.exchanges.base import TradeReport
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.journal_rows import (
    STANDING_EXITS,
    UNSETTLED,
    Event,
    FillRow,
    InstanceState,
    Row,
    Ticket,
    TicketStatus,
)


class DeskRecords:
    """The books of one account, as the desk keeps them."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books, self._clock = books, clock

    def book_new(
        self, book: Book, ticket: Ticket, trades: tuple[TradeReport, ...]
    ) -> list[FillRow]:
        """Book the trades that are not booked yet; return their fills, to be journaled."""
        fills = []
        for trade in trades:
            if self._books.ledger.is_booked(trade.symbol, trade.trade_id):
                continue
            fill = core.fill_row(
                ticket,
                trade,
                book.instrument,
                after_seq=book.row.seq,
                time_ms=self._clock.wall_ms(),
            )
            was = self._books.ledger.account(ticket.instance)
            self._books.ledger.book_fill(core.ledger_fill(fill))
            book.follow_fill(ticket, fill, was, self._books.ledger.account(ticket.instance))
            fills.append(fill)
        return fills

    def cancelling(self, book: Book, ticket: Ticket) -> None:
        """Journal that a ticket and its list are being taken back."""
        wanted = [
            replace(one, status=TicketStatus.CANCELLING) for one in self.still_open(book, ticket)
        ]
        if wanted:
            self._books.commit_tickets(book, wanted, [], self._clock.wall_ms())

    def still_open(self, book: Book, ticket: Ticket) -> list[Ticket]:
        """Return a ticket and the others of its list that are not settled."""
        return [
            one
            for one in book.unsettled
            if one.client_order_id == ticket.client_order_id
            or (ticket.list_id and one.list_id == ticket.list_id)
        ]

    def void(self, book: Book, ticket: Ticket, why: str) -> Ticket:
        """Give up an entry that never arrived: its target comes back to the strategy."""
        self._books.commit(book, core.voided(book.row, ticket, why), self._clock.wall_ms())
        return self.now(book, ticket)

    def gone(self, book: Book, ticket: Ticket) -> Ticket:
        """Give up a ticket that rests and that the exchange does not know; nothing else changes."""
        why = f"{ticket.kind} never reached the exchange"
        alarm = Event("alarm", ticket.instance, ticket.candle_ms, {"reason": why})
        gone = with_status(self.now(book, ticket), TicketStatus.VOID, why)
        self._books.commit_ticket(book, gone, [alarm], self._clock.wall_ms())
        book.news.set()
        return gone

    def left_bare(self, book: Book, ticket: Ticket) -> list[Row]:
        """Return an alarm where nobody drives the instance any more and its position lost its exits."""
        driven = book.row.state not in (InstanceState.STOPPED, InstanceState.FAULTED)
        others = [one for one in book.exits if one.client_order_id != ticket.client_order_id]
        if driven or others or ticket.reason not in STANDING_EXITS or ticket.status in UNSETTLED:
            return []
        if not self._books.ledger.account(ticket.instance).is_open:
            return []
        state = book.row.state.value
        why = f"UNPROTECTED: the exit of a position ended ({ticket.note}), its instance is {state}"
        return [Event("alarm", ticket.instance, ticket.candle_ms, {"reason": why})]

    def fault(self, book: Book, reason: str) -> None:
        """End the decisions of an instance whose fill cannot be booked."""
        state, wall_ms = book.row.state, self._clock.wall_ms()
        if state is InstanceState.STOPPED:  # with exits that it kept; nothing is left to stop
            if not any(reason in alarm for alarm in self._books.journal.alarms):
                alarm = Event("alarm", book.row.name, book.row.last_candle_ms, {"reason": reason})
                self._books.journal.write(wall_ms, [alarm])
        elif state is not InstanceState.FAULTED:
            self._books.commit(book, core.faulted(book.row, reason), wall_ms)

    def now(self, book: Book, ticket: Ticket) -> Ticket:
        """Return a ticket as it is journaled now."""
        return book.tickets[ticket.client_order_id]

    def alarm(self, ticket: Ticket, reason: str) -> None:
        """Journal an alarm about a ticket."""
        data = {"reason": reason, "client_order_id": ticket.client_order_id}
        event = Event("alarm", ticket.instance, ticket.candle_ms, data)
        self._books.journal.write(self._clock.wall_ms(), [event])


def with_status(ticket: Ticket, status: TicketStatus, note: str) -> Ticket:
    """Return a ticket with another status, and a note why."""
    return replace(ticket, status=status, note=note)
