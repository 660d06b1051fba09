"""From the parameters of a request to the order list that it describes.

In an OCO one leg stands above the market and one below it: to sell, a gain above (LIMIT_MAKER or
TAKE_PROFIT) and a stop below; to buy, a stop above and a gain below. The stop comes first in lists.
"""

from __future__ import annotations

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.order_forms import Form, Head, read_head, read_side, refuse
from bridge.local_exchange.parameters import Parameters
from workbench.execution.order_lists import Contingency
from workbench.execution.orders import (
    STOPS,
    NewList,
    NewOrder,
    OrderType,
    Rejected,
    Side,
    TimeInForce,
)

GAINS = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})
LEGS = STOPS | GAINS | {OrderType.LIMIT_MAKER}
_LIMIT = (
    Rejected(-1165, "A limit order in a buy OCO must be below."),
    Rejected(-1166, "A limit order in a sell OCO must be above."),
)
_STOP = (
    Rejected(-1196, "A stop loss order in a buy OCO must be above."),
    Rejected(-1197, "A stop loss order in a sell OCO must be below."),
)
_GAIN = (
    Rejected(-1198, "A take profit order in a buy OCO must be below."),
    Rejected(-1199, "A take profit order in a sell OCO must be above."),
)


def read_oco(params: Parameters, account: Account) -> NewList:
    """Return the list of POST orderList/oco."""
    head, side = read_head(params, account.name), read_side(params)
    legs = _legs(params, head, side, ("above", "below"), params.amount("quantity"))
    return _listed(params, head, Contingency.OCO, *legs)


def read_oto(params: Parameters, account: Account) -> NewList:
    """Return the list of POST orderList/oto."""
    head = read_head(params, account.name)
    working = _alone(params, head, "working")
    pending = _alone(params, head, "pending")
    return _listed(params, head, Contingency.OTO, working, pending)


def read_otoco(params: Parameters, account: Account) -> NewList:
    """Return the list of POST orderList/otoco."""
    head = read_head(params, account.name)
    working, side = _alone(params, head, "working"), read_side(params, "pendingSide")
    names = ("pendingAbove", "pendingBelow")
    legs = _legs(params, head, side, names, params.amount("pendingQuantity"))
    return _listed(params, head, Contingency.OTO, working, *legs)


def read_legacy_oco(params: Parameters, account: Account) -> NewList:
    """Return the list of POST order/oco, the older form with a limit leg and a stop leg."""
    head, side = read_head(params, account.name), read_side(params)
    if "limitIcebergQty" in params or "stopIcebergQty" in params:
        raise Rejected(-1020, "This operation is not supported. (icebergs are not built yet)")
    quantity_e8 = params.amount("quantity")
    gain = NewOrder(
        head.account,
        head.symbol,
        side,
        OrderType.LIMIT_MAKER,
        quantity_e8=quantity_e8,
        price_e8=params.amount("price"),
        client_order_id=params.client_id("limitClientOrderId") or "",
        self_trade=head.self_trade,
        strategy_id=params.integer("limitStrategyId"),
        strategy_type=params.integer("limitStrategyType"),
    )
    return _listed(params, head, Contingency.OCO, _legacy_stop(params, head, side), gain)


def _legacy_stop(params: Parameters, head: Head, side: Side) -> NewOrder:
    limited = "stopLimitPrice" in params
    tif = TimeInForce.GTC
    if limited:
        sent = params.text("stopLimitTimeInForce")
        if sent not in TimeInForce.__members__:
            raise Rejected(-1115, "Invalid timeInForce.")
        tif = TimeInForce(sent)
    else:
        refuse(params, "stopLimitTimeInForce")
    return NewOrder(
        head.account,
        head.symbol,
        side,
        OrderType.STOP_LOSS_LIMIT if limited else OrderType.STOP_LOSS,
        quantity_e8=params.amount("quantity"),
        price_e8=params.optional_amount("stopLimitPrice"),
        stop_e8=params.amount("stopPrice"),
        trailing_bips=params.integer("trailingDelta") or 0,
        time_in_force=tif,
        client_order_id=params.client_id("stopClientOrderId") or "",
        self_trade=head.self_trade,
        strategy_id=params.integer("stopStrategyId"),
        strategy_type=params.integer("stopStrategyType"),
    )


def _alone(params: Parameters, head: Head, prefix: str) -> NewOrder:
    """Return the working order of a list, or a pending one that is alone."""
    side = read_side(params, f"{prefix}Side")
    return Form(prefix).order(params, head, side, quantity_e8=params.amount(f"{prefix}Quantity"))


def _legs(
    params: Parameters, head: Head, side: Side, names: tuple[str, str], quantity_e8: int
) -> tuple[NewOrder, NewOrder]:
    """Return the two legs of an OCO, the stop first; each must stand on its side of the market."""
    for name in names:
        if params.text(f"{name}Type") not in LEGS:
            raise Rejected(-1158, "Order type not supported in OCO.")
    above, below = (Form(name).order(params, head, side, quantity_e8=quantity_e8) for name in names)
    _check_sides(side, above.order_type, below.order_type)
    return (above, below) if above.order_type in STOPS else (below, above)


def _check_sides(side: Side, above: OrderType, below: OrderType) -> None:
    if above is below is OrderType.LIMIT_MAKER:
        raise Rejected(-1168, "At least one OCO order must be contingent.")
    stop, gain = (above, below) if side is Side.BUY else (below, above)
    sells = side is Side.SELL
    if stop is OrderType.LIMIT_MAKER:
        raise _LIMIT[sells]
    if gain in STOPS:
        raise _STOP[sells]
    if stop in GAINS:
        raise _GAIN[sells]


def _listed(params: Parameters, head: Head, contingency: Contingency, *orders: NewOrder) -> NewList:
    name = params.client_id("listClientOrderId") or ""
    return NewList(head.account, head.symbol, contingency, orders, name)
