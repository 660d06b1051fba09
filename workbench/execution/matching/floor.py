"""The floor: every order, fill, list, book and quote of the exchange, and the indexes to find them.

It holds state and keeps its indexes true; what happens on it is the business of its neighbours
(`clearing` moves money, `working` matches, `contingency` runs order lists).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from workbench.execution.filters import NO_EXCHANGE_RULES, OFF, ExchangeRules, FilterRules
from workbench.execution.matching.book import Book
from workbench.execution.matching.sweep import Quote, Sweep, Want, plan
from workbench.execution.matching.triggers import Watches
from workbench.execution.order_lists import ListStatus, OrderList
from workbench.execution.orders import (
    LIVE,
    Amendment,
    Execution,
    NewOrder,
    Order,
    OrderStatus,
    PreventedMatch,
    Rejected,
    SelfTrade,
)
from workbench.market.instruments import Instrument


class Floor:
    """The state of one exchange."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        rules: Mapping[str, FilterRules] | None,
        exchange_rules: ExchangeRules = NO_EXCHANGE_RULES,
    ) -> None:
        self.instruments = dict(instruments)
        self.rules = dict(rules or {})
        self.exchange_rules = exchange_rules
        self.orders: dict[int, Order] = {}
        self.executions: list[Execution] = []
        self.prevented: list[PreventedMatch] = []
        self.lists: dict[int, OrderList] = {}
        self.amendments: dict[int, list[Amendment]] = defaultdict(list)  # by order number
        self.running: dict[str, dict[int, None]] = defaultdict(dict)  # lists, by account
        self.quotes: dict[str, Quote] = {}
        self.last_e8: dict[str, int] = {}
        self.books = {symbol: Book() for symbol in self.instruments}
        self.watches = {symbol: Watches() for symbol in self.instruments}
        self.due: dict[str, list[int]] = defaultdict(list)  # orders whose turn to work has come
        self.trade_ids: dict[str, int] = defaultdict(int)
        self.match_ids: dict[str, int] = defaultdict(int)
        self.newest: dict[tuple[str, str, str], int] = {}  # by account, symbol, client order id
        self.open: dict[tuple[str, str], dict[int, None]] = defaultdict(dict)
        self.all: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.fills: dict[tuple[str, str], list[Execution]] = defaultdict(list)

    def instrument(self, symbol: str) -> Instrument:
        """Return a listed instrument; -1121 for any other symbol."""
        try:
            return self.instruments[symbol]
        except KeyError:
            raise Rejected(-1121, "Invalid symbol.") from None

    def rule(self, symbol: str) -> FilterRules:
        """Return the filters of a symbol beyond tick, lot and notional."""
        return self.rules.get(symbol, OFF)

    def market_e8(self, symbol: str) -> int:
        """Return the last traded price, before the first print the bid; -2010 before the market."""
        last = self.last_e8.get(symbol)
        if last is not None:
            return last
        quote = self.quotes.get(symbol)
        if quote is None:
            raise Rejected(-2010, "Market is closed.")
        return quote.bid_ticks * self.instruments[symbol].tick_e8

    def accept(
        self,
        new: NewOrder,
        *,
        lots: int,
        price_ticks: int,
        now_ms: int,
        working: bool = True,
        status: OrderStatus = OrderStatus.NEW,
        list_id: int = -1,
    ) -> Order:
        """Give an order its number and its record."""
        number = len(self.orders) + 1
        order = Order(
            order_id=number,
            account=new.account,
            symbol=new.symbol,
            client_order_id=new.client_order_id or f"auto-{number}",
            side=new.side,
            order_type=new.order_type,
            time_in_force=new.time_in_force,
            price_ticks=price_ticks,
            lots=lots,
            quote_e8=new.quote_e8,
            status=status,
            created_ms=now_ms,
            updated_ms=now_ms,
            stop_ticks=new.stop_e8 // self.instruments[new.symbol].tick_e8,
            trailing_bips=new.trailing_bips,
            trailing_ms=now_ms if _tracks_at_once(new, status) else -1,
            self_trade=new.self_trade,
            list_id=list_id,
            working_ms=now_ms if working else -1,
            strategy_id=new.strategy_id,
            strategy_type=new.strategy_type,
        )
        key = (order.account, order.symbol)
        self.orders[number] = order
        self.newest[*key, order.client_order_id] = number
        self.open[key][number] = None
        self.all[key].append(number)
        return order

    def store(self, order: Order) -> None:
        """Keep an order's newest snapshot."""
        self.orders[order.order_id] = order
        if not order.is_open:
            del self.open[order.account, order.symbol][order.order_id]

    def rename(self, order: Order, client_order_id: str) -> Order:
        """Give an order a new client id, by which alone it is found from now on."""
        account, symbol, old = order.account, order.symbol, order.client_order_id
        renamed = replace(order, client_order_id=client_order_id)
        self.orders[order.order_id] = renamed
        if self.newest.get((account, symbol, old)) == order.order_id:
            namesakes = (
                n for n in self.all[account, symbol] if self.orders[n].client_order_id == old
            )
            self.newest[account, symbol, old] = max(namesakes, default=0)
        self.newest[account, symbol, client_order_id] = order.order_id
        return renamed

    def store_list(self, order_list: OrderList) -> None:
        """Keep a list's newest snapshot."""
        self.lists[order_list.list_id] = order_list
        if order_list.status is ListStatus.EXECUTING:
            self.running[order_list.account][order_list.list_id] = None
        else:
            self.running[order_list.account].pop(order_list.list_id, None)

    def record(self, fill: Execution) -> None:
        """Keep a fill."""
        self.executions.append(fill)
        self.fills[fill.account, fill.symbol].append(fill)

    def is_open_name(self, account: str, symbol: str, client_order_id: str) -> bool:
        """Whether an open order carries that client id."""
        number = self.newest.get((account, symbol, client_order_id))
        return number is not None and number in self.open[account, symbol]

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Return an account's open orders, oldest first."""
        symbols = [symbol] if symbol else list(self.instruments)
        found = [n for name in symbols for n in self.open.get((account, name), ())]
        return [self.orders[number] for number in sorted(found)]

    def resting(self, account: str, symbol: str) -> int:
        """Return how many of an account's orders are placed: open and not pending."""
        return sum(self.orders[n].status in LIVE for n in self.open.get((account, symbol), ()))

    def sweep(self, account: str, symbol: str, want: Want, quote: Quote) -> Sweep:
        """Plan what an account would trade against; its own orders as its mode says."""
        own = self.open.get((account, symbol), ()) if want.mode is not SelfTrade.NONE else ()
        return plan(want, quote, self.books[symbol], self.instruments[symbol], own)

    def next_trade(self, symbol: str) -> int:
        """Return the next trade number of a symbol."""
        self.trade_ids[symbol] += 1
        return self.trade_ids[symbol]


def _tracks_at_once(new: NewOrder, status: OrderStatus) -> bool:
    return bool(new.trailing_bips) and not new.stop_e8 and status is OrderStatus.NEW
