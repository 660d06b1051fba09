"""/ws and /stream: sockets of market streams, with SUBSCRIBE and its relatives."""

from __future__ import annotations

import json

from aiohttp import web

from bridge.local_exchange.connections import Connection, accepted
from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.shapes import Json, Object
from bridge.local_exchange.streams import Subscriber
from bridge.local_exchange.wire import encode

MAX_STREAMS = 1024


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
        for name in names:
            reason = self._exchange.streams.refuse(name)
            if reason is not None:
                return web.json_response(
                    {"code": 2, "msg": f"Invalid request: {reason}"}, status=400
                )
        async with accepted(request) as connection:
            self._exchange.connections.add(connection)
            subscriber = Subscriber(connection, combined, {})
            try:
                for name in names:
                    self._exchange.streams.add(subscriber, name)
                await self._converse(connection, subscriber)
            finally:
                for name in list(subscriber.streams):
                    self._exchange.streams.remove(subscriber, name)
                self._exchange.connections.discard(connection)
        return connection.socket

    async def _converse(self, connection: Connection, subscriber: Subscriber) -> None:
        async for text in connection.texts():
            connection.send(encode(self._answer(subscriber, text)))

    def _answer(self, subscriber: Subscriber, text: str) -> Object:
        try:
            request = json.loads(text)
        except ValueError as error:
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
        for name in params:
            reason = self._exchange.streams.refuse(name)
            if reason is not None:
                return _refusal(2, f"Invalid request: {reason}", number)
        if len({*subscriber.streams, *params}) > MAX_STREAMS:
            return _refusal(2, f"Invalid request: more than {MAX_STREAMS} streams", number)
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


def _refusal(code: int, message: str, number: Json) -> Object:
    return {"code": code, "msg": message, "id": number}
