"""User data events: executionReport with every field that is always there, and balances."""

from __future__ import annotations

from bridge.local_exchange.shapes import NO_LIST, STP, ZERO, Json, Object
from workbench.execution.matching.balances import Balance
from workbench.execution.orders import Report
from workbench.market.instruments import Instrument, from_e8


def execution_report(
    report: Report, instrument: Instrument, *, execution_id: int, now_ms: int
) -> Object:
    """Return one step of an order as the user data stream sends it."""
    order, fill = report.order, report.execution
    event: Object = {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.order_type,
        "f": order.time_in_force,
        "q": from_e8(order.lots * instrument.step_e8),
        "p": from_e8(order.price_ticks * instrument.tick_e8),
        "P": ZERO,
        "F": ZERO,
        "g": NO_LIST,
        "C": report.replaces,
        "x": report.kind,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": from_e8(fill.lots * instrument.step_e8) if fill else ZERO,
        "z": from_e8(order.filled_lots * instrument.step_e8),
        "L": from_e8(fill.price_ticks * instrument.tick_e8) if fill else ZERO,
        "n": from_e8(fill.commission_e8) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": order.updated_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": order.is_open,
        "m": fill.is_maker if fill else False,
        "M": False,
        "O": order.created_ms,
        "Z": from_e8(order.filled_quote_e8),
        "Y": from_e8(fill.quote_e8) if fill else ZERO,
        "Q": from_e8(order.quote_e8),
        "W": order.created_ms,
        "V": STP,
    }
    if order.expiry_reason:
        event["eR"] = order.expiry_reason
    return event


def account_position(held: dict[str, Balance], assets: list[str], now_ms: int) -> Object:
    """Return the balances that an order may have changed."""
    changed: list[Json] = [
        {"a": asset, "f": from_e8(one.free_e8), "l": from_e8(one.locked_e8)}
        for asset in assets
        for one in [held.get(asset, Balance())]
    ]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": changed}
