"""Placing a whole list: an OCO at once, the working order of an OTO now and its others later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from workbench.execution.filters import failure
from workbench.execution.matching.admission import Admission
from workbench.execution.matching.balances import Balances
from workbench.execution.matching.clearing import Clearing
from workbench.execution.matching.floor import Floor
from workbench.execution.matching.working import Working
from workbench.execution.order_lists import (
    Contingency,
    ListStatus,
    ListStep,
    OrderList,
)
from workbench.execution.orders import (
    CONDITIONAL,
    STOPS,
    NewList,
    NewOrder,
    Order,
    OrderStatus,
    OrderType,
    Rejected,
    Report,
    ReportKind,
    Side,
)

BAD_PRICES = "The relationship of the prices for the orders is not correct."


@dataclass(frozen=True, slots=True)
class ListResult:
    """What placing or cancelling a list did: the list, its orders now, every report in order."""

    order_list: OrderList
    orders: tuple[Order, ...]
    reports: tuple[Report, ...]


class Listing:
    """Brings lists onto a floor."""

    def __init__(
        self,
        floor: Floor,
        ledger: Balances,
        clearing: Clearing,
        admission: Admission,
        working: Working,
    ) -> None:
        self._floor = floor
        self._ledger = ledger
        self._clearing = clearing
        self._admission = admission
        self._working = working

    def place(self, new: NewList, now_ms: int) -> ListResult:
        """Accept a list, or refuse it with nothing changed."""
        names = [one.client_order_id for one in new.orders if one.client_order_id]
        if len(set(names)) < len(names) or self._is_open_list(new):
            raise Rejected(-2010, "Duplicate order sent.")
        self._room(new)
        place = self._place_pair if new.contingency is Contingency.OCO else self._place_working
        reports, numbers = place(new, now_ms)
        number = len(self._floor.lists) - 1
        orders = tuple(self._floor.orders[number] for number in numbers)
        return ListResult(self._floor.lists[number], orders, tuple(reports))

    def open_lists(self, account: str, symbol: str | None = None) -> list[OrderList]:
        """Return an account's lists that still run."""
        running = [self._floor.lists[number] for number in self._floor.running.get(account, ())]
        return [one for one in running if symbol in (None, one.symbol)]

    def _room(self, new: NewList) -> None:
        most = self._floor.rule(new.symbol).max_num_order_lists
        if most and len(self.open_lists(new.account, new.symbol)) >= most:
            raise failure("MAX_NUM_ORDER_LISTS")
        most = self._floor.exchange_rules.max_num_order_lists
        if most and len(self.open_lists(new.account)) >= most:
            raise failure("EXCHANGE_MAX_NUM_ORDER_LISTS")

    def _is_open_list(self, new: NewList) -> bool:
        found = self.open_lists(new.account, new.symbol)
        return bool(new.client_list_id) and new.client_list_id in {
            one.client_list_id for one in found
        }

    def _place_pair(self, new: NewList, now_ms: int) -> tuple[list[Report], list[int]]:
        """Place an OCO: both legs come in, and neither may trade at once."""
        instrument = self._floor.instrument(new.symbol)
        quote = self._admission.open_quote(new.symbol)
        check_prices(new.orders, self._floor.market_e8(new.symbol))
        admitted = [
            self._admission.form(one, instrument, quote, _others(new, one)) for one in new.orders
        ]
        needs = [
            self._admission.need(one, instrument, what)
            for one, what in zip(new.orders, admitted, strict=True)
        ]
        self._ledger.require(new.account, needs[0][0], max(amount for _, amount in needs))
        number = len(self._floor.lists)
        orders = [
            self._floor.accept(
                one,
                lots=what.lots,
                price_ticks=what.price_ticks,
                now_ms=now_ms,
                working=one.order_type not in CONDITIONAL,
                list_id=number,
            )
            for one, what in zip(new.orders, admitted, strict=True)
        ]
        self._clearing.reserve_pair(orders[0], orders[1])
        reports = self._started(new, number, orders, now_ms)
        for order, what in zip(orders, admitted, strict=True):
            if what.sweep is None:
                self._working.wait(order)
            else:
                reports.extend(self._working.work(order.order_id, what.sweep, now_ms))
        return reports, [order.order_id for order in orders]

    def _place_working(self, new: NewList, now_ms: int) -> tuple[list[Report], list[int]]:
        """Place the working order of an OTO; the others are recorded and wait."""
        first, *later = new.orders
        if first.order_type not in (OrderType.LIMIT, OrderType.LIMIT_MAKER):
            raise Rejected(-1014, "Unsupported order combination.")
        if len(later) == 2:
            check_prices(later, None)
        limits = [self._admission.pending(one, _others(new, one)) for one in later]
        what = self._admission.examine(first, later)
        number, step = len(self._floor.lists), self._floor.instrument(new.symbol).step_e8
        orders = [
            self._floor.accept(
                first,
                lots=what.lots,
                price_ticks=what.price_ticks,
                now_ms=now_ms,
                list_id=number,
            )
        ]
        self._clearing.reserve(orders[0], what.sweep)
        for one, limit in zip(later, limits, strict=True):
            orders.append(
                self._floor.accept(
                    one,
                    lots=one.quantity_e8 // step,
                    price_ticks=limit,
                    now_ms=now_ms,
                    working=False,
                    status=OrderStatus.PENDING_NEW,
                    list_id=number,
                )
            )
        reports = self._started(new, number, orders, now_ms)
        assert what.sweep is not None
        reports.extend(self._working.work(orders[0].order_id, what.sweep, now_ms))
        return reports, [order.order_id for order in orders]

    def _started(self, new: NewList, number: int, orders: list[Order], now_ms: int) -> list[Report]:
        """Record a list and return the reports of its birth."""
        started = OrderList(
            number,
            new.account,
            new.symbol,
            new.contingency,
            new.client_list_id or f"list-{number}",
            tuple((order.order_id, order.client_order_id) for order in orders),
            ListStep.EXEC_STARTED,
            ListStatus.EXECUTING,
            now_ms,
        )
        self._floor.store_list(started)
        reports = [Report(ReportKind.NEW, order) for order in orders]
        reports[-1] = replace(reports[-1], order_list=started)
        return reports


def _others(new: NewList, one: NewOrder) -> list[NewOrder]:
    return [other for other in new.orders if other is not one]


def check_prices(legs: tuple[NewOrder, ...] | list[NewOrder], market_e8: int | None) -> None:
    """Refuse an OCO unless one leg is a stop and the other takes profit beyond the market.

    To sell, limit > last > stop; to buy, limit < last < stop. A leg that only trails has no price.
    """
    stops = [leg for leg in legs if leg.order_type in STOPS]
    gains = [leg for leg in legs if leg.order_type not in STOPS]
    if len(stops) != 1 or gains[0].order_type in (OrderType.LIMIT, OrderType.MARKET):
        raise Rejected(-1158, "Order type not supported in OCO.")
    gain_e8 = gains[0].stop_e8 or gains[0].price_e8
    prices = [price for price in (stops[0].stop_e8, market_e8, gain_e8) if price]
    if legs[0].side is Side.BUY:
        prices.reverse()
    if any(low >= high for low, high in pairwise(prices)):
        raise Rejected(-2010, BAD_PRICES)
