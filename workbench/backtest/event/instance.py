"""One instance of an event-driven backtest: it decides at the close, and its order goes to the market.

trade(t)   the market opens candle t: what waits is sent if the candle is tradable and the order has
           arrived, what rests may be traded through
close(t)   the account is marked, the strategy decides, and a new target becomes an order; the order
           for an older target dies, wherever it is
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from workbench.backtest.event.exits import EventExits
from workbench.backtest.event.ladder import EventLadder
from workbench.backtest.event.ladder_exits import ProtectedLadder
from workbench.backtest.event.market import ACCOUNT, EventMarket
from workbench.backtest.event.market_model import AT_ONCE, legs_after, worst_price
from workbench.backtest.event.path import Path
from workbench.backtest.overlay import overlay_of
from workbench.backtest.scratch import EQUITY
from workbench.backtest.sweep import warm_starts
from workbench.core.costs import SCALE
from workbench.core.intents import (
    ASKS_LADDER,
    ASKS_LEVELS,
    ASKS_TARGET,
    CANNOT_BE,
    ERROR_RANGE,
    REASONS,
)
from workbench.core.records import POSITION, empty_intent
from workbench.errors import UsageError
from workbench.execution.exits import no_exits
from workbench.execution.guard_watch import GuardWatch
from workbench.execution.instance import Decider, demand_executable, differing
from workbench.execution.ledger import Fill
from workbench.execution.orders import Execution, NewOrder, OrderType, Rejected, SelfTrade, Side
from workbench.execution.rebalance import MarketBuy, MarketSell, Refused, plan
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument
from workbench.strategies.spec import Spec


@dataclass(slots=True)
class _Waiting:
    """An order that is on its way, or (with an `order_id`) rests in the book."""

    order: MarketBuy | MarketSell
    signal_index: int
    close: float
    arrives_ms: int
    order_id: int = 0


class EventInstance:
    """One strategy with one parameter set on one series, with its own books on a shared market.

    `allows(order)` is asked before a buy is sent on its way; a text is the reason why it is refused.
    """

    def __init__(
        self,
        name: str,
        candles: Candles,
        spec: Spec,
        record: np.ndarray,
        rules: Instrument,
        market: EventMarket,
        *,
        capital: float,
        allows: Callable[[MarketBuy], str] | None = None,
        exits: np.ndarray | None = None,
    ) -> None:
        self.name, self.candles, self.spec, self.record = name, candles, spec, record
        self.rules, self.market, self.capital = rules, market, capital
        market.open_instance(name, capital, rules)
        self._allows = allows
        self._decider = Decider(spec, record)
        self.warm = int(warm_starts(candles, spec, record.reshape(1))[0])
        state = self._decider.warm_up(
            candles.records[self.warm : candles.first], self._decider.initial_state(), capital
        )
        self._state = np.frombuffer(bytearray(state), spec.state_dtype)
        self._intent = empty_intent().reshape(1)
        levels, guards = no_exits() if exits is None else exits, market.costs.guards
        self.levels = levels
        overlay = overlay_of(candles, levels, guards)
        self.exits = EventExits(
            name,
            candles,
            rules,
            market,
            levels,
            overlay,
            intent=self._intent,
            booked=self._take_in,
            refused=self._refuse,
        )
        self._path = Path(candles, overlay, lambda: len(self.fills))
        self.guards = GuardWatch(guards, capital=capital)
        self._volatility = overlay.volatility
        self._last_target = math.nan  # none was written yet
        self._now = candles.first
        self.waiting: _Waiting | None = None
        self.ladder: EventLadder | None = None
        self._tradable = _tradable(candles)
        self._closes = candles.records["close"].tolist()
        self._positions = np.zeros(len(candles), POSITION)  # at every close, as `decide` saw them
        self._targets = np.full(len(candles), np.nan)
        self.fills: list[tuple[object, ...]] = []
        self.refusals: list[tuple[int, str]] = []
        self.held = 0

    @property
    def ambiguous(self) -> int:
        """Return in how many candles it stays open what came first."""
        return self.exits.ambiguous + self._path.ambiguous

    # -- the market opens

    def begin(self, t: int) -> None:
        """Say that candle t is the one in which fills happen now, whoever moves the market."""
        self._now = t

    def trade(self, t: int) -> None:
        """Let the order that waits or rests, the ladder and the exits meet candle t."""
        self._now = t
        if not self._tradable[t]:
            return
        ladder: EventLadder | ProtectedLadder | None = self.ladder
        if self.ladder is not None and self.exits.awake:
            ladder = ProtectedLadder(self.candles, self.ladder, self.exits, self._path)
        if ladder is not None:
            ladder.at_the_open(t)
        if self.waiting is not None:
            self._meet(self.waiting, t, self.candles.records[t])
        if ladder is not None:
            ladder.in_the_candle(t)
        elif self.exits.awake:
            self.exits.act(t)

    def _meet(self, waiting: _Waiting, t: int, candle: np.void) -> None:
        opened = int(candle["open_time"])
        ends = self.candles.timeframe.next(opened)
        if waiting.arrives_ms >= ends:
            return
        self.market.stand_at_open(self.candles, t)
        if self.waiting is not None and not waiting.order_id:
            self._arrive(waiting, candle, opened, ends)
        if self.waiting is not None and waiting.order_id:
            legs = legs_after(opened, ends, waiting.arrives_ms)
            self.market.walk(self.candles, t, legs, ends - 1)

    def _arrive(self, waiting: _Waiting, candle: np.void, opened: int, ends: int) -> None:
        buys = isinstance(waiting.order, MarketBuy)
        now_ms = max(opened, waiting.arrives_ms)
        symbol = self.rules.symbol
        if self.market.lots_left(symbol) <= 0:
            return
        if self.market.model != AT_ONCE:
            price = worst_price(candle, opened, ends, now_ms, buys=buys)
            self.market.stand_at(symbol, price, now_ms)
        self._send(waiting, now_ms)

    def _send(self, waiting: _Waiting, now_ms: int) -> None:
        resting = self.market.model.orders == "limit"
        new = self._limit_order(waiting) if resting else self._market_order(waiting)
        if new is None:
            return
        aside = self.ladder.step_aside(new.side) if self.ladder is not None else []
        try:
            result = self.market.place(new, self, now_ms)
        except Rejected as error:
            self._refuse(str(error))
            self.waiting = None
            return
        finally:
            if self.ladder is not None:
                self.ladder.resume(aside)
        if resting:
            waiting.order_id = result.order.order_id
            if not result.order.is_open:
                self.waiting = None
            return
        self._go_on(waiting, result.executions)

    def _go_on(self, waiting: _Waiting, fills: tuple[Execution, ...]) -> None:
        """Let what the market had no liquidity for wait for the next candle."""
        order, one = waiting.order, self.rules
        self.waiting = None
        if isinstance(order, MarketBuy):
            left_e8 = order.quote_e8 - sum(fill.quote_e8 for fill in fills)
            if self.market.lots_left(one.symbol) <= 0 and left_e8 >= one.min_notional_e8:
                self.waiting = replace(waiting, order=MarketBuy(left_e8))
            return
        lots = order.lots - sum(fill.lots for fill in fills)
        if lots > 0:
            self.waiting = replace(waiting, order=MarketSell(lots, lots * one.step_e8))

    def _market_order(self, waiting: _Waiting) -> NewOrder:
        order = waiting.order
        if isinstance(order, MarketBuy):
            return self._order(Side.BUY, OrderType.MARKET, quote_e8=order.quote_e8)
        return self._order(Side.SELL, OrderType.MARKET, quantity_e8=order.qty_e8)

    def _limit_order(self, waiting: _Waiting) -> NewOrder | None:
        """Return a limit order at the signal's close: a buy rounded down to its tick, a sale up."""
        order, one = waiting.order, self.rules
        close_e8 = round(waiting.close * SCALE)
        if isinstance(order, MarketSell):
            ticks = -(-close_e8 // one.tick_e8)
            return self._order(
                Side.SELL,
                OrderType.LIMIT,
                quantity_e8=order.qty_e8,
                price_e8=ticks * one.tick_e8,
            )
        ticks = close_e8 // one.tick_e8
        lots = order.quote_e8 // (ticks * one.unit_e8)
        return self._order(
            Side.BUY,
            OrderType.LIMIT,
            quantity_e8=lots * one.step_e8,
            price_e8=ticks * one.tick_e8,
        )

    def _order(
        self,
        side: Side,
        order_type: OrderType,
        *,
        quantity_e8: int = 0,
        quote_e8: int = 0,
        price_e8: int = 0,
    ) -> NewOrder:
        return NewOrder(
            account=ACCOUNT,
            symbol=self.rules.symbol,
            side=side,
            order_type=order_type,
            quantity_e8=quantity_e8,
            quote_e8=quote_e8,
            price_e8=price_e8,
            self_trade=SelfTrade.EXPIRE_TAKER,
        )

    def book(self, one: Execution) -> None:
        """Book a fill of this instance's order, in the ledger and in the list of fills."""
        waiting = self.waiting
        assert waiting is not None
        self._take_in(one, waiting.signal_index)
        if waiting.order_id and not self.market.engine.orders[waiting.order_id].is_open:
            self.waiting = None

    def _take_in_rung(self, one: Execution, signal_index: int) -> None:
        self._take_in(one, signal_index, ranged_at=self._now - 1)

    def _take_in(
        self, one: Execution, signal_index: int, reason: int = 0, ranged_at: int | None = None
    ) -> None:
        """Book a fill; exits hang on the average true range of the signal, a rung's of the last close."""
        buys = one.side is Side.BUY
        ledger, rules = self.market.ledger, self.rules
        before = ledger.account(self.name)
        ledger.book_fill(
            Fill(
                instance=self.name,
                symbol=one.symbol,
                trade_id=one.trade_id,
                order_id=one.order_id,
                client_order_id=str(one.order_id),
                side="BUY" if buys else "SELL",
                price_e8=one.price_ticks * rules.tick_e8,
                qty_e8=one.lots * rules.step_e8,
                commission_e8=one.commission_e8,
                commission_asset=one.commission_asset,
                time_ms=one.time_ms,
                is_maker=one.is_maker,
            )
        )
        account = ledger.account(self.name)
        realised = 0.0 if buys else account.realised - before.realised
        self.fills.append(
            (self._now, signal_index, 1 if buys else -1,
             one.price_ticks * rules.tick_e8 / SCALE, one.lots * rules.step_e8 / SCALE,
             one.commission_e8 / SCALE, one.price_ticks, one.lots, realised, reason)
        )  # fmt: skip
        if self.guards.is_on:
            order = signal_index if ranged_at is None else -one.order_id  # each rung is a buy
            self.guards.filled(one.time_ms, order, before, account)
        if buys:
            price = one.price_ticks * rules.tick_e8 / SCALE
            self.exits.bought(
                self._now,
                price,
                account.quantity - before.quantity,
                before.quantity,
                signal_index if ranged_at is None else ranged_at,
            )
        elif not account.is_open:
            self.exits.sold_out()

    # -- the candle closes

    def close(self, t: int) -> None:
        """Mark the account at the close of candle t, let the strategy decide, and act on what it asks."""
        row = t - self.candles.first
        is_open = self._mark(t, row)
        self.held += is_open
        intent = self._intent
        asked = self._decider.feed(
            self._state, self.candles.records, t, self._positions, row, intent
        )
        if asked & CANNOT_BE:
            demand_executable(intent)
        if self.exits.awake or asked & ASKS_LEVELS:
            self.exits.follow(t, is_open=is_open)
        if self.ladder is not None or asked & ASKS_LADDER:
            self._lay(intent, t)
        held_back = self.guards.holds_back and self._hold(t)
        if asked & ASKS_TARGET:
            written = self._targets[row] = float(intent["target"][0])
            target = differing(self._last_target, written)
            if target is not None:
                self._last_target = target
                self._act(target, t, self._closes[t], held_back=held_back)

    def curve(self) -> np.ndarray:
        """Return equity, cash, base and the target written at every close."""
        curve = np.zeros(len(self._positions), EQUITY)
        for name in ("equity", "cash", "quantity"):
            curve[name] = self._positions[name]
        curve["target"] = self._targets
        return curve

    def _mark(self, t: int, row: int) -> bool:
        """Mark the account into the position that `decide` is to see; return whether it is open."""
        positions = self._positions
        is_open = self.market.ledger.close_candle(self.name, positions, row, self._closes[t])
        if self.exits.reason:
            positions["exit_reason"][row] = self.exits.reason
        if self.ladder is not None:
            positions["ladder_filled"][row] = self.ladder.filled
        if self.guards.is_on:
            self.guards.closed(self._closed_ms(t), float(positions["equity"][row]))
        return is_open

    def _lay(self, intent: np.ndarray, t: int) -> None:
        if self.ladder is not None and self.ladder.stays(intent):
            return
        if self.ladder is None:
            self.ladder = EventLadder(
                self.name, self.candles, self.rules, self.market,
                path=self._path, booked=self._take_in_rung, spoken=self._spoken,
            )  # fmt: skip
        if self.ladder.lay(intent, t, self._closed_ms(t)) and not self.exits.has_range(t):
            raise UsageError(f"{self.spec.name} wrote {REASONS[ERROR_RANGE]}")

    def _hold(self, t: int) -> bool:
        """Hold the ladder's buys back while a guard does; return whether any were taken back here."""
        if self.ladder is None:
            return False
        guard = self.guards.objection()
        if not self.ladder.hold(guard, self._closed_ms(t)):
            return False
        self.guards.refused()
        self._refuse(self.guards.reason(guard))
        return True

    def _spoken(self) -> tuple[int, int]:
        """Return the quote and the base that an order will take which waits for the open."""
        order = self.waiting.order if self.waiting else None
        return (
            order.quote_e8 if isinstance(order, MarketBuy) else 0,
            order.qty_e8 if isinstance(order, MarketSell) else 0,
        )

    def _act(self, target: float, t: int, close: float, *, held_back: bool) -> None:
        """Size the order for a new target; an older one that waits or rests dies."""
        closed_ms = self._closed_ms(t)
        if self.waiting is not None and self.waiting.order_id:
            self.market.cancel(self.rules.symbol, self.waiting.order_id, closed_ms)
        self.waiting = None
        if len(self._volatility):
            target = self.guards.size(target, float(self._volatility[t]))
        order = plan(target, account=self.market.ledger.account(self.name), close=close)
        if isinstance(order, Refused):
            self._refuse(order.reason)
        elif isinstance(order, MarketBuy | MarketSell):
            why = (
                self._objection(order, t, held_back=held_back)
                if isinstance(order, MarketBuy)
                else ""
            )
            if why:
                self._refuse(why)
                return
            arrives_ms = closed_ms + self.market.model.latency_ms
            self.waiting = _Waiting(order, t, close, arrives_ms)

    def _objection(self, order: MarketBuy, t: int, *, held_back: bool) -> str:
        """Return why this buy is held back, "" where nothing speaks against it.

        A close at which a ladder's buys were held back already is not counted twice.
        """
        if not self.exits.has_range(t):
            raise UsageError(f"{self.spec.name} wrote {REASONS[ERROR_RANGE]}")
        guard = self.guards.objection()
        if guard:
            if not held_back:
                self.guards.refused()
            return self.guards.reason(guard)
        return self._allows(order) if self._allows else ""

    def _closed_ms(self, t: int) -> int:
        return self.candles.timeframe.next(int(self.candles.records["open_time"][t]))

    def _refuse(self, reason: str) -> None:
        opened = int(self.candles.records["open_time"][self._now])
        self.refusals.append((opened, reason))


def _tradable(candles: Candles) -> list[bool]:
    """Return, for each record, whether an order can fill in it."""
    records = candles.records
    found: list[bool] = ((records["volume"] > 0.0) & (records["missing_before"] == 0)).tolist()
    return found
