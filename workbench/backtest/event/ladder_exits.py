"""A ladder whose position is protected, in the event-driven backtest: one path for rungs and exits.

On the way down the rungs above the stop buy, one price after the other, then the stop takes the ladder
back and sells everything at market; on the way up the rungs sell as far as the take-profit, which then
takes the ladder back and sells what is left as a limit. Base that rungs have reserved cannot be in two
orders, so the exits are sent when their price is reached, not before.
"""

from __future__ import annotations

from workbench.backtest.event.exits import EventExits
from workbench.backtest.event.ladder import EventLadder
from workbench.backtest.event.path import Path
from workbench.core.exits import REASON_STOP, REASON_TAKE_PROFIT, REASON_TIME
from workbench.market.candles import Candles


class ProtectedLadder:
    """A ladder and the exits of one instance, walked together."""

    def __init__(
        self, candles: Candles, ladder: EventLadder, exits: EventExits, path: Path
    ) -> None:
        self._candles, self._ladder, self._exits, self._path = candles, ladder, exits, path
        self._at = 0.0  # where the price stands on the candle's path

    def at_the_open(self, t: int) -> None:
        """Let the open of candle t pass what rests; exits act after the order that waits."""
        self._ladder.begin(t, at_open=True)
        self._meet(float(self._candles.records["open"][t]), exits=False)

    def in_the_candle(self, t: int) -> None:
        """Let the exits see the open, place what waits there, then follow the path of candle t."""
        candle = self._candles.records[t]
        opening = float(candle["open"])
        self._at = opening
        self._exits.begin(t)
        if self._exits.is_due:
            self._leave(REASON_TIME, opening)
        self._meet(opening, opens=True)
        self._ladder.place_due(t)
        self._ladder.begin(t, at_open=False)
        for price, opens in self._path.prices(t):
            self._meet(price, opens=opens)

    def _meet(self, price: float, *, opens: bool = False, exits: bool = True) -> None:
        ladder, ours = self._ladder, self._exits
        while ladder.buys_at(price) and not (ours.is_open and ladder.nearest_buy <= ours.stop):
            self._at = ladder.nearest_buy
            ladder.meet_buy(price)
        if ours.is_open and price <= ours.stop:
            if exits:
                self._leave(*self._first_exit(price, opens=opens))
            else:
                ladder.withdraw()
            return
        while ladder.sells_at(price) and ladder.nearest_sell <= ours.goal:
            self._at = ladder.nearest_sell
            ladder.meet_sell(price)
        if ours.is_open and ours.passes_goal(price):
            if exits:
                self._leave(REASON_TAKE_PROFIT, ours.goal)
            else:
                ladder.withdraw()
        self._at = price

    def _first_exit(self, price: float, *, opens: bool) -> tuple[int, float]:
        """Return (reason, price) of the exit that a falling price comes to first, as the kernel does."""
        if opens:
            return REASON_STOP, price
        if self._at > self._exits.stop and self._exits.passes_goal(self._at):
            return REASON_TAKE_PROFIT, self._exits.goal
        return REASON_STOP, min(self._exits.stop, self._at)

    def _leave(self, reason: int, price: float) -> None:
        self._ladder.withdraw()
        self._exits.sell_out(reason, price)
