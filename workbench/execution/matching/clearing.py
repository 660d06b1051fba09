"""Clearing: what an order reserves, and the money that a fill moves.

Every order reserves what it could need before it trades (`held`): an order with a price, and every
order to sell, when it is placed; a market order to buy, and a STOP_LOSS or TAKE_PROFIT to buy, what
its sweep will cost, in the instant in which it trades. So a commission can never spend what a later
piece of the same sweep must pay. The two orders of an OCO share one reserve, kept under the first
of them. The asset received pays the commission, or BNB does, with a discount, where the account
says so, holds enough and BNB has a price.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.core.money import commission_e8
from workbench.execution.matching.balances import Balances
from workbench.execution.matching.floor import Floor
from workbench.execution.matching.sweep import Match, Sweep
from workbench.execution.orders import (
    Execution,
    Order,
    OrderEvent,
    Report,
    ReportKind,
    Side,
    after,
)
from workbench.market.instruments import SCALE

BNB = "BNB"
BNB_PAYS_E8 = 75_000_000  # of the commission, when it is paid in BNB


class Clearing:
    """Moves money between the accounts of a floor."""

    def __init__(self, floor: Floor, ledger: Balances, maker_e8: int, taker_e8: int) -> None:
        self._floor = floor
        self._ledger = ledger
        self.maker_rate_e8 = maker_e8
        self.taker_rate_e8 = taker_e8
        self.held: dict[int, int] = {}  # reserved amount by order number
        self.pays_in_bnb: set[str] = set()

    def stake(self, order: Order, lots: int) -> tuple[str, int]:
        """Return what an order needs for that many lots at its own price: (asset, amount)."""
        instrument = self._floor.instruments[order.symbol]
        if order.side is Side.BUY:
            return instrument.quote, lots * order.price_ticks * instrument.unit_e8
        return instrument.base, lots * instrument.step_e8

    def reserve(self, order: Order, sweep: Sweep | None = None) -> None:
        """Lock what an order needs beyond what it holds; -2010 when that is not free."""
        asset, amount_e8 = self.stake(order, order.open_lots)
        if sweep is not None and order.side is Side.BUY and not order.price_ticks:
            amount_e8 = sweep.value_e8(self._floor.instruments[order.symbol])
        self._ledger.lock(order.account, asset, amount_e8 - self.held.get(order.order_id, 0))
        self.held[order.order_id] = amount_e8

    def reserve_pair(self, first: Order, second: Order) -> None:
        """Lock what the dearer of two orders needs, under the first's number."""
        asset, one_e8 = self.stake(first, first.open_lots)
        _, other_e8 = self.stake(second, second.open_lots)
        most_e8 = max(one_e8, other_e8)
        self._ledger.lock(first.account, asset, most_e8)
        self.held[first.order_id], self.held[second.order_id] = most_e8, 0

    def release(self, order: Order) -> None:
        """Give back what is still reserved for an order."""
        amount_e8 = self.held.pop(order.order_id, 0)
        if amount_e8:
            self._ledger.release(order.account, self.stake(order, 0)[0], amount_e8)

    def fill(self, order: Order, match: Match, now_ms: int, *, is_maker: bool) -> Report:
        """Move the money of one order's fill and record it."""
        floor = self._floor
        instrument = floor.instruments[order.symbol]
        value_e8 = match.lots * match.price_ticks * instrument.unit_e8
        quantity_e8 = match.lots * instrument.step_e8
        if order.side is Side.BUY:
            paid, got = (instrument.quote, value_e8), (instrument.base, quantity_e8)
        else:
            paid, got = (instrument.base, quantity_e8), (instrument.quote, value_e8)
        self._spend(order, match, paid)
        rate_e8 = self.maker_rate_e8 if is_maker else self.taker_rate_e8
        fee_asset, fee_e8 = self._charge(order, got, value_e8, rate_e8)
        execution = Execution(
            trade_id=floor.trade_ids[order.symbol],
            order_id=order.order_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price_ticks=match.price_ticks,
            lots=match.lots,
            quote_e8=value_e8,
            commission_e8=fee_e8,
            commission_asset=fee_asset,
            is_maker=is_maker,
            time_ms=now_ms,
        )
        floor.record(execution)
        event = OrderEvent.FILL if match.lots == order.open_lots else OrderEvent.PART
        filled = replace(
            order,
            status=after(order.status, event),
            filled_lots=order.filled_lots + match.lots,
            filled_quote_e8=order.filled_quote_e8 + value_e8,
            updated_ms=now_ms,
        )
        floor.store(filled)
        if not filled.is_open:
            self.release(filled)
        return Report(ReportKind.TRADE, filled, execution)

    def _spend(self, order: Order, match: Match, paid: tuple[str, int]) -> None:
        """Pay a fill out of the reserve, and give back what was reserved for a worse price."""
        reserved_e8 = self.stake(order, match.lots)[1] or paid[1]
        self.held[order.order_id] -= reserved_e8
        self._ledger.pay_locked(order.account, *paid)
        if reserved_e8 > paid[1]:
            self._ledger.release(order.account, paid[0], reserved_e8 - paid[1])

    def _charge(
        self, order: Order, got: tuple[str, int], value_e8: int, rate_e8: int
    ) -> tuple[str, int]:
        """Credit what a fill brings, less the commission; return (asset, amount) of that."""
        bnb_e8 = self._in_bnb(order, got, value_e8, rate_e8)
        if bnb_e8 is not None:
            self._ledger.receive(order.account, *got, 0)
            self._ledger.pay_fee(order.account, BNB, bnb_e8)
            return BNB, bnb_e8
        fee_e8 = int(commission_e8(got[1], rate_e8))
        self._ledger.receive(order.account, *got, fee_e8)
        return got[0], fee_e8

    def _in_bnb(
        self, order: Order, got: tuple[str, int], value_e8: int, rate_e8: int
    ) -> int | None:
        """Return the commission in BNB; None where it is paid in the asset received."""
        if order.account not in self.pays_in_bnb:
            return None
        free_e8 = self._ledger.get(order.account, BNB).free_e8
        if got[0] == BNB:
            fee_e8 = got[1] * rate_e8 * BNB_PAYS_E8 // SCALE**2
            free_e8 += got[1]
        else:
            price_e8 = self._floor.last_e8.get(BNB + self._floor.instruments[order.symbol].quote)
            if not price_e8:
                return None
            fee_e8 = value_e8 * rate_e8 * BNB_PAYS_E8 // (price_e8 * SCALE)
        return fee_e8 if free_e8 >= fee_e8 else None
