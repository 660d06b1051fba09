"""Contingencies: which orders of a list end, or are due, because of what happened to another.

A fill or a trigger of one leg of an OCO ends the other. A cancel ends the whole list. The end of a
working order ends those that wait for it; its last fill makes them due. When no order of a list is
open any more the list is done, and the report that ended it says so.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.execution.matching.floor import Floor
from workbench.execution.order_lists import ListStatus, ListStep, OrderList
from workbench.execution.orders import Order, OrderEvent, OrderStatus, Report


class Contingencies:
    """Reads the lists of a floor and takes them from step to step."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def other_leg(self, order: Order) -> Order | None:
        """Return the open other leg of an OCO; None where there is none."""
        if order.list_id < 0:
            return None
        pair = self._floor.lists[order.list_id].pair
        if order.order_id not in pair:
            return None
        other = self._floor.orders[pair[0] if order.order_id == pair[1] else pair[1]]
        return other if other.is_open else None

    def ending_with(self, order: Order, event: OrderEvent) -> list[Order]:
        """Return the open orders of the list that end when this one does."""
        if order.list_id < 0:
            return []
        found = self._floor.lists[order.list_id]
        if event is OrderEvent.CANCEL:
            numbers = found.numbers
        elif order.order_id in found.pair:
            numbers = found.pair
        elif order.order_id == found.numbers[0]:
            numbers = found.pending
        else:
            numbers = ()
        others = [self._floor.orders[n] for n in numbers if n != order.order_id]
        return [other for other in others if other.is_open]

    def filled(self, order: Order) -> None:
        """Make the pending orders due when their working order has filled."""
        if order.status is not OrderStatus.FILLED:
            return
        found = self._floor.lists[order.list_id]
        if order.order_id == found.numbers[0] and found.pending:
            self._floor.due[order.symbol].append(found.pending[0])

    def announced(self, reports: list[Report], now_ms: int) -> list[Report]:
        """Return reports of one list's orders, the last with the list's end if that is it."""
        found = self._floor.lists[reports[0].order.list_id]
        if found.status is ListStatus.EXECUTING and not any(
            self._floor.orders[number].is_open for number in found.numbers
        ):
            self._step(reports, found, ListStep.ALL_DONE, now_ms)
        return reports

    def updated(self, reports: list[Report], now_ms: int) -> None:
        """Let the last of the reports tell that pending orders were placed."""
        found = self._floor.lists[reports[0].order.list_id]
        self._step(reports, found, ListStep.UPDATED, now_ms)

    def renamed(
        self, reports: list[Report], order_id: int, client_order_id: str, now_ms: int
    ) -> None:
        """Let the last of the reports tell that an order of the list has another client id."""
        found = self._floor.lists[reports[0].order.list_id]
        orders = tuple(
            (number, client_order_id if number == order_id else name)
            for number, name in found.orders
        )
        self._step(reports, replace(found, orders=orders), ListStep.UPDATED, now_ms)

    def _step(self, reports: list[Report], found: OrderList, step: ListStep, now_ms: int) -> None:
        done = step is ListStep.ALL_DONE
        status = ListStatus.ALL_DONE if done else ListStatus.EXECUTING
        stored = replace(found, step=step, status=status, time_ms=now_ms)
        self._floor.store_list(stored)
        reports[-1] = replace(reports[-1], order_list=stored)
