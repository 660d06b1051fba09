"""What an account may read of its own orders, fills and prevented matches."""

from __future__ import annotations

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import (
    Json,
    amendment,
    my_trade,
    order_queried,
    prevented_match,
)
from bridge.local_exchange.trading import find
from bridge.local_exchange.venue import Venue
from workbench.execution.orders import Rejected

DAY_MS = 86_400_000
BAD_COMBINATION = Rejected(-1128, "Combination of optional parameters invalid.")


def one_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return one order by orderId or origClientOrderId; -2013 for one that is not the account's."""
    order = find(venue, params, account, "orderId", "origClientOrderId")
    if order is None:
        raise Rejected(-2013, "Order does not exist.")
    return order_queried(order, venue.engine.instrument(order.symbol))


def open_orders(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's open orders, of one symbol or of all."""
    symbol = params.symbol() if params.optional("symbol") else None
    if symbol:
        venue.engine.instrument(symbol)
    found = venue.engine.open_orders(account.name, symbol)
    return [order_queried(order, venue.engine.instrument(order.symbol)) for order in found]


def all_orders(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's orders of a symbol: from `orderId` on, in a window, or the newest."""
    symbol = params.symbol()
    instrument = venue.engine.instrument(symbol)
    from_id, window = params.integer("orderId"), params.window(within_ms=DAY_MS)
    limit = params.limit(500, 1000)
    orders = venue.engine.orders
    found = [
        orders[number]
        for number in venue.engine.floor.all[account.name, symbol]
        if number >= (from_id or 0) and window.holds(orders[number].created_ms)
    ]
    oldest_first = from_id is not None or window.from_start
    return [
        order_queried(order, instrument)
        for order in (found[:limit] if oldest_first else found[-limit:])
    ]


def my_trades(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's fills of a symbol: of one order, from an id, in a window, or the newest."""
    symbol = params.symbol()
    instrument = venue.engine.instrument(symbol)
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    window = params.window(within_ms=DAY_MS)
    if window.asked and (from_id is not None or order_id is not None):
        raise BAD_COMBINATION
    limit = params.limit(500, 1000)
    found = [
        fill
        for fill in venue.engine.floor.fills[account.name, symbol]
        if order_id in (None, fill.order_id)
        and fill.trade_id >= (from_id or 0)
        and window.holds(fill.time_ms)
    ]
    oldest_first = from_id is not None or window.from_start
    orders = venue.engine.orders
    return [
        my_trade(fill, orders[fill.order_id].list_id, instrument)
        for fill in (found[:limit] if oldest_first else found[-limit:])
    ]


def my_prevented_matches(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the trades with oneself that did not happen: one, or those of an order."""
    symbol = params.symbol()
    instrument = venue.engine.instrument(symbol)
    number, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    from_id, limit = params.integer("fromPreventedMatchId"), params.limit(500, 1000)
    if (number is None) == (order_id is None) or (from_id is not None and order_id is None):
        raise BAD_COMBINATION
    found = [
        match
        for match in venue.engine.floor.prevented
        if (match.account, match.symbol) == (account.name, symbol)
        and number in (None, match.match_id)
        and order_id in (None, match.taker_id, match.maker_id)
        and match.match_id >= (from_id or 0)
    ]
    return [prevented_match(match, instrument) for match in found[:limit]]


def order_amendments(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the changes of one order, oldest first."""
    symbol, order_id = params.symbol(), params.integer("orderId")
    instrument = venue.engine.instrument(symbol)
    from_id, limit = params.integer("fromExecutionId"), params.limit(500, 1000)
    order = venue.engine.find(account.name, symbol, order_id=order_id, client_order_id=None)
    if order is None:
        raise Rejected(-2013, "Order does not exist.")
    made = venue.engine.floor.amendments.get(order.order_id, [])
    found = [one for one in made if one.number >= (from_id or 0)]
    return [amendment(one, symbol, instrument) for one in found[:limit]]
