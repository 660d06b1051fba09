"""The JSON shapes of orders, lists, trades and balances, field for field as Binance sends them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from workbench.execution.matching.balances import Balance
from workbench.execution.matching.tape import Kline, Print, Tape
from workbench.execution.order_lists import OrderList
from workbench.execution.orders import (
    CONDITIONAL,
    Amendment,
    Execution,
    Order,
    PreventedMatch,
    Report,
)
from workbench.market.instruments import Instrument, from_e8

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = dict[str, Json]

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
    if order.order_type in CONDITIONAL:
        body["stopPrice"] = from_e8(order.stop_ticks * instrument.tick_e8)
    return body


def conditional_fields(order: Order, instrument: Instrument) -> Object:
    """Return the fields that only some orders have."""
    found: Object = {}
    if order.prevented_lots:
        found["preventedMatchId"] = order.prevented_match_id
        found["preventedQuantity"] = from_e8(order.prevented_lots * instrument.step_e8)
    if order.strategy_id is not None:
        found["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        found["strategyType"] = order.strategy_type
    if order.trailing_bips:
        found["trailingDelta"] = order.trailing_bips
        found["trailingTime"] = order.trailing_ms
    if order.expiry_reason:
        found["expiryReason"] = order.expiry_reason
    return found


def order_ack(order: Order) -> Object:
    """Return the ACK answer to a new order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }


def order_result(order: Order, instrument: Instrument) -> Object:
    """Return the RESULT answer to a new order."""
    answer = order_ack(order) | order_body(order, instrument)
    answer["workingTime"] = order.working_ms
    answer["selfTradePreventionMode"] = order.self_trade
    return answer | conditional_fields(order, instrument)


def order_full(order: Order, instrument: Instrument, reports: Sequence[Report]) -> Object:
    """Return the FULL answer to a new order: RESULT, its fills, and the matches it prevented."""
    fills = [one.execution for one in reports if one.execution and _of(one.execution, order)]
    answer = order_result(order, instrument)
    answer["fills"] = [
        {
            "price": from_e8(fill.price_ticks * instrument.tick_e8),
            "qty": from_e8(fill.lots * instrument.step_e8),
            "commission": from_e8(fill.commission_e8),
            "commissionAsset": fill.commission_asset,
            "tradeId": fill.trade_id,
        }
        for fill in fills
    ]
    met = {one.prevented.match_id: one.prevented for one in reports if one.prevented}
    if met:
        matches: list[Json] = []
        for match in met.values():
            whole = prevented_match(match, instrument)
            names = ("preventedMatchId", "makerOrderId", "price")
            lots = ("takerPreventedQuantity", "makerPreventedQuantity")
            matches.append({name: whole[name] for name in (*names, *lots) if name in whole})
        answer["preventedMatches"] = matches
    return answer


def order_canceled(order: Order, instrument: Instrument, cancel_id: str) -> Object:
    """Return the answer to a cancel; `clientOrderId` is the cancel's own."""
    head: Object = {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
    }
    mode: Object = {"selfTradePreventionMode": order.self_trade}
    return head | order_body(order, instrument) | mode | conditional_fields(order, instrument)


def order_queried(order: Order, instrument: Instrument) -> Object:
    """Return an order as GET order, openOrders and allOrders show it."""
    head: Object = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
    }
    tail: Object = {
        "stopPrice": from_e8(order.stop_ticks * instrument.tick_e8),
        "icebergQty": ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.is_working,
        "workingTime": order.working_ms,
        "selfTradePreventionMode": order.self_trade,
    }
    return head | order_body(order, instrument) | tail | conditional_fields(order, instrument)


def order_amended(order: Order, instrument: Instrument, old_client_id: str) -> Object:
    """Return an order as the answer to its amendment shows it, with field names of its own."""
    body = order_body(order, instrument)
    amended: Object = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "origClientOrderId": old_client_id,
        "clientOrderId": order.client_order_id,
        "price": body["price"],
        "qty": body["origQty"],
        "executedQty": body["executedQty"],
        "preventedQty": from_e8(order.prevented_lots * instrument.step_e8),
        "quoteOrderQty": body["origQuoteOrderQty"],
        "cumulativeQuoteQty": body["cummulativeQuoteQty"],
        **{name: body[name] for name in ("status", "timeInForce", "type", "side")},
        "selfTradePreventionMode": order.self_trade,
    }
    if order.is_working:
        amended["workingTime"] = order.working_ms
    if "stopPrice" in body:
        amended["stopPrice"] = body["stopPrice"]
    return amended | conditional_fields(order, instrument)


def amendment(one: Amendment, symbol: str, instrument: Instrument) -> Object:
    """Return a change of an order as order/amendments shows it."""
    return {
        "symbol": symbol,
        "orderId": one.order_id,
        "executionId": one.number,
        "origClientOrderId": one.old_client_id,
        "newClientOrderId": one.new_client_id,
        "origQty": from_e8(one.old_lots * instrument.step_e8),
        "newQty": from_e8(one.new_lots * instrument.step_e8),
        "time": one.time_ms,
    }


def order_list(found: OrderList) -> Object:
    """Return a list and the names of its orders."""
    orders: list[Json] = [
        {"symbol": found.symbol, "orderId": number, "clientOrderId": name}
        for number, name in found.orders
    ]
    return {
        "orderListId": found.list_id,
        "contingencyType": found.contingency,
        "listStatusType": found.step,
        "listOrderStatus": found.status,
        "listClientOrderId": found.client_list_id,
        "transactionTime": found.time_ms,
        "symbol": found.symbol,
        "orders": orders,
    }


def prevented_match(match: PreventedMatch, instrument: Instrument) -> Object:
    """Return a trade with oneself that did not happen."""
    answer: Object = {
        "symbol": match.symbol,
        "preventedMatchId": match.match_id,
        "takerOrderId": match.taker_id,
        "makerSymbol": match.symbol,
        "makerOrderId": match.maker_id,
        "tradeGroupId": 1,
        "selfTradePreventionMode": match.mode,
        "price": from_e8(match.price_ticks * instrument.tick_e8),
        "transactTime": match.time_ms,
    }
    if match.taker_lots:
        answer["takerPreventedQuantity"] = from_e8(match.taker_lots * instrument.step_e8)
    if match.maker_lots:
        answer["makerPreventedQuantity"] = from_e8(match.maker_lots * instrument.step_e8)
    return answer


def my_trade(fill: Execution, list_id: int, instrument: Instrument) -> Object:
    """Return a user's own trade as myTrades shows it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": list_id,
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


def _of(fill: Execution, order: Order) -> bool:
    return fill.order_id == order.order_id
