"""GET /local/market: what is replayed here, for anyone; no key, no token, no path of this machine."""

from __future__ import annotations

from aiohttp import web

from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.shapes import Object

ROUTE = "/local/market"
SYNTHETIC = "SYNTHETIC"  # a source that was made up starts with this word


def describe(exchange: Exchange) -> Object:
    """Return the source, whether any of it was made up, and how fast it is replayed."""
    settings = exchange.venue.settings
    return {
        "source": exchange.source,
        "synthetic": any(part.startswith(SYNTHETIC) for part in exchange.source.split("; ")),
        "symbols": [*exchange.venue.replays],
        "interval": settings.interval,
        "pace": settings.pace,
        "speed": settings.speed,
    }


def route(exchange: Exchange) -> web.RouteDef:
    """Return the route to add."""

    async def market(_: web.Request) -> web.Response:
        return web.json_response(describe(exchange))

    return web.get(ROUTE, market)
