"""Placing, testing, cancelling, replacing and amending orders, one by one."""

from __future__ import annotations

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.order_forms import both_empty, read_order
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.refusals import ReplaceFailed, as_json
from bridge.local_exchange.shapes import (
    Json,
    Object,
    order_ack,
    order_amended,
    order_canceled,
    order_full,
    order_list,
    order_result,
)
from bridge.local_exchange.venue import Venue
from workbench.execution.orders import (
    NewOrder,
    Order,
    OrderResult,
    OrderStatus,
    OrderType,
    Rejected,
)
from workbench.market.instruments import from_e8

KINDS = ("ACK", "RESULT", "FULL")
TOLD_IN_FULL = frozenset({OrderType.MARKET, OrderType.LIMIT})
UNKNOWN = Rejected(-2011, "Unknown order sent.")


def new_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Place an order; MARKET and LIMIT answer FULL and the others ACK, unless asked otherwise."""
    new = read_order(params, account.name)
    kind = answer_kind(params, new)
    return _placed(venue, venue.place(new), kind)


def test_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Check an order as if it were placed; answer its commission rates where asked."""
    new = read_order(params, account.name)
    answer_kind(params, new)
    asks = params.flag("computeCommissionRates")
    venue.engine.check(new)
    if not asks:
        return {}
    rates, none = standard_rates(venue), no_rates()
    return {
        "standardCommissionForOrder": {name: rates[name] for name in ("maker", "taker")},
        "specialCommissionForOrder": {name: none[name] for name in ("maker", "taker")},
        "taxCommissionForOrder": {name: none[name] for name in ("maker", "taker")},
        "discount": discount(venue, account),
    }


def cancel_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Cancel one open order, and its list; -2011 for one that is not open."""
    order = _cancellable(venue, params, account, "orderId", "origClientOrderId")
    return cancel(venue, account, order, params.client_id("newClientOrderId"))


def cancel_open_orders(venue: Venue, params: Parameters, account: Account) -> Json:
    """Cancel every open order of a symbol, and every list; -2011 where there is none."""
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    found = venue.engine.open_orders(account.name, symbol)
    if not found:
        raise UNKNOWN
    name = venue.identifier("cancel", "all", found[0].order_id, len(found))
    alone = [cancel(venue, account, order, name) for order in found if order.list_id < 0]
    lists = dict.fromkeys(order.list_id for order in found if order.list_id >= 0)
    return [*alone, *(cancel_list(venue, account, number, name) for number in lists)]


def cancel_replace(venue: Venue, params: Parameters, account: Account) -> Json:
    """Cancel an order and place another; what only one half of it did is told with 409."""
    stops = _mode(params) == "STOP_ON_FAILURE"
    new = read_order(params, account.name)
    kind = answer_kind(params, new)
    _check_cancel_parameters(params)
    venue.engine.check_form(new)  # filters come before either half
    canceled, was_canceled = _tried_cancel(venue, params, account)
    if stops and not was_canceled:
        raise ReplaceFailed(
            "FAILURE", "NOT_ATTEMPTED", {"cancelResponse": canceled, "newOrderResponse": None}
        )
    try:
        placed = _placed(venue, venue.place(new), kind)
    except Rejected as refusal:
        answers: Object = {"cancelResponse": canceled, "newOrderResponse": as_json(refusal)}
        raise ReplaceFailed("SUCCESS" if was_canceled else "FAILURE", "FAILURE", answers) from None
    answers = {"cancelResponse": canceled, "newOrderResponse": placed}
    if not was_canceled:
        raise ReplaceFailed("FAILURE", "SUCCESS", answers)
    return {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", **answers}


def cancel_beyond_limit(
    venue: Venue, params: Parameters, account: Account, limit: Rejected
) -> None:
    """Raise the answer of a cancel-replace whose new order is one too many."""
    mode = params.choice("orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"), "DO_NOTHING")
    if mode == "DO_NOTHING":
        raise limit
    _mode(params)
    read_order(params, account.name)
    _check_cancel_parameters(params)
    canceled, was_canceled = _tried_cancel(venue, params, account)
    answers: Object = {"cancelResponse": canceled, "newOrderResponse": as_json(limit)}
    raise ReplaceFailed("SUCCESS" if was_canceled else "FAILURE", "FAILURE", answers)


def amend_order(venue: Venue, params: Parameters, account: Account) -> Json:
    """Take lots off an open order, which keeps its place."""
    order = find(venue, params, account, "orderId", "origClientOrderId")
    if order is None or not order.is_open:
        raise Rejected(-2038, "Unknown order sent.")
    quantity_e8 = params.amount("newQty")
    name = params.client_id("newClientOrderId") or venue.identifier(
        "amend", order.order_id, len(venue.engine.floor.amendments[order.order_id])
    )
    done = venue.amend(order, quantity_e8, name)
    instrument = venue.engine.instrument(order.symbol)
    answer: Object = {
        "transactTime": done.order.updated_ms,
        "executionId": done.amendment.number,
        "amendedOrder": order_amended(done.order, instrument, order.client_order_id),
    }
    if order.list_id >= 0:
        whole = order_list(venue.engine.floor.lists[order.list_id])
        hidden = ("listStatusType", "transactionTime")
        answer["listStatus"] = {k: v for k, v in whole.items() if k not in hidden}
    return answer


def cancel(venue: Venue, account: Account, order: Order, cancel_id: str | None) -> Object:
    """Cancel one order, with its list where it is of one, and return the answer to that."""
    name = cancel_id or venue.identifier("cancel", order.order_id)
    if order.list_id >= 0:
        return cancel_list(venue, account, order.list_id, name)
    result = venue.cancel(account, order.symbol, order.order_id, name)
    return order_canceled(result.order, venue.engine.instrument(order.symbol), name)


def cancel_list(venue: Venue, account: Account, number: int, cancel_id: str) -> Object:
    """Cancel what is still open of a list and return the answer to that."""
    done = venue.cancel_list(account, number, cancel_id)
    ended = {report.order.order_id for report in done.reports}
    reports: list[Json] = [
        order_canceled(order, venue.engine.instrument(order.symbol), cancel_id)
        for order in done.orders
        if order.order_id in ended
    ]
    return order_list(done.order_list) | {"orderReports": reports}


def answer_kind(params: Parameters, new: NewOrder | None = None) -> str:
    """Return how much a client wants to hear of what it placed."""
    usual = "FULL" if new and new.order_type in TOLD_IN_FULL else "ACK"
    return params.choice("newOrderRespType", KINDS, usual if new else "RESULT")


def find(
    venue: Venue, params: Parameters, account: Account, number: str, name: str
) -> Order | None:
    """Return the account's order by number or client id; -2039 where both do not agree."""
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    order_id, client_id = params.integer(number), params.client_id(name)
    if order_id is None and client_id is None:
        raise both_empty(name, number)
    order = venue.engine.find(
        account.name,
        symbol,
        order_id=order_id,
        client_order_id=client_id if order_id is None else None,
    )
    if order is not None and client_id not in (None, order.client_order_id):
        raise Rejected(-2039, "Client order ID is not correct for this order ID.")
    return order


def standard_rates(venue: Venue) -> Object:
    """Return the commission rates of everybody."""
    return {
        "maker": from_e8(venue.engine.maker_rate_e8),
        "taker": from_e8(venue.engine.taker_rate_e8),
        "buyer": from_e8(0),
        "seller": from_e8(0),
    }


def no_rates() -> Object:
    """Return the rates of commissions that this exchange does not take."""
    return {name: from_e8(0) for name in ("maker", "taker", "buyer", "seller")}


def discount(venue: Venue, account: Account) -> Object:
    """Return whether the account pays commissions in BNB, and how much less that is."""
    pays = account.name in venue.engine.clearing.pays_in_bnb
    return {
        "enabledForAccount": pays,
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": "0.25000000",
    }


def _placed(venue: Venue, result: OrderResult, kind: str) -> Object:
    instrument = venue.engine.instrument(result.order.symbol)
    if kind == "ACK":
        return order_ack(result.order)
    if kind == "RESULT":
        return order_result(result.order, instrument)
    return order_full(result.order, instrument, result.reports)


def _cancellable(
    venue: Venue, params: Parameters, account: Account, number: str, name: str
) -> Order:
    order = find(venue, params, account, number, name)
    restriction = params.optional("cancelRestrictions")
    if order is None or not order.is_open:
        _check_restriction(restriction)
        raise UNKNOWN
    allowed = _check_restriction(restriction)
    if allowed and order.status is not allowed:
        raise Rejected(-2011, "Order was not canceled due to cancel restrictions.")
    return order


def _check_restriction(restriction: str | None) -> OrderStatus | None:
    """Return the only status that may be cancelled, None where any may."""
    allowed = {
        None: None,
        "ONLY_NEW": OrderStatus.NEW,
        "ONLY_PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    }
    if restriction not in allowed:
        raise Rejected(-1145, "Invalid cancelRestrictions")
    return allowed[restriction]


def _mode(params: Parameters) -> str:
    return params.choice("cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"))


def _check_cancel_parameters(params: Parameters) -> None:
    number, name = "cancelOrderId", "cancelOrigClientOrderId"
    if number not in params and name not in params:
        raise both_empty(name, number)
    params.integer(number)
    params.client_id(name)
    params.client_id("cancelNewClientOrderId")
    _check_restriction(params.optional("cancelRestrictions"))
    params.choice("orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"), "DO_NOTHING")


def _tried_cancel(venue: Venue, params: Parameters, account: Account) -> tuple[Object, bool]:
    """Return the answer to the cancelling half, and whether it succeeded."""
    try:
        order = _cancellable(venue, params, account, "cancelOrderId", "cancelOrigClientOrderId")
        done = cancel(venue, account, order, params.client_id("cancelNewClientOrderId"))
    except Rejected as refusal:
        return as_json(refusal), False
    return done, True
