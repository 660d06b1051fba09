"""What an order that takes liquidity would trade against right now; a plan that changes nothing.

The market's liquidity is a function of the side alone: one price, so many lots. Users' orders at a
better or the same price go first, the oldest first; a plan is a list of `Match`, best price first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.execution.matching.book import Book
from workbench.execution.orders import NewOrder, Side
from workbench.market.instruments import Instrument

MARKET = 0  # the "order number" of the market's own liquidity


@dataclass(slots=True)
class Quote:
    """The standing liquidity: prices in ticks and the lots that are left on each side."""

    bid_ticks: int
    ask_ticks: int
    bid_lots: int
    ask_lots: int

    def against(self, taker: Side) -> tuple[int, int]:
        """Return the price and the lots that a taker of that side meets."""
        if taker is Side.BUY:
            return self.ask_ticks, self.ask_lots
        return self.bid_ticks, self.bid_lots

    def take(self, taker: Side, lots: int) -> None:
        """Use up lots of the side that a taker meets."""
        if taker is Side.BUY:
            self.ask_lots -= lots
        else:
            self.bid_lots -= lots


@dataclass(frozen=True, slots=True)
class Match:
    """A piece of a sweep: so many lots at that price, against a resting order or `MARKET`."""

    price_ticks: int
    lots: int
    maker_id: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The pieces, and the lots that were wanted: more than the pieces hold where the book is thin."""

    matches: tuple[Match, ...]
    wanted_lots: int

    @property
    def lots(self) -> int:
        """Lots that would trade."""
        return sum(match.lots for match in self.matches)

    def value_e8(self, instrument: Instrument) -> int:
        """Quote that would change hands."""
        ticks = sum(match.lots * match.price_ticks for match in self.matches)
        return ticks * instrument.unit_e8


def offers(quote: Quote, book: Book, taker: Side) -> Iterator[Match]:
    """Yield everything that a taker of that side can meet, best price first, users before MARKET."""
    price, lots = quote.against(taker)
    market = Match(price, lots, MARKET) if lots > 0 else None
    for ticks, order_id, open_lots in book.orders(_opposite(taker)):
        if market and (ticks > price if taker is Side.BUY else ticks < price):
            yield market
            market = None
        yield Match(ticks, open_lots, order_id)
    if market:
        yield market


def plan(new: NewOrder, quote: Quote, book: Book, instrument: Instrument, limit: int) -> Sweep:
    """Return the sweep of an order of `quantity_e8` or `quote_e8`; `limit` in ticks, 0 for none.

    A quantity beyond what is offered, or quote left that could buy another lot at the last price,
    shows as `wanted_lots` above `lots`.
    """
    left = new.quantity_e8 // instrument.step_e8
    money_e8 = new.quote_e8
    matches: list[Match] = []
    for offer in offers(quote, book, new.side):
        if limit and _worse(offer.price_ticks, limit, new.side):
            break
        one_lot_e8 = offer.price_ticks * instrument.unit_e8
        if new.quote_e8:
            left = money_e8 // one_lot_e8
        lots = min(offer.lots, left)
        if lots <= 0:
            break
        matches.append(Match(offer.price_ticks, lots, offer.maker_id))
        left -= lots
        money_e8 -= lots * one_lot_e8
    return Sweep(tuple(matches), sum(match.lots for match in matches) + max(left, 0))


def _worse(price: int, limit: int, side: Side) -> bool:
    return price > limit if side is Side.BUY else price < limit


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
