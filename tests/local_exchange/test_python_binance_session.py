"""An unmodified python-binance client does a whole session over real sockets."""

from __future__ import annotations

import asyncio

import pytest
from binance.exceptions import BinanceAPIException

from tests.local_exchange.conftest import FIRST, SYMBOL, Local


async def test_client_pings_reads_the_time_and_the_rules(local: Local) -> None:
    client = await local.client()
    try:
        assert await client.ping() == {}
        assert (
            abs((await client.get_server_time())["serverTime"] - local.exchange.clock.wall_ms())
            < 5000
        )
        info = await client.get_symbol_info(SYMBOL)
        assert info is not None
        filters = {one["filterType"]: one for one in info["filters"]}
        assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    finally:
        await client.close_connection()


async def test_client_pages_the_history_before_the_start(local: Local) -> None:
    client = await local.client()
    try:
        rows = await client.get_klines(symbol=SYMBOL, interval="1m", limit=1000)
    finally:
        await client.close_connection()
    assert len(rows) == FIRST + 1  # all history and the unfinished candle
    assert [float(row[4]) for row in rows[:-1]] == local.candles.records["close"][:FIRST].tolist()


async def test_client_places_queries_and_cancels_and_reads_its_trades(local: Local) -> None:
    client = await local.client()
    try:
        bought = await client.create_order(
            symbol=SYMBOL, side="BUY", type="MARKET", quoteOrderQty="1000", newClientOrderId="wb-1"
        )
        assert (bought["status"], bought["clientOrderId"]) == ("FILLED", "wb-1")
        resting = await client.create_order(
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.001",
            price="50000",
        )
        assert resting["status"] == "NEW"
        assert [one["orderId"] for one in await client.get_open_orders(symbol=SYMBOL)] == [
            resting["orderId"]
        ]
        canceled = await client.cancel_order(symbol=SYMBOL, orderId=resting["orderId"])
        assert canceled["status"] == "CANCELED"
        assert canceled["origClientOrderId"] == resting["clientOrderId"]
        found = await client.get_order(symbol=SYMBOL, origClientOrderId="wb-1")
        assert found["executedQty"] == bought["executedQty"]
        trades = await client.get_my_trades(symbol=SYMBOL)
        assert [one["orderId"] for one in trades] == [bought["orderId"]]
        account = await client.get_account()
        held = {one["asset"]: float(one["free"]) for one in account["balances"]}
        assert held["USDT"] == pytest.approx(
            10_000 - float(bought["cummulativeQuoteQty"]), abs=1e-8
        )
    finally:
        await client.close_connection()


async def test_client_sees_its_refusal_as_an_api_exception(local: Local) -> None:
    client = await local.client()
    try:
        with pytest.raises(BinanceAPIException, match="insufficient balance") as error:
            await client.create_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity="5")
        assert error.value.code == -2010
    finally:
        await client.close_connection()


async def test_kline_socket_gets_the_closing_candle_and_the_next_open(local: Local) -> None:
    client = await local.client()
    try:
        async with local.sockets(client).kline_socket(SYMBOL, interval="1m") as socket:
            while "btcusdt@kline_1m" not in local.exchange.streams._channels:
                await asyncio.sleep(0.01)
            await local.admin("POST", "/admin/advance")
            frames = [await asyncio.wait_for(socket.recv(), 5) for _ in range(4)]
    finally:
        await client.close_connection()
    assert [frame["k"]["x"] for frame in frames] == [False, False, True, False]
    closed, opened = frames[2]["k"], frames[3]["k"]
    candle, following = local.candles.records[FIRST], local.candles.records[FIRST + 1]
    assert [float(closed[name]) for name in "ohlcv"] == [
        candle[name] for name in ("open", "high", "low", "close", "volume")
    ]
    assert float(opened["o"]) == following["open"] == float(opened["c"])


async def test_user_socket_reports_an_order_and_the_balances_it_changed(local: Local) -> None:
    client = await local.client()
    try:
        async with local.sockets(client).user_socket() as socket:
            await client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quoteOrderQty="500")
            events = [await asyncio.wait_for(socket.recv(), 5) for _ in range(3)]
    finally:
        await client.close_connection()
    assert [event["e"] for event in events] == [
        "executionReport",
        "executionReport",
        "outboundAccountPosition",
    ]
    assert [(event["x"], event["X"]) for event in events[:2]] == [
        ("NEW", "NEW"),
        ("TRADE", "FILLED"),
    ]
    assert events[1]["N"] == "BTC"
    assert {one["a"] for one in events[2]["B"]} == {"BTC", "USDT"}


async def test_client_places_and_cancels_over_the_websocket_api(local: Local) -> None:
    client = await local.client()
    try:
        placed = await client.ws_create_order(
            symbol=SYMBOL,
            side="SELL",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price="99000",
        )
        assert placed["status"] == "NEW"
        found = await client.ws_get_order(symbol=SYMBOL, orderId=placed["orderId"])
        assert found["price"] == "99000.00000000"
        canceled = await client.ws_cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
        assert canceled["status"] == "CANCELED"
        with pytest.raises(BinanceAPIException, match="-2011"):
            await client.ws_cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
    finally:
        await client.close_connection()


async def test_client_places_order_lists_and_replaces_orders_over_both_interfaces(
    local: Local,
) -> None:
    client = await local.client()
    market = float((await client.get_symbol_ticker(symbol=SYMBOL))["price"])
    above, below = f"{market + 500:.2f}", f"{market - 500:.2f}"
    legs = {
        "symbol": SYMBOL,
        "side": "SELL",
        "quantity": "0.01",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": above,
        "belowType": "STOP_LOSS",
        "belowStopPrice": below,
    }
    try:
        placed = await client.create_oco_order(**legs)
        assert [one["status"] for one in placed["orderReports"]] == ["NEW", "NEW"]
        over_socket = await client.ws_create_oco_order(**legs)
        assert over_socket["orderListId"] == placed["orderListId"] + 1
        assert len(await client.get_open_oco_orders()) == 2
        resting = await client.create_order(
            symbol=SYMBOL,
            side="SELL",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price=above,
        )
        replaced = await client.cancel_replace_order(
            symbol=SYMBOL,
            side="SELL",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.02",
            price=above,
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=resting["orderId"],
        )
        assert replaced["newOrderResponse"]["origQty"] == "0.02000000"
        with pytest.raises(BinanceAPIException) as failed:
            await client.ws_cancel_and_replace_order(
                symbol=SYMBOL,
                side="SELL",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.02",
                price=above,
                cancelReplaceMode="STOP_ON_FAILURE",
                cancelOrderId=resting["orderId"],
            )
        assert (failed.value.code, failed.value.status_code) == (-2022, 400)
        assert (await client.get_account_api_permissions())["enableWithdrawals"] is False
        assert len(await client.cancel_all_open_orders(symbol=SYMBOL)) == 3
        assert await client.get_open_orders(symbol=SYMBOL) == []
    finally:
        await client.close_connection()
