"""The exits that a stop has kept: somebody must stay with them, for one that fills in part ends its other half.

A part of a take-profit takes the stop of its OCO with it, at the exchange's own rule; what is left gets
another pair. Exits that ended without a trade were taken back by their owner: they are not placed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.gateway.books import Book
from bridge.gateway.exits import LiveExits
from bridge.journal_rows import EXITS


async def stay_with(book: Book, exits: LiveExits, settled: Callable[[], None]) -> None:
    """Keep what is left of a position protected, until nothing is left or its exits were taken back."""
    known_e8 = _traded_e8(book)
    while exits.is_open and (book.exits or book.unprotected):
        settled()
        try:
            async with asyncio.timeout(exits.look_again_in):
                await book.news.wait()
        except TimeoutError:
            pass
        book.news.clear()
        book.settled = False
        traded_e8 = _traded_e8(book)
        if traded_e8 > known_e8 or book.unprotected:
            known_e8 = traded_e8
            await exits.hear()
    settled()


def _traded_e8(book: Book) -> int:
    return sum(one.executed_e8 for one in book.tickets.values() if one.reason in EXITS)
