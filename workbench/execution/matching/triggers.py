"""Conditional orders that wait for the last traded price: stops, take-profits and trailing ones.

The stop of a STOP_LOSS to buy and of a TAKE_PROFIT to sell stands above the market and is met when
the price rises to it; the other two stand below. With a trailing delta d (in 1/10,000) the side
alone decides: an order to buy is triggered by a rise to low·(1+d), one to sell by a fall to
high·(1−d), low and high since tracking began. Where there is a stop price too, tracking begins when
that is met. Prices are the tape's, at 1e-8.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.execution.orders import STOPS, OrderType, Side

BIPS = 10_000


def waits_above(side: Side, order_type: OrderType) -> bool:
    """Whether such an order's stop stands above the market."""
    return (order_type in STOPS) == (side is Side.BUY)


def is_met(above: bool, stop_e8: int, price_e8: int) -> bool:
    """Whether a price has reached a stop."""
    return price_e8 >= stop_e8 if above else price_e8 <= stop_e8


@dataclass(slots=True)
class Watch:
    """One waiting order; `extreme_e8` is 0 until its tracking began."""

    order_id: int
    side: Side
    above: bool
    stop_e8: int
    bips: int
    extreme_e8: int = 0

    @property
    def tracks(self) -> bool:
        """Whether the best price is being followed."""
        return self.extreme_e8 > 0

    def hears(self, price_e8: int) -> bool:
        """Take a price in; return whether the order is triggered by it."""
        if not self.bips:
            return is_met(self.above, self.stop_e8, price_e8)
        if not self.extreme_e8:
            if not is_met(self.above, self.stop_e8, price_e8):
                return False
            self.extreme_e8 = price_e8
        buys = self.side is Side.BUY
        self.extreme_e8 = (min if buys else max)(self.extreme_e8, price_e8)
        way = self.bips if buys else -self.bips
        return is_met(buys, self.extreme_e8 * (BIPS + way), price_e8 * BIPS)


class Watches:
    """Every waiting order of one symbol, in the order of arrival."""

    def __init__(self) -> None:
        self.waiting: dict[int, Watch] = {}

    def add(self, watch: Watch) -> None:
        """Let an order wait."""
        self.waiting[watch.order_id] = watch

    def drop(self, order_id: int) -> None:
        """Let an order wait no longer."""
        self.waiting.pop(order_id, None)

    def tracking(self) -> list[int]:
        """Return the trailing orders that follow the price now."""
        return [number for number, watch in self.waiting.items() if watch.tracks]

    def passed(self, before_e8: int, after_e8: int) -> list[int]:
        """Return the stops strictly between two prices that a way from one to the other meets."""
        rises = after_e8 > before_e8
        low_e8, high_e8 = sorted((before_e8, after_e8))
        found = {
            watch.stop_e8
            for watch in self.waiting.values()
            if not watch.bips and watch.above == rises and low_e8 < watch.stop_e8 < high_e8
        }
        return sorted(found, reverse=not rises)

    def heard(self, price_e8: int) -> list[int]:
        """Return the orders that a print triggers, in the order of arrival; they stay here."""
        return [number for number, watch in self.waiting.items() if watch.hears(price_e8)]
