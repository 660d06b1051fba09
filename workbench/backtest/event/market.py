"""The market of an event-driven backtest: one exchange account on the matching engine, and the ledger
that says which of its instances owns what.

The market stands where a candle's path puts it, worsened by slippage, and only when an order can meet
it: candles on which nobody can act are passed over.

Instances that trade the same pair have a book each, under names like BTCUSDT and BTCUSDT#2: they never
meet each other's orders, and what one hears of a candle's path the other does not. They share the
candle's volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from workbench.backtest.event.market_model import MarketModel
from workbench.backtest.setting import Costs
from workbench.core.costs import SCALE, buy_ticks, sell_ticks
from workbench.errors import UsageError
from workbench.execution.ledger import Ledger
from workbench.execution.matching import MatchingEngine
from workbench.execution.order_lists import Contingency
from workbench.execution.orders import Execution, NewList, NewOrder, OrderResult, Report
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument

ACCOUNT = "backtest"
ANY_SIZE_LOTS = 10**15


class Owner(Protocol):
    """Whoever placed an order and books its fills."""

    def book(self, one: Execution) -> None:
        """Take in one fill of an order of one's own."""
        ...


def pair_of(symbol: str) -> str:
    """Return the pair behind the name of an instance's book."""
    return symbol.partition("#")[0]


class EventMarket:
    """The exchange, the account on it, and the books of the instances that share it."""

    def __init__(self, rules: Mapping[str, Instrument], costs: Costs, model: MarketModel) -> None:
        self.costs, self.model = costs, model
        self.engine = MatchingEngine(
            rules, model.maker_rate_e8(costs.rate_e8), costs.rate_e8, touch_fills=costs.touch
        )
        self.ledger = Ledger()
        self._owners: dict[int, Owner] = {}
        self._stood: dict[str, int] = {}  # by symbol: the open of the candle the market stands in
        self._opened: dict[str, int] = {}  # by pair: the open of the candle whose volume is left
        self._left: dict[str, int] = {}  # by pair: lots of that candle that may still trade

    def open_instance(self, name: str, capital: float, rules: Instrument) -> None:
        """Give an instance its capital, on the exchange and in the ledger."""
        cash_e8 = round(capital * SCALE)
        self.engine.deposit(ACCOUNT, rules.quote, cash_e8)
        self.ledger.open_instance(name, cash_e8, rules)

    def stand_at_open(self, candles: Candles, t: int) -> None:
        """Move a symbol's market to the open of candle t; orders that rest there may fill."""
        candle = candles.records[t]
        opened = int(candle["open_time"])
        if self._stood.get(candles.symbol) == opened:
            return
        self._stood[candles.symbol] = opened
        self.open_candle(candles, t)
        self._stand(candles.symbol, float(candle["open"]), opened)

    def open_candle(self, candles: Candles, t: int) -> None:
        """Let candle t's volume be what may trade; the market stands where it stood."""
        candle = candles.records[t]
        opened, pair = int(candle["open_time"]), pair_of(candles.symbol)
        if self._opened.get(pair) != opened:
            self._opened[pair] = opened
            self._left[pair] = self._lots_of(candles.symbol, candle)

    def stand_at(self, symbol: str, price: float, now_ms: int) -> None:
        """Move the market inside its candle, with the volume that is left of it."""
        self._stand(symbol, price, now_ms)

    def lots_left(self, symbol: str) -> int:
        """Return how many lots of the candle that the market stands in may still trade."""
        return self._left[pair_of(symbol)]

    def walk(self, candles: Candles, t: int, legs: tuple[str, ...], now_ms: int) -> None:
        """Print the legs of candle t, so that orders which rest are traded through."""
        symbol = candles.symbol
        if not self.engine.open_orders(ACCOUNT, symbol):
            return
        prices = [round(float(candles.records[t][leg]) * SCALE) for leg in legs]
        step = self.engine.instrument(symbol).step_e8
        reports = self.engine.walk(symbol, prices, self.lots_left(symbol) * step, now_ms)
        self._book(reports)

    def show(self, symbol: str, price: float, now_ms: int, *, stands: bool) -> None:
        """Print one price, for orders that rest; where the market `stands` there, stops that it met act."""
        lots = self.lots_left(symbol)
        volume_e8 = lots * self.engine.instrument(symbol).step_e8
        self._book(self.engine.walk(symbol, [round(price * SCALE)], volume_e8, now_ms))
        if stands:
            self._stand(symbol, price, now_ms)

    def place_pair(self, orders: tuple[NewOrder, NewOrder], owner: Owner, now_ms: int) -> list[int]:
        """Send an OCO and return its order numbers. Raises Rejected."""
        new = NewList(ACCOUNT, orders[0].symbol, Contingency.OCO, orders)
        result = self.engine.place_list(new, now_ms)
        for order in result.orders:
            self._owners[order.order_id] = owner
        self._book(result.reports)
        return [order.order_id for order in result.orders]

    def place(self, new: NewOrder, owner: Owner, now_ms: int) -> OrderResult:
        """Send an order; its fills are booked before this returns. Raises Rejected."""
        result = self.engine.place(new, now_ms)
        self._owners[result.order.order_id] = owner
        self._book(result.reports)
        return result

    def cancel(self, symbol: str, order_id: int, now_ms: int) -> None:
        """Take an order back where it still stands."""
        if self.engine.orders[order_id].is_open:
            self.engine.cancel(ACCOUNT, symbol, order_id, now_ms)

    def _stand(self, symbol: str, price: float, now_ms: int) -> None:
        slippage, tick = self.costs.slippage_bps, self.engine.instrument(symbol).tick_e8
        bid, ask = sell_ticks(price, slippage, tick), buy_ticks(price, slippage, tick)
        if bid < 1:
            raise UsageError(
                f"{symbol}: a price of {price:g} less {slippage:g} bps leaves no bid, as the tick is "
                f"{tick / SCALE:g} and a bid is one tick at least; lower slippage_bps, or use engine "
                "'kernel', which refuses sales there"
            )
        self._book(self.engine.stand_at(symbol, bid, ask, self.lots_left(symbol), now_ms))

    def _lots_of(self, symbol: str, candle: np.void) -> int:
        share = self.model.volume_share
        if share is None:
            return ANY_SIZE_LOTS
        return (
            int(float(candle["volume"]) * share * SCALE) // self.engine.instrument(symbol).step_e8
        )

    def _book(self, reports: tuple[Report, ...]) -> None:
        for report in reports:
            one = report.execution
            if one is None:
                continue
            self._left[pair_of(one.symbol)] -= one.lots
            self._owners[one.order_id].book(one)
