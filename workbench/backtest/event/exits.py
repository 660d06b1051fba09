"""Protective exits in the event-driven backtest: orders on the matching engine, along a candle's path.

The levels are the core's own. Where a candle can reach one, a stop (STOP_LOSS) and a take-profit
(LIMIT_MAKER), as an OCO where there are both, rest before the candle's first print; then the market
prints open, low, high and close, and the engine says what traded. Candles that reach nothing are passed
over: an order that rested through them is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numba import njit

from workbench.backtest.event.market import ACCOUNT, EventMarket
from workbench.backtest.event.market_model import AT_ONCE
from workbench.backtest.overlay import Overlay
from workbench.core.account import limit_sell_is_refused, sell_is_refused
from workbench.core.costs import SCALE
from workbench.core.exits import REASON_STOP, REASON_TAKE_PROFIT, REASON_TIME
from workbench.errors import UsageError
from workbench.execution.exits import is_any
from workbench.execution.levels import Levels
from workbench.execution.orders import Execution, NewOrder, OrderType, Rejected, Side
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument

PATH = ("open", "low", "high", "close")
NOTHING, DUE, REACHED = 0, 1, 2


class EventExits:
    """The exits of one instance on a market; it owns the orders that protect its position.

    `intent` (shape (1,)) is where the strategy writes; `booked(execution, signal_index, reason)` books a
    fill, `refused(text)` notes an exit below the exchange's minimum.
    """

    def __init__(
        self,
        name: str,
        candles: Candles,
        rules: Instrument,
        market: EventMarket,
        exits: np.ndarray,
        overlay: Overlay,
        *,
        intent: np.ndarray,
        booked: Callable[[Execution, int, int], None],
        refused: Callable[[str], None],
    ) -> None:
        self._name, self._candles, self._rules, self._market = name, candles, rules, market
        self._overlay = overlay
        self._costs = market.costs.record(rules)
        self._booked, self._refused = booked, refused
        self._levels = Levels(exits, intent, self._costs)
        self._plan, self._account = self._levels.plan, market.ledger.record(name)
        self._entries: list[tuple[float, float, float, int, int]] = []  # not yet in the plan
        self._highs: list[float] = candles.records["high"].tolist()
        self._entered = 0  # the candle in which the position was first bought
        self.awake = is_any(exits)  # nothing is worked out before anything asks for a level
        self._is_allowed = False
        self._range_row = _range_row(overlay, exits)
        self._now = 0
        self._selling = REASON_TIME  # why a market order of ours sells
        self.reason = 0
        self.ambiguous = 0

    # -- what the instance tells

    def bought(self, t: int, price: float, kept: float, held: float, signal_index: int) -> None:
        """Hang the levels on a buy in candle t: `kept` base on top of what was `held`."""
        self.reason = 0
        if not self._entries:
            self._entered = t
        bars_held = int(self._account["bars_held"][0])
        self._entries.append((price, kept, held, signal_index, bars_held))
        if self.awake:
            self._take_entries()

    def sold_out(self) -> None:
        """Take the levels away: the position is closed."""
        self._entries.clear()
        if self.awake:
            self._levels.closed()

    def follow(self, t: int, *, is_open: bool) -> None:
        """Put the levels of the intent in force at the close of candle t."""
        self.awake = True
        if not self._is_allowed:
            self._demand_at_once()
        if self._entries:  # the first level of this position: its highs since then count too
            self._take_entries()
            if t > self._entered:
                self._levels.reached(self._candles.records["high"][self._entered : t].max())
        if is_open:
            self._levels.reached(self._highs[t])

    # -- the candle comes

    def act(self, t: int) -> None:
        """Sell the position where candle t, which is tradable, reaches an exit."""
        candles = self._candles.records
        met = _met(self._plan, self._account, self._costs, candles, t)
        if met == NOTHING:
            return
        self.begin(t)
        self._market.stand_at_open(self._candles, t)
        if met == DUE:
            self.sell_out(REASON_TIME, float(candles["open"][t]))
        else:
            lots = int(self._account["base_e8"][0]) // self._rules.step_e8
            self._follow_path(*self._part_of(candles[t], t), lots)

    # -- step by step, where a ladder lies on the same path

    def begin(self, t: int) -> None:
        """Say that fills happen in candle t now."""
        self._now = t

    @property
    def is_open(self) -> bool:
        """Return whether there is a position to protect."""
        return bool(self._account["is_open"][0])

    @property
    def is_due(self) -> bool:
        """Return whether the position has been held for as long as it may."""
        return self.is_open and self._levels.is_due(int(self._account["bars_held"][0]))

    @property
    def stop(self) -> float:
        """Return where the stop stands, 0 for none."""
        return self._levels.stop

    @property
    def goal(self) -> float:
        """Return where the take-profit stands, infinity for none."""
        return self._levels.goal

    def passes_goal(self, price: float) -> bool:
        """Return whether a price trades through the take-profit."""
        return self._passes(price, self.goal)

    def sell_out(self, reason: int, price: float) -> None:
        """Sell the whole position at a price: at market, or as a limit where it takes profit."""
        symbol, now_ms = self._rules.symbol, self._now_ms()
        lots = int(self._account["base_e8"][0]) // self._rules.step_e8
        takes_profit = reason == REASON_TAKE_PROFIT
        is_refused = limit_sell_is_refused if takes_profit else sell_is_refused
        if is_refused(self._costs[0], price, lots):
            self._give_up()
            return
        self._selling = reason
        if takes_profit:
            tick = self._rules.tick_e8 / SCALE
            self._market.show(symbol, price - tick, now_ms, stands=True)
            order = self._order(OrderType.LIMIT_MAKER, lots, price=price)
            self._market.place(order, self, now_ms)
            self._market.show(symbol, price + tick, now_ms, stands=False)
        else:
            self._market.show(symbol, price, now_ms, stands=True)
            self._market.place(self._order(OrderType.MARKET, lots), self, now_ms)

    def book(self, one: Execution) -> None:
        """Take in a fill of an order of ours."""
        order = self._market.engine.orders[one.order_id]
        reason = self._selling
        if order.order_type is OrderType.LIMIT_MAKER:
            reason = REASON_TAKE_PROFIT
        elif order.order_type is OrderType.STOP_LOSS:
            reason = REASON_STOP
        self.reason = self._levels.named(reason)
        self._booked(one, self._now, self.reason)

    def _follow_path(self, part: np.void, is_unclear: bool, lots: int) -> None:
        stop, goal = self.stop, self.goal
        legs = [one for one in (self._stop(stop, lots), self._goal(goal, lots)) if one is not None]
        first = self._first(part, stop, goal)
        opening = float(part["open"])
        if first is OrderType.STOP_LOSS:
            refused = sell_is_refused(self._costs[0], min(stop, opening), lots)
        else:
            refused = limit_sell_is_refused(self._costs[0], goal, lots)
        if refused:
            self._give_up()
            return
        self.ambiguous += is_unclear
        numbers = self._rest(legs, first, opening, stop, goal)
        met = False
        for i, leg in enumerate(PATH):
            price = float(part[leg])
            met = price <= stop
            at = price if i == 0 else max(price, stop)
            self._market.show(self._rules.symbol, at, self._now_ms(), stands=met)
            if met or not self.is_open:
                break
        for number in numbers:
            self._market.cancel(self._rules.symbol, number, self._now_ms())

    def _rest(
        self, legs: list[NewOrder], first: OrderType, opening: float, stop: float, goal: float
    ) -> list[int]:
        """Let the orders rest as they did before the candle: the last price lies between them."""
        tick = self._rules.tick_e8 / SCALE
        symbol, now_ms = self._rules.symbol, self._now_ms()
        between = min(max(opening, stop + tick), goal - tick)
        if len(legs) == 2 and stop < between < goal:
            self._market.show(symbol, between, now_ms, stands=True)
            try:
                return self._market.place_pair((legs[0], legs[1]), self, now_ms)
            except Rejected:
                pass  # the leg that is not reached is below the exchange's minimum
        alone = next(one for one in legs if one.order_type is first)
        beside = max(opening, stop + tick) if first is OrderType.STOP_LOSS else goal - tick
        self._market.show(symbol, beside, now_ms, stands=True)
        return [self._market.place(alone, self, now_ms).order.order_id]

    def _give_up(self) -> None:
        """An exit that the exchange refuses is not tried again before another buy."""
        self._levels.give_up()
        self._refused("an exit is below the exchange's minimum notional")

    # -- what a candle reaches

    def _reaches(self, candle: np.void) -> bool:
        low, high = float(candle["low"]), float(candle["high"])
        return low <= self.stop or self._passes(high, self.goal)

    def _passes(self, price: float, goal: float) -> bool:
        return price > goal or (bool(self._costs["touch"][0]) and price == goal)

    def _first(self, part: np.void, stop: float, goal: float) -> OrderType:
        opening = float(part["open"])
        if opening <= stop:
            return OrderType.STOP_LOSS
        if not self._passes(opening, goal) and part["low"] <= stop:
            return OrderType.STOP_LOSS
        return OrderType.LIMIT_MAKER

    def _is_unclear(self, candle: np.void) -> bool:
        stop, goal = self.stop, self.goal
        opening = float(candle["open"])
        outside = opening <= stop or self._passes(opening, goal)
        both = candle["low"] <= stop and self._passes(float(candle["high"]), goal)
        return not outside and bool(both)

    def _part_of(self, candle: np.void, t: int) -> tuple[np.void, bool]:
        """Return the candle whose path tells what came first, a finer one where there are any.

        And whether it stays open in that one.
        """
        if not self._is_unclear(candle):
            return candle, False
        for part in self._finer(t):
            if self._reaches(part):
                return part, self._is_unclear(part)
        return candle, True

    def _finer(self, t: int) -> Iterator[np.void]:
        offsets = self._overlay.offsets
        if len(offsets):
            for part in self._overlay.fine[offsets[t] : offsets[t + 1]]:
                if part["volume"] > 0.0 and part["missing_before"] == 0:
                    yield part

    # -- orders

    def _stop(self, stop: float, lots: int) -> NewOrder | None:
        return self._order(OrderType.STOP_LOSS, lots, stop=stop) if stop > 0.0 else None

    def _goal(self, goal: float, lots: int) -> NewOrder | None:
        return self._order(OrderType.LIMIT_MAKER, lots, price=goal) if goal < np.inf else None

    def _order(
        self, order_type: OrderType, lots: int, *, price: float = 0.0, stop: float = 0.0
    ) -> NewOrder:
        return NewOrder(
            account=ACCOUNT,
            symbol=self._rules.symbol,
            side=Side.SELL,
            order_type=order_type,
            quantity_e8=lots * self._rules.step_e8,
            price_e8=round(price * SCALE),
            stop_e8=round(stop * SCALE),
        )

    def _now_ms(self) -> int:
        return int(self._candles.records["open_time"][self._now])

    def _take_entries(self) -> None:
        for price, kept, held, signal_index, bars_held in self._entries:
            range_ = 0.0
            if self._range_row >= 0:
                range_ = float(self._overlay.ranges[self._range_row, signal_index])
            self._levels.bought(price, kept, held, range_, bars_held=bars_held)
        self._entries.clear()

    def has_range(self, t: int) -> bool:
        """Return whether the exits have the average true range that a signal at candle t needs."""
        return self._range_row < 0 or not np.isnan(self._overlay.ranges[self._range_row, t])

    def _demand_at_once(self) -> None:
        model, self._is_allowed = self._market.model, True
        if model.latency_ms or model.volume_share is not None or model.orders != AT_ONCE.orders:
            raise UsageError(
                "exits are orders of their own, at once and whole; leave out latency, volume share and "
                "limit orders"
            )


def _range_row(overlay: Overlay, exits: np.ndarray) -> int:
    found = np.flatnonzero(overlay.periods == exits["atr_period"][0])
    return int(found[0]) if len(found) else -1


@njit(nogil=True)
def _met(plans, accounts, costs, candles, t):  # type: ignore[no-untyped-def]
    """Return whether candle t meets an exit of an open position, and whether that is the time's."""
    plan, account, candle = plans[0], accounts[0], candles[t]
    if account.is_open == 0:
        return NOTHING
    if account.bars_held >= plan.bars_now:
        return DUE
    goal, high = plan.take_profit_now, candle.high
    passes = high > goal or (costs[0].touch != 0 and high == goal)
    return REACHED if passes or candle.low <= plan.stop_now else NOTHING
