"""Amendments: lots are taken off an open order, which keeps its number and its place in the queue.

The two orders of an OCO always have the same quantity, so that amending one amends both; the orders
of an OTO are amended one by one, also while they wait. Nothing can be added to an order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.execution.filters import check_lot_size, check_notional
from workbench.execution.matching.clearing import Clearing
from workbench.execution.matching.contingency import Contingencies
from workbench.execution.matching.floor import Floor
from workbench.execution.orders import (
    LIVE,
    Amendment,
    Order,
    Rejected,
    Report,
    ReportKind,
)

MORE = "Order amend (quantity increase) is not supported."
NO_CHANGE = "The requested action would change no state; rejecting."


@dataclass(frozen=True, slots=True)
class Amended:
    """What an amendment did."""

    order: Order
    amendment: Amendment
    reports: tuple[Report, ...]


class Amending:
    """Makes orders of a floor smaller."""

    def __init__(self, floor: Floor, clearing: Clearing) -> None:
        self._floor = floor
        self._clearing = clearing
        self._lists = Contingencies(floor)

    def amend(
        self, order: Order, quantity_e8: int, now_ms: int, *, client_order_id: str
    ) -> Amended:
        """Take lots off an open order; -2038 for anything but less, -1013 for what filters forbid."""
        lots = self._allowed(order, quantity_e8, client_order_id)
        other = self._lists.other_leg(order)
        legs = [order] if other is None else [order, other]
        for leg in legs:
            self._clearing.release(leg)
        reports = [
            self._less(leg, lots, client_order_id if leg is order else leg.client_order_id, now_ms)
            for leg in legs
        ]
        self._reserve_again(order)
        if client_order_id != order.client_order_id and order.list_id >= 0:
            self._lists.renamed(reports, order.order_id, client_order_id, now_ms)
        amendment = self._record(order, reports[0].order, now_ms)
        return Amended(reports[0].order, amendment, tuple(reports))

    def _allowed(self, order: Order, quantity_e8: int, client_order_id: str) -> int:
        """Return the lots that an order shall have, or refuse."""
        floor, instrument = self._floor, self._floor.instruments[order.symbol]
        lots = check_lot_size(quantity_e8, instrument)
        most = floor.rule(order.symbol).max_num_order_amends
        if most and len(floor.amendments[order.order_id]) >= most:
            raise Rejected(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
        if lots > order.lots:
            raise Rejected(-2038, MORE)
        if lots == order.lots or lots <= order.filled_lots:
            raise Rejected(-2038, NO_CHANGE)
        price_ticks = order.price_ticks or order.stop_ticks
        if price_ticks:
            check_notional(lots * price_ticks * instrument.unit_e8, instrument)
        if client_order_id != order.client_order_id and floor.is_open_name(
            order.account, order.symbol, client_order_id
        ):
            raise Rejected(-2038, "Duplicate order sent.")
        return lots

    def _less(self, order: Order, lots: int, client_order_id: str, now_ms: int) -> Report:
        book = self._floor.books[order.symbol]
        if book.has(order.side, order.price_ticks, order.order_id):
            book.reduce(order.side, order.price_ticks, order.order_id, order.lots - lots)
        less = self._floor.rename(replace(order, lots=lots, updated_ms=now_ms), client_order_id)
        return Report(ReportKind.REPLACED, less, replaces=order.client_order_id)

    def _reserve_again(self, order: Order) -> None:
        """Lock what the smaller order needs, or the dearer of a pair."""
        if order.status not in LIVE:
            return
        floor = self._floor
        if self._lists.other_leg(order) is None:
            self._clearing.reserve(floor.orders[order.order_id])
        else:
            first, second = (floor.orders[n] for n in floor.lists[order.list_id].pair)
            self._clearing.reserve_pair(first, second)

    def _record(self, before: Order, after: Order, now_ms: int) -> Amendment:
        made = sum(map(len, self._floor.amendments.values()))
        amendment = Amendment(
            number=made,
            order_id=before.order_id,
            old_client_id=before.client_order_id,
            new_client_id=after.client_order_id,
            old_lots=before.lots,
            new_lots=after.lots,
            time_ms=now_ms,
        )
        self._floor.amendments[before.order_id].append(amendment)
        return amendment
