"""Resting orders through unmodified python-binance at the local exchange: placed, listed, cancelled, traded."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.clock import SystemClock
from bridge.config import venue
from bridge.exchanges.base import OrderKind, OrderPair, Refused, RestingOrder, Side
from bridge.exchanges.binance import BinanceExchange
from bridge.limits import WeightBudget
from tests.bridge.stage import Market
from workbench.market.instruments import SCALE

LOT = 100_000  # 0.001 BTC


@pytest.fixture
async def exchange(market: Market, keys: dict[str, str]) -> AsyncIterator[BinanceExchange]:
    """Connect to an account of its own, as a gateway does."""
    rest, clock = market.told["rest"], SystemClock()
    made = BinanceExchange(
        venue("local", {"local": f"{rest},{rest.replace('http', 'ws')}"}),
        keys["api_key"],
        keys["secret"],
        "HMAC",
        clock=clock,
        budget=WeightBudget(clock),
    )
    await made.open()
    yield made
    await made.close()


async def last_price(exchange: BinanceExchange) -> int:
    """Return the price that the market stands at, in whole quote."""
    (kline,) = await exchange.klines("BTCUSDT", "1h", start_ms=None, now_ms=0, limit=1)
    return int(kline.close)


def order(
    name: str, kind: OrderKind, *, price: int = 0, stop: int = 0, side: Side = Side.SELL
) -> RestingOrder:
    """Return an order of one lot."""
    return RestingOrder(name, "BTCUSDT", side, kind, LOT, price * SCALE, stop * SCALE)


async def test_every_kind_rests_is_listed_and_is_taken_back(exchange: BinanceExchange) -> None:
    price = await last_price(exchange)
    buy = order("wb-live0001-1-1", OrderKind.LIMIT, price=price // 2, side=Side.BUY)
    placed = await exchange.send_resting_order(buy)
    assert (placed.status, placed.executed_e8, placed.trades) == ("NEW", 0, ())
    assert [one.client_order_id for one in await exchange.open_orders("BTCUSDT")] == [
        buy.client_order_id
    ]
    locked = (await exchange.balances())["USDT"].locked_e8
    assert locked == price // 2 * SCALE * LOT // SCALE
    (ended,) = await exchange.cancel_order("BTCUSDT", buy.client_order_id)
    assert (ended.client_order_id, ended.status) == (buy.client_order_id, "CANCELED")
    with pytest.raises(Refused) as refusal:
        await exchange.cancel_order("BTCUSDT", buy.client_order_id)
    assert refusal.value.code == -2011
    assert await exchange.open_orders("BTCUSDT") == ()


async def test_a_pair_is_one_request_and_ends_together(exchange: BinanceExchange) -> None:
    price = await last_price(exchange)
    bought = await exchange.send_resting_order(
        order("wb-live0002-1-1", OrderKind.LIMIT, price=price * 2, side=Side.BUY)
    )
    assert (bought.status, sum(one.quantity_e8 for one in bought.trades)) == ("FILLED", LOT)
    assert all(one.price_e8 < price * 2 * SCALE for one in bought.trades)
    quantity = 99_000  # what is left after the fee, in whole lots
    stop = RestingOrder(
        "wb-live0002-2-1",
        "BTCUSDT",
        Side.SELL,
        OrderKind.STOP_LOSS,
        quantity,
        0,
        price // 2 * SCALE,
    )
    gain = RestingOrder(
        "wb-live0002-3-1",
        "BTCUSDT",
        Side.SELL,
        OrderKind.LIMIT_MAKER,
        quantity,
        price * 2 * SCALE,
        0,
    )
    placed = await exchange.send_pair(OrderPair("wb-live0002-2-1-l", stop, gain))
    assert {(one.client_order_id, one.status) for one in placed} == {
        ("wb-live0002-2-1", "NEW"),
        ("wb-live0002-3-1", "NEW"),
    }
    assert (await exchange.balances())["BTC"].locked_e8 == quantity  # once, not twice
    ended = await exchange.cancel_order("BTCUSDT", "wb-live0002-3-1")
    assert {one.client_order_id for one in ended} == {"wb-live0002-2-1", "wb-live0002-3-1"}
    found = await exchange.find_order("BTCUSDT", "wb-live0002-2-1")
    assert found is not None
    assert found.status == "CANCELED"


async def test_a_stop_limit_carries_both_prices_and_a_bad_one_is_refused(
    exchange: BinanceExchange, market: Market, keys: dict[str, str]
) -> None:
    price = await last_price(exchange)
    below = order(
        "wb-live0003-1-1", OrderKind.STOP_LOSS_LIMIT, stop=price * 2, price=price * 2, side=Side.BUY
    )
    await exchange.send_resting_order(below)
    (told,) = [
        one
        for one in market.orders_of(keys["api_key"])
        if one["client_order_id"] == "wb-live0003-1-1"
    ]
    assert told["order_type"] == "STOP_LOSS_LIMIT"
    await exchange.cancel_order("BTCUSDT", "wb-live0003-1-1")
    above = order("wb-live0003-2-1", OrderKind.STOP_LOSS, stop=price * 2)
    with pytest.raises(Refused) as refusal:
        await exchange.send_resting_order(above)
    assert refusal.value.code == -2010
