"""The filters that a user's order must pass, with Binance's codes and messages.

Order of the checks, as the exchange does them: precision of the text (-1111), LOT_SIZE,
PRICE_FILTER, NOTIONAL and the rest (all -1013 "Filter failure: NAME"). Only user orders obey
filters; the tape does not. All amounts are integers at 1e-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.execution.orders import PRICED, NewOrder, OrderType, Rejected, Side
from workbench.market.instruments import SCALE, Instrument

PRECISION = 8
BIPS = 10_000
_LEGAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_AMOUNT = re.compile(_LEGAL)


@dataclass(frozen=True, slots=True)
class FilterRules:
    """A symbol's state and its filters beyond tick, lot and least notional; 0 turns one off.

    Multipliers of PERCENT_PRICE (`price_*`) and PERCENT_PRICE_BY_SIDE are in 1/10,000 of the last
    traded price. A `market_step_e8` of 0 leaves only LOT_SIZE's own step to a MARKET order.
    """

    status: str = "TRADING"
    max_num_orders: int = 0
    max_num_algo_orders: int = 0
    max_num_order_lists: int = 0
    max_num_order_amends: int = 0
    max_position_e8: int = 0
    min_notional_e8: int = 0  # MIN_NOTIONAL, the older filter; the instrument holds NOTIONAL's
    max_notional_e8: int = 0
    market_min_qty_e8: int = 0
    market_max_qty_e8: int = 0
    market_step_e8: int = 0
    price_up: int = 0
    price_down: int = 0
    bid_up: int = 0
    bid_down: int = 0
    ask_up: int = 0
    ask_down: int = 0
    min_trailing: int = 0
    max_trailing: int = 0


@dataclass(frozen=True, slots=True)
class ExchangeRules:
    """Filters over all symbols of an account; 0 turns one off. `max_asset_e8` is (asset, most)."""

    max_num_orders: int = 0
    max_num_algo_orders: int = 0
    max_num_order_lists: int = 0
    max_asset_e8: tuple[tuple[str, int], ...] = ()


NO_EXCHANGE_RULES = ExchangeRules()
OFF = FilterRules()
USUAL = FilterRules(
    max_num_orders=200,
    max_num_algo_orders=5,
    max_num_order_lists=20,
    max_num_order_amends=10,
    max_notional_e8=9_000_000_000 * SCALE,
    bid_up=5 * BIPS,
    bid_down=BIPS // 5,
    ask_up=5 * BIPS,
    ask_down=BIPS // 5,
    min_trailing=10,
    max_trailing=2_000,
)


def parse_amount(name: str, text: str) -> int:
    """Return a decimal text as an integer at 1e-8; -1100 for what is no number, -1111 if too fine."""
    match = _AMOUNT.match(text)
    if match is None or not text.isascii():
        raise Rejected(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '{_LEGAL}'."
        )
    whole, fraction = match.group(1), (match.group(2) or ".")[1:]
    if len(fraction) > PRECISION:
        raise Rejected(-1111, f"Parameter '{name}' has too much precision.")
    return int(whole) * SCALE + int(fraction.ljust(PRECISION, "0"))


def check_lot_size(quantity_e8: int, instrument: Instrument) -> int:
    """Return the quantity in lots, or refuse it by LOT_SIZE."""
    if quantity_e8 <= 0:
        raise Rejected(-1013, "Invalid quantity.")
    if not instrument.min_qty_e8 <= quantity_e8 <= instrument.max_qty_e8:
        raise failure("LOT_SIZE")
    lots, rest = divmod(quantity_e8, instrument.step_e8)
    if rest:
        raise failure("LOT_SIZE")
    return lots


def check_price(price_e8: int, instrument: Instrument) -> int:
    """Return the price in ticks, or refuse it by PRICE_FILTER."""
    if price_e8 <= 0:
        raise Rejected(-1013, "Invalid price.")
    if not instrument.min_price_e8 <= price_e8 <= instrument.max_price_e8:
        raise failure("PRICE_FILTER")
    ticks, rest = divmod(price_e8, instrument.tick_e8)
    if rest:
        raise failure("PRICE_FILTER")
    return ticks


def check_notional(notional_e8: int, instrument: Instrument) -> None:
    """Refuse an order whose value in quote is under the minimum."""
    if notional_e8 < instrument.min_notional_e8:
        raise failure("NOTIONAL")


def checked_limit(order: NewOrder, instrument: Instrument, market_ticks: int) -> int:
    """Return the limit in ticks, 0 for an order without one, of an order that passes every filter.

    A MARKET order's notional is taken at `market_ticks`, the quote it would hit: our stand-in for
    Binance's five-minute average; that of a stop without a limit at its stop price. An order by
    quoteOrderQty is judged by that amount.
    """
    lots = 0 if order.quote_e8 else check_lot_size(order.quantity_e8, instrument)
    ticks = check_price(order.price_e8, instrument) if order.order_type in PRICED else 0
    stop_ticks = check_price(order.stop_e8, instrument) if order.stop_e8 else 0
    price_ticks = ticks or stop_ticks or market_ticks
    check_notional(order.quote_e8 or lots * price_ticks * instrument.unit_e8, instrument)
    return ticks


def check_rules(order: NewOrder, rules: FilterRules, notional_e8: int, last_e8: int) -> None:
    """Refuse what the symbol's further filters forbid, whatever else the account has open."""
    if order.order_type is OrderType.MARKET and order.quantity_e8:
        check_market_lot_size(order.quantity_e8, rules)
    too_far = not rules.min_trailing <= order.trailing_bips <= rules.max_trailing
    if order.trailing_bips and rules.max_trailing and too_far:
        raise failure("TRAILING_DELTA")
    if notional_e8 < rules.min_notional_e8:
        raise failure("MIN_NOTIONAL")
    if rules.max_notional_e8 and order.price_e8 and notional_e8 > rules.max_notional_e8:
        raise failure("NOTIONAL")
    by_side = (rules.bid_up, rules.bid_down), (rules.ask_up, rules.ask_down)
    for name, (up, down) in (
        ("PERCENT_PRICE", (rules.price_up, rules.price_down)),
        ("PERCENT_PRICE_BY_SIDE", by_side[order.side is Side.SELL]),
    ):
        near = last_e8 * down <= order.price_e8 * BIPS <= last_e8 * up
        if order.price_e8 and up and not near:
            raise failure(name)


def check_market_lot_size(quantity_e8: int, rules: FilterRules) -> None:
    """Refuse the quantity of a MARKET order that only such orders may not have."""
    most, step = rules.market_max_qty_e8, rules.market_step_e8
    off_step = step and quantity_e8 % step
    if quantity_e8 < rules.market_min_qty_e8 or (most and quantity_e8 > most) or off_step:
        raise failure("MARKET_LOT_SIZE")


def failure(name: str) -> Rejected:
    """Return the refusal by a filter."""
    return Rejected(-1013, f"Filter failure: {name}")
