"""A small server that speaks /api/v3/klines on loopback, and can misbehave in the ways of the world."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass, field

import polars as pl
from aiohttp import web

from workbench.market.timeframes import parse_timeframe


@dataclass(slots=True)
class Fault:
    """One answer to give in place of candles."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    announce_bytes: int | None = None  # a length that is not that of the body: cut off on the way


@dataclass(slots=True)
class KlinesServer:
    """Serves one frame a symbol and interval; `faults` are given first, one a request for klines."""

    series: dict[tuple[str, str], pl.DataFrame]
    now_ms: int
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[dict[str, str]] = field(default_factory=list)
    weight: int = 2
    rows_changed: object = None  # a function list[row] -> list[row]
    streams: deque[list[str]] = field(default_factory=deque)  # frames of one connection each
    subscribed: list[list[str]] = field(default_factory=list)
    listed: list[dict[str, object]] = field(default_factory=list)  # exchangeInfo's symbols
    url: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _runner: web.AppRunner | None = None

    def __enter__(self) -> KlinesServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._runner is not None
        assert self._thread is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v3/time", self._time)
        app.router.add_get("/api/v3/klines", self._klines)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/api/v3/exchangeInfo", self._information)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now_ms})

    async def _information(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now_ms, "symbols": self.listed})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Grant what is asked for, send one connection's frames, and close unless it was the last."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        self.subscribed.append(asked["params"])
        await socket.send_json({"result": None, "id": asked["id"]})
        for frame in self.streams.popleft() if self.streams else []:
            await socket.send_str(frame)
        if not self.streams:
            async for _ in socket:
                pass
        await socket.close()
        return socket

    async def _klines(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.requests.append(query)
        if self.faults:
            return await _faulty(request, self.faults.popleft())
        frame = self.series.get((query["symbol"], query["interval"]))
        if frame is None:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        rows = _rows(frame, query)
        if callable(self.rows_changed):
            rows = self.rows_changed(rows)
        return web.json_response(rows, headers={"x-mbx-used-weight-1m": str(self.weight)})


async def _faulty(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.announce_bytes is None:
        return web.Response(
            text=fault.body,
            status=fault.status,
            headers=fault.headers,
            content_type=fault.content_type,
        )
    answer = web.StreamResponse(headers={"Content-Length": str(fault.announce_bytes)})
    await answer.prepare(request)
    await answer.write(fault.body.encode())
    assert request.transport is not None
    request.transport.close()
    return answer


def _rows(frame: pl.DataFrame, query: dict[str, str]) -> list[list[object]]:
    timeframe = parse_timeframe(query["interval"])
    time = pl.col("open_time").dt.epoch("ms")
    end_ms, limit = int(query.get("endTime", 1 << 53)), int(query["limit"])
    wanted = frame.filter(time >= int(query.get("startTime", 0)), time <= end_ms)
    wanted = wanted.head(limit) if "startTime" in query else wanted.tail(limit)
    return [
        [
            (opened := int(row["open_time"].timestamp() * 1000)),
            *(f"{row[name]:.8f}" for name in ("open", "high", "low", "close", "volume")),
            timeframe.next(opened) - 1,
            f"{row['quote_volume']:.8f}",
            row["trades"],
            f"{row['taker_buy_base']:.8f}",
            f"{row['taker_buy_quote']:.8f}",
            "0",
        ]
        for row in wanted.iter_rows(named=True)
    ]


def html(status: int = 200) -> Fault:
    """Return a login page where candles belong."""
    return Fault(status=status, body="<html>hello</html>", content_type="text/html")


def half_json() -> Fault:
    """Return JSON that ends in the middle, with a length that agrees."""
    return Fault(body=json.dumps([[1, "2"]])[:-3])
