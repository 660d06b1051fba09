"""Exchanges on loopback over made-up candles, and unmodified python-binance clients pointed at them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import pytest
import yarl
from binance import AsyncClient, BinanceSocketManager
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from bridge.clock import SystemClock
from bridge.local_exchange.accounts import Accounts, generate
from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.security import sign
from bridge.local_exchange.server import Running, listening
from bridge.local_exchange.settings import Pace, Settings
from bridge.local_exchange.venue import Venue
from tests.conftest import ROOT
from workbench.execution.matching.tape import Tape
from workbench.market.candles import Candles, records_from_columns
from workbench.market.instruments import instrument, to_e8
from workbench.market.timeframes import parse_timeframe

SYMBOL = "BTCUSDT"
START_MS = 1_735_689_600_000  # 2025-01-01T00:00Z
FIRST = 300  # history before the replay begins


def made_up(count: int = 400, interval: str = "1m", seed: int = 1) -> Candles:
    """Return a tick-rounded random walk with volumes of eight decimals."""
    rng = np.random.default_rng(seed)
    closes = np.round(90_000 * np.exp(np.cumsum(rng.normal(0, 1e-3, count))), 2)
    opens = np.concatenate([[90_000.0], closes[:-1]])
    spread = np.round(rng.uniform(0, 50, (2, count)), 2)
    highs = np.round(np.maximum(opens, closes) + spread[0], 2)
    lows = np.round(np.minimum(opens, closes) - spread[1], 2)
    volumes = np.round(rng.uniform(0, 30, count), 8)
    timeframe = parse_timeframe(interval)
    times = START_MS + np.arange(count) * timeframe.mean_ms
    records = records_from_columns(times, opens, highs, lows, closes, volumes, timeframe)
    return Candles(SYMBOL, timeframe, records, FIRST, "SYNTHETIC random walk of the tests")


@dataclass(frozen=True)
class Local:
    """A running exchange with its candles and one plain HTTP session."""

    running: Running
    candles: Candles
    http: aiohttp.ClientSession

    @property
    def exchange(self) -> Exchange:
        return self.running.exchange

    @property
    def key(self) -> str:
        return self.exchange.venue.accounts.all[0].api_key

    @property
    def secret(self) -> str:
        return self.exchange.venue.accounts.all[0].secret

    async def call(
        self, method: str, path: str, *, query: str = "", body: str = "", key: str | None = None
    ) -> tuple[int, object]:
        """Send a request exactly as written and return (status, JSON or text)."""
        url = f"{self.running.rest}{path}" + (f"?{query}" if query else "")
        headers = {} if key is None else {"X-MBX-APIKEY": key}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.http.request(
            method, yarl.URL(url, encoded=True), data=body or None, headers=headers
        ) as answer:
            text = await answer.text()
            return answer.status, await answer.json() if text.startswith(("{", "[")) else text

    async def signed(self, method: str, path: str, query: str = "") -> tuple[int, object]:
        """Send a request in the query, with a fresh timestamp (or its own) and a good signature."""
        if "timestamp=" not in query:
            stamp = f"timestamp={self.exchange.clock.wall_ms()}"
            query = f"{query}&{stamp}" if query else stamp
        return await self.call(
            method, path, query=f"{query}&signature={sign(self.secret, query)}", key=self.key
        )

    async def admin(self, method: str, path: str, body: object = None) -> object:
        """Call an operator's route."""
        async with self.http.request(
            method,
            f"{self.running.rest}{path}",
            json=body,
            headers={"X-Admin-Token": self.exchange.admin_token},
        ) as answer:
            return await answer.json()

    async def client(self) -> AsyncClient:
        """Return an unmodified python-binance client pointed here by the README's own lines."""
        client: AsyncClient = await self._pointed()["Client"].create(self.key, self.secret)
        return client

    def sockets(self, client: AsyncClient) -> BinanceSocketManager:
        """Return an unmodified python-binance socket manager, pointed here likewise."""
        sockets: BinanceSocketManager = self._pointed()["Sockets"](client, max_queue_size=10_000)
        return sockets

    def _pointed(self) -> dict[str, Any]:
        names: dict[str, Any] = {"rest": self.running.rest, "ws": self.running.ws}
        exec(readme_block("class Client(AsyncClient)"), names)
        return names


def readme_block(word: str) -> str:
    """Return the Python block of the README that holds a word."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return found


Opener = Callable[..., AbstractAsyncContextManager[Local]]


@pytest.fixture(autouse=True)
def impatient_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let python-binance's read loop look up every two seconds: it closes only after that wait."""
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 2)


@pytest.fixture
def open_exchange() -> Opener:
    """Return a context manager that opens an exchange with settings of the test's choice."""

    @asynccontextmanager
    async def opened(candles: Candles | None = None, **changes: object) -> AsyncIterator[Local]:
        given = {"pace": Pace.STEP, "balances": (("USDT", to_e8("10000")), ("BTC", to_e8("1")))}
        settings = Settings(**{**given, **changes})  # type: ignore[arg-type]
        candles = candles or made_up()
        venue = Venue(
            settings,
            Accounts(generate(settings.accounts, settings.key_kinds)),
            {SYMBOL: (instrument(SYMBOL), Tape(candles), candles.first)},
        )
        exchange = Exchange(venue, SystemClock(), candles.source)
        async with listening(exchange) as running, aiohttp.ClientSession() as http:
            yield Local(running, candles, http)

    return opened


@pytest.fixture
async def local(open_exchange: Opener) -> AsyncIterator[Local]:
    """An exchange in step pace."""
    async with open_exchange() as opened:
        yield opened
