"""The control API: JSON over HTTP on loopback, for the dashboard, the CLI and notebooks.

Who may ask: whoever shows the bearer token, names this host in `Host` (a page that rebinds DNS
does not) and comes from no foreign `Origin`. No cookies, JSON bodies only, so a web page cannot
make a browser ask on its behalf.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import ValidationError

from bridge.config import StartRequest, StopRequest, one_line
from bridge.gateway_link import Reply, Unreachable
from bridge.supervisor import Supervisor
from workbench.errors import UsageError, WorkbenchError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
MOST_CANDLES = 5_000


class Guard:
    """Lets through only requests that may be here: 403 for a wrong Host or Origin, 401 without the token."""

    def __init__(self, app: Any, *, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or refuse."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            refusal = self._refusal(scope["method"], headers)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, method: str, headers: dict[bytes, bytes]) -> JSONResponse | None:
        if headers.get(b"host") not in self._hosts:
            return _error(
                403, "this Host is not served; use http://127.0.0.1 and the port of supervisor.json"
            )
        if b"origin" in headers and headers[b"origin"] not in self._origins:
            return _error(403, "this Origin may not ask; only pages of this host may")
        kind, _, shown = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(shown, self._token):
            return _error(401, "show the token of supervisor.json as `Authorization: Bearer TOKEN`")
        if (
            method == "POST"
            and headers.get(b"content-type", b"").split(b";")[0] != b"application/json"
        ):
            return _error(415, "send application/json")
        return None


def build(supervisor: Supervisor, *, token: str, port: int) -> Guard:
    """Return the guarded application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(WorkbenchError)
    async def _(_: Request, error: WorkbenchError) -> JSONResponse:
        status = (
            503 if isinstance(error, Unreachable) else 404 if isinstance(error, UsageError) else 500
        )
        return _error(status, str(error))

    @app.get("/v1/state")
    async def state() -> JSONResponse:
        return JSONResponse(await supervisor.state())

    @app.get("/v1/accounts")
    async def accounts() -> JSONResponse:
        return JSONResponse((await supervisor.state())["accounts"])

    @app.get("/v1/strategies")
    async def strategies() -> JSONResponse:
        return JSONResponse(await supervisor.strategies())

    @app.post("/v1/instances")
    async def start(request: Request) -> JSONResponse:
        try:
            body = await _body(request)
            parsed = StartRequest.model_validate(body)
        except ValidationError as error:
            return _error(422, one_line(error))
        return _answer(await supervisor.start(parsed, body))

    @app.post("/v1/instances/{name}/stop")
    async def stop(name: str, request: Request) -> JSONResponse:
        try:
            body = await _body(request)
            StopRequest.model_validate(body)
        except ValidationError as error:
            return _error(422, one_line(error))
        return _answer(await supervisor.stop(name, body))

    @app.get("/v1/instances/{name}/candles")
    async def candles(name: str, limit: int = 500, after: int | None = None) -> JSONResponse:
        most = max(1, min(limit, MOST_CANDLES))
        return JSONResponse(await supervisor.page(name, "candles", after, most))

    @app.get("/v1/instances/{name}/fills")
    async def fills(name: str, after: int = 0, limit: int = 10_000) -> JSONResponse:
        return JSONResponse(await supervisor.page(name, "fills", after, limit))

    @app.get("/v1/instances/{name}/decisions")
    async def decisions(name: str, after: int = 0, limit: int = 10_000) -> JSONResponse:
        return JSONResponse(await supervisor.page(name, "decisions", after, limit))

    @app.get("/v1/instances/{name}/settled")
    async def settled(
        name: str, candle_ms: int, timeout_s: float = 10.0, fills: int = 0
    ) -> JSONResponse:
        return _answer(await supervisor.settled(name, candle_ms, timeout_s, fills))

    @app.get("/v1/events")
    async def events(request: Request, after: int = 0) -> StreamingResponse:
        last = request.headers.get("last-event-id", "")
        begin = int(last) if last.isdigit() else after
        return StreamingResponse(_server_sent(supervisor, begin), media_type="text/event-stream")

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(_prometheus(await supervisor.state()))

    return Guard(app, token=token, port=port)


async def _body(request: Request) -> Any:
    """Return the parsed body; what is not JSON becomes None, which no model accepts."""
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


async def _server_sent(supervisor: Supervisor, after: int) -> AsyncIterator[str]:
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1_000)

    async def follow(source: AsyncIterator[dict[str, Any]]) -> None:
        async for event in source:
            await queue.put(event)

    tasks = [asyncio.ensure_future(follow(source)) for source in supervisor.event_sources(after)]
    try:
        yield ": connected\n\n"
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), 15.0)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            yield f"id: {event['seq']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
    finally:
        for task in tasks:
            task.cancel()


def _prometheus(state: dict[str, Any]) -> str:
    lines = [
        "# TYPE workbench_gateway_up gauge",
        *(
            f'workbench_gateway_up{{account="{one["name"]}"}} {int(one["state"] == "RUNNING")}'
            for one in state["accounts"]
        ),
    ]
    for name in ("equity", "cash", "quantity", "trades", "bars", "fees", "guarded"):
        lines.append(f"# TYPE workbench_instance_{name} gauge")
        lines += [
            f'workbench_instance_{name}{{instance="{one["name"]}",symbol="{one["symbol"]}"}} {one[name]}'
            for one in state["instances"]
            if one[name] is not None
        ]
    return "\n".join(lines) + "\n"


def _answer(reply: Reply) -> JSONResponse:
    return JSONResponse(reply.body, status_code=reply.status)


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)
