"""Every public answer over REST and the WebSocket API: shape by the samples, numbers by the tape."""

# ruff: noqa: E501 (a row of the tables is one refusal)

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from tests.local_exchange.conftest import Local
from tests.local_exchange.test_answer_shapes import same_shape, samples
from workbench.market.instruments import to_e8

SYMBOL = "symbol=BTCUSDT"
SEVERAL = "symbols=%5B%22BTCUSDT%22%5D"


def official(path: str) -> list[Any]:
    return [s["payload"] for s in samples("rest-api.json") if s["endpoint"] == f"GET {path}"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("historicalTrades", f"{SYMBOL}&limit=3"),
        ("aggTrades", f"{SYMBOL}&limit=3"),
        ("ticker/24hr", SEVERAL),
        ("ticker/24hr", f"{SYMBOL}&type=MINI"),
        ("ticker/24hr", f"{SEVERAL}&type=MINI"),
        ("ticker/tradingDay", SYMBOL),
        ("ticker/tradingDay", SEVERAL),
        ("ticker/tradingDay", f"{SYMBOL}&type=MINI&timeZone=8"),
        ("ticker/tradingDay", f"{SEVERAL}&type=MINI&timeZone=-1:30"),
        ("ticker", SYMBOL),
        ("ticker", f"{SEVERAL}&windowSize=7d"),
        ("ticker", f"{SYMBOL}&windowSize=59m&type=MINI"),
        ("ticker", f"{SEVERAL}&windowSize=23h&type=MINI"),
        ("ticker/price", SEVERAL),
        ("ticker/bookTicker", SEVERAL),
        ("ticker/bookTicker", ""),
        ("uiKlines", f"{SYMBOL}&interval=1h&timeZone=5:45"),
    ],
)
async def test_a_public_answer_has_the_official_shape(local: Local, path: str, query: str) -> None:
    status, answer = await local.call("GET", f"/api/v3/{path}", query=query)
    assert status == 200
    shapes = [one for one in official(f"/api/v3/{path}") if isinstance(one, type(answer))]
    first = answer[0] if isinstance(answer, list) else answer
    mini = "type=MINI" in query
    wanted = [
        one
        for one in shapes
        if not isinstance(first, dict)
        or not mini
        or "priceChange" not in (one[0] if isinstance(one, list) else one)
    ]
    same_shape(answer, wanted[0], path)


async def test_symbols_of_another_status_are_left_out_or_refused(local: Local) -> None:
    path = "/api/v3/ticker/price"
    assert await local.call("GET", path, query=f"{SYMBOL}&symbolStatus=HALT") == (
        400,
        {
            "code": -1220,
            "msg": "The symbol's status does not match the requested symbolStatus.",
        },
    )
    assert await local.call("GET", path, query="symbolStatus=HALT") == (200, [])
    assert (await local.call("GET", path, query=f"{SYMBOL}&symbolStatus=TRADING"))[0] == 200
    _, info = await local.call("GET", "/api/v3/exchangeInfo", query="symbolStatus=BREAK")
    assert info["symbols"] == []  # type: ignore[index]


async def test_exchange_information_is_cut_by_permission_and_without_permission_sets(
    local: Local,
) -> None:
    path = "/api/v3/exchangeInfo"
    for query, count in (
        ("permissions=SPOT", 1),
        ("permissions=MARGIN", 0),
        ("permissions=%5B%22MARGIN%22%2C%22SPOT%22%5D", 1),
    ):
        _, info = await local.call("GET", path, query=query)
        assert len(info["symbols"]) == count  # type: ignore[index]
    _, info = await local.call("GET", path, query="showPermissionSets=false")
    assert info["symbols"][0]["permissionSets"] == []  # type: ignore[index]


async def test_a_rolling_window_holds_the_candles_that_opened_in_it(local: Local) -> None:
    await local.admin("POST", "/admin/advance")
    _, told = await local.call("GET", "/api/v3/ticker", query=f"{SYMBOL}&windowSize=5m")
    now_ms = local.exchange.venue.now_ms
    records = local.candles.records
    shown = records[(records["open_time"] >= now_ms - 300_000) & (records["open_time"] < now_ms)]
    assert told["openTime"] == now_ms - 300_000  # type: ignore[index]
    assert to_e8(told["highPrice"]) == round(float(np.max(shown["high"])) * 1e8)  # type: ignore[index]
    assert told["openPrice"] == f"{shown['open'][0]:.8f}"  # type: ignore[index]


async def test_a_trading_day_begins_at_midnight_of_its_zone(local: Local) -> None:
    now_ms = local.exchange.venue.now_ms
    for zone, hours in (("0", 0), ("8", 8), ("-3", -3)):
        _, told = await local.call(
            "GET", "/api/v3/ticker/tradingDay", query=f"{SYMBOL}&timeZone={zone}"
        )
        opened = told["openTime"]  # type: ignore[index]
        assert (opened + hours * 3_600_000) % 86_400_000 == 0
        assert opened <= now_ms <= told["closeTime"] == opened + 86_399_999  # type: ignore[index]


async def test_old_trades_are_paged_by_number(local: Local) -> None:
    path = "/api/v3/historicalTrades"
    _, newest = await local.call("GET", path, query=f"{SYMBOL}&limit=5")
    first = newest[0]["id"]  # type: ignore[index]
    _, again = await local.call("GET", path, query=f"{SYMBOL}&fromId={first}&limit=2")
    assert again == newest[:2]  # type: ignore[index]
    _, oldest = await local.call("GET", path, query=f"{SYMBOL}&fromId=0&limit=1")
    assert to_e8(oldest[0]["price"]) == round(local.candles.records["open"][0] * 1e8)  # type: ignore[index]
    _, none = await local.call("GET", path, query=f"{SYMBOL}&fromId={2**62}")
    assert none == []


@pytest.mark.parametrize(
    ("path", "query", "code", "message"),
    [
        ("ticker", "", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"),
        ("ticker", f"{SYMBOL}&windowSize=60m", -1130, "Data sent for parameter 'windowSize' is not valid."),
        ("ticker", f"{SYMBOL}&windowSize=1d2h", -1130, "Data sent for parameter 'windowSize' is not valid."),
        ("ticker/24hr", f"{SYMBOL}&type=BIG", -1139, "Invalid ticker type."),
        ("ticker/price", f"{SYMBOL}&symbolStatus=OPEN", -1122, "Invalid symbolStatus."),
        ("ticker/price", "symbols=%5B%22BTCUSDT%22%2C%22BTCUSDT%22%5D", -1151, "Symbol is present multiple times in the list."),
        ("klines", f"{SYMBOL}&interval=1m&timeZone=15", -1130, "Data sent for parameter 'timeZone' is not valid."),
        ("klines", f"{SYMBOL}&interval=1m&startTime={2**64}", -1108, "Parameter 'startTime' overflowed."),
        ("klines", f"{SYMBOL}&interval=1m&limit=", -1105, "Parameter 'limit' was empty."),
        ("aggTrades", f"{SYMBOL}&fromId=1&startTime=1", -1128, "Combination of optional parameters invalid."),
        ("historicalTrades", f"{SYMBOL}&fromId=-1", -1100, "Illegal characters found in parameter 'fromId'; legal range is '^[0-9]{1,20}$'."),
        ("historicalBlockTrades", SYMBOL, -1102, "Mandatory parameter 'fromId' was not sent, was empty/null, or malformed."),
        ("exchangeInfo", f"{SYMBOL}&permissions=SPOT", -1128, "Combination of optional parameters invalid."),
        ("exchangeInfo", "permissions=%5B", -1135, "JSON sent for parameter 'permissions' is not valid"),
        ("referencePrice", SYMBOL, -2043, "This symbol doesn't have a reference price."),
        ("referencePrice/calculation", SYMBOL, -2043, "This symbol doesn't have a reference price."),
        ("executionRules", "", -1020, "This operation is not supported."),
    ],
)  # fmt: skip
async def test_a_bad_public_request_is_refused(
    local: Local, path: str, query: str, code: int, message: str
) -> None:
    answer = await local.call("GET", f"/api/v3/{path}", query=query)
    assert answer == (400, {"code": code, "msg": message})


async def test_weights_follow_the_number_of_symbols(local: Local) -> None:
    seen = []
    for path, query in (
        ("ticker", SYMBOL),
        ("ticker/24hr", SEVERAL),
        ("ticker/24hr", ""),
        ("ticker/price", ""),
    ):
        before = local.exchange.limits.used(local.exchange.clock.wall_ms())
        await local.call("GET", f"/api/v3/{path}", query=query)
        seen.append(local.exchange.limits.used(local.exchange.clock.wall_ms()) - before)
    assert seen in ([4, 2, 80, 4], seen if min(seen) < 0 else None)  # a minute may turn in between


def requests_and_answers() -> list[tuple[str, dict[str, Any], Any]]:
    """Return the documented (method, parameters, result) triples of the WebSocket API's market part."""
    found = []
    asked: dict[str, Any] | None = None
    for one in samples("web-socket-api.json"):
        payload = one["payload"]
        if not isinstance(payload, dict):
            continue
        if "method" in payload:
            asked = payload
        elif asked is not None and payload.get("status") == 200:
            if one["section"][0] and "Market data requests" in one["section"]:
                found.append((asked["method"], asked.get("params", {}), payload["result"]))
            asked = None
    return found


async def test_market_methods_of_the_websocket_api_have_the_official_shapes(local: Local) -> None:
    checked = set()
    for method, params, result in requests_and_answers():
        if method in ("blockTrades.historical", "referencePrice", "referencePrice.calculation"):
            continue
        asked = {k: v for k, v in params.items() if k not in ("startTime", "fromId")}
        if "symbol" in asked:
            asked["symbol"] = "BTCUSDT"
        if "symbols" in asked:
            asked["symbols"] = ["BTCUSDT"]
        if "interval" in asked:
            asked["interval"] = "1m"
        async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
            await socket.send_json({"id": 1, "method": method, "params": asked})
            answer = await asyncio.wait_for(socket.receive_json(), 5)
        assert answer["status"] == 200, (method, json.dumps(answer))
        told = answer["result"]
        if isinstance(told, list) and isinstance(result, dict):
            told = told[0]
        same_shape(told, result, method)
        checked.add(method)
    assert {"klines", "depth", "ticker", "ticker.tradingDay", "trades.historical"} <= checked
