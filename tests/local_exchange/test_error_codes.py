"""Every bad request gets Binance's own status, code and message, and changes nothing."""

# ruff: noqa: E501 (a row of the tables is one refusal)

from __future__ import annotations

import pytest

from bridge.local_exchange.limits import LimitRules
from bridge.local_exchange.security import sign
from tests.local_exchange.conftest import Local, Opener

LIMIT = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
MARKET = "symbol=BTCUSDT&side=BUY&type=MARKET"
ORDER, ACCOUNT = "/api/v3/order", "/api/v3/account"

SIGNED = [
    ("POST", ORDER, "", 400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
    ("POST", ORDER, "symbol=BTCUSDT&side=BUY", 400, -1102, "Mandatory parameter 'type' was not sent, was empty/null, or malformed."),
    ("POST", ORDER, "symbol=NOPEUSDT&side=BUY&type=MARKET&quantity=1", 400, -1121, "Invalid symbol."),
    ("POST", ORDER, "symbol=BTCUSDT&side=HOLD&type=MARKET&quantity=1", 400, -1117, "Invalid side."),
    ("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=HOPE&quantity=1", 400, -1116, "Invalid orderType."),
    ("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=DAY&quantity=1&price=1", 400, -1115, "Invalid timeInForce."),
    ("POST", ORDER, f"{LIMIT}&quantity=1", 400, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
    ("POST", ORDER, f"{MARKET}", 400, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
    ("POST", ORDER, f"{MARKET}&quantity=1&quoteOrderQty=5", 400, -1106, "Parameter 'quoteOrderQty' sent when not required."),
    ("POST", ORDER, f"{MARKET}&quantity=1&price=5", 400, -1106, "Parameter 'price' sent when not required."),
    ("POST", ORDER, f"{MARKET}&quantity=0.000000001", 400, -1111, "Parameter 'quantity' has too much precision."),
    ("POST", ORDER, f"{MARKET}&quantity=-1", 400, -1100, "Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."),
    ("POST", ORDER, f"{MARKET}&quantity=0", 400, -1013, "Invalid quantity."),
    ("POST", ORDER, f"{LIMIT}&quantity=1&price=0", 400, -1013, "Invalid price."),
    ("POST", ORDER, f"{MARKET}&quantity=0.000015", 400, -1013, "Filter failure: LOT_SIZE"),
    ("POST", ORDER, f"{LIMIT}&quantity=0.01&price=50000.001", 400, -1013, "Filter failure: PRICE_FILTER"),
    ("POST", ORDER, f"{LIMIT}&quantity=0.00005&price=50000", 400, -1013, "Filter failure: NOTIONAL"),
    ("POST", ORDER, f"{MARKET}&quoteOrderQty=1", 400, -1013, "Filter failure: NOTIONAL"),
    ("POST", ORDER, f"{MARKET}&quoteOrderQty=10001", 400, -2010, "Account has insufficient balance for requested action."),
    ("POST", ORDER, f"{MARKET}&quantity=0.01&selfTradePreventionMode=DECREMENT", 400, -1013, "This symbol does not allow the specified self-trade prevention mode."),
    ("POST", ORDER, f"{MARKET}&quantity=0.01&newClientOrderId=a%20b", 400, -1100, "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[\\.A-Z\\:/a-z0-9_-]{1,36}$'."),
    ("POST", ORDER, f"{MARKET}&quantity=0.01&hello=1", 400, -1104, "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
    ("POST", ORDER, f"{MARKET}&symbol=BTCUSDT&quantity=0.01", 400, -1101, "Duplicate values for a parameter detected."),
    ("GET", ORDER, "symbol=BTCUSDT&orderId=99", 400, -2013, "Order does not exist."),
    ("GET", ORDER, "symbol=BTCUSDT", 400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"),
    ("DELETE", ORDER, "symbol=BTCUSDT&origClientOrderId=nobody", 400, -2011, "Unknown order sent."),
    ("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", 400, -2011, "Unknown order sent."),
    ("GET", "/api/v3/myTrades", "symbol=BTCUSDT&orderId=one", 400, -1100, "Illegal characters found in parameter 'orderId'; legal range is '^[0-9]{1,20}$'."),
]  # fmt: skip

PUBLIC = [
    ("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=2m", 400, -1120, "Invalid interval."),
    ("GET", "/api/v3/klines", "symbol=BTCUSDT", 400, -1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed."),
    ("GET", "/api/v3/depth", "symbol=NOPE", 400, -1121, "Invalid symbol."),
    ("GET", "/api/v3/ticker/price", "symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", 400, -1128, "Combination of optional parameters invalid."),
    ("GET", "/api/v3/ticker/price", "symbols=BTCUSDT", 400, -1135, "JSON sent for parameter 'symbols' is not valid"),
    ("GET", "/api/v3/time", "now=1", 400, -1101, "Too many parameters; expected '0' and received '1'."),
    ("GET", "/api/v3/klines", "symbol=%FF&interval=1m", 400, -1100, "Illegal characters found in a parameter."),
    ("GET", ACCOUNT, "", 400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."),
    ("GET", ACCOUNT, "signature=x", 400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."),
    ("POST", "/api/v3/orderList/opo", "", 400, -1020, "This operation is not supported."),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "query", "status", "code", "message"), SIGNED)
async def test_a_signed_but_bad_request_is_refused(
    local: Local, method: str, path: str, query: str, status: int, code: int, message: str
) -> None:
    assert await local.signed(method, path, query) == (status, {"code": code, "msg": message})
    assert local.exchange.venue.engine.orders == {}


@pytest.mark.parametrize(("method", "path", "query", "status", "code", "message"), PUBLIC)
async def test_a_bad_public_request_is_refused(
    local: Local, method: str, path: str, query: str, status: int, code: int, message: str
) -> None:
    assert await local.call(method, path, query=query) == (status, {"code": code, "msg": message})


async def test_keys_times_and_signatures_are_refused_in_that_order(local: Local) -> None:
    now = local.exchange.clock.wall_ms()
    late, bad = f"timestamp={now - 60_000}&signature=00", f"timestamp={now}&signature=00"
    stranger = "Z" * 64
    answers = [
        await local.call("GET", ACCOUNT, query=late, key="short"),
        await local.call("GET", ACCOUNT, query=late),
        await local.call("GET", ACCOUNT, query=late, key=stranger),
        await local.call("GET", ACCOUNT, query=late, key=local.key),
        await local.call("GET", ACCOUNT, query=bad, key=local.key),
    ]
    assert [(status, body["code"]) for status, body in answers] == [  # type: ignore[index]
        (401, -2014),
        (401, -2014),
        (401, -2015),
        (400, -1021),
        (400, -1022),
    ]


async def test_a_signature_covers_query_and_body_together(local: Local) -> None:
    stamp = local.exchange.clock.wall_ms()
    query, body = "symbol=BTCUSDT&side=BUY", f"type=MARKET&quoteOrderQty=100&timestamp={stamp}"
    signature = sign(local.secret, query + body).upper()
    status, _ = await local.call(
        "POST", ORDER, query=query, body=f"{body}&signature={signature}", key=local.key
    )
    assert status == 200
    status, answer = await local.call(
        "POST",
        ORDER,
        query=query,
        body=f"{body}&signature={sign(local.secret, body)}",
        key=local.key,
    )
    assert (status, answer["code"]) == (400, -1022)  # type: ignore[index]


async def test_an_id_of_an_open_order_is_a_duplicate_and_free_after_the_cancel(
    local: Local,
) -> None:
    order = f"{LIMIT}&quantity=0.01&price=50000&newClientOrderId=same"
    assert (await local.signed("POST", ORDER, order))[0] == 200
    assert await local.signed("POST", ORDER, order) == (
        400,
        {"code": -2010, "msg": "Duplicate order sent."},
    )
    assert (await local.signed("DELETE", ORDER, "symbol=BTCUSDT&origClientOrderId=same"))[0] == 200
    assert (await local.signed("POST", ORDER, order))[0] == 200


async def test_cancel_restrictions_are_kept(local: Local) -> None:
    await local.signed("POST", ORDER, f"{LIMIT}&quantity=0.01&price=50000&newClientOrderId=one")
    cancel = "symbol=BTCUSDT&origClientOrderId=one&cancelRestrictions="
    assert (await local.signed("DELETE", ORDER, cancel + "ONLY_OLD"))[1] == {
        "code": -1145,
        "msg": "Invalid cancelRestrictions",
    }
    assert (await local.signed("DELETE", ORDER, cancel + "ONLY_PARTIALLY_FILLED"))[1] == {
        "code": -2011,
        "msg": "Order was not canceled due to cancel restrictions.",
    }
    assert (await local.signed("DELETE", ORDER, cancel + "ONLY_NEW"))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_listen_keys_are_gone(local: Local, method: str) -> None:
    status, text = await local.call(method, "/api/v3/userDataStream", key=local.key)
    assert status == 410
    assert str(text).startswith("<html>")


async def test_what_binance_does_not_have_is_not_found(local: Local) -> None:
    assert (await local.call("GET", "/api/v3/nothing"))[0] == 404
    assert (await local.call("PATCH", "/api/v3/order"))[0] == 404


async def test_weight_is_counted_and_its_limit_answers_429_until_the_minute_ends(
    open_exchange: Opener,
) -> None:
    async with open_exchange(limits=LimitRules(weight=45)) as local:
        seen = []
        for _ in range(3):
            async with local.http.get(f"{local.running.rest}/api/v3/exchangeInfo") as answer:
                seen.append(answer)
        used = [int(answer.headers["X-MBX-USED-WEIGHT-1M"]) for answer in seen]
        assert used == [20, 40, 60] or used[0] < used[-1]  # a minute may turn in between
        if used[-1] == 60:
            assert seen[-1].status == 429
            assert 1 <= int(seen[-1].headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("order", "unfilled"),
    [(f"{LIMIT}&quantity=0.01&price=50000", "1"), (f"{MARKET}&quoteOrderQty=100", "0")],
)
async def test_a_placed_order_costs_no_weight_and_counts_until_its_first_fill(
    local: Local, order: str, unfilled: str
) -> None:
    query = f"{order}&timestamp={local.exchange.clock.wall_ms()}"
    async with local.http.post(
        f"{local.running.rest}{ORDER}?{query}&signature={sign(local.secret, query)}",
        headers={"X-MBX-APIKEY": local.key},
    ) as answer:
        assert answer.status == 200
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "0"
        assert answer.headers["X-MBX-ORDER-COUNT-10S"] == unfilled
        assert answer.headers["X-MBX-ORDER-COUNT-1D"] == unfilled
