"""Every operation that the exchange serves, as one table that REST and the WebSocket API share.

A row names the REST route, the WebSocket API method, the parameters it knows, and its weight.
What Binance documents and this exchange does not have is refused with -1020 (`unbuilt`); what
Binance itself retired answers as Binance does.
"""

from __future__ import annotations

from bridge.local_exchange.account_endpoints import BOOK_ENDPOINTS, ORDER_ENDPOINTS
from bridge.local_exchange.endpoint import Endpoint
from bridge.local_exchange.market_endpoints import MARKET_ENDPOINTS
from bridge.local_exchange.wallet import WALLET

RETIRED = ("/api/v3/userDataStream", "/api/v1/")
RETIRED_METHODS = frozenset({"userDataStream.start", "userDataStream.ping", "userDataStream.stop"})

ENDPOINTS: tuple[Endpoint, ...] = (
    *MARKET_ENDPOINTS,
    *ORDER_ENDPOINTS,
    *BOOK_ENDPOINTS,
    *WALLET,
)
BY_ROUTE = {(one.method, one.path): one for one in ENDPOINTS}
BY_METHOD = {one.ws_method: one for one in ENDPOINTS if one.ws_method}
