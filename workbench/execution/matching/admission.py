"""Admission: whether an order may come in, and what it would do; nothing is changed here.

The checks in their order: the market is open, the client id is free, filters, room for one more
order, a maker does not take and a stop is not met already, and the money is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.execution.filters import (
    NO_EXCHANGE_RULES,
    ExchangeRules,
    FilterRules,
    check_lot_size,
    check_market_lot_size,
    check_rules,
    checked_limit,
    failure,
)
from workbench.execution.matching.balances import Balances
from workbench.execution.matching.floor import Floor
from workbench.execution.matching.sweep import Quote, Sweep, Want
from workbench.execution.matching.triggers import is_met, waits_above
from workbench.execution.orders import (
    CONDITIONAL,
    NewOrder,
    OrderType,
    Rejected,
    Side,
)
from workbench.market.instruments import Instrument

THIN_BOOK = "Order book liquidity is less than symbol minimum quantity."
CLOSED = Rejected(-2010, "Market is closed.")
WOULD_TAKE = "Order would immediately match and take."
WOULD_TRIGGER = "Order would trigger immediately."


@dataclass(frozen=True, slots=True)
class Admitted:
    """An order that may come in: its limit in ticks, its lots, and what it would trade now."""

    price_ticks: int
    lots: int
    sweep: Sweep | None


class Admission:
    """The doorkeeper of a floor."""

    def __init__(self, floor: Floor, ledger: Balances) -> None:
        self._floor = floor
        self._ledger = ledger

    def examine(self, new: NewOrder, beside: Sequence[NewOrder] = ()) -> Admitted:
        """Return what an order would do if it came in now, or refuse it."""
        instrument = self._floor.instrument(new.symbol)
        quote = self._open_market(new.symbol)
        admitted = self.form(new, instrument, quote, beside)
        self.funds(new, instrument, admitted)
        return admitted

    def form(
        self,
        new: NewOrder,
        instrument: Instrument,
        quote: Quote,
        beside: Sequence[NewOrder] = (),
    ) -> Admitted:
        """Check everything but the money; `beside` are the other orders of its list."""
        floor = self._floor
        if floor.is_open_name(new.account, new.symbol, new.client_order_id):
            raise Rejected(-2010, "Duplicate order sent.")
        limit = self._filters(new, instrument, quote, beside)
        lots = new.quantity_e8 // instrument.step_e8
        if new.order_type in CONDITIONAL:
            self.refuse_met(new)
            return Admitted(limit, lots, None)
        want = Want(new.side, lots, new.quote_e8, limit, new.self_trade)
        sweep = floor.sweep(new.account, new.symbol, want, quote)
        if new.order_type is OrderType.LIMIT_MAKER and sweep.matches:
            raise Rejected(-2010, WOULD_TAKE)
        if new.quote_e8:
            _check_quote_order(sweep, instrument, quote.against(new.side)[1])
            check_market_lot_size(sweep.wanted_lots * instrument.step_e8, floor.rule(new.symbol))
        return Admitted(limit, sweep.wanted_lots, sweep)

    def pending(self, new: NewOrder, beside: Sequence[NewOrder]) -> int:
        """Check an order that is to be placed later; return its limit in ticks."""
        instrument = self._floor.instrument(new.symbol)
        quote = self._open_market(new.symbol)
        if self._floor.is_open_name(new.account, new.symbol, new.client_order_id):
            raise Rejected(-2010, "Duplicate order sent.")
        return self._filters(new, instrument, quote, beside)

    def check_filters(self, new: NewOrder) -> None:
        """Refuse by filters alone, without counting the orders that are open."""
        instrument = self._floor.instrument(new.symbol)
        quote = self._open_market(new.symbol)
        self._single_filters(new, instrument, quote)

    def refuse_met(self, new: NewOrder) -> None:
        """Refuse a stop that the last price has met already."""
        above = waits_above(new.side, new.order_type)
        if new.stop_e8 and is_met(above, new.stop_e8, self._floor.market_e8(new.symbol)):
            raise Rejected(-2010, WOULD_TRIGGER)

    def need(self, new: NewOrder, instrument: Instrument, admitted: Admitted) -> tuple[str, int]:
        """Return what an order needs to come in: (asset, amount)."""
        if new.side is Side.SELL:
            return instrument.base, admitted.lots * instrument.step_e8
        price_ticks = admitted.price_ticks
        if not price_ticks and new.order_type in CONDITIONAL:
            price_e8 = new.stop_e8 or self._floor.market_e8(new.symbol)
            price_ticks = -(-price_e8 // instrument.tick_e8)
        cost_e8 = new.quote_e8 or admitted.lots * price_ticks * instrument.unit_e8
        if not cost_e8 and admitted.sweep:
            cost_e8 = admitted.sweep.value_e8(instrument)
        return instrument.quote, cost_e8

    def funds(self, new: NewOrder, instrument: Instrument, admitted: Admitted) -> None:
        """Refuse an order that the account cannot pay."""
        self._ledger.require(new.account, *self.need(new, instrument, admitted))

    def open_quote(self, symbol: str) -> Quote:
        """Return the standing quote of a market that trades; -2010 otherwise."""
        return self._open_market(symbol)

    def _open_market(self, symbol: str) -> Quote:
        quote = self._floor.quotes.get(symbol)
        if quote is None or self._floor.rule(symbol).status != "TRADING":
            raise CLOSED
        return quote

    def _filters(
        self,
        new: NewOrder,
        instrument: Instrument,
        quote: Quote,
        beside: Sequence[NewOrder] = (),
    ) -> int:
        limit = self._single_filters(new, instrument, quote)
        rules, everywhere = self._floor.rules.get(new.symbol), self._floor.exchange_rules
        if rules is not None:
            self._room(new, beside, rules, new.symbol)
            if rules.max_position_e8 and new.side is Side.BUY:
                self._position(new, instrument, rules.max_position_e8)
        if everywhere is not NO_EXCHANGE_RULES:
            self._room(new, beside, everywhere, None)
            _check_assets(new, instrument, limit, everywhere)
        return limit

    def _single_filters(self, new: NewOrder, instrument: Instrument, quote: Quote) -> int:
        """Return the limit in ticks of an order that passes every filter about itself alone."""
        limit = checked_limit(new, instrument, quote.against(new.side)[0])
        rules = self._floor.rules.get(new.symbol)
        if rules is not None:
            price_ticks = limit or new.stop_e8 // instrument.tick_e8 or quote.against(new.side)[0]
            lots = new.quantity_e8 // instrument.step_e8
            notional_e8 = new.quote_e8 or lots * price_ticks * instrument.unit_e8
            check_rules(new, rules, notional_e8, self._floor.market_e8(new.symbol))
        return limit

    def _room(
        self,
        new: NewOrder,
        beside: Sequence[NewOrder],
        rules: FilterRules | ExchangeRules,
        symbol: str | None,
    ) -> None:
        """Refuse one order too many on the symbol, or on the exchange, with those of its list."""
        if new.order_type is OrderType.MARKET:
            return
        prefix = "" if symbol else "EXCHANGE_"
        found = self._floor.open_orders(new.account, symbol)
        coming = (new, *beside)
        if rules.max_num_orders and len(found) + len(coming) > rules.max_num_orders:
            raise failure(f"{prefix}MAX_NUM_ORDERS")
        if rules.max_num_algo_orders and new.order_type in CONDITIONAL:
            algo = sum(order.order_type in CONDITIONAL for order in found)
            algo += sum(order.order_type in CONDITIONAL for order in coming)
            if algo > rules.max_num_algo_orders:
                raise failure(f"{prefix}MAX_NUM_ALGO_ORDERS")

    def _position(self, new: NewOrder, instrument: Instrument, most_e8: int) -> None:
        held = self._ledger.get(new.account, instrument.base)
        bought = sum(
            order.open_lots * instrument.step_e8
            for order in self._floor.open_orders(new.account, new.symbol)
            if order.side is Side.BUY
        )
        if held.free_e8 + held.locked_e8 + bought + new.quantity_e8 > most_e8:
            raise failure("MAX_POSITION")


def _check_assets(
    new: NewOrder, instrument: Instrument, limit: int, everywhere: ExchangeRules
) -> None:
    """Refuse more of an asset in one order than the account may move."""
    quote_e8 = new.quote_e8 or new.quantity_e8 // instrument.step_e8 * limit * instrument.unit_e8
    moved = {instrument.base: new.quantity_e8, instrument.quote: quote_e8}
    if any(moved.get(asset, 0) > most_e8 for asset, most_e8 in everywhere.max_asset_e8):
        raise failure("MAX_ASSET")


def _check_quote_order(sweep: Sweep, instrument: Instrument, market_lots: int) -> None:
    if not sweep.matches and not market_lots:
        raise Rejected(-2010, THIN_BOOK)
    if not sweep.lots and not any(match.prevented for match in sweep.matches):
        raise failure("LOT_SIZE")
    check_lot_size(sweep.wanted_lots * instrument.step_e8, instrument)
