"""What an account may do: place, query and cancel orders, and read its own books."""

from __future__ import annotations

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.parameters import Parameters, missing
from bridge.local_exchange.shapes import (
    Json,
    Object,
    balances,
    my_trade,
    order_ack,
    order_canceled,
    order_full,
    order_queried,
    order_result,
)
from bridge.local_exchange.venue import Venue
from workbench.execution.matching.balances import Balance
from workbench.execution.orders import (
    NewOrder,
    Order,
    OrderResult,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    TimeInForce,
)
from workbench.market.instruments import from_e8

UNBUILT_TYPES = frozenset(
    {"LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"}
)


def new_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Place an order and answer ACK, RESULT or FULL, the last unless asked otherwise."""
    detail = _answer_kind(params)
    result = venue.place(read_order(params, account))
    return _placed(venue, result, detail)


def test_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Check an order as if it were placed; answer its commission rates where asked."""
    _answer_kind(params)
    venue.engine.check(read_order(params, account))
    if params.optional("computeCommissionRates") != "true":
        return {}
    rates, none = _rates(venue), _no_rates()
    return {
        "standardCommissionForOrder": {name: rates[name] for name in ("maker", "taker")},
        "specialCommissionForOrder": {name: none[name] for name in ("maker", "taker")},
        "taxCommissionForOrder": {name: none[name] for name in ("maker", "taker")},
        "discount": _discount(),
    }


def query_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return one order by orderId or origClientOrderId; -2013 for one that is not the account's."""
    order = _wanted(venue, params, account)
    if order is None:
        raise Rejected(-2013, "Order does not exist.")
    return order_queried(order, venue.engine.instrument(order.symbol))


def cancel_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Cancel one open order; -2011 for one that is not open."""
    order = _wanted(venue, params, account)
    if order is None or not order.is_open:
        raise Rejected(-2011, "Unknown order sent.")
    _check_restrictions(params.optional("cancelRestrictions"), order)
    return _cancel(venue, account, order, params.client_id("newClientOrderId"))


def cancel_open_orders(venue: Venue, params: Parameters, account: Account) -> Json:
    """Cancel every open order of a symbol; -2011 where there is none."""
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    found = venue.engine.open_orders(account.name, symbol)
    if not found:
        raise Rejected(-2011, "Unknown order sent.")
    return [_cancel(venue, account, order, None) for order in found]


def open_orders(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's open orders, of one symbol or of all."""
    symbol = params.symbol() if "symbol" in params else None
    if symbol:
        venue.engine.instrument(symbol)
    found = venue.engine.open_orders(account.name, symbol)
    return [order_queried(order, venue.engine.instrument(order.symbol)) for order in found]


def all_orders(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's orders of a symbol: from `orderId` on, in a window, or the newest."""
    symbol = params.symbol()
    instrument = venue.engine.instrument(symbol)
    from_id, window = params.integer("orderId"), _window(params)
    found = [
        order
        for order in venue.engine.orders.values()
        if (order.account, order.symbol) == (account.name, symbol)
        and order.order_id >= (from_id or 0)
        and window[0] <= order.created_ms <= window[1]
    ]
    limit = params.limit(500, 1000)
    oldest_first = from_id is not None or "startTime" in params
    return [
        order_queried(order, instrument)
        for order in (found[:limit] if oldest_first else found[-limit:])
    ]


def my_trades(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's fills of a symbol: of one order, from an id, in a window, or the newest."""
    symbol = params.symbol()
    instrument = venue.engine.instrument(symbol)
    order_id, from_id, window = params.integer("orderId"), params.integer("fromId"), _window(params)
    if from_id is not None and ("startTime" in params or "endTime" in params):
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    found = [
        fill
        for fill in venue.engine.executions
        if (fill.account, fill.symbol) == (account.name, symbol)
        and order_id in (None, fill.order_id)
        and fill.trade_id >= (from_id or 0)
        and window[0] <= fill.time_ms <= window[1]
    ]
    limit = params.limit(500, 1000)
    oldest_first = from_id is not None or "startTime" in params
    return [
        my_trade(fill, instrument) for fill in (found[:limit] if oldest_first else found[-limit:])
    ]


def account_information(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return rates, permissions and balances."""
    held = venue.engine.balances(account.name)
    assets = _assets(venue)
    if params.optional("omitZeroBalances") == "true":
        assets = [name for name in assets if name in held and _any(held[name])]
    whole_bps = round(venue.settings.fee_bps)
    return {
        "makerCommission": whole_bps,
        "takerCommission": whole_bps,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(venue),
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": _last_change(venue, account),
        "accountType": "SPOT",
        "balances": balances(held, assets),
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


def commission(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the commission rates of a symbol."""
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    return {
        "symbol": symbol,
        "standardCommission": _rates(venue),
        "specialCommission": _no_rates(),
        "taxCommission": _no_rates(),
        "discount": _discount(),
    }


def read_order(params: Parameters, account: Account) -> NewOrder:
    """Return the order that a request describes, or the refusal of its parameters."""
    symbol = params.symbol()
    side = params.text("side")
    if side not in Side.__members__:
        raise Rejected(-1117, "Invalid side.")
    kind = params.text("type")
    if kind in UNBUILT_TYPES:
        raise Rejected(-1020, f"This operation is not supported. (type {kind} is not built yet)")
    if kind not in OrderType.__members__:
        raise Rejected(-1116, "Invalid orderType.")
    mode = params.optional("selfTradePreventionMode")
    if mode not in (None, "NONE"):
        raise Rejected(
            -1013, "This symbol does not allow the specified self-trade prevention mode."
        )
    client_id = params.client_id("newClientOrderId") or ""
    read = _read_limit if kind == OrderType.LIMIT else _read_market
    return read(params, account.name, symbol, Side(side), client_id)


def _read_limit(
    params: Parameters, account: str, symbol: str, side: Side, client_id: str
) -> NewOrder:
    tif = params.text("timeInForce")
    if tif not in TimeInForce.__members__:
        raise Rejected(-1115, "Invalid timeInForce.")
    _refuse(params, "quoteOrderQty", "stopPrice", "trailingDelta")
    if "icebergQty" in params:
        raise Rejected(-1020, "This operation is not supported. (icebergs are not built yet)")
    return NewOrder(
        account,
        symbol,
        side,
        OrderType.LIMIT,
        quantity_e8=params.amount("quantity"),
        price_e8=params.amount("price"),
        time_in_force=TimeInForce(tif),
        client_order_id=client_id,
    )


def _read_market(
    params: Parameters, account: str, symbol: str, side: Side, client_id: str
) -> NewOrder:
    _refuse(params, "timeInForce", "price", "stopPrice", "trailingDelta", "icebergQty")
    if "quantity" not in params and "quoteOrderQty" not in params:
        raise Rejected(
            -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"
        )
    if "quantity" in params:
        _refuse(params, "quoteOrderQty")
        quantity_e8, quote_e8 = params.amount("quantity"), 0
    else:
        quantity_e8, quote_e8 = 0, params.amount("quoteOrderQty")
        if not quote_e8:
            raise Rejected(-1013, "Invalid quantity.")
    return NewOrder(
        account,
        symbol,
        side,
        OrderType.MARKET,
        quantity_e8=quantity_e8,
        quote_e8=quote_e8,
        client_order_id=client_id,
    )


def _refuse(params: Parameters, *names: str) -> None:
    for name in names:
        if name in params:
            raise Rejected(-1106, f"Parameter '{name}' sent when not required.")


def _answer_kind(params: Parameters) -> str:
    kind = params.optional("newOrderRespType") or "FULL"
    if kind not in ("ACK", "RESULT", "FULL"):
        raise missing("newOrderRespType")
    return kind


def _placed(venue: Venue, result: OrderResult, detail: str) -> Object:
    instrument = venue.engine.instrument(result.order.symbol)
    now_ms = result.order.updated_ms
    if detail == "ACK":
        return order_ack(result.order, now_ms)
    if detail == "RESULT":
        return order_result(result.order, instrument, now_ms)
    return order_full(result, instrument, now_ms)


def _wanted(venue: Venue, params: Parameters, account: Account) -> Order | None:
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    order_id, client_id = params.integer("orderId"), params.client_id("origClientOrderId")
    if order_id is None and client_id is None:
        raise Rejected(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    return venue.engine.find(account.name, symbol, order_id=order_id, client_order_id=client_id)


def _check_restrictions(restriction: str | None, order: Order) -> None:
    allowed = {
        None: order.status,
        "ONLY_NEW": OrderStatus.NEW,
        "ONLY_PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    }
    if restriction not in allowed:
        raise Rejected(-1145, "Invalid cancelRestrictions")
    if order.status is not allowed[restriction]:
        raise Rejected(-2011, "Order was not canceled due to cancel restrictions.")


def _cancel(venue: Venue, account: Account, order: Order, cancel_id: str | None) -> Object:
    name = cancel_id or venue.identifier("cancel", order.order_id)
    result = venue.cancel(account, order.symbol, order.order_id, name)
    return order_canceled(result.order, venue.engine.instrument(order.symbol), name)


def _window(params: Parameters) -> tuple[int, int]:
    start, end = params.integer("startTime"), params.integer("endTime")
    return start or 0, 2**63 if end is None else end


def _assets(venue: Venue) -> list[str]:
    names = [asset for asset, _ in venue.settings.balances]
    for one in venue.engine.instruments.values():
        names += [one.base, one.quote]
    return sorted(set(names))


def _any(balance: Balance) -> bool:
    return bool(balance.free_e8 or balance.locked_e8)


def _last_change(venue: Venue, account: Account) -> int:
    for order in reversed(venue.engine.orders.values()):
        if order.account == account.name:
            return order.updated_ms
    return venue.now_ms


def _rates(venue: Venue) -> Object:
    return {
        "maker": from_e8(venue.engine.maker_rate_e8),
        "taker": from_e8(venue.engine.taker_rate_e8),
        "buyer": from_e8(0),
        "seller": from_e8(0),
    }


def _no_rates() -> Object:
    return {name: from_e8(0) for name in ("maker", "taker", "buyer", "seller")}


def _discount() -> Object:
    return {
        "enabledForAccount": False,
        "enabledForSymbol": False,
        "discountAsset": "BNB",
        "discount": from_e8(0),
    }
