"""Every official error code that an order or a query can meet, with one of the official messages."""

# ruff: noqa: E501 (a row of the table is one refusal)

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import shared_path
from tests.local_exchange.conftest import Local
from tests.local_exchange.test_order_surface import bad

ORDER, LISTS = "/api/v3/order", "/api/v3/orderList"
LIMIT = "symbol=BTCUSDT&side=SELL&type=LIMIT&quantity=0.01"
GTC = f"{LIMIT}&timeInForce=GTC&price=90000"
OTO = "symbol=BTCUSDT&workingSide=BUY&workingPrice=80000&workingQuantity=0.01&pendingType=MARKET&pendingSide=SELL&pendingQuantity=0.01"

REQUESTS = [
    (-1013, "POST", ORDER, LIMIT.replace("0.01", "0") + "&timeInForce=GTC&price=90000"),
    (-1014, "POST", f"{LISTS}/oto", f"{OTO}&workingType=TAKE_PROFIT_LIMIT&workingStopPrice=70000&workingTimeInForce=GTC"),
    (-1021, "POST", ORDER, f"{GTC}&timestamp=1500000000000"),
    (-1100, "POST", ORDER, GTC.replace("90000", "9e4")),
    (-1101, "POST", ORDER, f"{GTC}&price=90000"),
    (-1102, "POST", ORDER, LIMIT),
    (-1104, "POST", ORDER, f"{GTC}&nothing=1"),
    (-1105, "GET", "/api/v3/allOrders", "symbol=BTCUSDT&limit="),
    (-1106, "POST", ORDER, f"{GTC}&stopPrice=1"),
    (-1108, "GET", "/api/v3/allOrders", f"symbol=BTCUSDT&orderId={2**63}"),
    (-1111, "POST", ORDER, GTC.replace("90000", "90000.000000001")),
    (-1114, "POST", ORDER, "symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&quantity=0.01&price=99999&timeInForce=GTC"),
    (-1115, "POST", ORDER, GTC.replace("GTC", "GTD")),
    (-1116, "POST", ORDER, GTC.replace("=LIMIT", "=LIMITED")),
    (-1117, "POST", ORDER, GTC.replace("SELL", "SHORT")),
    (-1120, "GET", "/api/v3/klines", "symbol=BTCUSDT&interval=2m"),
    (-1121, "POST", ORDER, GTC.replace("BTCUSDT", "NOPE")),
    (-1122, "GET", "/api/v3/depth", "symbol=BTCUSDT&symbolStatus=OPEN"),
    (-1127, "GET", "/api/v3/myTrades", "symbol=BTCUSDT&startTime=1&endTime=90000000"),
    (-1128, "GET", "/api/v3/myTrades", "symbol=BTCUSDT&fromId=1&startTime=1"),
    (-1130, "POST", ORDER, f"{GTC}&newOrderRespType=LONG"),
    (-1134, "POST", ORDER, f"{GTC}&strategyType=999999"),
    (-1135, "GET", "/api/v3/ticker/price", "symbols=BTCUSDT"),
    (-1139, "GET", "/api/v3/ticker", "symbol=BTCUSDT&type=LONG"),
    (-1151, "GET", "/api/v3/ticker/price", "symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D"),
    (-1220, "GET", "/api/v3/ticker/price", "symbol=BTCUSDT&symbolStatus=HALT"),
    (-2011, "DELETE", ORDER, "symbol=BTCUSDT&orderId=7"),
    (-2013, "GET", ORDER, "symbol=BTCUSDT&orderId=7"),
    (-2043, "GET", "/api/v3/referencePrice", "symbol=BTCUSDT"),
]  # fmt: skip
OURS = {-1013, -2011}  # their messages are in the tables of rejects and filters


@pytest.mark.parametrize(("code", "method", "path", "query"), REQUESTS)
async def test_a_code_comes_with_an_official_message(
    local: Local, code: int, method: str, path: str, query: str
) -> None:
    file = json.loads(shared_path("fixtures/binance-docs/error_codes.json").read_text())
    texts = {one["code"]: one["messages"] for one in file["codes"]}[code]
    if code in OURS:
        texts = [*texts, *(one[0] for one in file["order_reject_messages"]), "Invalid quantity."]
    public = path.startswith(("/api/v3/klines", "/api/v3/depth", "/api/v3/ticker", "/api/v3/ref"))
    if public:
        status, answer = await local.call(method, path, query=query)
        assert isinstance(answer, dict)
        got, message = answer["code"], answer["msg"]
    else:
        status, got, message = await bad(local, method, path, query)
    assert (status, got) == (400, code)
    patterns = [re.escape(text).replace("%s", ".+") for text in texts]
    assert any(re.fullmatch(pattern, message) for pattern in patterns), message
    assert local.exchange.venue.engine.orders == {}
