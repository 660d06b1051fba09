"""The methods of the WebSocket API that are about the connection itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.security import authenticate, check_fresh, ws_payload
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.ws_session import ApiSession
from workbench.execution.orders import Rejected

Method = Callable[[Exchange, ApiSession, dict[str, str], int], Json]


def _signer(exchange: Exchange, params: dict[str, str], wall_ms: int) -> Account:
    request = Parameters(params)
    return authenticate(
        exchange.venue.accounts,
        request,
        api_key=request.text("apiKey"),
        payload=ws_payload(params),
        wall_ms=wall_ms,
    )


def _logon(exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int) -> Json:
    account = _signer(exchange, params, wall_ms)
    session.log_on(account, wall_ms, lenient=exchange.venue.settings.lenient)
    return _status(exchange, session, params, wall_ms)


def _status(exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int) -> Json:
    return session.status(wall_ms, listens=exchange.users.listens(session))


def _logout(exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int) -> Json:
    if exchange.users.listens(session):
        assert session.account is not None
        number = exchange.users.number(session, session.account)
        _end(exchange, session, exchange.users.unsubscribe(session, number))
    session.log_out()
    return _status(exchange, session, params, wall_ms)


def _subscribe(
    exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int
) -> Json:
    if session.account is None:
        raise Rejected(-1002, "You are not authorized to execute this request.")
    return {"subscriptionId": exchange.users.subscribe(session, session.account)}


def _subscribe_signed(
    exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int
) -> Json:
    if session.account is not None and not params.get("apiKey"):  # as the official SDK sends it
        request = Parameters(params)
        check_fresh(request.text("timestamp"), request.optional("recvWindow"), wall_ms)
        account = session.account
    else:
        account = _signer(exchange, params, wall_ms)
    return {"subscriptionId": exchange.users.subscribe(session, account)}


def _unsubscribe(
    exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int
) -> Json:
    number = Parameters(params).integer("subscriptionId")
    _end(exchange, session, exchange.users.unsubscribe(session, number))
    return {}


def _subscriptions(
    exchange: Exchange, session: ApiSession, params: dict[str, str], wall_ms: int
) -> Json:
    return [{"subscriptionId": number} for number in exchange.users.numbers(session)]


def _end(exchange: Exchange, session: ApiSession, numbers: list[int]) -> None:
    """Send the last events of subscriptions, after the answer that ends them."""
    asyncio.get_running_loop().call_soon(exchange.users.terminated, session, numbers)


SESSION_METHODS: dict[str, Method] = {
    "session.logon": _logon,
    "session.status": _status,
    "session.logout": _logout,
    "session.subscriptions": _subscriptions,
    "userDataStream.subscribe": _subscribe,
    "userDataStream.subscribe.signature": _subscribe_signed,
    "userDataStream.unsubscribe": _unsubscribe,
}
