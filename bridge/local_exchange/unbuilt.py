"""What Binance documents and this exchange does not have; each is refused with -1020.

Smart order routing, orders by proceeds (OPO, OPOCO), execution rules and allocations.
"""

from __future__ import annotations

_PATHS = {
    "GET": "executionRules myAllocations",
    "POST": "orderList/opo orderList/opoco sor/order sor/order/test",
}

UNBUILT = frozenset(
    (method, f"/api/v3/{path}") for method, paths in _PATHS.items() for path in paths.split()
)

_METHODS = """
    executionRules myAllocations orderList.place.opo orderList.place.opoco sor.order.place
    sor.order.test
"""

UNBUILT_METHODS = frozenset(_METHODS.split())
