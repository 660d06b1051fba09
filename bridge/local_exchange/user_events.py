"""User data events: every step of an order with the fields that it has, balances, order lists."""

from __future__ import annotations

from bridge.local_exchange.shapes import ZERO, Json, Object
from workbench.execution.matching.balances import Balance
from workbench.execution.order_lists import OrderList
from workbench.execution.orders import CONDITIONAL, Order, Report
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
        "P": from_e8(order.stop_ticks * instrument.tick_e8),
        "F": ZERO,
        "g": order.list_id,
        "C": report.replaces,
        "x": report.kind,
        "X": order.status,
        "r": report.reason,
        "i": order.order_id,
        "l": from_e8(fill.lots * instrument.step_e8) if fill else ZERO,
        "z": from_e8(order.filled_lots * instrument.step_e8),
        "L": from_e8(fill.price_ticks * instrument.tick_e8) if fill else ZERO,
        "n": from_e8(fill.commission_e8) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": order.updated_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": order.is_open and order.is_working,
        "m": fill.is_maker if fill else False,
        "M": False,
        "O": order.created_ms,
        "Z": from_e8(order.filled_quote_e8),
        "Y": from_e8(fill.quote_e8) if fill else ZERO,
        "Q": from_e8(order.quote_e8),
        "V": order.self_trade,
    }
    return event | _conditional(report, order, instrument)


def _conditional(report: Report, order: Order, instrument: Instrument) -> Object:
    """Return the fields that only some orders have."""
    event: Object = {}
    if order.is_working:
        event["W"] = order.working_ms
    if order.trailing_bips and order.order_type in CONDITIONAL:
        event["d"] = order.trailing_bips
        if order.trailing_ms >= 0:
            event["D"] = order.trailing_ms
    if order.strategy_id is not None:
        event["j"] = order.strategy_id
    if order.strategy_type is not None:
        event["J"] = order.strategy_type
    if order.expiry_reason:
        event["eR"] = order.expiry_reason
    if order.prevented_lots:
        event["v"] = order.prevented_match_id
        event["A"] = from_e8(order.prevented_lots * instrument.step_e8)
    if report.prevented is not None:
        event |= _prevented(report, order, instrument)
    return event


def _prevented(report: Report, order: Order, instrument: Instrument) -> Object:
    met = report.prevented
    assert met is not None
    takes = order.order_id == met.taker_id
    lots = met.taker_lots if takes else met.maker_lots
    price_e8 = met.price_ticks * instrument.tick_e8
    return {
        "B": from_e8(lots * instrument.step_e8),
        "u": 1,
        "U": met.maker_id if takes else met.taker_id,
        "Cs": order.symbol,
        "pl": from_e8(lots * instrument.step_e8),
        "pL": from_e8(price_e8),
        "pY": from_e8(lots * met.price_ticks * instrument.unit_e8),
    }


def account_position(held: dict[str, Balance], assets: list[str], now_ms: int) -> Object:
    """Return the balances that an order may have changed."""
    changed: list[Json] = [
        {"a": asset, "f": from_e8(one.free_e8), "l": from_e8(one.locked_e8)}
        for asset in assets
        for one in [held.get(asset, Balance())]
    ]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": changed}


def balance_update(asset: str, change_e8: int, now_ms: int) -> Object:
    """Return a deposit or a withdrawal."""
    sign = "-" if change_e8 < 0 else ""
    delta = sign + from_e8(abs(change_e8))
    return {"e": "balanceUpdate", "E": now_ms, "a": asset, "d": delta, "T": now_ms}


def list_status(found: OrderList, now_ms: int) -> Object:
    """Return a step of an order list."""
    orders: list[Json] = [
        {"s": found.symbol, "i": number, "c": client_id} for number, client_id in found.orders
    ]
    return {
        "e": "listStatus",
        "E": now_ms,
        "s": found.symbol,
        "g": found.list_id,
        "c": found.contingency,
        "l": found.step,
        "L": found.status,
        "r": "NONE",
        "C": found.client_list_id,
        "T": found.time_ms,
        "O": orders,
    }


def stream_terminated(now_ms: int) -> Object:
    """Return the last event of a subscription."""
    return {"e": "eventStreamTerminated", "E": now_ms}


def server_shutdown(now_ms: int) -> Object:
    """Return what every socket hears before the exchange goes down."""
    return {"e": "serverShutdown", "E": now_ms}
