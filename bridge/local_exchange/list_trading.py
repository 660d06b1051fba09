"""Placing, cancelling and looking up order lists."""

from __future__ import annotations

from collections.abc import Callable

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.list_forms import read_legacy_oco, read_oco, read_oto, read_otoco
from bridge.local_exchange.order_forms import both_empty
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import (
    Json,
    Object,
    order_ack,
    order_full,
    order_list,
    order_result,
)
from bridge.local_exchange.trading import answer_kind, cancel_list
from bridge.local_exchange.venue import Venue
from workbench.execution.order_lists import OrderList
from workbench.execution.orders import NewList, Rejected

DAY_MS = 86_400_000


def new_oco(venue: Venue, params: Parameters, account: Account) -> Json:
    """Place two orders of which one cancels the other."""
    return _place(venue, params, account, read_oco)


def new_legacy_oco(venue: Venue, params: Parameters, account: Account) -> Json:
    """Place an OCO in the older form."""
    return _place(venue, params, account, read_legacy_oco)


def new_oto(venue: Venue, params: Parameters, account: Account) -> Json:
    """Place a working order and another that waits for its last fill."""
    return _place(venue, params, account, read_oto)


def new_otoco(venue: Venue, params: Parameters, account: Account) -> Json:
    """Place a working order and an OCO that waits for its last fill."""
    return _place(venue, params, account, read_otoco)


def cancel(venue: Venue, params: Parameters, account: Account) -> Json:
    """Cancel a list; -2011 for one that is not the account's, or done."""
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    found = _wanted(venue, params, account, "listClientOrderId")
    name = params.client_id("newClientOrderId")
    if found is None or found.symbol != symbol:
        raise Rejected(-2011, "Unknown order sent.")
    name = name or venue.identifier("cancel", "list", found.list_id)
    return cancel_list(venue, account, found.list_id, name)


def query(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return one list; -2018 for one that is not the account's."""
    found = _wanted(venue, params, account, "origClientOrderId")
    if found is None:
        raise Rejected(-2018, "Order list does not exist.")
    return order_list(found)


def query_open(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's lists that still run."""
    return [order_list(one) for one in venue.engine.lists.open_lists(account.name)]


def query_all(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the account's lists: from a number on, in a window, or the newest."""
    from_id = params.integer("fromId")
    window = params.window(within_ms=DAY_MS)
    if from_id is not None and window.asked:
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    limit = params.limit(500, 1000)
    found = [
        one
        for one in venue.engine.floor.lists.values()
        if one.account == account.name
        and one.list_id >= (from_id or 0)
        and window.holds(one.time_ms)
    ]
    oldest_first = from_id is not None or window.from_start
    return [order_list(one) for one in (found[:limit] if oldest_first else found[-limit:])]


def _place(
    venue: Venue,
    params: Parameters,
    account: Account,
    read: Callable[[Parameters, Account], NewList],
) -> Object:
    new = read(params, account)
    kind = answer_kind(params)
    done = venue.place_list(new)
    reports: list[Json] = []
    for order in done.orders:
        instrument = venue.engine.instrument(order.symbol)
        if kind == "ACK":
            reports.append(order_ack(order))
        elif kind == "RESULT":
            reports.append(order_result(order, instrument))
        else:
            reports.append(order_full(order, instrument, done.reports))
    return order_list(done.order_list) | {"orderReports": reports}


def _wanted(venue: Venue, params: Parameters, account: Account, name: str) -> OrderList | None:
    number, client_id = params.integer("orderListId"), params.client_id(name)
    if number is None and client_id is None:
        raise both_empty(name, "orderListId")
    lists = venue.engine.floor.lists
    if number is None:
        named = [one for one in lists.values() if one.client_list_id == client_id]
        return next((one for one in reversed(named) if one.account == account.name), None)
    found = lists.get(number)
    return found if found is not None and found.account == account.name else None
