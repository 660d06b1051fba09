"""The orders that protect a position: what should stand, how it becomes tickets, and whether a ticket is it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.exchanges.base import OrderKind, Side
from bridge.gateway.books import Book
from bridge.gateway.ids import client_order_id, list_id
from bridge.gateway.tickets import resting_ticket
from bridge.journal_rows import InstanceRow, Ticket, TicketStatus

LIMIT_BELOW_STOP = 0.01  # of a stop-limit, where the exchange has no plain stop for the symbol


@dataclass(frozen=True, slots=True)
class Leg:
    """A sale that should stand."""

    kind: OrderKind
    quantity_e8: int
    price_e8: int
    stop_e8: int
    reason: str

    def is_of(self, ticket: Ticket) -> bool:
        """Tell whether a ticket is this order."""
        ours = (self.kind, self.quantity_e8, self.price_e8, self.stop_e8)
        theirs = (ticket.kind, ticket.left_e8, ticket.price_e8, ticket.stop_e8)
        return ours == theirs and ticket.status is not TicketStatus.CANCELLING


def stop_leg(book: Book, quantity_e8: int, stop_e8: int, reason: str) -> Leg:
    """Return a stop in the kind of order that the symbol has for it."""
    if OrderKind.STOP_LOSS in book.rules.kinds:
        return Leg(OrderKind.STOP_LOSS, quantity_e8, 0, stop_e8, reason)
    tick_e8 = book.instrument.tick_e8
    limit_e8 = int(stop_e8 * (1 - LIMIT_BELOW_STOP)) // tick_e8 * tick_e8
    return Leg(OrderKind.STOP_LOSS_LIMIT, quantity_e8, limit_e8, stop_e8, reason)


def tickets_of(row: InstanceRow, legs: Sequence[Leg]) -> list[Ticket]:
    """Return the tickets of one order, or of the two of an OCO; they take the seqs after the row's."""
    pair = list_id(client_order_id(row.tag, row.seq + 1, 1)) if len(legs) == 2 else ""
    return [
        resting_ticket(
            row,
            row.seq + 1 + i,
            side=Side.SELL,
            kind=leg.kind,
            quantity_e8=leg.quantity_e8,
            price_e8=leg.price_e8,
            stop_e8=leg.stop_e8,
            reason=leg.reason,
            pair_id=pair,
        )
        for i, leg in enumerate(legs)
    ]
