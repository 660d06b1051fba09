"""Tickets: how one that rests is made, what news make of it, its next attempt, and what it says to the exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.exchanges.base import (
    MarketOrder,
    OrderKind,
    OrderPair,
    OrderReport,
    RestingOrder,
    Side,
)
from bridge.gateway.ids import client_order_id, list_id
from bridge.journal_rows import Event, InstanceRow, JsonValue, Ticket, TicketStatus
from workbench.market.instruments import from_e8


def resting_ticket(
    row: InstanceRow,
    seq: int,
    *,
    side: Side,
    kind: OrderKind,
    quantity_e8: int,
    price_e8: int = 0,
    stop_e8: int = 0,
    reason: str,
    pair_id: str = "",
) -> Ticket:
    """Return a ticket that rests; `seq` is the instance's next, and the row must be moved on to it."""
    return Ticket(
        client_order_id=client_order_id(row.tag, seq, 1),
        instance=row.name,
        seq=seq,
        attempt=1,
        symbol=row.symbol,
        side=side,
        quote_e8=0,
        quantity_e8=quantity_e8,
        reason=reason,
        candle_ms=row.last_candle_ms,
        target_before=row.last_target,
        status=TicketStatus.WRITTEN,
        order_id=0,
        executed_e8=0,
        note="",
        kind=kind,
        price_e8=price_e8,
        stop_e8=stop_e8,
        list_id=pair_id,
    )


def told(ticket: Ticket, report: OrderReport, booked_e8: int) -> Ticket:
    """Return a ticket after news of its order; a final one never goes back, and DONE waits for all fills."""
    if ticket.status in (TicketStatus.DONE, TicketStatus.REFUSED):
        return ticket
    executed = max(ticket.executed_e8, report.executed_e8, booked_e8)
    done = report.final and booked_e8 >= executed
    open_as = ticket.status if ticket.status is TicketStatus.CANCELLING else TicketStatus.OPEN
    note = ticket.note if report.status in ("NEW", "PARTIALLY_FILLED", "FILLED") else report.status
    return replace(
        ticket,
        status=TicketStatus.DONE if done else open_as,
        order_id=report.order_id,
        executed_e8=executed,
        note=note,
    )


def before(report: OrderReport, frontier_ms: int) -> OrderReport:
    """Return the part of a report whose trades came before a moment; 0 is none."""
    early = tuple(trade for trade in report.trades if trade.market_ms < frontier_ms)
    if not frontier_ms or len(early) == len(report.trades):
        return report
    return replace(report, trades=early)


def next_attempts(tickets: Sequence[Ticket], tag: str) -> list[Ticket]:
    """Return the next attempt of a ticket, or of both of a list, after the last one is proven not accepted."""
    again = [_next_attempt(ticket, tag) for ticket in tickets]
    if len(again) > 1:
        name = list_id(again[0].client_order_id)
        again = [replace(ticket, list_id=name) for ticket in again]
    return again


def order_of(ticket: Ticket) -> MarketOrder:
    """Return what a market ticket says to the exchange."""
    return MarketOrder(
        client_order_id=ticket.client_order_id,
        symbol=ticket.symbol,
        side=ticket.side,
        quote_e8=ticket.quote_e8,
        quantity_e8=ticket.quantity_e8,
    )


def resting_order_of(ticket: Ticket) -> RestingOrder:
    """Return what a ticket that rests says to the exchange."""
    return RestingOrder(
        client_order_id=ticket.client_order_id,
        symbol=ticket.symbol,
        side=ticket.side,
        kind=ticket.kind,
        quantity_e8=ticket.quantity_e8,
        price_e8=ticket.price_e8,
        stop_e8=ticket.stop_e8,
    )


def pair_of(tickets: Sequence[Ticket]) -> OrderPair:
    """Return the OCO of two tickets: the one with a stop price, and the other."""
    one, other = (resting_order_of(ticket) for ticket in tickets)
    is_stop = one.kind in (OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT)
    stop, gain = (one, other) if is_stop else (other, one)
    return OrderPair(tickets[0].list_id, stop, gain)


def ticket_event(ticket: Ticket) -> Event:
    """Tell of an order instruction and what became of it."""
    data: dict[str, JsonValue] = {
        "client_order_id": ticket.client_order_id,
        "symbol": ticket.symbol,
        "side": ticket.side.value,
        "quote": from_e8(ticket.quote_e8),
        "quantity": from_e8(ticket.quantity_e8),
        "reason": ticket.reason,
        "status": ticket.status.value,
        "note": ticket.note,
    }
    if ticket.rests:
        data |= {
            "kind": ticket.kind.value,
            "price": from_e8(ticket.price_e8),
            "stop_price": from_e8(ticket.stop_e8),
            "list_id": ticket.list_id,
        }
    kind = "ticket" if ticket.status is TicketStatus.WRITTEN else "order"
    return Event(kind, ticket.instance, ticket.candle_ms, data)


def _next_attempt(ticket: Ticket, tag: str) -> Ticket:
    attempt = ticket.attempt + 1
    return replace(
        ticket,
        client_order_id=client_order_id(tag, ticket.seq, attempt),
        attempt=attempt,
        status=TicketStatus.WRITTEN,
        order_id=0,
        note=f"resent: {ticket.note}"[:200],
    )
