"""The filters that a user's order must pass, with Binance's codes and messages.

Order of the checks, as the exchange does them: precision of the text (-1111), LOT_SIZE,
PRICE_FILTER, NOTIONAL (all -1013 "Filter failure: NAME"). Only user orders obey filters; the tape
does not. All amounts are integers at 1e-8.
"""

from __future__ import annotations

import re

from workbench.execution.orders import NewOrder, OrderType, Rejected
from workbench.market.instruments import SCALE, Instrument

PRECISION = 8
_LEGAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_AMOUNT = re.compile(_LEGAL)


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
        raise _failure("LOT_SIZE")
    lots, rest = divmod(quantity_e8, instrument.step_e8)
    if rest:
        raise _failure("LOT_SIZE")
    return lots


def check_price(price_e8: int, instrument: Instrument) -> int:
    """Return the price in ticks, or refuse it by PRICE_FILTER."""
    if price_e8 <= 0:
        raise Rejected(-1013, "Invalid price.")
    if not instrument.min_price_e8 <= price_e8 <= instrument.max_price_e8:
        raise _failure("PRICE_FILTER")
    ticks, rest = divmod(price_e8, instrument.tick_e8)
    if rest:
        raise _failure("PRICE_FILTER")
    return ticks


def check_notional(notional_e8: int, instrument: Instrument) -> None:
    """Refuse an order whose value in quote is under the minimum."""
    if notional_e8 < instrument.min_notional_e8:
        raise _failure("NOTIONAL")


def checked_limit(order: NewOrder, instrument: Instrument, market_ticks: int) -> int:
    """Return the limit in ticks, 0 for a MARKET order, of an order that passes every filter.

    A MARKET order's notional is taken at `market_ticks`, the quote it would hit: our stand-in for
    Binance's five-minute average. One by quoteOrderQty is judged by that amount.
    """
    lots = 0 if order.quote_e8 else check_lot_size(order.quantity_e8, instrument)
    ticks = check_price(order.price_e8, instrument) if order.order_type is OrderType.LIMIT else 0
    notional_e8 = order.quote_e8 or lots * (ticks or market_ticks) * instrument.unit_e8
    check_notional(notional_e8, instrument)
    return ticks


def _failure(name: str) -> Rejected:
    return Rejected(-1013, f"Filter failure: {name}")
