"""From Binance's JSON to the bridge's values: decimal strings become integers at 1e-8, nothing else happens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.exchanges.base import (
    Balance,
    Kline,
    OrderKind,
    OrderPair,
    OrderReport,
    OrderRules,
    RestingOrder,
    Side,
    TradeReport,
)
from workbench.errors import UsageError
from workbench.market.instruments import MAX_E8, Instrument, from_e8, to_e8

Json = Mapping[str, Any]  # what the wire holds; every field that is read becomes a typed value here


def instrument(symbol: str, info: Json) -> Instrument:
    """Read tick, lot and notional from exchangeInfo's answer. Raises UsageError where it cannot be traded."""
    item = _listed(symbol, info)
    if item["status"] != "TRADING":
        raise UsageError(
            f"{symbol} has status {item['status']} at the exchange; only TRADING can be started"
        )
    filters = {one["filterType"]: one for one in item["filters"]}
    price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {"minNotional": "0"}
    return Instrument(
        symbol=symbol,
        base=item["baseAsset"],
        quote=item["quoteAsset"],
        tick_e8=to_e8(price["tickSize"]),
        step_e8=to_e8(lot["stepSize"]),
        min_qty_e8=to_e8(lot["minQty"]),
        max_qty_e8=to_e8(lot["maxQty"]),
        min_price_e8=to_e8(price["minPrice"]),
        max_price_e8=to_e8(price["maxPrice"]) or MAX_E8,
        min_notional_e8=to_e8(notional["minNotional"]),
        valid_from_ms=0,
    )


def order_rules(symbol: str, info: Json) -> OrderRules:
    """Read which orders a symbol takes from exchangeInfo's answer. Raises UsageError where it is not listed."""
    item = _listed(symbol, info)
    filters = {one["filterType"]: one for one in item["filters"]}
    return OrderRules(
        kinds=frozenset(item.get("orderTypes", ())),
        pairs=bool(item.get("ocoAllowed")),
        most_stops=int(filters.get("MAX_NUM_ALGO_ORDERS", {}).get("maxNumAlgoOrders", 0)),
        most_orders=int(filters.get("MAX_NUM_ORDERS", {}).get("maxNumOrders", 0)),
        buy_band=_band(filters, "bidMultiplier"),
        sell_band=_band(filters, "askMultiplier"),
    )


def _band(filters: Json, side: str) -> tuple[float, float]:
    """Return between which multiples of the price a limit may lie."""
    if by_side := filters.get("PERCENT_PRICE_BY_SIDE"):
        return float(by_side[f"{side}Down"]), float(by_side[f"{side}Up"])
    if both := filters.get("PERCENT_PRICE"):
        return float(both["multiplierDown"]), float(both["multiplierUp"])
    return 0.0, math.inf


def _listed(symbol: str, info: Json) -> Json:
    for item in info.get("symbols", []):
        if item["symbol"] == symbol:
            found: Json = item
            return found
    raise UsageError(f"the exchange does not list {symbol}; check the spelling (e.g. 'BTCUSDT')")


def balances(account: Json) -> dict[str, Balance]:
    """Read the balances of GET /account."""
    rows = {b["asset"]: Balance(to_e8(b["free"]), to_e8(b["locked"])) for b in account["balances"]}
    return {asset: row for asset, row in rows.items() if row.free_e8 or row.locked_e8}


def streamed_balances(event: Json) -> dict[str, Balance]:
    """Read outboundAccountPosition."""
    return {b["a"]: Balance(to_e8(b["f"]), to_e8(b["l"])) for b in event["B"]}


def rest_kline(row: Sequence[Any], *, now_ms: int) -> Kline:
    """Read one row of GET /klines; closed when its close time lies before `now_ms` of the market."""
    return Kline(
        open_ms=int(row[0]),
        close_ms=int(row[6]),
        open=float(row[1]),
        high=float(row[2]),
        low=float(row[3]),
        close=float(row[4]),
        volume=float(row[5]),
        closed=int(row[6]) < now_ms,
        event_ms=0,
    )


def streamed_kline(event: Json) -> Kline:
    """Read a kline frame."""
    k = event["k"]
    return Kline(
        open_ms=int(k["t"]),
        close_ms=int(k["T"]),
        open=float(k["o"]),
        high=float(k["h"]),
        low=float(k["l"]),
        close=float(k["c"]),
        volume=float(k["v"]),
        closed=bool(k["x"]),
        event_ms=int(event["E"]),
    )


def placed_order(answer: Json) -> OrderReport:
    """Read the FULL answer of POST /order."""
    order_id, symbol = int(answer["orderId"]), str(answer["symbol"])
    market_ms = int(answer.get("transactTime", 0))
    trades = tuple(
        TradeReport(
            symbol=symbol,
            trade_id=int(fill["tradeId"]),
            order_id=order_id,
            price_e8=to_e8(fill["price"]),
            quantity_e8=to_e8(fill["qty"]),
            commission_e8=to_e8(fill["commission"]),
            commission_asset=fill["commissionAsset"],
            market_ms=market_ms,
            is_maker=False,
        )
        for fill in answer.get("fills", ())
    )
    return _order(answer, market_ms, trades)


def resting_order(order: RestingOrder) -> dict[str, str]:
    """Return the parameters of POST /order; a limit stays until it is cancelled.

    An account does not trade with itself: a limit that would meet an order of our own ends instead, and a
    stop ends what it meets, as a rung that buys between it and the market.
    """
    return {
        **_against_ourselves(order.kind),
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.kind.value,
        "quantity": from_e8(order.quantity_e8),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "FULL",
        **_prices(order, "price", "stopPrice", "timeInForce"),
    }


def _against_ourselves(kind: OrderKind) -> dict[str, str]:
    if kind is OrderKind.LIMIT:
        return {"selfTradePreventionMode": "EXPIRE_TAKER"}
    stops = kind in (OrderKind.STOP_LOSS, OrderKind.STOP_LOSS_LIMIT)
    return {"selfTradePreventionMode": "EXPIRE_MAKER"} if stops else {}


def order_pair(pair: OrderPair) -> dict[str, str]:
    """Return the parameters of POST /orderList/oco: to sell, the gain stands above the market."""
    sells = pair.stop.side is Side.SELL
    params = {
        **_against_ourselves(pair.stop.kind),
        "symbol": pair.stop.symbol,
        "side": pair.stop.side.value,
        "quantity": from_e8(pair.stop.quantity_e8),
        "listClientOrderId": pair.list_id,
        "newOrderRespType": "RESULT",
    }
    for order, where in (
        (pair.stop, "below" if sells else "above"),
        (pair.gain, "above" if sells else "below"),
    ):
        params |= {
            f"{where}Type": order.kind.value,
            f"{where}ClientOrderId": order.client_order_id,
            **_prices(order, f"{where}Price", f"{where}StopPrice", f"{where}TimeInForce"),
        }
    return params


def list_reports(answer: Json) -> tuple[OrderReport, ...]:
    """Read the orders of an answer that concerns a list."""
    return tuple(_order(row, int(row.get("transactTime", 0)), ()) for row in answer["orderReports"])


def canceled(answer: Json) -> tuple[OrderReport, ...]:
    """Read the answer of DELETE /order, where our own id is the original one."""
    rows = answer.get("orderReports", [answer])
    return tuple(_order({**row, "clientOrderId": row["origClientOrderId"]}, 0, ()) for row in rows)


def queried_order(answer: Json) -> OrderReport:
    """Read the answer of GET /order, which names no trades."""
    return _order(answer, int(answer.get("updateTime", 0)), ())


def queried_trade(answer: Json) -> TradeReport:
    """Read one row of GET /myTrades."""
    return TradeReport(
        symbol=answer["symbol"],
        trade_id=int(answer["id"]),
        order_id=int(answer["orderId"]),
        price_e8=to_e8(answer["price"]),
        quantity_e8=to_e8(answer["qty"]),
        commission_e8=to_e8(answer["commission"]),
        commission_asset=answer["commissionAsset"],
        market_ms=int(answer["time"]),
        is_maker=bool(answer["isMaker"]),
    )


def execution_report(event: Json) -> OrderReport:
    """Read executionReport; for a cancel our own id is in `C`, not in `c`."""
    ours = event["C"] or event["c"]
    trades: tuple[TradeReport, ...] = ()
    if event["x"] == "TRADE":
        trades = (
            TradeReport(
                symbol=event["s"],
                trade_id=int(event["t"]),
                order_id=int(event["i"]),
                price_e8=to_e8(event["L"]),
                quantity_e8=to_e8(event["l"]),
                commission_e8=to_e8(event["n"] or "0"),
                commission_asset=event["N"] or "",
                market_ms=int(event["T"]),
                is_maker=bool(event["m"]),
            ),
        )
    return OrderReport(
        client_order_id=ours,
        order_id=int(event["i"]),
        symbol=event["s"],
        side=Side(event["S"]),
        status=event["X"],
        executed_e8=to_e8(event["z"]),
        market_ms=int(event["T"]),
        trades=trades,
    )


def _order(answer: Json, market_ms: int, trades: tuple[TradeReport, ...]) -> OrderReport:
    return OrderReport(
        client_order_id=answer["clientOrderId"],
        order_id=int(answer["orderId"]),
        symbol=answer["symbol"],
        side=Side(answer["side"]),
        status=answer["status"],
        executed_e8=to_e8(answer["executedQty"]),
        market_ms=market_ms,
        trades=trades,
    )


def _prices(order: RestingOrder, price: str, stop: str, lasts: str) -> dict[str, str]:
    params = {}
    if order.price_e8:
        params[price] = from_e8(order.price_e8)
    if order.stop_e8:
        params[stop] = from_e8(order.stop_e8)
    if order.kind in (OrderKind.LIMIT, OrderKind.STOP_LOSS_LIMIT):
        params[lasts] = "GTC"
    return params
