"""What an order that takes liquidity would trade against right now; a plan that changes nothing.

The market's liquidity is a function of the side alone: one price, so many lots. Users' orders at a
better or the same price go first, the oldest first; a plan is a list of `Match`, best price first.
Where the taker prevents trades with itself, a match may be one that shall not happen (`prevented`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from workbench.execution.matching.book import Book
from workbench.execution.orders import SelfTrade, Side
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
class Want:
    """What a taker wants: lots or quote, down to a limit in ticks (0 for none)."""

    side: Side
    lots: int
    quote_e8: int = 0
    limit: int = 0
    mode: SelfTrade = SelfTrade.NONE


@dataclass(frozen=True, slots=True)
class Match:
    """A piece of a sweep: so many lots at that price, against a resting order or `MARKET`."""

    price_ticks: int
    lots: int
    maker_id: int
    prevented: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    """The pieces, and the lots that were wanted: more than the pieces hold where the book is thin."""

    matches: tuple[Match, ...]
    wanted_lots: int

    @property
    def lots(self) -> int:
        """Lots that would trade."""
        return sum(match.lots for match in self.matches if not match.prevented)

    def value_e8(self, instrument: Instrument) -> int:
        """Quote that would change hands."""
        ticks = sum(one.lots * one.price_ticks for one in self.matches if not one.prevented)
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


def plan(
    want: Want, quote: Quote, book: Book, instrument: Instrument, own: Collection[int] = ()
) -> Sweep:
    """Return the sweep of what a taker wants.

    `own` are the numbers of its account's orders that it must not trade with, as `mode` says.
    A quantity beyond what is offered, or quote left that could buy another lot at the last price,
    shows as `wanted_lots` above `lots`.
    """
    left, money_e8 = want.lots, want.quote_e8
    matches: list[Match] = []
    for offer in offers(quote, book, want.side):
        if want.limit and _worse(offer.price_ticks, want.limit, want.side):
            break
        one_lot_e8 = offer.price_ticks * instrument.unit_e8
        if want.quote_e8:
            left = money_e8 // one_lot_e8
        lots = min(offer.lots, left)
        if lots <= 0:
            break
        if offer.maker_id in own:
            matches.append(Match(offer.price_ticks, lots, offer.maker_id, prevented=True))
            if want.mode is SelfTrade.EXPIRE_MAKER:
                continue
            break
        matches.append(Match(offer.price_ticks, lots, offer.maker_id))
        left -= lots
        money_e8 -= lots * one_lot_e8
        if want.quote_e8 and lots < offer.lots:
            break  # what is left buys no lot here; one at a worse price would jump the queue
    traded = sum(match.lots for match in matches if not match.prevented)
    return Sweep(tuple(matches), traded + max(left, 0))


def _worse(price: int, limit: int, side: Side) -> bool:
    return price > limit if side is Side.BUY else price < limit


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
