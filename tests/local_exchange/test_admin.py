"""The operator's routes: stepping, the truth log, faults, and nobody without the token."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.local_exchange.conftest import FIRST, START_MS, SYMBOL, Local, Opener, made_up
from workbench.core.costs import buy_ticks, sell_ticks
from workbench.market.candles import Candles

ORDER = "/api/v3/order"
BUY = "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=1000&newClientOrderId=once"


async def truth(local: Local) -> Any:
    return await local.admin("GET", "/admin/truth")


async def test_orders_fill_at_the_worsened_open_of_the_candle_stepped_to(local: Local) -> None:
    for step in range(1, 4):
        told: Any = await local.admin("POST", "/admin/advance", {"symbol": SYMBOL})
        opened = float(local.candles.records["open"][FIRST + step])
        assert told["symbols"][SYMBOL]["candle_open_ms"] == START_MS + (FIRST + step) * 60_000
        _, bought = await local.signed("POST", ORDER, BUY.replace("once", f"b{step}"))
        _, sold = await local.signed(
            "POST", ORDER, "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.001"
        )
        ticks = [round(float(one["fills"][0]["price"]) * 100) for one in (bought, sold)]  # type: ignore[index,call-overload]
        assert ticks == [buy_ticks(opened, 1.0, 1_000_000), sell_ticks(opened, 1.0, 1_000_000)]


async def test_the_unfinished_candle_is_the_open_alone_until_stepped(local: Local) -> None:
    _, rows = await local.call("GET", "/api/v3/klines", query="symbol=BTCUSDT&interval=1m&limit=1")
    row: Any = rows
    opened = local.candles.records["open"][FIRST]
    assert [float(price) for price in row[0][1:5]] == [opened] * 4
    assert row[0][0] == START_MS + FIRST * 60_000


async def test_a_step_to_the_next_fill_lets_an_owner_act_between_two_prints(
    open_exchange: Opener,
) -> None:
    quiet = made_up()
    for at, prices in enumerate([(100.0, 102, 98, 101), (104, 106, 103, 105), (105, 106, 99, 100)]):
        for name, price in zip(("open", "high", "low", "close"), prices, strict=True):
            quiet.records[name][FIRST + at] = price
    candles = Candles(quiet.symbol, quiet.timeframe, np.copy(quiet.records), FIRST, quiet.source)
    limit = "symbol=BTCUSDT&type=LIMIT&timeInForce=GTC&quantity=0.1"
    async with open_exchange(candles) as local:

        async def step() -> tuple[bool, int, float, int]:
            told: Any = await local.admin(
                "POST", "/admin/advance", {"symbol": SYMBOL, "until": "fill"}
            )
            here = told["symbols"][SYMBOL]
            return told["opened"], told["fills"], float(here["last_price"]), here["candle"] - FIRST

        async def published() -> list[float]:
            _, rows = await local.call(
                "GET", "/api/v3/klines", query="symbol=BTCUSDT&interval=1m&limit=1"
            )
            return [float(price) for price in rows[0][1:5]]  # type: ignore[index]

        await local.signed("POST", ORDER, f"{limit}&side=BUY&price=99")
        assert await step() == (False, 1, 99.0, 0)  # the market stands where it filled
        assert await published() == [100.0] * 4  # nobody has heard of the low yet
        await local.signed("POST", ORDER, f"{limit}&side=SELL&price=101.5")
        assert await step() == (False, 2, 101.5, 0)
        await local.signed("POST", ORDER, f"{limit}&side=BUY&price=100")
        _, sold = await local.signed("POST", ORDER, f"{limit}&side=SELL&price=103.5")
        assert await step() == (True, 2, 104.0, 1)  # the open is quoted, and met by nobody yet
        assert await published() == [104.0] * 4
        _, kept = await local.signed("POST", ORDER, f"{limit}&side=SELL&price=104.5")
        number = sold["orderId"]  # type: ignore[index,call-overload]
        await local.signed("DELETE", ORDER, f"symbol=BTCUSDT&orderId={number}")
        assert await step() == (False, 3, 104.5, 1)  # what was taken back did not fill at the open
        assert await step() == (True, 3, 105.0, 2)
        told: Any = await truth(local)
        assert [(one["order_id"], one["price_ticks"]) for one in told["fills"]] == [
            (1, 9_900), (2, 10_150), (kept["orderId"], 10_450),  # type: ignore[index,call-overload]
        ]  # fmt: skip
        assert (await local.admin("POST", "/admin/advance", {"until": "noon"})) == {
            "error": "until is \"fill\" or left out, not 'noon'"
        }


async def test_an_owner_may_move_its_stop_between_two_orders_that_one_fall_passes(
    open_exchange: Opener,
) -> None:
    """100 falls to 90 past buys at 98, 96 and 92: after the second the stop moves from 95 to 93, and sells there."""
    quiet = made_up()
    for at, prices in enumerate([(100.0, 102, 90, 98), (98, 106, 97, 105), (105, 106, 99, 100)]):
        for name, price in zip(("open", "high", "low", "close"), prices, strict=True):
            quiet.records[name][FIRST + at] = price
    candles = Candles(quiet.symbol, quiet.timeframe, np.copy(quiet.records), FIRST, quiet.source)
    stop = "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity="
    async with open_exchange(candles) as local:

        async def step() -> tuple[bool, int, float]:
            told: Any = await local.admin("POST", "/admin/advance", {"until": "fill"})
            return told["opened"], told["fills"], float(told["symbols"][SYMBOL]["last_price"])

        for price in (96, 98, 92):
            limit = f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price={price}"
            await local.signed("POST", ORDER, limit)
        assert await step() == (False, 1, 98.0)
        _, first = await local.signed("POST", ORDER, f"{stop}0.06&stopPrice=95")
        assert await step() == (False, 2, 96.0)
        number = first["orderId"]  # type: ignore[index,call-overload]
        await local.signed("DELETE", ORDER, f"symbol=BTCUSDT&orderId={number}")
        await local.signed("POST", ORDER, f"{stop}0.15&stopPrice=93")
        assert await step() == (False, 3, 93.0)
        assert await step() == (False, 4, 92.0)
        told: Any = await truth(local)
        assert [(one["side"], one["price_ticks"]) for one in told["fills"]] == [
            ("BUY", 9_800), ("BUY", 9_600), ("SELL", sell_ticks(93.0, 1.0, 1_000_000)),
            ("BUY", 9_200),
        ]  # fmt: skip


@pytest.mark.parametrize("until", [{}, {"until": "fill"}])
async def test_a_stop_sells_at_its_own_price_inside_a_candle_and_at_the_open_over_a_gap(
    open_exchange: Opener, until: dict[str, str]
) -> None:
    """100 falls to 90 past stops at 97 and 95; then the next candle opens at 80, below one at 85."""
    quiet = made_up()
    for at, prices in enumerate([(100.0, 102, 90, 98), (80, 106, 79, 105), (105, 106, 99, 100)]):
        for name, price in zip(("open", "high", "low", "close"), prices, strict=True):
            quiet.records[name][FIRST + at] = price
    candles = Candles(quiet.symbol, quiet.timeframe, np.copy(quiet.records), FIRST, quiet.source)
    async with open_exchange(candles) as local:
        await local.signed("POST", ORDER, BUY)
        for stop in (95, 97, 85):
            stops = f"symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.1&stopPrice={stop}"
            assert (await local.signed("POST", ORDER, stops))[0] == 200
        for _ in range(8):
            await local.admin("POST", "/admin/advance", {"symbol": SYMBOL, **until})
        told: Any = await truth(local)
        sold = [(one["order_id"], one["price_ticks"]) for one in told["fills"]][1:]
        assert sold == [
            (number, sell_ticks(price, 1.0, 1_000_000))
            for number, price in ((3, 97.0), (2, 95.0), (4, 80.0))
        ]


async def test_at_the_end_of_the_tape_the_market_stands_at_the_last_close(
    open_exchange: Opener,
) -> None:
    short = made_up(FIRST + 2)
    async with open_exchange(short) as local:
        states = [(await local.admin("POST", "/admin/advance"))["state"] for _ in range(3)]  # type: ignore[index]
        assert states == ["playing", "tape ended", "tape ended"]
        _, price = await local.call("GET", "/api/v3/ticker/price", query="symbol=BTCUSDT")
        assert float(price["price"]) == short.records["close"][-1]  # type: ignore[index,call-overload]
        assert (await local.signed("POST", ORDER, BUY))[0] == 200


async def test_a_candle_without_volume_is_replayed_and_published(open_exchange: Opener) -> None:
    quiet = made_up()
    quiet.records["volume"][FIRST] = 0.0
    candles = Candles(quiet.symbol, quiet.timeframe, np.copy(quiet.records), FIRST, quiet.source)
    async with open_exchange(candles) as local:
        await local.admin("POST", "/admin/advance")
        _, rows = await local.call(
            "GET", "/api/v3/klines", query="symbol=BTCUSDT&interval=1m&limit=2"
        )
        row: Any = rows
        assert float(row[0][5]) == 0.0
        assert float(row[0][4]) == candles.records["close"][FIRST]


async def test_an_applied_order_whose_reply_is_dropped_is_in_the_truth(local: Local) -> None:
    entry = {"match": "POST /api/v3/order", "nth": 1, "when": "after_apply", "do": "drop"}
    await local.admin("POST", "/admin/faults", entry)
    with pytest.raises(aiohttp.ClientError):
        await local.signed("POST", ORDER, BUY)
    told = await truth(local)
    assert [one["client_order_id"] for one in told["orders"]] == ["once"]
    assert (await local.signed("GET", ORDER, "symbol=BTCUSDT&origClientOrderId=once"))[0] == 200


async def test_an_order_dropped_before_it_is_applied_does_not_exist(local: Local) -> None:
    entry = {"match": "POST /api/v3/order", "nth": 2, "when": "before_apply", "do": "drop"}
    await local.admin("POST", "/admin/faults", [entry])
    assert (await local.signed("POST", ORDER, BUY))[0] == 200
    with pytest.raises(aiohttp.ClientError):
        await local.signed("POST", ORDER, BUY.replace("once", "twice"))
    assert len((await truth(local))["orders"]) == 1
    assert (await local.signed("POST", ORDER, BUY.replace("once", "thrice")))[0] == 200


async def test_a_planned_status_hides_an_order_that_was_applied(local: Local) -> None:
    body = '{"code":-1007,"msg":"Timeout waiting for response from backend server."}'
    entry = {"match": "POST /api/v3/order", "when": "after_apply", "do": "status", "status": 504}
    await local.admin("POST", "/admin/faults", entry | {"body": body})
    status, answer = await local.signed("POST", ORDER, BUY)
    assert (status, answer["code"]) == (504, -1007)  # type: ignore[index]
    assert len((await truth(local))["orders"]) == 1


async def test_a_planned_delay_only_delays(local: Local) -> None:
    entry = {"match": "POST /api/v3/order", "when": "after_apply", "do": "delay", "ms": 300}
    await local.admin("POST", "/admin/faults", entry)
    before = local.exchange.clock.elapsed()
    assert (await local.signed("POST", ORDER, BUY))[0] == 200
    assert local.exchange.clock.elapsed() - before >= 0.3
    listed: Any = await local.admin("GET", "/admin/faults")
    assert (listed[0]["seen"], listed[0]["done"]) == (1, True)
    assert await local.admin("DELETE", "/admin/faults") == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"match": "POST /x", "do": "explode"},
        {"match": "POST /x", "do": "drop", "nht": 1},
        {"match": "POST /x", "do": "drop", "nth": -1},
        {"match": "EVENT executionReport", "do": "half_body"},
        {"match": "POST /x", "do": "drop", "nth": 0},
        "drop",
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_an_example(
    local: Local, entry: object
) -> None:
    answer: Any = await local.admin("POST", "/admin/faults", entry)
    assert '"match": "POST /api/v3/order"' in answer["error"]


@pytest.mark.parametrize("path", ["/admin/status", "/admin/truth", "/admin/faults"])
async def test_without_the_token_nothing_is_told(local: Local, path: str) -> None:
    for headers in ({}, {"X-Admin-Token": "guess"}):
        async with local.http.get(f"{local.running.rest}{path}", headers=headers) as answer:
            assert answer.status == 401


async def test_an_order_over_a_socket_that_drops_is_applied_and_its_events_can_be_lost(
    local: Local,
) -> None:
    await local.admin(
        "POST", "/admin/faults", {"match": "EVENT executionReport", "nth": 2, "do": "drop"}
    )
    client = await local.client()
    try:
        async with local.sockets(client).user_socket() as socket:
            await local.signed("POST", ORDER, BUY)
            events = [await asyncio.wait_for(socket.recv(), 5) for _ in range(2)]
    finally:
        await client.close_connection()
    assert [event["e"] for event in events] == ["executionReport", "outboundAccountPosition"]
    entry = {"match": "WS ping", "when": "after_apply", "do": "drop"}
    await local.admin("POST", "/admin/faults", entry)
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as api:
        await api.send_json({"id": 1, "method": "ping"})
        assert (await asyncio.wait_for(api.receive(), 5)).type is aiohttp.WSMsgType.CLOSED


async def test_the_truth_adds_up_after_trading(local: Local) -> None:
    await local.signed("POST", ORDER, BUY)
    told = await truth(local)
    usdt = told["accounts"][0]["balances"]["USDT"]
    assert float(usdt["free"]) + float(told["market"]["USDT"]) == pytest.approx(10_000)
    assert told["fills"][0]["order_id"] == told["orders"][0]["order_id"] == 1
