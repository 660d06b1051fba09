"""The protective exits of one instance at the exchange: what should stand, stands, or an alarm says that it does not.

The levels are `workbench.execution.protection`'s, as in the backtest; here they meet tickets. After every
fill and every decision `protect` compares what should stand with what does:

    stop and take-profit   an OCO of both        stop alone, take-profit alone   that order
    nothing or another     cancel, read what it traded, place anew

A stop that is refused because the price has passed it sells at market at once; so does one that nobody
can place, or whose fate is unknown for long (`unknown_fates`). A sale cancels the exits first and sells what
they have left. Beside a ladder they hold what its sales leave them (`parting`), and a sale takes it back first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from bridge.clock import Clock
from bridge.crash_points import crash
from bridge.exchanges.base import Exchange, OrderKind, Side
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.legs import Leg, stop_leg, tickets_of
from bridge.gateway.parting import is_too_small
from bridge.gateway.tickets import ticket_event
from bridge.gateway.unknown_fates import ASK_AGAIN, SALE_FOR, UNKNOWN_FOR, UnknownFates
from bridge.journal_rows import (
    EXIT_STOP,
    EXIT_TAKE_PROFIT,
    EXIT_TIME,
    EXITS,
    Event,
    InstanceRow,
    Row,
    Ticket,
    TicketStatus,
)
from workbench.core.account import sell_is_too_small
from workbench.execution.ledger import LedgerAccount
from workbench.market.instruments import SCALE

MOST_LOST = 3  # sales in a row that may never arrive before the exits are placed again
SLIPS_THROUGH = 2.0  # seconds that a triggered stop-limit may stay unfilled
TRY_AGAIN = (
    5.0  # seconds before a position that is not protected is tried again, then twice as long
)
LONGEST_WAIT = 300.0
WOULD_TRIGGER = "-2010"
ALIVE = frozenset({TicketStatus.OPEN, TicketStatus.DONE})


class LiveExits:
    """Keeps one instance's position protected; nobody else sends or cancels its exits."""

    def __init__(
        self, book: Book, books: Books, desk: OrderDesk, exchange: Exchange, clock: Clock
    ) -> None:
        self._book, self._books, self._desk = book, books, desk
        self._clock = clock
        self.fates = UnknownFates(book, books, exchange, clock)
        self._refused_gain: Leg | None = None  # the stop stands without it
        self._failures = self._lost_sales = 0
        self._passed_at: float | None = None  # since when the price is below a stop-limit
        self.take_ladder_back: Callable[[], Awaitable[None]] | None = None
        self.spoken_e8: int | None = None  # base that a ladder's sales will lock, where it says so

    @property
    def is_open(self) -> bool:
        """Return whether there is a position."""
        return self._account.is_open

    # -- what the driver calls

    async def protect(self) -> None:
        """Make what stands at the exchange what should stand."""
        for _ in range(3):
            wanted = self._wanted()
            if self._stands(wanted):
                self._tell_protected()
                return
            self.fates.is_bare()
            await self.clear()
            wanted = self._wanted()  # a cancel may have found a fill
            if not wanted:
                self._tell_protected()
                return
            crash("before_protection")
            sent = await self._place(wanted)
            if not await self._take_refusals(wanted, sent):
                return
        self.tell_unprotected("its exits do not reach the exchange")
        if any(leg.stop_e8 for leg in wanted):
            await self.sell(EXIT_STOP)

    async def protect_before_search(self) -> None:
        """Protect what is held before the fate of a market order is found out, which may take long.

        Only where the exchange's balance agrees with all books: an unknown sale that had gone through
        would show, and a stop could lock what others own. A sale that comes late finds its base locked.
        """
        one = self._book.instrument
        owned_e8 = sum(
            self._books.ledger.account(book.row.name).base_e8
            for book in self._books.by_name.values()
            if book.instrument.base == one.base
        )
        held = await self.fates.base()
        if held and abs(held.free_e8 + held.locked_e8 - owned_e8) < one.step_e8:
            await self.protect()
        elif self._wanted() and not self._book.exits:
            self.tell_unprotected("the fate of an order is unknown")

    async def carry_out(self, ticket: Ticket) -> Ticket | None:
        """Carry out a market order and return it, None where it was lost and another sale took its place.

        A sale of unknown fate does not leave its position bare for long.

        One of all that is held is insisted on. A stop that stands again meanwhile has locked the base, so
        that the sale cannot come late as well. One that never arrived is sold anew, that stop taken back before.
        """
        if ticket.side is Side.BUY or not self._wanted():
            return await self._desk.carry_out(self._book, ticket)
        self.fates.is_bare()
        if ticket.quantity_e8 < self._lots_e8:
            work = self._desk.carry_out(self._book, ticket, attempts=1)
        else:
            work = self._desk.insist(self._book, ticket, self.fates.is_alone)
        selling = asyncio.ensure_future(work)
        if not await self.fates.are_known_in_time(selling, SALE_FOR):
            self.tell_unprotected("the fate of its sale is unknown")
            await self.protect_before_search()
        done = await selling
        if ticket.reason == EXIT_STOP and self._stands(self._wanted()):
            return done  # the stop that it stood in for stands
        locked = done.status is TicketStatus.REFUSED and bool(self._book.exits)
        if (locked or done.status is TicketStatus.VOID) and self._lost_sales < MOST_LOST:
            self._lost_sales += 1
            await self.sell(ticket.reason, most_e8=ticket.quantity_e8)
            return None
        self._lost_sales = 0
        return done

    async def clear(self) -> None:
        """Take all exits back, and book what they traded meanwhile."""
        if self._book.exits:
            self.fates.is_bare()
        for ticket in self._book.exits:
            await self._desk.withdraw(self._book, ticket)

    async def make_way(self, ticket: Ticket, *, was_open: bool) -> Ticket | None:
        """Free the base for a decision's sale; return what is left of the order, None where nothing is.

        An exit may have been quicker: then less is left to sell, and an entry's target is spent.
        """
        if ticket.side is Side.SELL:
            await self.clear()
            quantity_e8 = min(ticket.quantity_e8, self._lots_e8)
            rest = replace(ticket, quantity_e8=quantity_e8)
            gone = quantity_e8 < ticket.quantity_e8 and self._is_too_small(quantity_e8)
        else:
            rest = ticket
            gone = was_open and not self.is_open and not self._book.row.ladder
        if gone:
            rest = replace(rest, status=TicketStatus.VOID)
        if rest != ticket:
            rest = replace(rest, note="an exit was quicker")
            self._books.commit_ticket(self._book, rest, [], self._clock.wall_ms())
        return None if gone else rest

    async def act_if_due(self) -> None:
        """Sell what has been held for as long as it may."""
        account = self._account
        if account.is_open and self._book.protection.is_due(account.bars_held):
            await self.sell(EXIT_TIME)

    async def sell(self, reason: str, *, most_e8: int | None = None) -> None:
        """Sell the whole position at market, or at most so much, its exits (and its ladder) taken back before."""
        if reason in EXITS and self.take_ladder_back is not None:
            await self.take_ladder_back()
            self.spoken_e8 = None
        await self.clear()
        await self._sell_what_is_free(reason, most_e8)

    async def hear(self) -> None:
        """React to what happened at the exchange, or to time that passed."""
        await self.help_on()
        await self.protect()

    async def help_on(self) -> None:
        """Sell where a stop-limit does not fill; count how often a position was found unprotected."""
        self._failures = min(self._failures + bool(self._book.unprotected), 10)
        if self._has_slipped_through():
            self._alarm("the stop's limit was passed and is not filled: selling at market")
            await self.sell(EXIT_STOP)

    def saw_price(self, price: float) -> None:
        """Notice when the market is below a stop-limit that has not filled."""
        limits = [one for one in self._book.resting if one.kind is OrderKind.STOP_LOSS_LIMIT]
        if not any(price * SCALE <= one.stop_e8 for one in limits):
            self._passed_at = None
        elif self._passed_at is None:
            self._passed_at = self._clock.elapsed()

    @property
    def look_again_in(self) -> float | None:
        """Return after how many seconds `hear` must be called though nothing was heard."""
        if self._book.unprotected:
            return min(TRY_AGAIN * 2.0**self._failures, LONGEST_WAIT)
        return SLIPS_THROUGH if self._passed_at is not None else None

    # -- what should stand

    def _wanted(self) -> tuple[Leg, ...]:
        plan, quantity_e8 = self._book.protection, self._lots_e8
        if not self.is_open or not quantity_e8:
            return ()
        level_e8 = plan.stop_e8 or plan.gain_e8
        if self._book.row.ladder and is_too_small(quantity_e8, level_e8, self._book.instrument):
            return ()  # a rung's fill may make it enough
        legs = []
        if plan.stop_e8 > 0:
            legs.append(stop_leg(self._book, quantity_e8, plan.stop_e8, EXIT_STOP))
        if plan.gain_e8:
            gain = Leg(OrderKind.LIMIT_MAKER, quantity_e8, plan.gain_e8, 0, EXIT_TAKE_PROFIT)
            if gain != self._refused_gain:
                legs.append(gain)
        return tuple(legs)

    def _stands(self, wanted: Sequence[Leg]) -> bool:
        standing = self._book.exits
        return len(standing) == len(wanted) and all(
            any(leg.is_of(ticket) for ticket in standing) for leg in wanted
        )

    # -- placing

    async def _place(self, wanted: Sequence[Leg]) -> list[Ticket]:
        row = self._book.row
        tickets = tickets_of(row, wanted)
        after = replace(row, seq=row.seq + len(tickets))
        self._commit([after, *tickets, *(ticket_event(ticket) for ticket in tickets)])
        placing = asyncio.ensure_future(self._desk.rest(self._book, tickets, attempts=1))
        if any(leg.stop_e8 for leg in wanted):
            await self.sell_if_unknown(placing)
        return await placing

    async def sell_if_unknown(self, placing: asyncio.Future[Any]) -> None:
        """Sell the base that a stop of unknown fate has not locked, when the position may be bare no longer.

        Beside a ladder that may be base of others of its sales too: what is free has no stop either.
        """
        self.fates.is_bare()
        if await self.fates.are_known_in_time(placing, UNKNOWN_FOR):
            return
        self.tell_unprotected("the fate of its stop is unknown")
        while self.is_open and not placing.done():
            free_e8 = await self.fates.free_e8()
            if free_e8 and not self._is_too_small(free_e8):
                await self._sell_now(EXIT_STOP, free_e8, insist=True)
            await self.fates.is_done_within(placing, ASK_AGAIN)

    async def cover_while_unknown(self, buying: asyncio.Future[Any]) -> None:
        """Keep all that no sale has locked under a stop, while the fate of a ladder's buy is unknown."""
        while not await self.fates.is_done_within(buying, ASK_AGAIN):
            self.spoken_e8 = None
            await self.protect()

    async def _take_refusals(self, wanted: Sequence[Leg], sent: Sequence[Ticket]) -> bool:
        """Deal with exits that do not stand; return whether to look again."""
        if not self.is_open or not any(ticket.status is TicketStatus.REFUSED for ticket in sent):
            return True  # what stands is compared anew; what never arrived is sent anew
        note = sent[0].note
        if len(wanted) == 2:  # which of the two was it? The stop alone tells
            (alone,) = await self._place(wanted[:1])
            if alone.status in ALIVE:
                self._refused_gain = wanted[1]
                if note.startswith(WOULD_TRIGGER):
                    await self.sell(EXIT_TAKE_PROFIT)  # the price has passed it
                else:
                    self._alarm(f"no take-profit stands ({note}); the stop does")
                return True
            if alone.status is TicketStatus.VOID:
                return True
            note, wanted = alone.note, wanted[:1]
        leg = wanted[0]
        if leg.reason == EXIT_TAKE_PROFIT:
            if note.startswith(WOULD_TRIGGER):
                await self.sell(EXIT_TAKE_PROFIT)
            else:
                self._refused_gain = leg
                self._alarm(f"no take-profit stands ({note})")
            return True
        if not note.startswith(WOULD_TRIGGER):
            self._alarm(f"no stop can be placed ({note}): selling at market")
        await self.sell(EXIT_STOP)
        return not self._book.unprotected

    async def _sell_what_is_free(self, reason: str, most_e8: int | None = None) -> None:
        quantity_e8 = self._lots_e8
        if most_e8 is not None:
            quantity_e8 = min(quantity_e8, most_e8)
        if not self.is_open or not quantity_e8:
            return
        if self._is_too_small(quantity_e8):
            self.give_up()
            return
        await self._sell_now(reason, quantity_e8)

    async def _sell_now(self, reason: str, quantity_e8: int, *, insist: bool = False) -> None:
        after = replace(self._book.row, seq=self._book.row.seq + 1)
        ticket = core.sale(after, quantity_e8, reason)
        self._commit([after, ticket, ticket_event(ticket)])
        done: Ticket | None
        if insist:
            done = await self._desk.insist(self._book, ticket, self.fates.is_alone)
        else:
            done = await self.carry_out(ticket)
        if done and done.status in (TicketStatus.REFUSED, TicketStatus.VOID) and self._wanted():
            self.tell_unprotected(f"the sale at market failed: {done.note}")

    def give_up(self) -> None:
        """Try no exit of this position again before another buy, and say so."""
        self._book.protection.give_up()
        after = replace(self._book.row, plan=self._book.protection.saved())
        why = "the position is below the exchange's minimum: it cannot be protected or sold"
        self._commit([after, self._event(why)])

    # -- telling

    def tell_unprotected(self, why: str) -> None:
        """Raise the alarm, once for as long as it lasts."""
        if not self._book.unprotected:
            self._alarm(f"UNPROTECTED: {why}")
            self._failures = 0
        self._book.unprotected = why

    def _tell_protected(self) -> None:
        if (
            self.spoken_e8 is None
        ):  # else sales that shall lock the rest of the base are not sent yet
            self.fates.is_covered()
        if self._book.unprotected:
            self._book.unprotected = ""
            said = "protected again" if self.is_open else "flat: nothing is left to protect"
            row = self._book.row
            self._commit([row, Event("protection", row.name, row.last_candle_ms, {"note": said})])
        if not self.is_open:
            self._refused_gain = self._passed_at = None

    def _alarm(self, why: str) -> None:
        self._commit([self._book.row, self._event(why)])

    def _event(self, why: str) -> Event:
        row = self._book.row
        return Event("alarm", row.name, row.last_candle_ms, {"reason": why})

    def _commit(self, rows: Sequence[Row]) -> None:
        (row,) = (one for one in rows if isinstance(one, InstanceRow))
        self._books.commit(self._book, core.Step(row, tuple(rows)), self._clock.wall_ms())

    # -- looking

    @property
    def _account(self) -> LedgerAccount:
        return self._books.ledger.account(self._book.row.name)

    @property
    def _lots_e8(self) -> int:
        """Return the whole lots that no sale of a ladder has locked, or will have."""
        step_e8, spoken_e8 = self._book.instrument.step_e8, self.spoken_e8
        if spoken_e8 is None:
            sales = (one for one in self._book.resting if one.reason not in EXITS)
            spoken_e8 = sum(one.left_e8 for one in sales if one.side is Side.SELL)
        return max(0, self._account.base_e8 - spoken_e8) // step_e8 * step_e8

    def _is_too_small(self, quantity_e8: int) -> bool:
        one = self._book.instrument
        price = self._book.last_price or self._book.row.last_close
        return sell_is_too_small(quantity_e8, price, one.min_qty_e8, one.min_notional_e8)

    def _has_slipped_through(self) -> bool:
        since = self._passed_at
        return since is not None and self._clock.elapsed() - since >= SLIPS_THROUGH
