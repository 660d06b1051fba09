"""The JSON shapes of orders, trades, balances and klines, field for field as Binance sends them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from workbench.execution.matching.balances import Balance
from workbench.execution.matching.tape import Kline, Print, Tape
from workbench.execution.orders import Execution, Order, OrderResult, OrderStatus
from workbench.market.instruments import Instrument, from_e8

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = dict[str, Json]

NO_LIST = -1
STP = "NONE"
ZERO = from_e8(0)


def order_body(order: Order, instrument: Instrument) -> Object:
    """Return the amounts and kinds that every order answer shares."""
    body: Object = {
        "price": from_e8(order.price_ticks * instrument.tick_e8),
        "origQty": from_e8(order.lots * instrument.step_e8),
        "executedQty": from_e8(order.filled_lots * instrument.step_e8),
        "origQuoteOrderQty": from_e8(order.quote_e8),
        "cummulativeQuoteQty": from_e8(order.filled_quote_e8),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.order_type,
        "side": order.side,
    }
    return body


def order_ack(order: Order, now_ms: int) -> Object:
    """Return the ACK answer to a new order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_order_id,
        "transactTime": now_ms,
    }


def order_result(order: Order, instrument: Instrument, now_ms: int) -> Object:
    """Return the RESULT answer to a new order."""
    answer = order_ack(order, now_ms) | order_body(order, instrument)
    answer |= {"workingTime": order.created_ms, "selfTradePreventionMode": STP}
    return answer | _expiry(order)


def order_full(result: OrderResult, instrument: Instrument, now_ms: int) -> Object:
    """Return the FULL answer to a new order: RESULT and its fills."""
    fills: list[Json] = [
        {
            "price": from_e8(fill.price_ticks * instrument.tick_e8),
            "qty": from_e8(fill.lots * instrument.step_e8),
            "commission": from_e8(fill.commission_e8),
            "commissionAsset": fill.commission_asset,
            "tradeId": fill.trade_id,
        }
        for fill in result.executions
    ]
    return order_result(result.order, instrument, now_ms) | {"fills": fills}


def order_canceled(order: Order, instrument: Instrument, cancel_id: str) -> Object:
    """Return the answer to a cancel; `clientOrderId` is the cancel's own."""
    head: Object = {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
    }
    return head | order_body(order, instrument) | {"selfTradePreventionMode": STP}


def order_queried(order: Order, instrument: Instrument) -> Object:
    """Return an order as GET order, openOrders and allOrders show it."""
    head: Object = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_order_id,
    }
    tail: Object = {
        "stopPrice": ZERO,
        "icebergQty": ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": STP,
    }
    return head | order_body(order, instrument) | tail | _expiry(order)


def my_trade(fill: Execution, instrument: Instrument) -> Object:
    """Return a user's own trade as myTrades shows it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": NO_LIST,
        "price": from_e8(fill.price_ticks * instrument.tick_e8),
        "qty": from_e8(fill.lots * instrument.step_e8),
        "quoteQty": from_e8(fill.quote_e8),
        "commission": from_e8(fill.commission_e8),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def balances(held: dict[str, Balance], names: Iterable[str]) -> list[Json]:
    """Return balances of the named assets, zeros included."""
    return [
        {"asset": name, "free": from_e8(one.free_e8), "locked": from_e8(one.locked_e8)}
        for name in names
        for one in [held.get(name, Balance())]
    ]


def kline_row(kline: Kline) -> list[Json]:
    """Return the twelve elements of a REST kline."""
    return [
        kline.open_ms,
        from_e8(kline.open_e8),
        from_e8(kline.high_e8),
        from_e8(kline.low_e8),
        from_e8(kline.close_e8),
        from_e8(kline.volume_e8),
        kline.close_ms,
        from_e8(kline.quote_volume_e8),
        kline.trades,
        from_e8(kline.taker_volume_e8),
        from_e8(kline.taker_quote_e8),
        "0",
    ]


def aggregate_trade(tape: Tape, number: int) -> Object:
    """Return the prints that one taker made at one price, as GET aggTrades shows them."""
    index = int(tape.aggregates[number])
    first, together = tape.print_at(index), tape.aggregate_at(index)
    return {
        "a": together.number,
        "p": from_e8(first.price_e8),
        "q": from_e8(together.quantity_e8),
        "f": together.first_id,
        "l": together.last_id,
        "T": first.time_ms,
        "m": first.seller_takes,
        "M": True,
    }


def recent_trade(one: Print) -> Object:
    """Return a print as GET trades shows it."""
    return {
        "id": one.trade_id,
        "price": from_e8(one.price_e8),
        "qty": from_e8(one.quantity_e8),
        "quoteQty": from_e8(one.quote_e8),
        "time": one.time_ms,
        "isBuyerMaker": one.seller_takes,
        "isBestMatch": True,
    }


def _expiry(order: Order) -> Object:
    if order.status is not OrderStatus.EXPIRED or not order.expiry_reason:
        return {}
    return {"expiryReason": order.expiry_reason}
