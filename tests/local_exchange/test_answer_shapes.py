"""Answers and events have the fields of Binance's official samples, of the same JSON types."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import shared_path
from tests.local_exchange.conftest import Local, Opener

Sample = Any
MARKET = "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100"
LIMIT = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price=200000"


def samples(file: str) -> list[dict[str, Sample]]:
    return json.loads(shared_path(f"fixtures/binance-docs/{file}").read_text())["samples"]


def rest_sample(endpoint: str, label: str = "") -> Sample:
    """Return the official sample of an endpoint whose label contains a word."""
    found = [
        one["payload"]
        for one in samples("rest-api.json")
        if one["endpoint"] == endpoint and label in one["label"]
    ]
    return found[0]


def event_sample(file: str, event: str) -> Sample:
    for one in samples(file):
        payload = one["payload"]
        inner = payload.get("event", payload) if isinstance(payload, dict) else {}
        if inner.get("e") == event:
            return inner
    raise LookupError(event)


def same_shape(
    answer: Sample, sample: Sample, where: str = "$", optional: tuple[str, ...] = ()
) -> None:
    """Demand the sample's fields and JSON types; lists are compared by their first elements."""
    if isinstance(sample, dict):
        assert isinstance(answer, dict), where
        assert set(sample) - set(answer) - set(optional) == set(), f"{where}: missing"
        assert set(answer) - set(sample) - set(optional) == set(), f"{where}: not Binance's"
        for name in set(sample) & set(answer):
            same_shape(answer[name], sample[name], f"{where}.{name}", optional)
    elif isinstance(sample, list):
        assert isinstance(answer, list), where
        if sample and answer and not where.endswith(("orderTypes", "permissionSets", "Modes")):
            same_shape(answer[0], sample[0], f"{where}[0]", optional)
    elif sample is not None and answer is not None:
        assert isinstance(answer, type(sample)), f"{where}: {answer!r} instead of {sample!r}"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v3/ping", ""),
        ("/api/v3/time", ""),
        ("/api/v3/depth", "symbol=BTCUSDT"),
        ("/api/v3/trades", "symbol=BTCUSDT&limit=3"),
        ("/api/v3/aggTrades", "symbol=BTCUSDT&limit=3"),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m"),
        ("/api/v3/uiKlines", "symbol=BTCUSDT&interval=5m"),
        ("/api/v3/avgPrice", "symbol=BTCUSDT"),
        ("/api/v3/ticker/24hr", "symbol=BTCUSDT"),
        ("/api/v3/ticker/price", "symbol=BTCUSDT"),
        ("/api/v3/ticker/price", ""),
        ("/api/v3/ticker/bookTicker", "symbol=BTCUSDT"),
    ],
)
async def test_public_answers(local: Local, path: str, query: str) -> None:
    status, answer = await local.call("GET", path, query=query)
    assert status == 200
    found = [one["payload"] for one in samples("rest-api.json") if one["endpoint"] == f"GET {path}"]
    wanted = [one for one in found if isinstance(one, type(answer))]
    same_shape(answer, wanted[0], path)


async def test_exchange_information(local: Local) -> None:
    _, answer = await local.call("GET", "/api/v3/exchangeInfo")
    same_shape(
        answer,
        rest_sample("GET /api/v3/exchangeInfo"),
        optional=("sors", *answer["rateLimits"][0]),
    )  # type: ignore[index]
    official = {
        one["payload"]["filterType"]: one["payload"]
        for one in samples("filters.json")
        if "filterType" in one["payload"]
    }
    for one in answer["symbols"][0]["filters"]:  # type: ignore[index]
        same_shape(one, official[one["filterType"]], one["filterType"])


@pytest.mark.parametrize("kind", ["ACK", "RESULT", "FULL"])
async def test_new_order_in_its_three_forms(local: Local, kind: str) -> None:
    status, answer = await local.signed(
        "POST", "/api/v3/order", f"{MARKET}&newOrderRespType={kind}"
    )
    assert status == 200
    same_shape(answer, rest_sample("POST /api/v3/order", f"Response - {kind}"))


async def test_queries_and_cancel(local: Local) -> None:
    await local.signed("POST", "/api/v3/order", f"{MARKET}&newClientOrderId=a")
    await local.signed("POST", "/api/v3/order", f"{LIMIT}&newClientOrderId=b")
    for method, path, query in (
        ("GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=a"),
        ("GET", "/api/v3/openOrders", "symbol=BTCUSDT"),
        ("GET", "/api/v3/allOrders", "symbol=BTCUSDT"),
        ("GET", "/api/v3/myTrades", "symbol=BTCUSDT"),
        ("GET", "/api/v3/account", ""),
        ("GET", "/api/v3/account/commission", "symbol=BTCUSDT"),
        ("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=b"),
    ):
        status, answer = await local.signed(method, path, query)
        assert status == 200, answer
        same_shape(answer, rest_sample(f"{method} {path}"), f"{method} {path}")


async def test_a_test_order_checks_everything_and_places_nothing(local: Local) -> None:
    assert await local.signed("POST", "/api/v3/order/test", MARKET) == (200, {})
    _, rates = await local.signed(
        "POST", "/api/v3/order/test", f"{MARKET}&computeCommissionRates=true"
    )
    same_shape(rates, rest_sample("POST /api/v3/order/test", "With `compute"))
    status, _ = await local.signed("POST", "/api/v3/order/test", MARKET.replace("=100", "=1"))
    assert status == 400
    assert local.exchange.venue.engine.orders == {}


async def test_market_stream_frames(local: Local) -> None:
    url = f"{local.running.ws}/stream?streams=btcusdt@kline_1m/btcusdt@trade/btcusdt@bookTicker"
    async with local.http.ws_connect(url) as socket:
        await local.admin("POST", "/admin/advance")
        frames = [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(3)]
    by_name = {frame["stream"].partition("@")[2]: frame["data"] for frame in frames}
    same_shape(by_name["kline_1m"], event_sample("web-socket-streams.json", "kline"))
    same_shape(by_name["trade"], event_sample("web-socket-streams.json", "trade"))
    assert set(by_name["bookTicker"]) == {"u", "s", "b", "B", "a", "A"}


async def test_recorded_testnet_kline_frame(local: Local) -> None:
    lines = shared_path("fixtures/spot-testnet/streams/btcusdt.jsonl").read_text().splitlines()
    recorded = next(json.loads(line) for line in lines if "@kline_1m" in line)
    url = f"{local.running.ws}/stream?streams=btcusdt@kline_1m"
    async with local.http.ws_connect(url) as socket:
        await local.admin("POST", "/admin/advance")
        same_shape(await asyncio.wait_for(socket.receive_json(), 5), recorded)


async def test_user_events(local: Local, open_exchange: Opener) -> None:
    client = await local.client()
    try:
        async with local.sockets(client).user_socket() as socket:
            await client.create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="500"
            )
            events = [await asyncio.wait_for(socket.recv(), 5) for _ in range(3)]
    finally:
        await client.close_connection()
    official = event_sample("user-data-stream.json", "executionReport")
    for event in events[:2]:
        same_shape(event, official, optional=("v",))
    same_shape(events[2], event_sample("user-data-stream.json", "outboundAccountPosition"))


async def test_ws_api_answers_and_errors(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        await socket.send_json({"id": "one", "method": "time"})
        told = await socket.receive_json()
        await socket.send_json({"id": 2, "method": "order.place", "params": {"symbol": "BTCUSDT"}})
        refused = await socket.receive_json()
    official = [
        one["payload"]
        for one in samples("web-socket-api.json")
        if one["section"][-1] == "Response format" and "status" in one["payload"]
    ]
    good = next(one for one in official if one["status"] == 200)
    bad = next(one for one in official if one["status"] != 200)
    assert set(told) == set(good)
    same_shape(refused | {"id": "x"}, bad)
    assert (told["id"], refused["id"]) == ("one", 2)
    assert refused["error"]["code"] == -1102
