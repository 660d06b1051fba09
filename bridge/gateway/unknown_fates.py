"""How long a position may be bare while nobody knows the fate of its stop or of its sale, and what is free then.

A position that should have a stop may be without one for 3 s. Counted from where it became bare:

    1.5 s    a sale that may have been lost has its time; then the exits stand in for it again
    2.25 s   a stop that may have been lost has its time; then the base that is not locked is sold

so that the sale may be lost twice (`insistence`) and still be in time. Only base that is this position's
may be sold so: where the account holds other base of the asset too, the exchange's word for what is
free does not tell whose it is, and all that can be done is to say so. A stop that did land has locked its
base; the exchange says so, and refuses a sale that was quicker than this news.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bridge.clock import Clock
from bridge.exchanges.base import Balance, Exchange, Refused, Unanswered
from bridge.gateway.books import Book, Books
from bridge.gateway.insistence import ANSWER_WITHIN

SALE_FOR = 1.5  # seconds that a sale's fate may be unknown before the exits stand in for it
UNKNOWN_FOR = 2.25  # seconds that a stop's fate may be unknown before what is free is sold
ASK_AGAIN = 0.5  # seconds between two looks at what is free


class UnknownFates:
    """Knows since when one instance's position is bare, and what of it the exchange has not locked."""

    def __init__(self, book: Book, books: Books, exchange: Exchange, clock: Clock) -> None:
        self._book, self._books = book, books
        self._exchange, self._clock = exchange, clock
        self._bare_since: float | None = None

    def is_bare(self) -> None:
        """Note that no stop stands from now on, if it is not noted already."""
        if self._bare_since is None:
            self._bare_since = self._clock.elapsed()

    def is_covered(self) -> None:
        """Note that a stop stands, or that nothing is left to protect."""
        self._bare_since = None

    async def are_known_in_time(self, work: asyncio.Future[Any], most: float) -> bool:
        """Wait until the work is done, or the position has been bare for `most` seconds; tell which."""
        now = self._clock.elapsed()
        since = now if self._bare_since is None else self._bare_since
        return await self.is_done_within(work, max(ANSWER_WITHIN, since + most - now))

    async def is_done_within(self, work: asyncio.Future[Any], seconds: float) -> bool:
        """Wait for it so long at most; tell whether it is done."""
        waiting = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
            return work.done()
        except asyncio.CancelledError:
            work.cancel()
            raise
        finally:
            waiting.cancel()

    async def base(self) -> Balance | None:
        """Return what the account holds of the base; None where nobody answers in time."""
        for _ in range(2):
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    held = (await self._exchange.balances()).get(self._book.instrument.base)
                return held or Balance(0, 0)
            except (Unanswered, Refused, TimeoutError):
                continue
        return None

    async def is_alone(self) -> bool:
        """Tell whether the account holds this position and no other base that a sale could take."""
        return self._is_ours(await self.base())

    async def free_e8(self) -> int:
        """Return the whole lots of this position that nothing has locked, 0 where that cannot be told."""
        held, step_e8 = await self.base(), self._book.instrument.step_e8
        if held is None or not self._is_ours(held):
            return 0
        return min(held.free_e8, self._base_e8) // step_e8 * step_e8

    def _is_ours(self, held: Balance | None) -> bool:
        if held is None:
            return False
        foreign_e8 = held.free_e8 + held.locked_e8 - self._base_e8
        return abs(foreign_e8) < self._book.instrument.step_e8

    @property
    def _base_e8(self) -> int:
        return self._books.ledger.account(self._book.row.name).base_e8
