"""/ws-api/v3: the operations of REST, and user data subscriptions, as JSON requests on a socket."""

from __future__ import annotations

import json

from aiohttp import web

from bridge.local_exchange.connections import Connection, accepted
from bridge.local_exchange.endpoints import BY_METHOD, RETIRED_METHODS
from bridge.local_exchange.exchange import Caller, Exchange, http_status, operate
from bridge.local_exchange.faults import Do, When
from bridge.local_exchange.information import rate_limits
from bridge.local_exchange.limits import TooMuchWeight
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.security import authenticate, ws_payload
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.unbuilt import UNBUILT_METHODS
from bridge.local_exchange.wire import encode
from workbench.execution.orders import Rejected

SUBSCRIBE_WEIGHT = 2


class WsApi:
    """The handler of WebSocket API connections."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer the requests of one connection until it closes."""
        async with accepted(request) as connection:
            self._exchange.connections.add(connection)
            try:
                async for text in connection.texts():
                    if not self._answer(connection, text):
                        break
            finally:
                self._exchange.users.forget(connection)
                self._exchange.connections.discard(connection)
        return connection.socket

    def _answer(self, connection: Connection, text: str) -> bool:
        """Answer one request; False where a planned fault ends the connection instead."""
        wall_ms = self._exchange.clock.wall_ms()
        number: Json = None
        wants_limits = True
        try:
            number, method, params = _parse(text)
            wants_limits = params.pop("returnRateLimits", "true") != "false"
            fault = self._exchange.faults.arrive(f"WS {method}")
            if fault and fault.do is Do.DROP and fault.when is When.BEFORE:
                return False
            reply: Object = {"status": 200, "result": self._do(connection, method, params, wall_ms)}
            if fault and fault.do is Do.DROP:
                return False
        except Rejected as refusal:
            reply = _refusal(refusal, wall_ms)
        limits = {"rateLimits": self._limits(wall_ms)} if wants_limits else {}
        frame = encode({"id": number} | reply | limits)
        connection.send(frame)
        return True

    def _do(
        self, connection: Connection, method: str, params: dict[str, str], wall_ms: int
    ) -> Json:
        if method in RETIRED_METHODS or method in UNBUILT_METHODS:
            raise Rejected(-1020, "This operation is not supported.")
        if method.startswith(("userDataStream.", "session.")):
            return self._session(connection, method, params, wall_ms)
        endpoint = BY_METHOD.get(method)
        if endpoint is None:
            raise Rejected(-1020, f"This operation is not supported. (method {method[:60]!r})")
        api_key = params.get("apiKey", "")
        payload = ws_payload(params)
        if endpoint.signed:
            if not api_key:
                Parameters(params).require((*endpoint.mandatory, "apiKey"))
            params = {name: value for name, value in params.items() if name != "apiKey"}
        request = Parameters(params)
        self._exchange.limits.charge(endpoint.cost(request), wall_ms)
        answer, _ = operate(self._exchange, endpoint, request, Caller(api_key, payload, wall_ms))
        return answer

    def _session(
        self, connection: Connection, method: str, params: dict[str, str], wall_ms: int
    ) -> Json:
        users, request = self._exchange.users, Parameters(params)
        self._exchange.limits.charge(SUBSCRIBE_WEIGHT, wall_ms)
        if method == "userDataStream.subscribe.signature":
            account = authenticate(
                self._exchange.venue.accounts,
                request,
                api_key=request.text("apiKey"),
                payload=ws_payload(params),
                wall_ms=wall_ms,
            )
            return {"subscriptionId": users.subscribe(connection, account)}
        if method == "userDataStream.unsubscribe":
            users.unsubscribe(connection, request.integer("subscriptionId"))
            return {}
        if method == "session.subscriptions":
            return [{"subscriptionId": number} for number in users.numbers(connection)]
        if method == "session.logon":
            raise Rejected(-4056, "HMAC_SHA256 API key is not supported.")
        raise Rejected(-1020, "This operation is not supported. (needs session.logon)")

    def _limits(self, wall_ms: int) -> list[Json]:
        weight = rate_limits(self._exchange.limits.weight_limit)[0]
        return [weight | {"count": self._exchange.limits.used(wall_ms)}]


def _parse(text: str) -> tuple[Json, str, dict[str, str]]:
    """Return (id, method, parameters as texts); numbers keep the digits that were sent."""
    try:
        request = json.loads(text, parse_float=_Number, parse_int=_Number)
    except (ValueError, RecursionError):
        raise Rejected(-1135, "Invalid JSON Request") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise Rejected(-1135, "Invalid JSON Request")
    params = request.get("params", {})
    if not isinstance(params, dict):
        raise Rejected(-1135, "JSON sent for parameter 'params' is not valid")
    texts = {name: _text(value) for name, value in params.items() if value is not None}
    number = request.get("id")
    if isinstance(number, _Number):
        number = int(number) if number.lstrip("-").isdigit() else None
    return number, request["method"].removeprefix("v3/"), texts


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _refusal(refusal: Rejected, wall_ms: int) -> Object:
    error: Object = {"code": refusal.code, "msg": refusal.message}
    if isinstance(refusal, TooMuchWeight):
        error["data"] = {
            "serverTime": wall_ms,
            "retryAfter": wall_ms + refusal.retry_after_s * 1000,
        }
    return {"status": http_status(refusal.code), "error": error}
