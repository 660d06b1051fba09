"""Every operation that the exchange serves, as one table that REST and the WebSocket API share.

A row names the REST route, the WebSocket API method, the parameters it knows, and its weight.
What Binance documents and this exchange does not have yet is refused with -1020; what Binance
itself retired answers as Binance does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.local_exchange import public, trading
from bridge.local_exchange.accounts import Account
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.venue import Venue

Public: TypeAlias = Callable[[Venue, Parameters, int], Json]
Signed: TypeAlias = Callable[[Venue, Parameters, Account], Json]
Weight: TypeAlias = "int | Callable[[Parameters], int]"

SIGNING = frozenset({"timestamp", "recvWindow", "signature"})
RETIRED = ("/api/v3/userDataStream", "/api/v1/userDataStream")
RETIRED_METHODS = frozenset({"userDataStream.start", "userDataStream.ping", "userDataStream.stop"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation; exactly one of `public` and `signed` is set."""

    method: str
    path: str
    ws_method: str
    weight: Weight
    mandatory: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    public: Public | None = None
    signed: Signed | None = None
    counts_order: bool = False
    free_on_success: bool = False

    @property
    def known(self) -> frozenset[str]:
        """Every parameter name that the operation reads."""
        names = frozenset(self.mandatory) | frozenset(self.optional)
        return names | SIGNING if self.signed else names

    def cost(self, params: Parameters) -> int:
        """Return the request's weight."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def _by_symbol(one: int, all_: int) -> Weight:
    return lambda params: one if "symbol" in params else all_


def _by_order(params: Parameters) -> int:
    return 5 if "orderId" in params else 20


def _by_depth(params: Parameters) -> int:
    limit = params.integer("limit") or 100
    return next((cost for most, cost in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _test_weight(params: Parameters) -> int:
    return 20 if params.optional("computeCommissionRates") == "true" else 1


_SYMBOLS = ("symbol", "symbols", "symbolStatus")
_KLINES = ("startTime", "endTime", "timeZone", "limit")
_ORDER = (
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "stopPrice",
    "trailingDelta",
    "icebergQty",
    "newOrderRespType",
    "selfTradePreventionMode",
)
_V3 = "/api/v3/"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", _V3 + "ping", "ping", 1, public=public.ping),
    Endpoint("GET", _V3 + "time", "time", 1, public=public.server_time),
    Endpoint(
        "GET",
        _V3 + "exchangeInfo",
        "exchangeInfo",
        20,
        optional=(*_SYMBOLS, "permissions", "showPermissionSets"),
        public=public.information,
    ),
    Endpoint(
        "GET", _V3 + "klines", "klines", 2, ("symbol", "interval"), _KLINES, public=public.klines
    ),
    Endpoint(
        "GET",
        _V3 + "uiKlines",
        "uiKlines",
        2,
        ("symbol", "interval"),
        _KLINES,
        public=public.klines,
    ),
    Endpoint(
        "GET",
        _V3 + "depth",
        "depth",
        _by_depth,
        ("symbol",),
        ("limit", "symbolStatus"),
        public=public.depth,
    ),
    Endpoint(
        "GET", _V3 + "trades", "trades.recent", 25, ("symbol",), ("limit",), public=public.trades
    ),
    Endpoint(
        "GET",
        _V3 + "aggTrades",
        "trades.aggregate",
        4,
        ("symbol",),
        ("fromId", "startTime", "endTime", "limit"),
        public=public.aggregate_trades,
    ),
    Endpoint("GET", _V3 + "avgPrice", "avgPrice", 2, ("symbol",), public=public.average_price),
    Endpoint(
        "GET",
        _V3 + "ticker/price",
        "ticker.price",
        _by_symbol(2, 4),
        optional=_SYMBOLS,
        public=public.price_ticker,
    ),
    Endpoint(
        "GET",
        _V3 + "ticker/bookTicker",
        "ticker.book",
        _by_symbol(2, 4),
        optional=_SYMBOLS,
        public=public.book_ticker,
    ),
    Endpoint(
        "GET",
        _V3 + "ticker/24hr",
        "ticker.24hr",
        _by_symbol(2, 80),
        optional=_SYMBOLS,
        public=public.day_ticker,
    ),
    Endpoint(
        "POST",
        _V3 + "order",
        "order.place",
        1,
        ("symbol", "side", "type"),
        _ORDER,
        signed=trading.new_order,
        counts_order=True,
        free_on_success=True,
    ),
    Endpoint(
        "POST",
        _V3 + "order/test",
        "order.test",
        _test_weight,
        ("symbol", "side", "type"),
        (*_ORDER, "computeCommissionRates"),
        signed=trading.test_order,
    ),
    Endpoint(
        "GET",
        _V3 + "order",
        "order.status",
        4,
        ("symbol",),
        ("orderId", "origClientOrderId"),
        signed=trading.query_order,
    ),
    Endpoint(
        "DELETE",
        _V3 + "order",
        "order.cancel",
        1,
        ("symbol",),
        ("orderId", "origClientOrderId", "newClientOrderId", "cancelRestrictions"),
        signed=trading.cancel_order,
        free_on_success=True,
    ),
    Endpoint(
        "GET",
        _V3 + "openOrders",
        "openOrders.status",
        _by_symbol(6, 80),
        optional=("symbol",),
        signed=trading.open_orders,
    ),
    Endpoint(
        "DELETE",
        _V3 + "openOrders",
        "openOrders.cancelAll",
        1,
        ("symbol",),
        signed=trading.cancel_open_orders,
        free_on_success=True,
    ),
    Endpoint(
        "GET",
        _V3 + "allOrders",
        "allOrders",
        20,
        ("symbol",),
        ("orderId", "startTime", "endTime", "limit"),
        signed=trading.all_orders,
    ),
    Endpoint(
        "GET",
        _V3 + "myTrades",
        "myTrades",
        _by_order,
        ("symbol",),
        ("orderId", "startTime", "endTime", "fromId", "limit"),
        signed=trading.my_trades,
    ),
    Endpoint(
        "GET",
        _V3 + "account",
        "account.status",
        20,
        optional=("omitZeroBalances",),
        signed=trading.account_information,
    ),
    Endpoint(
        "GET",
        _V3 + "account/commission",
        "account.commission",
        20,
        ("symbol",),
        signed=trading.commission,
    ),
)

BY_ROUTE = {(one.method, one.path): one for one in ENDPOINTS}
BY_METHOD = {one.ws_method: one for one in ENDPOINTS}
