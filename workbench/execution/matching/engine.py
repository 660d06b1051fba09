"""The matching engine: user orders against each other and against the market's liquidity.

Sans-I/O: no clock, no chance, no sockets; `now_ms` is handed in. The market is not a crowd of
resting orders but a standing quote (`stand_at`): so many lots at the ask, so many at the bid.

- A user order that takes liquidity meets the best price first. At one price the orders of other
  users go before the market's, the oldest first. It pays what the maker asked for.
- A resting order fills at its own price, when the tape trades through it (`walk`, a print beyond its
  price) or the standing quote passes it (`stand_at`). A touch alone fills nothing, unless the engine
  was told `touch_fills=True`. The volume of a print caps what it can fill.
- MARKET orders end at once: FILLED, or EXPIRED with what the liquidity gave. IOC expires what is
  left, FOK expires unless everything can trade at once.
- Conditional orders wait for a print that meets their stop, and work when the market stands next.

Money is moved in `balances`, the received asset pays the commission, and a refusal (`Rejected`,
Binance's code and message) changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from workbench.execution.filters import NO_EXCHANGE_RULES, ExchangeRules, FilterRules
from workbench.execution.matching.admission import Admission
from workbench.execution.matching.amending import Amended, Amending
from workbench.execution.matching.balances import Balance, Balances
from workbench.execution.matching.book import Book
from workbench.execution.matching.clearing import Clearing
from workbench.execution.matching.floor import Floor
from workbench.execution.matching.listing import Listing, ListResult
from workbench.execution.matching.sweep import Quote
from workbench.execution.matching.working import Working
from workbench.execution.order_lists import OrderList
from workbench.execution.orders import (
    Execution,
    NewList,
    NewOrder,
    Order,
    OrderEvent,
    OrderResult,
    Rejected,
    Report,
    ReportKind,
)
from workbench.market.instruments import Instrument

FULL_SHARE_BPS = 10_000
NEVER_E8 = 2**62  # above every price
UNKNOWN = "Unknown order sent."


class MatchingEngine:
    """One exchange: instruments, accounts, books and every order ever accepted."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        maker_rate_e8: int,
        taker_rate_e8: int,
        *,
        touch_fills: bool = False,
        share_bps: int = FULL_SHARE_BPS,
        rules: Mapping[str, FilterRules] | None = None,
        exchange_rules: ExchangeRules = NO_EXCHANGE_RULES,
    ) -> None:
        self.floor = Floor(instruments, rules, exchange_rules)
        self.ledger = Balances()
        self.clearing = Clearing(self.floor, self.ledger, maker_rate_e8, taker_rate_e8)
        self._admission = Admission(self.floor, self.ledger)
        self._working = Working(self.floor, self.clearing, touch_fills=touch_fills)
        self._amending = Amending(self.floor, self.clearing)
        self.lists = Listing(self.floor, self.ledger, self.clearing, self._admission, self._working)
        self._share_bps = share_bps

    # -- what there is

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Every listed instrument by symbol."""
        return self.floor.instruments

    @property
    def orders(self) -> dict[int, Order]:
        """Every order ever accepted, by number."""
        return self.floor.orders

    @property
    def executions(self) -> list[Execution]:
        """Every fill, in order."""
        return self.floor.executions

    @property
    def maker_rate_e8(self) -> int:
        """The commission of a maker."""
        return self.clearing.maker_rate_e8

    @property
    def taker_rate_e8(self) -> int:
        """The commission of a taker."""
        return self.clearing.taker_rate_e8

    def quote(self, symbol: str) -> Quote | None:
        """Return the standing quote with what is left of it, None before the market opened."""
        return self.floor.quotes.get(symbol)

    def book(self, symbol: str) -> Book:
        """Return the resting orders of a symbol, to be read only."""
        return self.floor.books[symbol]

    def instrument(self, symbol: str) -> Instrument:
        """Return a listed instrument; -1121 for any other symbol."""
        return self.floor.instrument(symbol)

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Return an account's open orders, oldest first."""
        return self.floor.open_orders(account, symbol)

    def find(
        self, account: str, symbol: str, *, order_id: int | None, client_order_id: str | None
    ) -> Order | None:
        """Return an account's order by number, or the newest by client id; both must agree."""
        if order_id is not None:
            order = self.orders.get(order_id)
            if order is None or (order.account, order.symbol) != (account, symbol):
                return None
            return order if client_order_id in (None, order.client_order_id) else None
        number = self.floor.newest.get((account, symbol, client_order_id or ""))
        return self.orders[number] if number else None

    # -- money

    def deposit(self, account: str, asset: str, amount_e8: int) -> None:
        """Credit an account from outside."""
        self.ledger.deposit(account, asset, amount_e8)

    def balances(self, account: str) -> dict[str, Balance]:
        """Return an account's balances by asset."""
        return self.ledger.of(account)

    # -- the market moves

    def stand_at(
        self, symbol: str, bid_ticks: int, ask_ticks: int, depth_lots: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Renew the standing quote; fill the resting orders that it passes, at their own prices.

        Then the stops that were met, and the pending orders whose turn came, work at this quote.
        """
        self._renew(symbol, bid_ticks, ask_ticks, depth_lots)
        tick = self.instrument(symbol).tick_e8
        reports = self._working.pass_by(
            symbol, ask_ticks * tick, bid_ticks * tick, depth_lots, now_ms
        )
        return (*reports, *self._working.act(symbol, now_ms))

    def quote_at(
        self, symbol: str, price_e8: int, bid_ticks: int, ask_ticks: int, depth_lots: int
    ) -> None:
        """Renew last price and quote for orders to come; what rests meets them with the next print."""
        self._renew(symbol, bid_ticks, ask_ticks, depth_lots)
        self.floor.last_e8[symbol] = price_e8

    def _renew(self, symbol: str, bid_ticks: int, ask_ticks: int, depth_lots: int) -> None:
        if not 0 < bid_ticks <= ask_ticks:
            raise ValueError(
                f"{symbol}: bid {bid_ticks} must be above 0 and not above ask {ask_ticks}"
            )
        self.floor.quotes[symbol] = Quote(bid_ticks, ask_ticks, depth_lots, depth_lots)

    def walk(
        self, symbol: str, prices_e8: Sequence[int], volume_e8: int, now_ms: int
    ) -> tuple[Report, ...]:
        """Print the prices one after the other; return the reports of resting orders that filled.

        Prices and volume are the tape's, at 1e-8, off the grid or not; the volume is for all of
        them. Stops that a print meets work when the market stands next (`stand_at`).
        """
        lots = self._lots(symbol, volume_e8)
        reports: list[Report] = []
        for price_e8 in prices_e8:
            self.floor.last_e8[symbol] = price_e8
            done = self._working.pass_by(symbol, price_e8, price_e8, lots, now_ms)
            lots -= sum(report.execution.lots for report in done if report.execution)
            reports.extend(done)
            reports.extend(self._working.hear(symbol, price_e8, now_ms))
        return tuple(reports)

    def stops_between(self, symbol: str, before_e8: int, after_e8: int) -> list[int]:
        """Return the stops that a price passes on its way, each once, in the order in which it does."""
        return self.floor.watches[symbol].passed(before_e8, after_e8)

    # -- step by step, where owners act between two prices of the way

    def first_passed(self, symbol: str, before_e8: int, after_e8: int, *, falls: bool) -> int:
        """Return the price of the first resting order that a way from one price to another passes; 0 for none."""
        return self._working.first_passed(symbol, before_e8, after_e8, falls=falls)

    def pass_order(
        self, symbol: str, price_e8: int, volume_e8: int, now_ms: int, *, falls: bool
    ) -> tuple[Report, ...]:
        """Let the price come past the orders that rest at one price, and past no stop."""
        self.floor.last_e8[symbol] = price_e8
        lots = self._lots(symbol, volume_e8)
        ask_e8, bid_e8 = (price_e8 - 1, 0) if falls else (NEVER_E8, price_e8 + 1)
        return tuple(self._working.pass_by(symbol, ask_e8, bid_e8, lots, now_ms))

    def meet_stops(self, symbol: str, price_e8: int, now_ms: int) -> tuple[Report, ...]:
        """Let the stops that a price reaches be met; they work when the market stands next (`stand_at`)."""
        self.floor.last_e8[symbol] = price_e8
        return tuple(self._working.hear(symbol, price_e8, now_ms))

    # -- orders

    def place(self, new: NewOrder, now_ms: int) -> OrderResult:
        """Accept, match and, where something is left of a GTC order, rest it."""
        admitted = self._admission.examine(new)
        waits = admitted.sweep is None
        order = self.floor.accept(
            new,
            lots=admitted.lots,
            price_ticks=admitted.price_ticks,
            now_ms=now_ms,
            working=not waits,
        )
        reports = [Report(ReportKind.NEW, order)]
        self.clearing.reserve(order, admitted.sweep)
        if admitted.sweep is None:
            self._working.wait(order)
        else:
            reports.extend(self._working.work(order.order_id, admitted.sweep, now_ms))
            reports.extend(self._working.act(new.symbol, now_ms))
        return self._result(order.order_id, reports)

    def place_list(self, new: NewList, now_ms: int) -> ListResult:
        """Accept an order list; its answer shows the orders as they were before any fill's echo."""
        result = self.lists.place(new, now_ms)
        later = self._working.act(new.symbol, now_ms)
        return replace(result, reports=(*result.reports, *later))

    def check(self, new: NewOrder) -> None:
        """Refuse an order as `place` would, without placing it."""
        self._admission.examine(new)

    def check_form(self, new: NewOrder) -> None:
        """Refuse an order that filters forbid, whatever the market and the account hold now."""
        self._admission.check_filters(new)

    def cancel(
        self, account: str, symbol: str, order_id: int, now_ms: int, *, client_order_id: str = ""
    ) -> OrderResult:
        """Take an open order back, and its list; -2011 for one that is not this account's or open.

        The reports carry `client_order_id` as their new id (the cancel's own), the old in `replaces`.
        """
        order = self.orders.get(order_id)
        if order is None or not order.is_open or (order.account, order.symbol) != (account, symbol):
            raise Rejected(-2011, UNKNOWN)
        reports = self._working.close(order, OrderEvent.CANCEL, now_ms)
        named = [
            replace(
                report,
                order=replace(
                    report.order, client_order_id=client_order_id or report.order.client_order_id
                ),
                replaces=report.order.client_order_id,
            )
            for report in reports
        ]
        return OrderResult(self.orders[order_id], (), tuple(named))

    def cancel_list(
        self, order_list: OrderList, now_ms: int, *, client_order_id: str = ""
    ) -> ListResult:
        """Take back every order of a list that is still open; -2011 where none is."""
        still = [n for n in order_list.numbers if self.orders[n].is_open]
        if not still:
            raise Rejected(-2011, UNKNOWN)
        one = self.orders[still[0]]
        done = self.cancel(
            one.account, one.symbol, one.order_id, now_ms, client_order_id=client_order_id
        )
        orders = tuple(self.orders[n] for n in order_list.numbers)
        return ListResult(self.floor.lists[order_list.list_id], orders, done.reports)

    def amend(
        self, order: Order, quantity_e8: int, now_ms: int, *, client_order_id: str
    ) -> Amended:
        """Take lots off an open order that keeps its place; -2038 for anything but less."""
        return self._amending.amend(order, quantity_e8, now_ms, client_order_id=client_order_id)

    def _lots(self, symbol: str, volume_e8: int) -> int:
        """Return how many lots of a print's volume users' orders may have."""
        return volume_e8 * self._share_bps // FULL_SHARE_BPS // self.instrument(symbol).step_e8

    def _result(self, order_id: int, reports: list[Report]) -> OrderResult:
        fills = tuple(
            report.execution
            for report in reports
            if report.execution and report.execution.order_id == order_id
        )
        return OrderResult(self.orders[order_id], fills, tuple(reports))
