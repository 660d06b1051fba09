"""An instance's ladder at the exchange: what a decision wants rests, and what fills is answered.

The rules are `workbench.execution.ladder`'s, as in the backtest; here they meet tickets. A rung's order
is known by the seq of its ticket. What the ladder is, is journaled with the tickets that it calls for
(`InstanceRow.ladder`), so that after a crash the difference between the two is all there is to do:

    in the ladder, its ticket has news   fills are taken in by the order of their trades; a whole fill
                                         calls for the opposite order
    in the ladder, its ticket is gone    where it never arrived, stepped aside, or was gone at a restart,
                                         it is sent anew; else the rung is off, with an alarm, until
                                         another revision
    a ticket stands, not in the ladder   it is taken back
    a rung waits                         it is reserved and sent, unless a guard holds buys back
    a guard holds buys back              those that rest are taken back, and wait

Cancels come first, then the market order of the decision, then what waits. An order at the market's
own price trades at once, as a limit order does.

While a level protects the position a sale is not sent at once: it is held back until whoever parts the
base (`ladder_exits`) says where it stands, alone or as an OCO with a stop of its own. When an exit has
traded, the whole ladder is taken back; which trades of exits were answered so is journaled beside it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from bridge.clock import Clock
from bridge.crash_points import crash
from bridge.exchanges.base import OrderKind, Side
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.gateway.desk import MOST_ATTEMPTS, OrderDesk
from bridge.gateway.ladder_tickets import REASON, LadderTickets
from bridge.gateway.legs import Leg, stop_leg, tickets_of
from bridge.gateway.parting import Parting, Place, part
from bridge.gateway.tickets import resting_ticket, ticket_event
from bridge.journal_rows import (
    RUNG_STOP,
    UNSETTLED,
    Event,
    InstanceRow,
    Row,
    Ticket,
    TicketStatus,
)
from workbench.core.ladder import LADDER
from workbench.execution.instance import written_revision
from workbench.execution.ladder import RestingLadder, RungOrder
from workbench.market.instruments import SCALE

Watcher = Callable[[asyncio.Future[Any], Side], Awaitable[None]]
ANSWERED_BYTES = 16
NEAR = 0.01  # a market order may meet our own orders within this share of the last price


class LiveLadder:
    """The ladder of one instance; nobody else rests or takes back its orders."""

    def __init__(self, book: Book, books: Books, desk: OrderDesk, clock: Clock) -> None:
        self._book, self._books, self._desk, self._clock = book, books, desk, clock
        self._ladder = RestingLadder(books.ledger.record(book.row.name), book.instrument)
        self._at = LadderTickets(book, books, self._ladder)
        self._again: set[int] = set()  # seqs of orders to be sent anew once they are gone
        self._kept_back: set[int] = set()  # rungs whose sale was refused beside its stop just now
        self.while_unknown: Watcher = (
            _just_wait  # what is done while nobody knows whether an order stands
        )
        self._answered_e8 = 0  # what exits had traded when the ladder was last taken back for it

    @property
    def filled(self) -> int:
        """Return the bits that `decide` sees as `ladder_filled`."""
        return self._ladder.filled

    # -- a decision

    def lay(self, row: InstanceRow, intent: bytes) -> tuple[InstanceRow, list[Row]]:
        """Take in an intent's ladder; return the row and the cancels to journal with the decision.

        Raises UsageError for a ladder that cannot be carried out.
        """
        revision = written_revision(intent)
        if revision == self._ladder.revision:
            return row, []
        gone = set(self._ladder.lay(intent, row.seq + 1))
        cancels = [
            replace(ticket, status=TicketStatus.CANCELLING)
            for ticket in self._at.rungs()
            if ticket.seq in gone
        ]
        return self._saved(row), list(cancels)

    def hold(self, row: InstanceRow, guard: str) -> tuple[InstanceRow, list[Row]]:
        """Hold buys back at a close if there is a guard, else let them go.

        Return the row, and the cancels of what rests, to journal with the decision.
        """
        if not self._ladder.revision or not (guard or self._ladder.is_held):
            return row, []
        rested: set[int] = set()
        if guard:
            rested = set(self._ladder.hold())
        else:
            self._ladder.let_go()
        cancels = [
            replace(ticket, status=TicketStatus.CANCELLING)
            for ticket in self._at.rungs()
            if ticket.seq in rested
        ]
        return self._saved(row), list(cancels)

    async def make_way(self, ticket: Ticket | None) -> None:
        """Take back what is not wanted any more or held back, and what a market order would trade with."""
        wanted = self._ladder.resting()
        for one in self._at.rungs():
            if one.seq not in wanted or self._is_held(one.side):
                await self._desk.withdraw(self._book, one)
            elif ticket is not None and _may_meet(ticket, one, self._book.row.last_close):
                self._again.add(one.seq)
                await self._desk.withdraw(self._book, one)

    async def place(self) -> None:
        """Send what waits, one after the other: after a death at most one of them is in doubt."""
        await self.hear()
        waiting, sent = self._ladder.waiting, 0
        if not waiting or self.exit_has_traded:
            return
        crash("before_place")
        for order in self._ladder.due():
            sent += 1
            await self._send(self._journaled(order))
            await self.hear()
        if unpaid := waiting - sent:
            reason = (
                f"rungs that cannot be paid, or are below the exchange's minimum: {unpaid}; off"
            )
            self._commit(self._book.row, [self._alarm(reason)])

    # -- news

    @property
    def has_news(self) -> bool:
        """Return whether there is anything to answer."""
        return bool(self._again or self._at.news() or self._at.ended(self._again))

    @property
    def exit_has_traded(self) -> bool:
        """Return whether an exit has sold something since the ladder was last taken back."""
        return self._at.traded_by_exits_e8 > self._answered_e8

    async def hear(self) -> None:
        """Answer every whole fill with the opposite order, until there is nothing new."""
        while self.has_news and not self.exit_has_traded:
            crash("before_answer")
            await self._send(self._answer())

    async def take_back(self) -> None:
        """End the ladder: no order of it stands afterwards, nothing is reserved."""
        for ticket in [*self._at.rungs(), *self._at.stops()]:
            await self._desk.withdraw(self._book, ticket)
        if self._book.row.ladder:
            self._ladder.withdraw()
            self._again.clear()
            self._answered_e8 = self._at.traded_by_exits_e8
            self._commit(self._book.row, [])

    def load(self) -> None:
        """Know the ladder from the journal. Raises UsageError for one that another version wrote."""
        if self._book.row.ladder:
            record = zlib.decompress(self._book.row.ladder)
            answered = record[LADDER.itemsize :]
            self._answered_e8 = int.from_bytes(answered, "little")
            self._ladder.restore(record[: LADDER.itemsize])

    async def restore(self) -> None:
        """Go on after a restart, the ladder loaded and its tickets looked at already."""
        if not self._book.row.ladder or self.exit_has_traded:
            return
        by_seq = self._at.newest()
        self._again = {
            seq
            for seq in self._ladder.resting()
            if seq not in by_seq
            or (by_seq[seq].status not in UNSETTLED and not self._is_held(by_seq[seq].side))
        }
        await self.make_way(None)
        await self.place()

    # -- what protection leaves of the sales

    def part(self) -> Parting:
        """Return where the sales should stand while these levels are in force."""
        return part(
            [order for _, order in self._ladder.sales()],
            self._at.levels,
            base_e8=self._books.ledger.account(self._book.row.name).base_e8,
            slots=self._at.slots,
            rules=self._book.instrument,
            kept_back=self._kept_back,
        )

    async def pull(self, parting: Parting) -> bool:
        """Take back the sales that do not stand where they should; return whether there were any."""
        by_seq, pulled = self._at.newest(), False
        for seq, order in self._ladder.sales():
            ticket = by_seq.get(seq)
            if ticket is not None and not self._at.stands(ticket, parting.places[order.rung]):
                self._again.add(seq)
                await self._desk.withdraw(self._book, ticket)
                pulled = True
        return pulled

    async def send_sales(self, parting: Parting) -> bool:
        """Send the sales that were held back and shall stand; return whether there were any."""
        sent = False
        for seq, order in self._ladder.sales():
            place = parting.places[order.rung]
            if seq == 0 and place is not Place.HELD_BACK and not self.exit_has_traded:
                sent = True
                await self._send_sale(order, paired=place is Place.PAIRED)
        return sent

    def forgive(self) -> None:
        """Try sales beside their stops again that were refused there."""
        self._kept_back.clear()

    # -- inside

    async def _send_sale(self, order: RungOrder, *, paired: bool) -> None:
        """Send a sale, with a stop where it shall have one.

        A pair that is refused may have been passed by the price: alone its sale trades at once. If it does
        not, it is held back, and the rest's stop shows whether it is the level that the price has passed.
        """
        sale = Leg(OrderKind.LIMIT, order.quantity_e8, order.price_e8, 0, f"{REASON} {order.id}")
        if not paired:
            await self._send(self._journaled_sale(order, [sale]))
            return
        stop = stop_leg(self._book, order.quantity_e8, self._at.levels.stop_e8, RUNG_STOP)
        gain = replace(sale, kind=OrderKind.LIMIT_MAKER)
        after = await self._send(self._journaled_sale(order, [stop, gain]))
        if after is not None and after.status is TicketStatus.REFUSED:
            after = await self._send(self._journaled_sale(order, [sale]))
            if after is None or after.status is not TicketStatus.DONE:
                self._kept_back.add(order.rung)

    def _journaled_sale(self, order: RungOrder, legs: list[Leg]) -> list[Ticket]:
        """Journal a sale's tickets, with the ladder that they belong to; the sale itself is the last."""
        tickets = tickets_of(self._book.row, legs)
        row = replace(self._book.row, seq=self._book.row.seq + len(tickets))
        self._ladder.sent(order.rung, row.seq)
        self._commit(row, [*tickets, *map(ticket_event, tickets)])
        return tickets

    def _answer(self) -> list[Ticket]:
        """Take in the oldest news, or an end, and journal the order that it calls for.

        All fills are booked already, so what came with the later ones is spoken for while the oldest is
        answered: an opposite order reserves what it would have found at its own time.
        """
        news, ended = self._at.news(), self._at.ended(self._again)
        if not news and ended:
            return self._has_lost(ended[0])
        if not news:
            seq = min(self._again)
            self._again.remove(seq)
            order = self._ladder.resting().get(seq)
            if order is not None and self._is_held(Side(order.side.value)):
                return self._waits(seq)
            return [] if order is None else self._journaled(order)
        one, later = news[0], news[1:]
        opposite = self._ladder.has_filled(
            self._ladder.order_of(one.seq).rung,
            one.quantity_e8,
            one.kept_e8,
            spoken_quote_e8=sum(other.cash_e8 for other in later),
            spoken_base_e8=sum(other.base_e8 for other in later),
        )
        if opposite is None:
            self._commit(self._book.row, [])
            return []
        return self._journaled(opposite)

    def _is_held(self, side: Side) -> bool:
        return self._ladder.is_held and side is Side.BUY

    def _waits(self, seq: int) -> list[Ticket]:
        """Let a buy wait that was taken back; one that had begun to fill is answered for what it got."""
        sale = self._ladder.has_been_held(seq)
        if sale is not None:
            return self._journaled(sale)
        self._commit(self._book.row, [])
        return []

    def _has_lost(self, ticket: Ticket) -> list[Ticket]:
        if self._is_held(ticket.side):
            return self._waits(ticket.seq)
        self._ladder.has_ended(ticket.seq)
        reason = (
            f"the exchange ended the {ticket.side.value.lower()} of {ticket.reason} "
            f"({ticket.note or ticket.status}); that rung is off until the strategy lays its ladder anew"
        )
        self._commit(self._book.row, [self._alarm(reason)])
        return []

    def _alarm(self, reason: str) -> Event:
        row = self._book.row
        return Event("alarm", row.name, row.last_candle_ms, {"reason": reason})

    def _journaled(self, order: RungOrder) -> list[Ticket]:
        """Journal the ticket of a rung's order, or that its sale is held back, with the ladder it belongs to."""
        if Side(order.side.value) is Side.SELL and self._at.levels.any:
            self._ladder.sent(order.rung, 0)
            self._commit(self._book.row, [])
            return []
        row = replace(self._book.row, seq=self._book.row.seq + 1)
        self._ladder.sent(order.rung, row.seq)
        ticket = resting_ticket(
            row,
            row.seq,
            side=Side(order.side.value),
            kind=OrderKind.LIMIT,
            quantity_e8=order.quantity_e8,
            price_e8=order.price_e8,
            reason=f"{REASON} {order.id}",
        )
        self._commit(row, [ticket, ticket_event(ticket)])
        return [ticket]

    async def _send(self, tickets: list[Ticket]) -> Ticket | None:
        """Send a rung's order, the last of the tickets, and return what became of it; None for no ticket."""
        if not tickets:
            return None
        attempts = 1 if self._at.levels.any else MOST_ATTEMPTS  # it is asked anew what shall stand
        work = self._desk.rest(self._book, tickets, attempts=attempts)
        sending = asyncio.ensure_future(work)
        await self.while_unknown(sending, tickets[-1].side)
        after = (await sending)[-1]
        if after.status is TicketStatus.VOID:
            self._again.add(after.seq)
        return after

    def _saved(self, row: InstanceRow) -> InstanceRow:
        answered = self._answered_e8.to_bytes(ANSWERED_BYTES, "little")
        return replace(row, ladder=_packed(self._ladder.record + answered))

    def _commit(self, row: InstanceRow, more: list[Row]) -> None:
        """Journal the ladder as it is now, in one transaction with what it calls for."""
        after = self._saved(row)
        self._books.commit(self._book, core.Step(after, (after, *more)), self._clock.wall_ms())


async def _just_wait(sending: asyncio.Future[Any], side: Side) -> None:
    """Let the sender wait for it, since nothing has a stop."""


def no_ladder() -> bytes:
    """Return what the journal holds of a ladder that was never laid; "" is no ladder at all."""
    return _packed(bytes(LADDER.itemsize))


def _packed(record: bytes) -> bytes:
    return zlib.compress(record, 1)  # nearly all of a record is empty rungs


def _may_meet(market: Ticket, resting: Ticket, close: float) -> bool:
    """Return whether a market order could trade with an order of ours, as far as the close tells."""
    if market.side is resting.side or resting.kind is not OrderKind.LIMIT:
        return False
    price = resting.price_e8 / SCALE
    if market.side is Side.BUY:
        return price <= close * (1.0 + NEAR)
    return price >= close * (1.0 - NEAR)
