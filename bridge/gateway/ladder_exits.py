"""Stop, take-profit, trail and time stop beside a ladder: one task looks after both, in this order.

    an exit has traded     the whole ladder is taken back, what is left is protected or sold
    a rung has filled      its opposite order; a sale waits for its place
    the base is parted     sales that may not stand are taken back, then the rest's own exits are
                           placed, then the sales that shall stand, with a stop each (`parting`)

and again, until nothing moves. All that is held has a stop at the exchange then. While the fate of a
sale's stop is unknown for long, what the exchange has not locked is sold, whichever rung bought it: it is
bare as well. While that of a buy is, the rest's own stop covers what other buys bring. What a buy of a rung
brings while the gateway is down has none: how much that may be is told once, and shown at any time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bridge.clock import Clock
from bridge.exchanges.base import Side
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.gateway.exits import LiveExits
from bridge.gateway.ladder import LiveLadder
from bridge.gateway.parting import is_too_small
from bridge.journal_rows import Event
from workbench.market.instruments import SCALE, from_e8

MOST_ROUNDS = 12


class LadderExits:
    """The protection of one instance that rests a ladder."""

    def __init__(
        self, book: Book, books: Books, ladder: LiveLadder, exits: LiveExits, clock: Clock
    ) -> None:
        self._book, self._books, self._clock = book, books, clock
        self._ladder, self._exits = ladder, exits
        self._told = False
        exits.take_ladder_back = ladder.take_back
        ladder.while_unknown = self._while_unknown

    async def hear(self) -> None:
        """Answer what was heard, and protect what is held."""
        await self._exits.help_on()
        await self.protect()

    async def protect(self) -> None:
        """Go through all of it until nothing moves."""
        self._ladder.forgive()
        self._exits.fates.is_bare()
        try:
            for _ in range(MOST_ROUNDS):
                if not await self._go_on():
                    self._say_once()
                    return
        finally:
            self._exits.spoken_e8 = None
            self._exits.fates.is_covered()
        self._exits.tell_unprotected("its sales and their stops do not reach the exchange")

    async def _go_on(self) -> bool:
        """Do what comes next; return whether it must be looked at again."""
        ladder, exits = self._ladder, self._exits
        if ladder.exit_has_traded:
            exits.spoken_e8 = None
            await ladder.take_back()
        await ladder.hear()
        if ladder.exit_has_traded:
            return True
        parting = ladder.part()
        exits.spoken_e8 = parting.spoken_e8
        if await ladder.pull(parting):
            return True
        await exits.protect()
        if ladder.exit_has_traded or ladder.has_news:
            return True
        return await ladder.send_sales(parting)

    async def leave_crumb(self, low: float, high: float) -> None:
        """End the ladder where prices have reached a level of what is too small for any order.

        The backtests do so as well: their exit is refused then. Only a price that was told can be seen.
        """
        stop_e8, gain_e8 = self._book.protection.stop_e8, self._book.protection.gain_e8
        reached = low * SCALE <= stop_e8 or 0 < gain_e8 < high * SCALE
        if reached and self._exits.is_open and self._is_crumb(stop_e8 or gain_e8):
            await self._ladder.take_back()
            self._exits.give_up()

    async def _while_unknown(self, sending: asyncio.Future[Any], side: Side) -> None:
        """Let nothing be bare for long while it is not known whether an order of the ladder stands."""
        if not self._book.protection.has_stop:
            return
        if side is Side.SELL:
            await self._exits.sell_if_unknown(sending)
        else:
            await self._exits.cover_while_unknown(sending)

    def _is_crumb(self, level_e8: int) -> bool:
        base_e8 = self._books.ledger.account(self._book.row.name).base_e8
        return is_too_small(base_e8, level_e8, self._book.instrument)

    def _say_once(self) -> None:
        book = self._book
        buys_e8 = book.exposed_if_down_e8
        if self._told or not buys_e8:
            return
        self._told = True
        reason = (
            f"UNPROTECTED IF DOWN: while the gateway is down, resting buys of this ladder may spend "
            f"{from_e8(buys_e8)} {book.instrument.quote} on base without a stop"
        )
        alarm = Event("alarm", book.row.name, book.row.last_candle_ms, {"reason": reason})
        step = core.Step(book.row, (book.row, alarm))
        self._books.commit(book, step, self._clock.wall_ms())
