"""The operator's own routes (header X-Admin-Token): step the market, look inside, plan faults."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict

from aiohttp import web

from bridge.local_exchange.conditions import parse_change
from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.faults import parse_fault
from bridge.local_exchange.settings import Pace, parse_balances
from bridge.local_exchange.shapes import Json, Object
from workbench.errors import UsageError
from workbench.market.instruments import from_e8


class Admin:
    """The handlers under /admin."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add."""
        return [
            web.post("/admin/advance", self.advance),
            web.get("/admin/status", self.status),
            web.get("/admin/truth", self.truth),
            web.get("/admin/faults", self.list_faults),
            web.post("/admin/faults", self.add_faults),
            web.delete("/admin/faults", self.clear_faults),
            web.get("/admin/conditions", self.list_conditions),
            web.post("/admin/conditions", self.change_conditions),
            web.post("/admin/deposit", self.deposit),
        ]

    async def advance(self, request: web.Request) -> web.Response:
        """Play one symbol, or all, to the close and stand at the next open; step pace only.

        With "until": "fill" it stops before that at each price where a resting order fills, the nearest
        first, for its owner to act; the answer's `opened` says where it stopped, `fills` how many there have been.
        """
        body = await self._body(request)
        if self._exchange.venue.settings.pace is not Pace.STEP:
            return _problem(
                409, "the market runs by the clock; start with --pace step to advance it"
            )
        if not isinstance(body, dict | None):
            return _problem(422, 'the body must be {"symbol": "BTCUSDT"} or empty')
        symbol, until = ((body or {}).get(name) for name in ("symbol", "until"))
        if until not in (None, "fill"):
            return _problem(422, f'until is "fill" or left out, not {until!r}')
        replays = self._exchange.venue.replays
        if symbol is not None and symbol not in replays:
            return _problem(422, f"unknown symbol {symbol!r}; replayed are {' '.join(replays)}")
        venue, opened = self._exchange.venue, True
        for name in [str(symbol)] if symbol else list(replays):
            if until:
                opened &= venue.advance_to_fill(name)
            else:
                venue.advance(name)
        stopped: Object = {"opened": opened, "fills": len(venue.engine.executions)}
        return web.json_response(self._status() | stopped)

    async def status(self, request: web.Request) -> web.Response:
        """Return the pace, and how far every tape was played."""
        await self._body(request)
        return web.json_response(self._status())

    async def truth(self, request: web.Request) -> web.Response:
        """Return every order, fill and balance: what tests compare a client's books with."""
        await self._body(request)
        engine = self._exchange.venue.engine
        books = engine.ledger
        engine.ledger.check_conservation()
        return web.json_response(
            {
                "orders": [asdict(order) for order in engine.orders.values()],
                "fills": [asdict(fill) for fill in engine.executions],
                "accounts": [
                    {
                        "name": account.name,
                        "api_key": account.api_key,
                        "balances": {
                            asset: {"free": from_e8(one.free_e8), "locked": from_e8(one.locked_e8)}
                            for asset, one in engine.balances(account.name).items()
                        },
                    }
                    for account in self._exchange.venue.accounts.all
                ],
                "deposited": {asset: from_e8(sum_) for asset, sum_ in books.deposited.items()},
                "fees": {asset: from_e8(sum_) for asset, sum_ in books.fees.items()},
                "market": {asset: from_e8(sum_) for asset, sum_ in books.market.items()},
            }
        )

    async def list_faults(self, request: web.Request) -> web.Response:
        """Return the plan."""
        await self._body(request)
        return web.json_response(self._exchange.faults.listed())

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add one entry or a list of them to the plan."""
        body = await self._body(request)
        try:
            entries = [parse_fault(entry) for entry in (body if isinstance(body, list) else [body])]
        except UsageError as error:
            return _problem(422, str(error))
        for entry in entries:
            self._exchange.faults.add(entry)
        return web.json_response(self._exchange.faults.listed(), status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Forget the plan."""
        await self._body(request)
        self._exchange.faults.clear()
        return web.json_response([])

    async def list_conditions(self, request: web.Request) -> web.Response:
        """Return the conditions in force."""
        await self._body(request)
        exchange = self._exchange
        return web.json_response(exchange.conditions.listed(exchange.venue))

    async def change_conditions(self, request: web.Request) -> web.Response:
        """Skew the clock, go into maintenance, halt a symbol, change its filters, wipe everything."""
        body = await self._body(request)
        exchange = self._exchange
        try:
            exchange.change(parse_change(body, list(exchange.venue.replays)))
        except UsageError as error:
            return _problem(422, str(error))
        return web.json_response(exchange.conditions.listed(exchange.venue))

    async def deposit(self, request: web.Request) -> web.Response:
        """Credit an account from outside: {"account": "account-1", "asset", "amount"}."""
        body = await self._body(request)
        venue = self._exchange.venue
        named = {account.name: account for account in venue.accounts.all}
        if not isinstance(body, dict) or body.get("account") not in named:
            return _problem(422, f"account must be one of {' '.join(named)}")
        try:
            ((asset, amount_e8),) = parse_balances(f"{body.get('asset')}={body.get('amount')}")
        except (UsageError, ValueError) as error:
            return _problem(422, str(error))
        venue.deposit(named[str(body["account"])], asset, amount_e8)
        return web.json_response({"asset": asset, "amount": from_e8(amount_e8)})

    async def _body(self, request: web.Request) -> Json:
        sent = request.headers.get("X-Admin-Token", "")
        if not hmac.compare_digest(sent.encode(), self._exchange.admin_token.encode()):
            raise _problem_error(401, "the header X-Admin-Token must carry the admin token")
        text = await request.text()
        try:
            body: Json = json.loads(text) if text.strip() else None
        except ValueError as error:
            raise _problem_error(422, f"the body is not JSON: {error}") from None
        return body

    def _status(self) -> Object:
        venue = self._exchange.venue
        symbols: Object = {
            name: {
                "now_ms": replay.now_ms,
                "candle_open_ms": int(replay.tape.open_ms[replay.candle]),
                "candle": replay.candle,
                "candles": replay.tape.candles,
                "last_price": from_e8(replay.last.price_e8),
                "state": "tape ended" if replay.ended else "playing",
            }
            for name, replay in venue.replays.items()
        }
        return {
            "state": "tape ended" if venue.ended else "playing",
            "pace": venue.settings.pace,
            "speed": venue.settings.speed,
            "source": self._exchange.source,
            "now_ms": venue.now_ms,
            "clock": asdict(self._exchange.market_clock) if self._exchange.market_clock else None,
            "symbols": symbols,
            "connections": len(self._exchange.open_sockets),
            "orders": len(venue.engine.orders),
        }


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _problem_error(status: int, message: str) -> web.HTTPException:
    kind = web.HTTPUnauthorized if status == 401 else web.HTTPUnprocessableEntity
    return kind(text=json.dumps({"error": message}), content_type="application/json")
