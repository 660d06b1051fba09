"""What the market looks like from outside: rendered depth, and statistics of a window of the tape.

The depth is the liquidity function, one standing level a side, and the users' resting orders.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.local_exchange.shapes import Json
from bridge.local_exchange.venue import Venue
from workbench.execution.matching.tape import total
from workbench.execution.orders import Side
from workbench.market.instruments import SCALE, from_e8

AVERAGE_MINUTES = 5
BOTH = (Side.BUY, Side.SELL)
Levels = dict[int, int]


def levels(venue: Venue, symbol: str, side: Side) -> Levels:
    """Return the lots at every price (in ticks) of one side, best first."""
    found = dict(venue.engine.book(symbol).levels(side))
    quote = venue.engine.quote(symbol)
    if quote is not None:
        price, lots = quote.against(Side.SELL if side is Side.BUY else Side.BUY)
        if lots:
            found[price] = found.get(price, 0) + lots
    return {price: found[price] for price in sorted(found, reverse=side is Side.BUY)}


def rendered(venue: Venue, symbol: str, rows: Levels) -> list[list[Json]]:
    """Return levels as [price, quantity] texts."""
    instrument = venue.engine.instrument(symbol)
    tick_e8, step_e8 = instrument.tick_e8, instrument.step_e8
    return [[from_e8(price * tick_e8), from_e8(lots * step_e8)] for price, lots in rows.items()]


def best_quote(venue: Venue, symbol: str) -> tuple[list[Json], list[Json]]:
    """Return the best bid and ask as [price, quantity]; zeros where a side is empty."""
    best = [rendered(venue, symbol, levels(venue, symbol, side))[:1] for side in BOTH]
    empty: list[Json] = [from_e8(0), from_e8(0)]
    return (best[0] or [empty])[0], (best[1] or [empty])[0]


@dataclass(frozen=True, slots=True)
class Statistics:
    """A window of the tape in numbers, everything at 1e-8."""

    open_ms: int
    close_ms: int
    before_e8: int
    open_e8: int
    high_e8: int
    low_e8: int
    last_e8: int
    last_quantity_e8: int
    volume_e8: int
    quote_e8: int
    first_id: int
    last_id: int
    count: int

    @property
    def change_e8(self) -> int:
        """The price's change over the window."""
        return self.last_e8 - self.open_e8

    @property
    def change_percent(self) -> str:
        """The change in percent of the opening price."""
        return f"{self.change_e8 / self.open_e8 * 100:.3f}"

    @property
    def average_e8(self) -> int:
        """The volume-weighted price, zero without volume."""
        return self.quote_e8 * SCALE // self.volume_e8 if self.volume_e8 else 0


def statistics(venue: Venue, symbol: str, length_ms: int) -> Statistics:
    """Return the numbers of the candles that opened in the last `length_ms` of market time."""
    replay = venue.replay(symbol)
    tape, now_ms = replay.tape, replay.now_ms
    opening = int(tape.open_ms.searchsorted(now_ms - length_ms, side="right"))
    opening = min(opening, replay.candle)
    first = int(tape.first[opening])
    part = slice(first, replay.played)
    prices = tape.price_e8[part]
    return Statistics(
        open_ms=int(tape.open_ms[opening]),
        close_ms=now_ms,
        before_e8=int(tape.price_e8[first - 1] if first else prices[0]),
        open_e8=int(prices[0]),
        high_e8=int(prices.max()),
        low_e8=int(prices.min()),
        last_e8=int(prices[-1]),
        last_quantity_e8=replay.last.quantity_e8,
        volume_e8=total(tape.quantity_e8[part]),
        quote_e8=total(tape.quote_e8[part]),
        first_id=int(tape.ids[first]),
        last_id=replay.last.trade_id,
        count=replay.played - first,
    )


def average_price_e8(venue: Venue, symbol: str) -> int:
    """Return the volume-weighted price of the last five minutes, at least of the last candle."""
    replay = venue.replay(symbol)
    candles = max(1, AVERAGE_MINUTES * 60_000 // replay.tape.timeframe.mean_ms)
    part = slice(int(replay.tape.first[max(0, replay.candle - candles + 1)]), replay.played)
    volume = total(replay.tape.quantity_e8[part])
    quote = total(replay.tape.quote_e8[part])
    return quote * SCALE // volume if volume else replay.last.price_e8
