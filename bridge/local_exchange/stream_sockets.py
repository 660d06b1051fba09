"""/ws and /stream: sockets of market streams, with SUBSCRIBE and its relatives."""

from __future__ import annotations

import json

from aiohttp import web

from bridge.local_exchange.connections import accepted
from bridge.local_exchange.exchange import Exchange, http_status
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.streams import Subscriber
from bridge.local_exchange.time_units import asks_microseconds
from bridge.local_exchange.wire import encode
from workbench.errors import UsageError
from workbench.execution.orders import Rejected


class StreamSockets:
    """The handlers of both socket paths."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def raw(self, request: web.Request) -> web.StreamResponse:
        """Serve /ws and /ws/<name>[/<name>...]: frames as they are."""
        names = [name for name in request.match_info.get("names", "").split("/") if "@" in name]
        return await self._serve(request, names, combined=False)

    async def combined(self, request: web.Request) -> web.StreamResponse:
        """Serve /stream?streams=<name>/<name>: frames inside {"stream", "data"}."""
        names = [name for name in request.query.get("streams", "").split("/") if name]
        return await self._serve(request, names, combined=True)

    async def _serve(
        self, request: web.Request, names: list[str], *, combined: bool
    ) -> web.StreamResponse:
        if self._exchange.conditions.maintenance:
            return web.Response(status=503, text="maintenance")
        try:
            microseconds = asks_microseconds(request.query.get("timeUnit"))
            self._refuse_any(names)
            self._exchange.limits.connect(self._exchange.clock.wall_ms())
        except (Rejected, UsageError) as refusal:
            return _refused(refusal)
        exchange = self._exchange
        rules = exchange.venue.settings.sockets
        async with accepted(request, exchange.clock, rules, counts_texts=True) as connection:
            subscriber = Subscriber(connection, combined, microseconds)
            exchange.open_sockets[connection] = subscriber
            try:
                for name in names:
                    exchange.streams.add(subscriber, name)
                async for text in connection.texts():
                    connection.send(encode(self._answer(subscriber, text)))
            finally:
                for name in list(subscriber.streams):
                    exchange.streams.remove(subscriber, name)
                del exchange.open_sockets[connection]
        return connection.socket

    def _refuse_any(self, names: list[str]) -> None:
        reasons = map(self._exchange.streams.refuse, names)
        if reason := next(filter(None, reasons), None):
            raise UsageError(reason)
        most = self._exchange.venue.settings.sockets.streams
        if len(set(names)) > most:
            raise UsageError(f"more than {most} streams on one connection")

    def _answer(self, subscriber: Subscriber, text: str) -> Object:
        try:
            request = json.loads(text)
        except (ValueError, RecursionError) as error:
            return {"code": 3, "msg": f"Invalid JSON: {error}"}
        if not isinstance(request, dict):
            return {"code": 2, "msg": "Invalid request: request must be an object"}
        number = request.get("id")
        if number is not None and not isinstance(number, (int, str)):
            return {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}
        return self._obey(subscriber, request.get("method"), request.get("params"), number)

    def _obey(
        self, subscriber: Subscriber, method: object, params: object, number: int | str | None
    ) -> Object:
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": [*subscriber.streams], "id": number}
        if method == "GET_PROPERTY" and params == ["combined"]:
            return {"result": subscriber.combined, "id": number}
        if method == "SET_PROPERTY" and isinstance(params, list) and params[:1] == ["combined"]:
            return self._set_combined(subscriber, params[1:], number)
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _refusal(0, f"Unknown property or method {method!r}", number)
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return _refusal(2, "Invalid request: params must be a list of stream names", number)
        if method == "UNSUBSCRIBE":
            for name in params:
                if name in subscriber.streams:
                    self._exchange.streams.remove(subscriber, name)
            return {"result": None, "id": number}
        try:
            self._refuse_any([*subscriber.streams, *params])
        except UsageError as refusal:
            return _refusal(2, f"Invalid request: {refusal}", number)
        for name in params:
            self._exchange.streams.add(subscriber, name)
        return {"result": None, "id": number}

    def _set_combined(
        self, subscriber: Subscriber, value: list[object], number: int | str | None
    ) -> Object:
        if len(value) != 1 or not isinstance(value[0], bool):
            return _refusal(1, "Invalid value type: expected Boolean", number)
        subscriber.combined = value[0]
        return {"result": None, "id": number}


def _refused(refusal: Rejected | UsageError) -> web.Response:
    if isinstance(refusal, Rejected):
        body: Object = {"code": refusal.code, "msg": refusal.message}
        return web.json_response(body, status=http_status(refusal))
    return web.json_response({"code": 2, "msg": f"Invalid request: {refusal}"}, status=400)


def _refusal(code: int, message: str, number: Json) -> Object:
    return {"code": code, "msg": message, "id": number}
