"""What Binance documents and this exchange does not have yet; each is refused with -1020."""

from __future__ import annotations

_PATHS = {
    "GET": (
        "executionRules historicalTrades historicalBlockTrades ticker/tradingDay ticker "
        "referencePrice referencePrice/calculation orderList allOrderList openOrderList "
        "rateLimit/order myPreventedMatches myAllocations order/amendments myFilters"
    ),
    "POST": (
        "order/cancelReplace order/oco orderList/oco orderList/oto orderList/otoco orderList/opo "
        "orderList/opoco sor/order sor/order/test"
    ),
    "PUT": "order/amend/keepPriority",
    "DELETE": "orderList",
}

UNBUILT = frozenset(
    (method, f"/api/v3/{path}") for method, paths in _PATHS.items() for path in paths.split()
)

_METHODS = """
    account.rateLimits.orders allOrderLists blockTrades.historical executionRules myAllocations
    myFilters myPreventedMatches openOrderLists.status order.amend.keepPriority order.amendments
    order.cancelReplace orderList.cancel orderList.place orderList.place.oco orderList.place.opo
    orderList.place.opoco orderList.place.oto orderList.place.otoco orderList.status referencePrice
    referencePrice.calculation sor.order.place sor.order.test ticker
    ticker.tradingDay trades.historical
"""

UNBUILT_METHODS = frozenset(_METHODS.split())
