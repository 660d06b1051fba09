"""REST under /api: weight, faults, the operation, and Binance's headers around its answer."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.endpoints import BY_ROUTE, RETIRED, Endpoint
from bridge.local_exchange.exchange import Caller, Exchange, http_status, operate
from bridge.local_exchange.faults import Do, Fault, When
from bridge.local_exchange.limits import LimitExceeded
from bridge.local_exchange.parameters import parse_query
from bridge.local_exchange.security import rest_payload
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.unbuilt import UNBUILT
from bridge.local_exchange.wire import encode
from workbench.execution.orders import Rejected

GONE = (
    "<html>\r\n<head><title>410 Gone</title></head>\r\n<body>\r\n"
    "<center><h1>410 Gone</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
NOT_FOUND = "<html><body><h1>404 Not Found</h1></body></html>\n"
UNSUPPORTED = Rejected(-1020, "This operation is not supported.")


class Rest:
    """The handler of every request under /api."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, through the faults that were planned for it."""
        body = await request.read()
        fault = self._exchange.faults.arrive(f"{request.method} {request.path}")
        if fault and fault.when is When.BEFORE:
            answer = await _suffer(fault, request)
            if answer is not None:
                return answer
        response = self._respond(request, body)
        if fault and fault.when is When.AFTER:
            return await _suffer(fault, request) or response
        return response

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
            answer, account = self._operate(endpoint, request, body, wall_ms)
        except Rejected as refusal:
            return self._refused(refusal, wall_ms)
        response = _json(answer, 200)
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
        response = _json({"code": refusal.code, "msg": refusal.message}, http_status(refusal))
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


async def _suffer(fault: Fault, request: web.Request) -> web.Response | None:
    """Act a fault out; None where the request then goes on as if nothing had been."""
    if fault.do is Do.DELAY:
        await asyncio.sleep(fault.ms / 1000)
        return None
    if fault.do is Do.STATUS:
        return web.Response(status=fault.status, text=fault.body, content_type="application/json")
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _json(answer: Json, status: int) -> web.Response:
    return web.Response(
        body=encode(answer).encode(),
        status=status,
        headers={"Content-Type": "application/json;charset=UTF-8"},
    )
