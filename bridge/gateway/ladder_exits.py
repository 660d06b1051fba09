"""The stop and the take-profit of what a ladder holds: watched here, for its rungs have locked the base.

On a spot exchange base that rests in sales cannot rest in a stop as well. So the gateway watches the price
and acts as the backtests do: it takes the whole ladder back and sells all that there is, at market. While
it is down nobody does: an alarm says so once. The levels are the decision's own, hung on what was paid.
"""

from __future__ import annotations

from bridge.clock import Clock
from bridge.gateway import core
from bridge.gateway.books import Book, Books
from bridge.gateway.exits import LiveExits
from bridge.gateway.ladder import LiveLadder
from bridge.journal_rows import EXIT_STOP, EXIT_TAKE_PROFIT, Event
from workbench.market.instruments import SCALE

WATCHED = (
    "UNPROTECTED IF DOWN: the exits beside a ladder are watched by the gateway, no order of theirs "
    "stands at the exchange"
)


class LadderExits:
    """Watches the levels of one instance that rests a ladder."""

    def __init__(
        self, book: Book, books: Books, ladder: LiveLadder, exits: LiveExits, clock: Clock
    ) -> None:
        self._book, self._books, self._clock = book, books, clock
        self._ladder, self._exits = ladder, exits
        self._due = ""
        self._told = False

    def saw_price(self, price: float) -> None:
        """Notice a price that has reached a level; `hear` acts on it."""
        if self._due or not self._book.row.ladder or not self._exits.is_open:
            return
        levels, price_e8 = self._book.protection, price * SCALE
        if price_e8 <= levels.stop_e8:
            self._due = EXIT_STOP
        elif 0 < levels.gain_e8 < price_e8:
            self._due = EXIT_TAKE_PROFIT
        if self._due:
            self._book.news.set()

    async def hear(self) -> None:
        """Leave where a level was reached."""
        self._say_once()
        reason, self._due = self._due, ""
        if reason and self._exits.is_open:
            await self._ladder.take_back()
            await self._exits.sell(reason)

    def _say_once(self) -> None:
        levels, row = self._book.protection, self._book.row
        if self._told or not row.ladder or not (levels.stop_e8 > 0 or levels.gain_e8):
            return
        self._told = True
        alarm = Event("alarm", row.name, row.last_candle_ms, {"reason": WATCHED})
        self._books.commit(self._book, core.Step(row, (row, alarm)), self._clock.wall_ms())
