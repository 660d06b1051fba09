"""A ladder in the event-driven backtest: limit orders on the matching engine, along each candle's path.

The market prints a price of the path, orders that it passed fill, the market stands there, and the
opposite orders are placed before the next price is printed. Prices that pass nothing are left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.backtest.event.market import ACCOUNT, EventMarket
from workbench.backtest.event.path import Path
from workbench.core.costs import SCALE
from workbench.errors import UsageError
from workbench.execution.ladder import RestingLadder, RungOrder
from workbench.execution.orders import Execution, NewOrder, OrderType, Rejected, SelfTrade, Side
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument


class EventLadder:
    """The ladder of one instance on a market; it is the owner of its rungs' orders there.

    `booked(execution, signal_index)` books a fill for the instance, `spoken()` returns the quote and
    the base that its market order will take at this open.
    """

    def __init__(
        self,
        name: str,
        candles: Candles,
        rules: Instrument,
        market: EventMarket,
        *,
        path: Path,
        booked: Callable[[Execution, int], None],
        spoken: Callable[[], tuple[int, int]],
    ) -> None:
        self._candles, self._rules, self._market = candles, rules, market
        self._ladder = RestingLadder(market.ledger.record(name), rules)
        self._path, self._booked, self._spoken = path, booked, spoken
        self._turned: list[RungOrder] = []  # to be placed where the market stands next
        self._sending: RungOrder | None = None
        self._now_ms = 0

    @property
    def filled(self) -> int:
        """Return the bits that `decide` sees as `ladder_filled`."""
        return self._ladder.filled

    def stays(self, intent: np.ndarray) -> bool:
        """Return whether an intent wants the ladder that is laid."""
        return bool(intent["revision"][0] == self._ladder.revision)

    def lay(self, intent: np.ndarray, t: int, closed_ms: int) -> bool:
        """Read the ladder of an intent at the close of candle t; return whether it is a new one.

        Raises UsageError for one that cannot be carried out.
        """
        before = self._ladder.revision
        revised = self._ladder.lay(intent.tobytes(), t)
        self._take_back(revised, closed_ms)
        if self._ladder.waiting:
            model = self._market.model
            if model.latency_ms or model.volume_share is not None or model.orders != "market":
                raise UsageError(
                    "ladders trade at once, whole, as limit orders of their own; leave out latency, "
                    "volume share and limit orders"
                )
        return self._ladder.revision != before

    def hold(self, guard: str, closed_ms: int) -> bool:
        """Hold buys back at a close if there is a guard, else let them go; return whether any rested."""
        if not guard:
            self._ladder.let_go()
            return False
        numbers = self._ladder.hold()
        self._take_back(numbers, closed_ms)
        for number in numbers:
            self._ladder.has_been_held(number)
        return bool(numbers)

    def at_the_open(self, t: int) -> None:
        """Let the open of candle t pass what rests."""
        opening = float(self._candles.records["open"][t])
        if self._is_passed(opening):
            self._now_ms = int(self._candles.records["open_time"][t])
            self._market.walk(self._candles, t, ("open",), self._now_ms)
            self._market.stand_at_open(self._candles, t)
            self._place_turned()

    def in_the_candle(self, t: int) -> None:
        """Place what waits at the open of candle t, then follow its path."""
        candle = self._candles.records[t]
        self.place_due(t)
        if not (self._path.is_finer or self._is_met(candle)):
            return
        for price, _ in self._path.prices(t):
            if self._is_passed(price):
                self._now_ms = self._candles.timeframe.next(int(candle["open_time"])) - 1
                self._market.stand_at_open(self._candles, t)
                self._show(price)

    def place_due(self, t: int) -> None:
        """Place the rungs that wait, at the open of candle t."""
        if self._ladder.waiting:
            self._now_ms = int(self._candles.records["open_time"][t])
            self._market.stand_at_open(self._candles, t)
            for order in self._ladder.due():
                self._send(order)
                self._place_turned()

    # -- one price at a time, where exits lie on the same path

    def begin(self, t: int, *, at_open: bool) -> None:
        """Say that the market moves in candle t, at its open or after it."""
        opened = int(self._candles.records["open_time"][t])
        self._now_ms = opened if at_open else self._candles.timeframe.next(opened) - 1
        self._market.open_candle(self._candles, t)

    @property
    def nearest_buy(self) -> float:
        """Return the price of the nearest buy, -infinity for none."""
        return self._ladder.nearest[0]

    @property
    def nearest_sell(self) -> float:
        """Return the price of the nearest sale, infinity for none."""
        return self._ladder.nearest[1]

    def buys_at(self, price: float) -> bool:
        """Return whether a price has passed the nearest buy."""
        touch = self._market.costs.touch
        return self.nearest_buy > price or (touch and self.nearest_buy == price)

    def sells_at(self, price: float) -> bool:
        """Return whether a price has passed the nearest sale."""
        touch = self._market.costs.touch
        return self.nearest_sell < price or (touch and self.nearest_sell == price)

    def meet_buy(self, price: float) -> None:
        """Fill the nearest buys alone on the way down to a price, and rest their opposites."""
        self._show(max(price, self.nearest_buy - self._rules.tick_e8 / SCALE))

    def meet_sell(self, price: float) -> None:
        """Fill the nearest sales alone on the way up to a price, and rest their opposites."""
        self._show(min(price, self.nearest_sell + self._rules.tick_e8 / SCALE))

    def withdraw(self) -> None:
        """Take every order back; nothing rests again before a new revision."""
        self._take_back(self._ladder.withdraw(), self._now_ms)
        self._turned.clear()

    def _show(self, price: float) -> None:
        self._market.show(self._rules.symbol, price, self._now_ms, stands=True)
        self._place_turned()

    def book(self, one: Execution) -> None:
        """Take in a fill of a rung's order; its opposite is placed where the market stands next."""
        order = self._sending or self._ladder.order_of(one.order_id)
        quantity_e8 = one.lots * self._rules.step_e8
        assert quantity_e8 == order.quantity_e8
        self._booked(one, order.signal_index)
        bought = one.side is Side.BUY
        kept_e8 = quantity_e8 if bought else 0
        if bought and one.commission_asset == self._rules.base:
            kept_e8 -= one.commission_e8
        quote_e8, base_e8 = self._spoken()
        opposite = self._ladder.has_filled(
            order.rung, quantity_e8, kept_e8, spoken_quote_e8=quote_e8, spoken_base_e8=base_e8
        )
        if opposite is not None:
            self._turned.append(opposite)

    def _is_met(self, candle: np.void) -> bool:
        """Return whether any price of a candle has passed what rests."""
        return self._is_passed(float(candle["low"])) or self._is_passed(float(candle["high"]))

    def _is_passed(self, price: float) -> bool:
        return self._ladder.is_passed(price, touch=self._market.costs.touch)

    def _place_turned(self) -> None:
        while self._turned:
            self._send(self._turned.pop(0))

    def _send(self, order: RungOrder) -> None:
        new = NewOrder(
            account=ACCOUNT,
            symbol=self._rules.symbol,
            side=order.side,
            order_type=OrderType.LIMIT,
            quantity_e8=order.quantity_e8,
            price_e8=order.price_e8,
            self_trade=SelfTrade.EXPIRE_TAKER,
        )
        aside = self.step_aside(order.side, order.price_e8)
        self._sending = order
        try:
            placed = self._market.place(new, self, self._now_ms).order
        except Rejected as error:
            raise UsageError(
                f"the exchange refuses the limit order of a rung, {error}; mend its price or quote"
            ) from None
        finally:
            self._sending = None
        if placed.is_open:
            self._ladder.sent(order.rung, placed.order_id)
        self.resume(aside)

    def step_aside(self, side: Side, limit_e8: int = 0) -> list[RungOrder]:
        """Take back the orders that one of that side would meet in the spread; return them.

        An account does not trade with itself: they go out again (`resume`) when that one has traded.
        """
        quote = self._market.engine.quote(self._rules.symbol)
        assert quote is not None
        ticks = quote.against(side)[0]
        if limit_e8:
            limit = limit_e8 // self._rules.tick_e8
            ticks = min(ticks, limit) if side is Side.BUY else max(ticks, limit)
        met = self._ladder.orders_up_to(side, ticks)
        self._take_back([number for number, _ in met], self._now_ms)
        return [order for _, order in met]

    def resume(self, orders: list[RungOrder]) -> None:
        """Send orders again that had stepped aside."""
        for order in orders:
            self._send(order)

    def _take_back(self, numbers: list[int], now_ms: int) -> None:
        for number in numbers:
            self._market.cancel(self._rules.symbol, number, now_ms)
