"""REST under /api: weight, faults, the operation, and Binance's headers around its answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.endpoint import Endpoint
from bridge.local_exchange.endpoints import BY_ROUTE, RETIRED
from bridge.local_exchange.exchange import Caller, Exchange, http_status, operate
from bridge.local_exchange.faults import PAGE, Do, Fault, When
from bridge.local_exchange.limits import LimitExceeded
from bridge.local_exchange.parameters import parse_query
from bridge.local_exchange.refusals import as_json
from bridge.local_exchange.security import rest_payload
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.time_units import answer_in_microseconds, asks_microseconds
from bridge.local_exchange.unbuilt import UNBUILT
from bridge.local_exchange.wire import encode
from workbench.execution.orders import Rejected

GONE = (
    "<html>\r\n<head><title>410 Gone</title></head>\r\n<body>\r\n"
    "<center><h1>410 Gone</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
NOT_FOUND = "<html><body><h1>404 Not Found</h1></body></html>\n"
UNAVAILABLE = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>\n"
JSON = "application/json"
PATIENCE_MS = 1_000  # how long an answer waits for the next one to overtake it
APPLIED = frozenset({Do.DELAY, Do.DUP, Do.REORDER})  # faults of requests that are applied
UNSUPPORTED = Rejected(-1020, "This operation is not supported.")


class Rest:
    """The handler of every request under /api."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answered = asyncio.Event()  # pulses with every answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, through the fault that was planned for it."""
        body = await request.read()
        if self._exchange.conditions.maintenance:
            return web.Response(status=503, text=UNAVAILABLE, content_type="text/html")
        fault = self._exchange.faults.arrive(f"{request.method} {request.path}")
        if fault is None:
            response = self._respond(request, body)
        else:
            response = await self._suffer(fault, request, body)
        if fault is None or fault.do is not Do.REORDER:
            self._answered.set()
            self._answered.clear()
        return response

    async def _suffer(self, fault: Fault, request: web.Request, body: bytes) -> web.Response:
        """Act a fault out: instead of the request, around it, or on its answer."""
        if fault.when is When.BEFORE and fault.do not in APPLIED:
            return await staged(fault, request, None)
        if fault.do is Do.DELAY and fault.when is When.BEFORE:
            await asyncio.sleep(fault.ms / 1000)
        response = self._respond(request, body)
        if fault.do is Do.DELAY:
            if fault.when is When.AFTER:
                await asyncio.sleep(fault.ms / 1000)
            return response
        if fault.do is Do.DUP:
            self._respond(request, body)
            return response
        if fault.do is Do.REORDER:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._answered.wait(), (fault.ms or PATIENCE_MS) / 1000)
            return response
        return await staged(fault, request, response)

    def _respond(self, request: web.Request, body: bytes) -> web.Response:
        if request.path.startswith(RETIRED):
            return web.Response(status=410, text=GONE, content_type="text/html")
        endpoint = BY_ROUTE.get((request.method, request.path))
        wall_ms = self._exchange.clock.wall_ms()
        if endpoint is None:
            if (request.method, request.path) in UNBUILT:
                return self._refused(UNSUPPORTED, wall_ms)
            return web.Response(status=404, text=NOT_FOUND, content_type="text/html")
        try:
            microseconds = asks_microseconds(request.headers.get("X-MBX-TIME-UNIT"))
            answer, account = self._operate(endpoint, request, body, wall_ms)
        except Rejected as refusal:
            return self._refused(refusal, wall_ms)
        response = _json(answer_in_microseconds(answer) if microseconds else answer, 200)
        self._stamp(response, wall_ms, account if endpoint.counts_order else None)
        return response

    def _operate(
        self, endpoint: Endpoint, request: web.Request, body: bytes, wall_ms: int
    ) -> tuple[Json, Account | None]:
        query = request.raw_path.partition("?")[2]
        try:
            form = body.decode()
        except UnicodeDecodeError:
            raise Rejected(-1100, "Illegal characters found in a parameter.") from None
        params = parse_query(query, form)
        self._exchange.limits.arrive(wall_ms)
        self._exchange.limits.charge(endpoint.cost(params), wall_ms)
        key = request.headers.get("X-MBX-APIKEY", "")
        caller = Caller(key, rest_payload(query, form), wall_ms)
        return operate(self._exchange, endpoint, params, caller)

    def _refused(self, refusal: Rejected, wall_ms: int) -> web.Response:
        response = _json(as_json(refusal), http_status(refusal))
        if isinstance(refusal, LimitExceeded):
            response.headers["Retry-After"] = str(refusal.retry_after_s(wall_ms))
        self._stamp(response, wall_ms, None)
        return response

    def _stamp(self, response: web.Response, wall_ms: int, account: Account | None) -> None:
        used = str(self._exchange.limits.used(wall_ms))
        response.headers["x-mbx-used-weight"] = used
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        if account is not None:
            short, day = self._exchange.limits.orders(account.name, wall_ms)
            response.headers["X-MBX-ORDER-COUNT-10S"] = str(short)
            response.headers["X-MBX-ORDER-COUNT-1D"] = str(day)


async def staged(fault: Fault, request: web.Request, response: web.Response | None) -> web.Response:
    """Return what a client gets instead of an answer, or of nothing where there is none."""
    if fault.do is Do.STATUS:
        return web.Response(status=fault.status, text=fault.body, content_type=JSON)
    if fault.do is Do.BODY:
        return web.Response(text=fault.body, content_type=JSON)
    if fault.do is Do.HTML:
        return web.Response(status=502, text=PAGE, content_type="text/html")
    if fault.do is Do.CLOSE and response is not None:
        response.force_close()
        return response
    assert request.transport is not None
    if fault.do is Do.HALF_BODY:
        body = response.body if response is not None else fault.body.encode()
        assert isinstance(body, bytes)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        request.transport.write(head.encode() + body[: len(body) // 2])
        request.transport.close()
    elif fault.do is Do.CLOSE:
        request.transport.close()
    else:
        request.transport.abort()
    return web.Response(status=500)


def _json(answer: Json, status: int) -> web.Response:
    return web.Response(
        body=encode(answer).encode(),
        status=status,
        headers={"Content-Type": "application/json;charset=UTF-8"},
    )
