"""/ws-api/v3: the operations of REST, sessions, and user data, as JSON requests on a socket."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace

from aiohttp import web

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.connections import accepted
from bridge.local_exchange.endpoints import BY_METHOD, RETIRED_METHODS
from bridge.local_exchange.exchange import Caller, Exchange, http_status, operate
from bridge.local_exchange.faults import Do, Fault, When
from bridge.local_exchange.information import rate_limits
from bridge.local_exchange.limits import LimitExceeded
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.refusals import as_json
from bridge.local_exchange.security import ws_payload
from bridge.local_exchange.session_methods import SESSION_METHODS
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.time_units import answer_in_microseconds, asks_microseconds
from bridge.local_exchange.unbuilt import UNBUILT_METHODS
from bridge.local_exchange.wire import encode
from bridge.local_exchange.ws_session import ApiSession
from workbench.execution.orders import Rejected

CONNECT_WEIGHT = SESSION_WEIGHT = 2
UNSUPPORTED = "This operation is not supported."
HALF_ANSWER = '{"id":null,"status":200,"resu'


class WsApi:
    """The handler of WebSocket API connections."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer the requests of one connection until it closes."""
        exchange, wall_ms = self._exchange, self._exchange.clock.wall_ms()
        if exchange.conditions.maintenance:
            return web.Response(status=503, text="maintenance")
        try:
            microseconds = asks_microseconds(request.query.get("timeUnit"))
            exchange.limits.connect(wall_ms)
            exchange.limits.charge(CONNECT_WEIGHT, wall_ms)
        except Rejected as refusal:
            body: Object = {"code": refusal.code, "msg": refusal.message}
            return web.json_response(body, status=http_status(refusal))
        rules = exchange.venue.settings.sockets
        async with accepted(request, exchange.clock, rules, counts_texts=False) as connection:
            shows_limits = request.query.get("returnRateLimits", "true") != "false"
            session = ApiSession(connection, shows_limits, microseconds)
            exchange.open_sockets[connection] = session
            try:
                async for text in connection.texts():
                    if not await self._answer(session, text):
                        connection.abort()
            finally:
                exchange.users.forget(session)
                del exchange.open_sockets[connection]
        return connection.socket

    async def _answer(self, session: ApiSession, text: str) -> bool:
        """Answer one request; False where a planned fault ends the connection instead."""
        wall_ms = self._exchange.clock.wall_ms()
        request = _Request(shows_limits=session.shows_limits)
        fault: Fault | None = None
        try:
            request.parse(text)
            fault = self._exchange.faults.arrive(f"WS {request.method}")
            if fault and fault.when is When.BEFORE and not await _suffer(fault, session):
                return fault.do is not Do.DROP
            self._exchange.limits.arrive(wall_ms)
            answer = self._do(session, request, wall_ms)
            if session.microseconds:
                answer = answer_in_microseconds(answer)
            reply: Object = {"status": 200, "result": answer}
        except Rejected as refusal:
            reply = _refusal(refusal, wall_ms)
        if fault and fault.when is When.AFTER and not await _suffer(fault, session):
            return fault.do is not Do.DROP
        if request.shows_limits:
            reply["rateLimits"] = self._limits(request, wall_ms)
        self._send(session, {"id": request.number} | reply, fault)
        if reply["status"] == 418:
            session.connection.close()
        return True

    def _send(self, session: ApiSession, reply: Object, fault: Fault | None) -> None:
        """Send an answer: twice, or after the next one, where a fault says so."""
        text = encode(reply)
        if fault and fault.do is Do.REORDER:
            session.late_answers.append(text)
            return
        session.connection.send(text)
        if fault and fault.do is Do.DUP:
            session.connection.send(text)
        for late in session.late_answers:
            session.connection.send(late)
        session.late_answers.clear()

    def _do(self, session: ApiSession, asked: _Request, wall_ms: int) -> Json:
        limits, method, params = self._exchange.limits, asked.method, asked.params
        if method in RETIRED_METHODS or method in UNBUILT_METHODS:
            raise Rejected(-1020, UNSUPPORTED)
        if method in SESSION_METHODS:
            limits.charge(SESSION_WEIGHT, wall_ms)
            return SESSION_METHODS[method](self._exchange, session, params, wall_ms)
        endpoint = BY_METHOD.get(method)
        if endpoint is None:
            raise Rejected(-1020, f"{UNSUPPORTED} (method {method[:60]!r})")
        api_key = params.get("apiKey", "")
        caller = Caller(api_key, ws_payload(params), wall_ms)
        own = {"returnRateLimits"}  # signed like the others, and of the connection alone
        if endpoint.is_signed:
            own.add("apiKey")
            if not api_key and session.account is not None:
                caller = replace(caller, logged_on=session.account)
            elif not api_key:
                Parameters(params).require((*endpoint.mandatory, "apiKey"))
        request = Parameters({name: params[name] for name in params if name not in own})
        limits.charge(endpoint.cost(request), wall_ms)
        answer, account = operate(self._exchange, endpoint, request, caller)
        asked.orders_of = account if endpoint.counts_order else None
        return answer

    def _limits(self, asked: _Request, wall_ms: int) -> list[Json]:
        limits = self._exchange.limits
        weight, short, day, _ = rate_limits(limits.rules)
        told: list[Json] = [weight | {"count": limits.used(wall_ms)}]
        if asked.orders_of is None:
            return told
        counts = limits.orders(asked.orders_of.name, wall_ms)
        return [short | {"count": counts[0]}, day | {"count": counts[1]}, *told]


@dataclass(slots=True)
class _Request:
    """What a client asks for, as far as it could be read."""

    shows_limits: bool
    number: Json = None
    method: str = ""
    params: dict[str, str] = field(default_factory=dict)
    orders_of: Account | None = None  # whose order counts the answer shows

    def parse(self, text: str) -> None:
        """Read a frame; -1135 for what is no request."""
        self.number, self.method, self.params = _parse(text)
        if (wanted := self.params.get("returnRateLimits")) is not None:
            self.shows_limits = wanted != "false"


async def _suffer(fault: Fault, session: ApiSession) -> bool:
    """Act a fault out; False where no answer of ours follows."""
    if fault.do is Do.DELAY:
        await asyncio.sleep(fault.ms / 1000)
    if fault.do is Do.CLOSE:
        session.connection.close()
    if fault.do in (Do.BODY, Do.HTML):
        session.connection.send(fault.body)
    if fault.do is Do.HALF_BODY:
        session.connection.send(HALF_ANSWER)
    return fault.do in (Do.DELAY, Do.DUP, Do.REORDER)


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
    error = as_json(refusal)
    if isinstance(refusal, LimitExceeded):
        error["data"] = {"serverTime": wall_ms, "retryAfter": refusal.retry_ms}
    return {"status": http_status(refusal), "error": error}
