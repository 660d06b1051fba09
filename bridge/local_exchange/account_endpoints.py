"""The operations that an account signs: trading, and reading its own books."""

from __future__ import annotations

from bridge.local_exchange import account_state, list_trading, queries, trading
from bridge.local_exchange.endpoint import Endpoint, Signed, reading
from bridge.local_exchange.parameters import Parameters

_KINDS = "newOrderRespType selfTradePreventionMode"
_PEGS = "pegPriceType pegOffsetValue pegOffsetType"
_ORDER = (
    "timeInForce quantity quoteOrderQty price newClientOrderId strategyId strategyType stopPrice "
    f"trailingDelta icebergQty {_KINDS} {_PEGS}"
)
_LEG = (
    "ClientOrderId IcebergQty Price StopPrice TrailingDelta TimeInForce StrategyId StrategyType "
    "PegPriceType PegOffsetType PegOffsetValue"
)
_WINDOW = "startTime endTime limit"


def _leg(prefix: str) -> str:
    """Return the optional parameters of one leg of a list."""
    return " ".join(prefix + name for name in _LEG.split())


def _trade(
    method: str,
    path: str,
    ws_method: str,
    handler: Signed,
    *,
    mandatory: str,
    optional: str,
    orders: int = 0,
) -> Endpoint:
    """Return an operation that costs 1, or nothing when it succeeds."""
    return Endpoint(
        method,
        f"/api/v3/{path}",
        ws_method,
        1,
        tuple(mandatory.split()),
        tuple(optional.split()),
        signed=handler,
        orders=orders,
        trades=True,
        free_on_success=True,
    )


def _by_order(params: Parameters) -> int:
    return 5 if "orderId" in params else 20


def _by_symbol(params: Parameters) -> int:
    return 6 if "symbol" in params else 80


def _test_weight(params: Parameters) -> int:
    return 20 if params.optional("computeCommissionRates") == "true" else 1


def _by_match(params: Parameters) -> int:
    return 20 if "orderId" in params else 2


ORDER_ENDPOINTS = (
    _trade(
        "POST",
        "order",
        "order.place",
        trading.new_order,
        mandatory="symbol side type",
        optional=_ORDER,
        orders=1,
    ),
    Endpoint(
        "POST",
        "/api/v3/order/test",
        "order.test",
        _test_weight,
        ("symbol", "side", "type"),
        (*_ORDER.split(), "computeCommissionRates"),
        signed=trading.test_order,
        trades=True,
    ),
    _trade(
        "DELETE",
        "order",
        "order.cancel",
        trading.cancel_order,
        mandatory="symbol",
        optional="orderId origClientOrderId newClientOrderId cancelRestrictions",
    ),
    _trade(
        "DELETE",
        "openOrders",
        "openOrders.cancelAll",
        trading.cancel_open_orders,
        mandatory="symbol",
        optional="",
    ),
    Endpoint(
        "POST",
        "/api/v3/order/cancelReplace",
        "order.cancelReplace",
        1,
        ("symbol", "side", "type", "cancelReplaceMode"),
        (
            *_ORDER.split(),
            "cancelNewClientOrderId",
            "cancelOrigClientOrderId",
            "cancelOrderId",
            "cancelRestrictions",
            "orderRateLimitExceededMode",
        ),
        signed=trading.cancel_replace,
        orders=1,
        trades=True,
        free_on_success=True,
        beyond_limit=trading.cancel_beyond_limit,
    ),
    Endpoint(
        "PUT",
        "/api/v3/order/amend/keepPriority",
        "order.amend.keepPriority",
        4,
        ("symbol", "newQty"),
        ("orderId", "origClientOrderId", "newClientOrderId"),
        signed=trading.amend_order,
        trades=True,
    ),
    _trade(
        "POST",
        "order/oco",
        "orderList.place",
        list_trading.new_legacy_oco,
        mandatory="symbol side quantity price stopPrice",
        optional=(
            "listClientOrderId limitClientOrderId limitStrategyId limitStrategyType "
            "limitIcebergQty trailingDelta stopClientOrderId stopStrategyId stopStrategyType "
            f"stopLimitPrice stopIcebergQty stopLimitTimeInForce {_KINDS}"
        ),
        orders=2,
    ),
    _trade(
        "POST",
        "orderList/oco",
        "orderList.place.oco",
        list_trading.new_oco,
        mandatory="symbol side quantity aboveType belowType",
        optional=f"listClientOrderId {_leg('above')} {_leg('below')} {_KINDS}",
        orders=2,
    ),
    _trade(
        "POST",
        "orderList/oto",
        "orderList.place.oto",
        list_trading.new_oto,
        mandatory=(
            "symbol workingType workingSide workingPrice workingQuantity pendingType "
            "pendingSide pendingQuantity"
        ),
        optional=f"listClientOrderId {_leg('working')} {_leg('pending')} {_KINDS}",
        orders=2,
    ),
    _trade(
        "POST",
        "orderList/otoco",
        "orderList.place.otoco",
        list_trading.new_otoco,
        mandatory=(
            "symbol workingType workingSide workingPrice workingQuantity pendingSide "
            "pendingQuantity pendingAboveType"
        ),
        optional=(
            f"listClientOrderId pendingBelowType {_leg('working')} {_leg('pendingAbove')} "
            f"{_leg('pendingBelow')} {_KINDS}"
        ),
        orders=3,
    ),
    _trade(
        "DELETE",
        "orderList",
        "orderList.cancel",
        list_trading.cancel,
        mandatory="symbol",
        optional="orderListId listClientOrderId newClientOrderId",
    ),
)

BOOK_ENDPOINTS = (
    reading(
        "order",
        "order.status",
        4,
        signed=queries.one_order,
        mandatory="symbol",
        optional="orderId origClientOrderId",
    ),
    reading(
        "openOrders", "openOrders.status", _by_symbol, signed=queries.open_orders, optional="symbol"
    ),
    reading(
        "allOrders",
        "allOrders",
        20,
        signed=queries.all_orders,
        mandatory="symbol",
        optional=f"orderId {_WINDOW}",
    ),
    reading(
        "myTrades",
        "myTrades",
        _by_order,
        signed=queries.my_trades,
        mandatory="symbol",
        optional=f"orderId fromId {_WINDOW}",
    ),
    reading(
        "orderList",
        "orderList.status",
        4,
        signed=list_trading.query,
        optional="orderListId origClientOrderId",
    ),
    reading(
        "allOrderList",
        "allOrderLists",
        20,
        signed=list_trading.query_all,
        optional=f"fromId {_WINDOW}",
    ),
    reading("openOrderList", "openOrderLists.status", 6, signed=list_trading.query_open),
    reading(
        "myPreventedMatches",
        "myPreventedMatches",
        _by_match,
        signed=queries.my_prevented_matches,
        mandatory="symbol",
        optional="preventedMatchId orderId fromPreventedMatchId limit",
    ),
    reading(
        "order/amendments",
        "order.amendments",
        4,
        signed=queries.order_amendments,
        mandatory="symbol orderId",
        optional="fromExecutionId limit",
    ),
    reading(
        "account",
        "account.status",
        20,
        signed=account_state.information,
        optional="omitZeroBalances",
    ),
    reading(
        "account/commission",
        "account.commission",
        20,
        signed=account_state.commission,
        mandatory="symbol",
    ),
    reading("myFilters", "myFilters", 40, signed=account_state.my_filters, mandatory="symbol"),
    Endpoint(
        "GET",
        "/api/v3/rateLimit/order",
        "account.rateLimits.orders",
        40,
        counted=account_state.order_counts,
    ),
)
