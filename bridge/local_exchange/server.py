"""Starting and stopping: candles in, a loopback port out.

Everything is served on one port of 127.0.0.1: REST under /api, streams under /ws and /stream, the
WebSocket API under /ws-api/v3, the operator's routes under /admin, what is replayed under
/local/market.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from bridge.clock import Clock, SystemClock
from bridge.local_exchange import market_route, pace
from bridge.local_exchange.accounts import Accounts, from_file, generate
from bridge.local_exchange.admin import Admin
from bridge.local_exchange.conditions import Change
from bridge.local_exchange.crowd import crowd
from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.markets import Loaded, load_market, rules_note
from bridge.local_exchange.rest import Rest
from bridge.local_exchange.settings import Pace, Settings
from bridge.local_exchange.shapes import Object
from bridge.local_exchange.state import KEYS, open_state, state_folder
from bridge.local_exchange.stream_sockets import StreamSockets
from bridge.local_exchange.venue import Venue
from bridge.local_exchange.ws_api import WsApi
from workbench.errors import UsageError

HOST = "127.0.0.1"
MAX_BODY = 1 << 20
FLUSH_S = 0.02


class _ClientsFault(logging.Filter):
    """Keep out of the log what is no HTTP: its client got a 400, and it may hold a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], BadHttpMessage))


_log = logging.getLogger(__name__)
_log.addFilter(_ClientsFault())


@dataclass(frozen=True, slots=True)
class Running:
    """An exchange that listens."""

    exchange: Exchange
    port: int
    player: asyncio.Task[None] | None = None

    @property
    def rest(self) -> str:
        """The base URL of REST, without /api."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws(self) -> str:
        """The base URL of every WebSocket."""
        return f"ws://{HOST}:{self.port}"

    def announcement(self) -> Object:
        """Return what the first line of `bridge exchange --json` says."""
        venue = self.exchange.venue
        settings = venue.settings
        return {
            "rest": self.rest,
            "ws": self.ws,
            "admin_token": self.exchange.admin_token,
            "accounts": [{**account.published()} for account in venue.accounts.all],
            "market": {
                "symbols": [*venue.replays],
                "interval": settings.interval,
                "start_ms": min(replay.now_ms for replay in venue.replays.values()),
                "pace": settings.pace,
                "speed": settings.speed,
                "source": self.exchange.source,
            },
        }


def build(settings: Settings, clock: Clock) -> Exchange:
    """Load the candles and return the exchange standing at its first open, not yet listening."""
    markets, notes = {}, []
    for symbol, (candles, rules, tape, first) in _loaded(settings, clock.wall_ms()).items():
        markets[symbol] = (rules, tape, first)
        notes.append(candles.source)
        note = rules_note(candles, rules)
        notes += [f"{symbol}: {note}"] if note else []
    folder = state_folder(settings.state) if settings.state else None
    keys_file = settings.keys_file or (folder / KEYS if folder else None)
    accounts = (
        from_file(keys_file, settings.accounts, settings.key_kinds)
        if keys_file
        else generate(settings.accounts, settings.key_kinds)
    )
    venue = Venue(settings, Accounts(accounts), markets)
    if folder:
        open_state(venue, folder)
    return Exchange(venue, clock, "; ".join(dict.fromkeys(notes)))


def _loaded(settings: Settings, wall_ms: int) -> dict[str, Loaded]:
    if settings.crowd:
        return crowd(settings.crowd, settings.interval, settings.seed)
    return {symbol: load_market(symbol, settings, wall_ms) for symbol in settings.symbols}


@asynccontextmanager
async def serving(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Serve an exchange for as long as the block lasts."""
    clock = clock or SystemClock()
    exchange = build(settings, clock)
    try:
        async with listening(exchange) as running:
            yield running
    finally:
        exchange.venue.close_log()


@asynccontextmanager
async def listening(exchange: Exchange) -> AsyncIterator[Running]:
    """Listen for an exchange that is built, play its tape if the clock sets the pace, clean up."""
    settings = exchange.venue.settings
    runner = web.AppRunner(
        _application(exchange), access_log=None, logger=_log, shutdown_timeout=1.0
    )
    await runner.setup()
    player: asyncio.Task[None] | None = None
    tasks: list[asyncio.Task[None]] = []
    try:
        site = web.TCPSite(runner, HOST, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(
                f"port {settings.port} on {HOST}: {os.strerror(error.errno or 0)}; "
                "pass --port 0 for a free one"
            ) from None
        tasks.append(asyncio.create_task(_flush_streams(exchange)))
        for after_s, change in exchange.plan.changes:
            tasks.append(asyncio.create_task(_change_conditions(exchange, after_s, change)))
        if settings.pace is Pace.TIME:
            market = exchange.market_clock = pace.market_clock(exchange.venue, exchange.clock)
            player = asyncio.create_task(pace.run(exchange.venue, exchange.clock, market))
            tasks.append(player)
        yield Running(exchange, runner.addresses[0][1], player)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()


async def _change_conditions(exchange: Exchange, after_s: float, change: Change) -> None:
    """Put a planned change into force when its time has come."""
    await exchange.clock.sleep(after_s)
    exchange.change(change)


async def _flush_streams(exchange: Exchange) -> None:
    """Let paced streams send what waits for its time."""
    while True:
        await exchange.clock.sleep(FLUSH_S)
        exchange.streams.flush()


def _application(exchange: Exchange) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY)
    rest, sockets, ws_api = Rest(exchange), StreamSockets(exchange), WsApi(exchange)
    app.add_routes(
        [
            web.route("*", "/api/{path:.*}", rest.handle),
            web.route("*", "/sapi/{path:.*}", rest.handle),
            web.get("/ws", sockets.raw),
            web.get("/ws/{names:.*}", sockets.raw),
            web.get("/stream", sockets.combined),
            web.get("/ws-api/v3", ws_api.handle),
            market_route.route(exchange),
            *Admin(exchange).routes(),
        ]
    )

    async def close_connections(_: web.Application) -> None:
        exchange.shut_down()

    app.on_shutdown.append(close_connections)
    return app
