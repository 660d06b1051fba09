"""Binance spot through unmodified python-binance: subclasses with redirected URLs, and rules against its surprises.

What the library (1.0.37) does and what is done about it here: - base URLs are class attributes,
and the margin URL is never redirected: each venue gets subclasses made before construction, with
every URL that a spot account has no business with pointing at a closed port; - the user stream is
not subscribed again after a drop, and its socket object is cached: every entry builds a new
client; - error dicts come through the data queue, and read loops end for good: any of both ends
the entry, `StreamBroken` is told (the caller reconciles by REST) and the next entry follows after
a back-off; - the queue of a market socket stops at 100 unread messages: 10,000 here, hours of one kline stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import aiohttp
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import (
    BinanceAPIException,
    BinanceRequestException,
    BinanceWebsocketUnableToConnect,
    ReadLoopClosed,
)

from bridge.clock import Clock, back_off
from bridge.config import Venue
from bridge.crash_points import crash
from bridge.exchanges import binance_shapes as shapes
from bridge.exchanges.base import (
    Balance,
    BalanceUpdate,
    Doubt,
    Kline,
    MarketOrder,
    OrderPair,
    OrderReport,
    OrderRules,
    Refused,
    RestingOrder,
    Side,
    StreamBroken,
    TradeReport,
    Unanswered,
)
from bridge.limits import WeightBudget
from bridge.reconcile import RECV_WINDOW_MS
from workbench.errors import ExchangeError, UsageError
from workbench.market.instruments import Instrument, from_e8

# Port 9 (discard) of loopback: whoever asks for margin, futures or the web site asks nobody.
NOWHERE = "http://127.0.0.1:9"
ORDER_TIMEOUT = 2.0
NO_SUCH_ORDER = -2013
BAD_TIMESTAMP = -1021
# Codes that say "execution status unknown", whatever the HTTP status is.
UNKNOWN_STATUS = frozenset({0, -1000, -1001, -1006, -1007})
# A live market sends a candle frame every 2 s; a replay may stand still for as long as it likes.
SILENT_FOR = 30.0
CLOSING_TIME = 1.0

Answer = TypeVar("Answer")

logging.getLogger("binance").setLevel(logging.CRITICAL)  # it logs frames and errors with addresses


class BinanceExchange:
    """One account at one venue; see `bridge.exchanges.base.Exchange`."""

    def __init__(
        self,
        venue: Venue,
        api_key: str,
        secret: str,
        kind: str,
        *,
        clock: Clock,
        budget: WeightBudget,
    ) -> None:
        self.venue = venue
        self._keys = _constructor_keys(api_key, secret, kind)
        self._clock = clock
        self._budget = budget
        self._client_class, self._manager_class = redirected(venue, budget)
        self._client: Any = None

    def __repr__(self) -> str:
        return f"BinanceExchange({self.venue.name})"

    async def open(self) -> None:
        """Connect and learn the clock offset. Raises ExchangeError."""
        try:
            self._client = await self._client_class.create(**self._keys)
        except (*_NETWORK, BinanceAPIException, BinanceRequestException) as error:
            raise ExchangeError(
                f"{self.venue.name} at {self.venue.rest} does not answer: {plain(error)}"
            ) from None

    async def close(self) -> None:
        """Let go of all connections."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.close_connection()

    async def instrument(self, symbol: str) -> Instrument:
        """Return tick, lot and notional of a symbol."""
        return shapes.instrument(symbol, await self._information(symbol))

    async def order_rules(self, symbol: str) -> OrderRules:
        """Return which orders a symbol takes."""
        return shapes.order_rules(symbol, await self._information(symbol))

    async def _information(self, symbol: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self._ask(
                "exchangeInfo", weight=20, params={"symbol": symbol}
            )
        except Refused as error:
            raise UsageError(f"symbol {symbol}: the exchange says {error}") from None
        return found

    async def is_synthetic(self) -> bool:
        """Ask the local exchange what it replays; Binance's own servers are never asked."""
        if self.venue.name != "local":
            return False
        url = self.venue.rest.removesuffix("/api") + "/local/market"
        try:
            async with self._client.session.get(url, timeout=ORDER_TIMEOUT) as answer:
                return bool((await answer.json())["synthetic"])
        except (*_NETWORK, KeyError, TypeError, ValueError):
            return True

    async def balances(self) -> dict[str, Balance]:
        """Return all assets that are not zero."""
        return shapes.balances(await self._ask("account", weight=20, signed=True))

    async def market_ms(self, symbol: str, interval: str) -> int:
        """Return the market's present time; a replay tells it by the candle that is open now."""
        if self.venue.market_clock == "wall":
            return self._clock.wall_ms() + int(self._client.timestamp_offset)
        params: dict[str, str | int] = {"symbol": symbol, "interval": interval, "limit": 1}
        rows = await self._ask("klines", weight=2, params=params)
        return int(rows[-1][0]) if rows else 0

    async def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, now_ms: int, limit: int
    ) -> list[Kline]:
        """Return candles, oldest first."""
        params: dict[str, str | int] = {"symbol": symbol, "interval": interval, "limit": limit}
        if start_ms is not None:
            params["startTime"] = start_ms
        rows = await self._ask("klines", weight=2, params=params)
        return [shapes.rest_kline(row, now_ms=now_ms) for row in rows]

    async def send_market_order(self, order: MarketOrder) -> OrderReport:
        """Send it once; what is not clearly refused or answered is Doubt."""
        size = {"quoteOrderQty": from_e8(order.quote_e8)}
        if order.side is Side.SELL:
            size = {"quantity": from_e8(order.quantity_e8)}
        return await self._order_call(
            order.client_order_id,
            lambda: self._client.create_order(
                symbol=order.symbol,
                side=order.side.value,
                type="MARKET",
                newClientOrderId=order.client_order_id,
                newOrderRespType="FULL",
                **size,
            ),
            shapes.placed_order,
        )

    async def send_resting_order(self, order: RestingOrder) -> OrderReport:
        """Send it once; what is not clearly refused or answered is Doubt."""
        return await self._order_call(
            order.client_order_id,
            lambda: self._client.create_order(**shapes.resting_order(order)),
            shapes.placed_order,
        )

    async def send_pair(self, pair: OrderPair) -> tuple[OrderReport, ...]:
        """Send both orders of an OCO at once; the answer tells how each of them stands."""
        return await self._order_call(
            pair.list_id,
            lambda: self._client.create_oco_order(**shapes.order_pair(pair)),
            shapes.list_reports,
        )

    async def cancel_order(self, symbol: str, client_order_id: str) -> tuple[OrderReport, ...]:
        """Take an order back; of a list, both orders."""
        return await self._order_call(
            client_order_id,
            lambda: self._client.cancel_order(symbol=symbol, origClientOrderId=client_order_id),
            shapes.canceled,
        )

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Return all orders that stand at the exchange."""
        try:
            rows = await self._ask("openOrders", weight=6, params={"symbol": symbol}, signed=True)
        except Refused as error:
            raise Unanswered(str(error)) from None
        return tuple(shapes.queried_order(row) for row in rows)

    async def _order_call(
        self, name: str, call: Callable[[], Any], read: Callable[[Any], Answer]
    ) -> Answer:
        """Make one call that changes an order; what is not clearly refused or answered is Doubt."""
        await self._budget.wait_for(0)
        try:
            async with asyncio.timeout(ORDER_TIMEOUT):
                return read(await call())
        except BinanceAPIException as error:
            raise _refused_or_doubt(error) from None
        except (*_NETWORK, BinanceRequestException, KeyError, ValueError, TypeError) as error:
            raise Doubt(f"order {name}: {plain(error)}") from None

    async def resync_clock(self) -> None:
        """Measure the clock offset anew, after the exchange refused a timestamp."""
        answer = await self._ask("time", weight=1)
        self._client.timestamp_offset = int(answer["serverTime"]) - self._clock.wall_ms()

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Return the order, or None when the exchange says that it knows none."""
        params = {"symbol": symbol, "origClientOrderId": client_order_id}
        try:
            return shapes.queried_order(
                await self._ask("order", weight=4, params=params, signed=True)
            )
        except Refused as error:
            if error.code == NO_SUCH_ORDER:
                return None
            raise Unanswered(str(error)) from None

    async def trades_of(self, symbol: str, order_id: int) -> tuple[TradeReport, ...]:
        """Return all executions of an order."""
        params: dict[str, str | int] = {"symbol": symbol, "orderId": order_id}
        rows = await self._ask("myTrades", weight=5, params=params, signed=True)
        return tuple(shapes.queried_trade(row) for row in rows)

    async def kline_stream(self, symbol: str, interval: str) -> AsyncIterator[Kline | StreamBroken]:
        """Yield candle frames for ever."""
        silent_for = SILENT_FOR if self.venue.market_clock == "wall" else None
        async for message in self._for_ever(lambda m: m.kline_socket(symbol, interval), silent_for):
            if isinstance(message, StreamBroken):
                yield message
            elif message.get("e") == "kline":
                yield shapes.streamed_kline(message)

    async def user_stream(self) -> AsyncIterator[OrderReport | BalanceUpdate | StreamBroken]:
        """Yield order and balance events for ever; silence is normal here, so the caller reconciles by REST."""
        async for message in self._for_ever(lambda m: m.user_socket(), None):
            if isinstance(message, StreamBroken):
                yield message
            elif message.get("e") == "executionReport":
                yield shapes.execution_report(message)
            elif message.get("e") == "outboundAccountPosition":
                yield BalanceUpdate(shapes.streamed_balances(message))

    async def _for_ever(
        self, socket_of: Callable[[Any], Any], silent_for: float | None
    ) -> AsyncIterator[Mapping[str, Any] | StreamBroken]:
        failures = 0
        while True:
            client = socket = None
            reason = ""
            try:
                client = await self._client_class.create(**self._keys)
                socket = socket_of(self._manager_class(client, max_queue_size=10_000))
                await socket.__aenter__()
                yield StreamBroken("connected")
                failures = 0
                while not reason:
                    async with asyncio.timeout(silent_for):
                        message = await socket.recv()
                    reason = _end_of_stream(message)
                    if not reason:
                        yield message
            except (*_NETWORK, *_LIBRARY) as error:
                reason = plain(error)
            finally:
                await _let_go(socket, client)
            failures += 1
            yield StreamBroken(reason)
            await self._clock.sleep(back_off(failures))

    async def _ask(
        self,
        path: str,
        *,
        weight: int,
        params: Mapping[str, str | int] | None = None,
        signed: bool = False,
    ) -> Any:
        """Ask a question. Raises Refused for a clear no, Unanswered for anything that may be asked again."""
        await self._budget.wait_for(weight)
        try:
            return await self._client._get(path, signed, data=dict(params or {}))
        except BinanceAPIException as error:
            if error.code and error.status_code < 500 and error.code not in UNKNOWN_STATUS:
                raise Refused(int(error.code), str(error.message)) from None
            raise Unanswered(f"{path}: HTTP {error.status_code}") from None
        except (*_NETWORK, BinanceRequestException) as error:
            raise Unanswered(f"{path}: {plain(error)}") from None


def redirected(venue: Venue, budget: WeightBudget) -> tuple[Any, Any]:
    """Return python-binance's client and socket manager with all URLs set for one venue."""

    class Client(AsyncClient):
        API_URL = venue.rest
        WS_API_URL = venue.ws_api
        MARGIN_API_URL = FUTURES_URL = FUTURES_DATA_URL = FUTURES_COIN_URL = NOWHERE
        FUTURES_COIN_DATA_URL = OPTIONS_URL = PAPI_URL = WEBSITE_URL = NOWHERE
        WS_FUTURES_URL = "ws://127.0.0.1:9"
        REQUEST_RECVWINDOW = RECV_WINDOW_MS

        async def _handle_response(self, response: aiohttp.ClientResponse) -> Any:
            budget.saw_answer(response.status, response.headers)
            if response.method == "POST":
                crash("after_send")
            return await super()._handle_response(response)

    class Manager(BinanceSocketManager):
        STREAM_URL = venue.stream
        FSTREAM_URL = DSTREAM_URL = "ws://127.0.0.1:9/"

    return Client, Manager


def plain(error: BaseException) -> str:
    """Say what failed without the request's URL, headers or query: those may hold a key or a signature."""
    if isinstance(error, BinanceAPIException):
        return f"HTTP {error.status_code}, code {error.code}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}"
    return type(error).__name__


async def _let_go(socket: Any, client: Any) -> None:
    """Close what is left of a stream; a dead connection may not hold us up."""
    if socket is not None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(socket.__aexit__(None, None, None), CLOSING_TIME)
    if client is not None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.close_connection(), CLOSING_TIME)


def _end_of_stream(message: Mapping[str, Any]) -> str:
    kind = message.get("e")
    if kind == "error":
        return str(message.get("type", "error"))
    if kind in ("serverShutdown", "eventStreamTerminated"):
        return str(kind)
    return ""


def _refused_or_doubt(error: BinanceAPIException) -> ExchangeError:
    if error.status_code >= 500 or error.code in UNKNOWN_STATUS or error.code is None:
        return Doubt(f"HTTP {error.status_code}, code {error.code}: execution status unknown")
    return Refused(int(error.code), str(error.message))


def _constructor_keys(api_key: str, secret: str, kind: str) -> dict[str, str]:
    if kind == "HMAC":
        return {"api_key": api_key, "api_secret": secret}
    # 1.0.37 takes a private key above 120 characters for RSA: line ends must be bare to
    # keep Ed25519 at 119.
    return {"api_key": api_key, "private_key": secret.replace("\r\n", "\n").strip()}


_NETWORK = (OSError, TimeoutError, aiohttp.ClientError, EOFError)
_LIBRARY = (
    BinanceAPIException,
    BinanceRequestException,
    BinanceWebsocketUnableToConnect,
    ReadLoopClosed,
    AttributeError,  # of websockets >= 14, in a branch of the library that expects an older one
    RuntimeError,
    ValueError,
)
