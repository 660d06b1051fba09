"""Unmodified ccxt, REST and pro, against the local exchange: market data, orders, user data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.local_exchange.settings import Pace
from tests.local_exchange.conftest import Local, Opener, made_up, readme_block

pro = pytest.importorskip("ccxt.pro", reason="ccxt is a peer; `make test` installs it")
SYMBOL = "BTC/USDT"


def pointed(local: Local) -> Any:
    """Return a client made by the README's own lines."""
    names: dict[str, Any] = {
        "rest": local.running.rest,
        "ws": local.running.ws,
        "api_key": local.key,
        "secret": local.secret,
    }
    exec(readme_block("ccxt.pro.binance("), names)
    return names["exchange"]


@pytest.fixture
async def moving(open_exchange: Opener) -> AsyncIterator[Local]:
    """An exchange whose market runs ten minutes a second."""
    async with open_exchange(made_up(4_000), pace=Pace.TIME, speed=600.0, hold_s=0.0) as local:
        yield local


@pytest.fixture
async def client(moving: Local) -> AsyncIterator[Any]:
    """A ccxt client that knows the markets."""
    found = pointed(moving)
    try:
        await found.load_markets()
        yield found
    finally:
        await found.close()


async def test_markets_candles_and_quotes_are_read(moving: Local, client: Any) -> None:
    market = client.market(SYMBOL)
    assert (market["precision"]["price"], market["limits"]["cost"]["min"]) == (0.01, 5.0)
    rows = await client.fetch_ohlcv(SYMBOL, "1m", limit=200)
    records = moving.candles.records
    by_time = {int(one["open_time"]): one for one in records}
    assert len(rows) == 200
    for open_ms, *values in rows[:-1]:
        candle = by_time[open_ms]
        assert values == [candle[name] for name in ("open", "high", "low", "close", "volume")]
    ticker = await client.fetch_ticker(SYMBOL)
    assert ticker["bid"] <= ticker["ask"]
    book = await client.fetch_order_book(SYMBOL)
    assert book["bids"][0][0] <= book["asks"][0][0]
    assert len(await client.fetch_trades(SYMBOL, limit=5)) == 5
    assert await client.fetch_time() == pytest.approx(moving.exchange.clock.wall_ms(), abs=60_000)


async def test_orders_are_placed_found_and_cancelled(client: Any) -> None:
    before = await client.fetch_balance()
    bought = await client.create_order(SYMBOL, "market", "buy", 0.01)
    assert (bought["status"], bought["filled"]) == ("closed", 0.01)
    resting = await client.create_order(SYMBOL, "limit", "buy", 0.02, 40_000)
    assert [one["id"] for one in await client.fetch_open_orders(SYMBOL)] == [resting["id"]]
    assert (await client.fetch_order(resting["id"], SYMBOL))["status"] == "open"
    assert (await client.cancel_order(resting["id"], SYMBOL))["status"] == "canceled"
    assert await client.fetch_open_orders(SYMBOL) == []
    trades = await client.fetch_my_trades(SYMBOL)
    assert [one["order"] for one in trades] == [bought["id"]]
    after = await client.fetch_balance()
    assert after["BTC"]["total"] == pytest.approx(before["BTC"]["total"] + 0.00999)
    assert after["USDT"]["used"] == 0


async def test_refusals_become_ccxts_own_errors(client: Any) -> None:
    with pytest.raises(pro.InsufficientFunds):
        await client.create_order(SYMBOL, "limit", "buy", 5, 80_000)
    with pytest.raises(pro.OrderNotFound):
        await client.cancel_order("77", SYMBOL)


async def test_market_data_is_watched(client: Any) -> None:
    async with asyncio.timeout(20):
        candles = await client.watch_ohlcv(SYMBOL, "1m")
        assert len(candles[-1]) == 6
        ticker = await client.watch_ticker(SYMBOL)
        assert ticker["last"] > 0
        trades = await client.watch_trades(SYMBOL)
        assert trades[-1]["symbol"] == SYMBOL
        for _ in range(3):  # snapshot from REST, differences from the stream
            book = await client.watch_order_book(SYMBOL)
        assert book["bids"][0][0] <= book["asks"][0][0]
        best = await client.watch_bids_asks([SYMBOL])
        assert best[SYMBOL]["bid"] <= best[SYMBOL]["ask"]


async def test_orders_balances_and_trades_of_ones_own_are_watched(
    moving: Local, client: Any
) -> None:
    async with asyncio.timeout(20):
        watching = asyncio.ensure_future(client.watch_orders(SYMBOL))
        balance = asyncio.ensure_future(client.watch_balance())
        trades = asyncio.ensure_future(client.watch_my_trades(SYMBOL))
        wanted = {"orders:BTC/USDT", "spot:balance", "myTrades:BTC/USDT"}
        while not wanted <= awaited(client) or not moving.exchange.users._listeners["account-1"]:
            await asyncio.sleep(0.02)
        placed = await client.create_order_ws(SYMBOL, "market", "buy", 0.01)
        assert placed["status"] == "closed"
        orders = await watching
        assert orders[-1]["id"] == placed["id"]
        assert (await trades)[-1]["amount"] == 0.01
        assert (await balance)["BTC"]["free"] > 1.0
        resting = await client.create_order_ws(SYMBOL, "limit", "buy", 0.02, 40_000)
        gone = await client.cancel_order_ws(resting["id"], SYMBOL)
        assert gone["status"] == "canceled"


def awaited(client: Any) -> set[str]:
    """Return what the client waits to hear."""
    return {name for socket in client.clients.values() for name in socket.futures}
