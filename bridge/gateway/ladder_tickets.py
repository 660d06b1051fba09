"""What of a ladder stands at the exchange, as its tickets tell; nothing here changes anything.

A rung's order is known by the seq of its ticket, whatever attempt it is; a sale's stop by their list.
"""

from __future__ import annotations

from collections.abc import Container

from bridge.gateway.books import Book, Books
from bridge.gateway.ladder_news import News, news_of
from bridge.gateway.legs import stop_leg
from bridge.gateway.parting import Levels, Place
from bridge.journal_rows import EXITS, RUNG_STOP, UNSETTLED, Ticket, TicketStatus
from workbench.core.records import LADDER_SIZE
from workbench.execution.ladder import RestingLadder

REASON = "rung"


class LadderTickets:
    """Reads the tickets of one instance's ladder."""

    def __init__(self, book: Book, books: Books, ladder: RestingLadder) -> None:
        self._book, self._books, self._ladder = book, books, ladder

    def rungs(self) -> list[Ticket]:
        """Return the tickets of rungs that stand at the exchange, or may do so."""
        return [one for one in self._book.resting if one.reason.startswith(REASON)]

    def stops(self) -> list[Ticket]:
        """Return the stops beside sales that stand at the exchange, or may do so."""
        return [one for one in self._book.resting if one.reason == RUNG_STOP]

    def stop_beside(self, ticket: Ticket) -> Ticket | None:
        """Return the stop of a sale's OCO while it may act."""
        stops = self.stops() if ticket.list_id else []
        return next((one for one in stops if one.list_id == ticket.list_id), None)

    @property
    def traded_by_exits_e8(self) -> int:
        """Return what exits have sold so far."""
        tickets = self._book.tickets.values()
        return sum(one.executed_e8 for one in tickets if one.reason in EXITS)

    @property
    def levels(self) -> Levels:
        """Return the levels that protect the position; none where nothing is held."""
        if not self._books.ledger.account(self._book.row.name).is_open:
            return Levels()
        return Levels(self._book.protection.stop_e8, self._book.protection.gain_e8)

    @property
    def slots(self) -> int:
        """Return how many stops of this instance the exchange lets wait; kept ones of others count."""
        others = sum(
            bool(ticket.stop_e8)
            for book in self._books.by_name.values()
            if book is not self._book and book.row.symbol == self._book.row.symbol
            for ticket in book.resting
        )
        most = self._book.rules.most_stops or LADDER_SIZE + 1
        return max(0, most - others)

    def stands(self, ticket: Ticket, place: Place) -> bool:
        """Return whether a sale's ticket is where it should be; one that has ended is for `hear`."""
        stop = self.stop_beside(ticket)
        if _is_over(ticket):
            return stop is None
        if ticket.status is TicketStatus.CANCELLING or place is Place.HELD_BACK:
            return False
        if place is Place.ALONE:
            return stop is None and not ticket.list_id
        wanted = stop_leg(self._book, ticket.left_e8, self.levels.stop_e8, RUNG_STOP)
        return stop is not None and wanted.is_of(stop)

    def newest(self) -> dict[int, Ticket]:
        """Return the last attempt of each ticket by its seq."""
        tickets = self._book.tickets.values()
        return {one.seq: one for one in sorted(tickets, key=lambda one: one.attempt)}

    def news(self) -> list[News]:
        """Return what rungs' orders traded that the ladder has not taken in, the oldest trade first."""
        by_seq = self.newest()
        news = []
        for seq, order in self._ladder.resting().items():
            ticket = by_seq.get(seq)
            taken_in_e8 = ticket.quantity_e8 - order.quantity_e8 if ticket else 0
            if ticket is not None and ticket.executed_e8 > taken_in_e8:
                fills = self._books.journal.fills_of(ticket.client_order_id)
                news.append(news_of(seq, fills, taken_in_e8, base=self._book.instrument.base))
        return sorted((one for one in news if one.quantity_e8), key=lambda one: one.trade_id)

    def _booked(self, ticket: Ticket) -> int:
        return self._books.journal.booked_e8(ticket.client_order_id)

    def ended(self, asked_for: Container[int]) -> list[Ticket]:
        """Return tickets that ended without being filled, but for seqs that somebody here `asked_for`."""
        by_seq = self.newest()
        return [
            by_seq[seq]
            for seq in self._ladder.resting()
            if seq in by_seq and seq not in asked_for and _is_over(by_seq[seq])
            if self._booked(by_seq[seq]) < by_seq[seq].quantity_e8
            if self.stop_beside(by_seq[seq]) is None  # else it may have acted: that is asked first
        ]


def _is_over(ticket: Ticket) -> bool:
    return ticket.status not in UNSETTLED
