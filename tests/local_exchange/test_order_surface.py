"""Orders and order lists over REST: what a client sends, and every answer against the samples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.local_exchange.limits import LimitRules
from bridge.local_exchange.security import sign
from tests.conftest import shared_path
from tests.local_exchange.conftest import Local, Opener
from tests.local_exchange.test_answer_shapes import rest_sample, same_shape, samples
from workbench.market.instruments import from_e8, to_e8

ORDER, REPLACE = "/api/v3/order", "/api/v3/order/cancelReplace"
AMEND = "/api/v3/order/amend/keepPriority"
SELL = "symbol=BTCUSDT&side=SELL&quantity=0.01"


def last(local: Local, move: int = 0) -> str:
    """Return the last price, so many dollars further."""
    price_e8 = local.exchange.venue.replays["BTCUSDT"].last.price_e8
    return from_e8(price_e8 // 10**6 * 10**6 + move * 10**8)


def oco(local: Local, **more: str) -> str:
    given = {
        "aboveType": "LIMIT_MAKER",
        "abovePrice": last(local, 500),
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": last(local, -500),
        "belowPrice": last(local, -600),
        "belowTimeInForce": "GTC",
    } | more
    return SELL + "".join(f"&{name}={value}" for name, value in given.items())


def working(local: Local, move: int = -100) -> str:
    return (
        "symbol=BTCUSDT&workingType=LIMIT&workingSide=BUY&workingTimeInForce=GTC"
        f"&workingQuantity=0.01&workingPrice={last(local, move)}"
    )


async def good(local: Local, method: str, path: str, query: str) -> Any:
    status, answer = await local.signed(method, path, query)
    assert status == 200, answer
    return answer


async def bad(local: Local, method: str, path: str, query: str) -> tuple[int, int, str]:
    status, answer = await local.signed(method, path, query)
    assert isinstance(answer, dict), answer
    return status, answer["code"], answer["msg"]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("LIMIT_MAKER", {"price": 500}),
        ("STOP_LOSS", {"stopPrice": -500}),
        ("TAKE_PROFIT", {"stopPrice": 500}),
        ("STOP_LOSS_LIMIT", {"stopPrice": -500, "price": -600}),
        ("TAKE_PROFIT_LIMIT", {"stopPrice": 500, "price": 400}),
    ],
)
async def test_every_type_is_taken_and_answers_ack_unless_asked_otherwise(
    local: Local, kind: str, more: dict[str, int]
) -> None:
    query = f"{SELL}&type={kind}" + "".join(f"&{n}={last(local, v)}" for n, v in more.items())
    query += "&timeInForce=GTC" if kind.endswith("_LIMIT") else ""
    same_shape(
        await good(local, "POST", ORDER, query), rest_sample(f"POST {ORDER}", "Response - ACK")
    )
    told = await good(local, "POST", ORDER, query + "&newOrderRespType=RESULT")
    sample = rest_sample(f"POST {ORDER}", "Response - RESULT")
    sample |= {"stopPrice": "0.0"} if "stopPrice" in more else {}
    same_shape(told, sample)
    assert (told["workingTime"] == -1) == ("stopPrice" in more)
    (first, _) = await good(local, "GET", "/api/v3/openOrders", "symbol=BTCUSDT")
    same_shape(first, rest_sample("GET /api/v3/order"))
    assert first["isWorking"] == ("stopPrice" not in more)


async def test_conditional_fields_are_shown_where_they_apply(local: Local) -> None:
    query = f"{SELL}&type=STOP_LOSS&trailingDelta=100&strategyId=7&strategyType=1000001"
    told = await good(local, "POST", ORDER, f"{query}&newOrderRespType=FULL")
    now_ms = local.exchange.venue.now_ms
    assert {
        name: told[name] for name in ("trailingDelta", "trailingTime", "strategyId", "strategyType")
    } == {"trailingDelta": 100, "trailingTime": now_ms, "strategyId": 7, "strategyType": 1_000_001}
    queried = await good(local, "GET", ORDER, f"symbol=BTCUSDT&orderId={told['orderId']}")
    assert queried["trailingDelta"] == 100
    ioc = f"{SELL}&type=LIMIT&timeInForce=IOC&price={last(local, 500)}"
    told = await good(local, "POST", ORDER, ioc)
    assert told["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"


async def test_a_prevented_trade_is_told_in_the_answer_the_order_and_the_list_of_them(
    local: Local,
) -> None:
    maker = await good(
        local, "POST", ORDER, f"{SELL}&type=LIMIT&timeInForce=GTC&price={last(local, 5)}"
    )
    buy = (
        f"symbol=BTCUSDT&side=BUY&quantity=0.02&type=LIMIT&timeInForce=GTC&price={last(local, 5)}"
        "&selfTradePreventionMode=EXPIRE_MAKER"
    )
    told = await good(local, "POST", ORDER, buy)
    (match,) = told["preventedMatches"]
    assert match == {
        "preventedMatchId": 0,
        "makerOrderId": maker["orderId"],
        "price": last(local, 5),
        "makerPreventedQuantity": "0.01000000",
    }
    gone = await good(local, "GET", ORDER, f"symbol=BTCUSDT&orderId={maker['orderId']}")
    assert (gone["status"], gone["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "0.01000000")
    path = "/api/v3/myPreventedMatches"
    for asked in (
        "preventedMatchId=0",
        f"orderId={maker['orderId']}",
        f"orderId={told['orderId']}",
    ):
        (row,) = await good(local, "GET", path, f"symbol=BTCUSDT&{asked}")
        same_shape(row, rest_sample(f"GET {path}")[0])
    assert await bad(local, "GET", path, "symbol=BTCUSDT") == (
        400,
        -1128,
        "Combination of optional parameters invalid.",
    )


async def test_an_oco_is_placed_found_and_cancelled_as_a_list(local: Local) -> None:
    told = await good(local, "POST", "/api/v3/orderList/oco", oco(local, listClientOrderId="mine"))
    sample = rest_sample("POST /api/v3/orderList/oco")
    same_shape(told, sample, optional=("icebergQty",))
    assert [one["type"] for one in told["orderReports"]] == ["STOP_LOSS_LIMIT", "LIMIT_MAKER"]
    assert [one["workingTime"] == -1 for one in told["orderReports"]] == [True, False]
    number = told["orderListId"]
    for query in (f"orderListId={number}", "origClientOrderId=mine"):
        found = await good(local, "GET", "/api/v3/orderList", query)
        same_shape(found, rest_sample("GET /api/v3/orderList"))
    for path in ("/api/v3/openOrderList", "/api/v3/allOrderList"):
        same_shape(await good(local, "GET", path, ""), rest_sample(f"GET {path}"))
    gone = await good(local, "DELETE", "/api/v3/orderList", f"symbol=BTCUSDT&orderListId={number}")
    same_shape(gone, rest_sample("DELETE /api/v3/orderList"))
    assert {one["status"] for one in gone["orderReports"]} == {"CANCELED"}
    assert await good(local, "GET", "/api/v3/openOrderList", "") == []
    assert await bad(
        local, "DELETE", "/api/v3/orderList", f"symbol=BTCUSDT&orderListId={number}"
    ) == (400, -2011, "Unknown order sent.")


async def test_cancelling_one_leg_answers_with_the_list(local: Local) -> None:
    told = await good(local, "POST", "/api/v3/orderList/oco", oco(local))
    number = told["orders"][1]["orderId"]
    gone = await good(local, "DELETE", ORDER, f"symbol=BTCUSDT&orderId={number}")
    same_shape(gone, rest_sample("DELETE /api/v3/orderList"))
    assert {one["status"] for one in gone["orderReports"]} == {"CANCELED"}


async def test_the_older_form_of_an_oco_places_the_same(local: Local) -> None:
    query = (
        f"{SELL}&price={last(local, 500)}&stopPrice={last(local, -500)}"
        f"&stopLimitPrice={last(local, -600)}&stopLimitTimeInForce=GTC"
    )
    told = await good(local, "POST", "/api/v3/order/oco", query)
    sample = rest_sample("POST /api/v3/order/oco")
    same_shape(told, sample)
    assert [one["type"] for one in told["orderReports"]] == ["STOP_LOSS_LIMIT", "LIMIT_MAKER"]
    without = query.partition("&stopLimitPrice")[0]
    told = await good(local, "POST", "/api/v3/order/oco", without)
    assert told["orderReports"][0]["type"] == "STOP_LOSS"
    gone = await good(local, "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT")
    official = rest_sample("DELETE /api/v3/openOrders")
    assert [set(one) for one in gone] == [set(official[2])] * 2


async def test_an_oto_waits_and_an_otoco_waits_with_two(local: Local) -> None:
    pending = "&pendingSide=SELL&pendingQuantity=0.009"
    told = await good(
        local, "POST", "/api/v3/orderList/oto", f"{working(local)}&pendingType=MARKET{pending}"
    )
    same_shape(told, rest_sample("POST /api/v3/orderList/oto"))
    assert [one["status"] for one in told["orderReports"]] == ["NEW", "PENDING_NEW"]
    legs = (
        f"&pendingAboveType=LIMIT_MAKER&pendingAbovePrice={last(local, 500)}"
        f"&pendingBelowType=STOP_LOSS&pendingBelowStopPrice={last(local, -500)}"
    )
    query = working(local, 500) + pending + legs
    told = await good(local, "POST", "/api/v3/orderList/otoco", query)
    same_shape(told, rest_sample("POST /api/v3/orderList/otoco"), optional=("stopPrice",))
    statuses = [one["status"] for one in told["orderReports"]]
    assert statuses == ["FILLED", "PENDING_NEW", "PENDING_NEW"]
    after = await good(local, "GET", "/api/v3/openOrders", "symbol=BTCUSDT")
    listed = [one["status"] for one in after if one["orderListId"] == told["orderListId"]]
    assert listed == ["NEW", "NEW"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aboveType": "MARKET"}, -1158),
        ({"belowType": "LIMIT"}, -1158),
        ({"belowType": "LIMIT_MAKER"}, -1106),  # its stop price is one too many
        ({"aboveType": "STOP_LOSS"}, -1102),  # it has no stop price
        ({"aboveType": "TAKE_PROFIT_LIMIT"}, -1102),
        ({"belowTimeInForce": "DAY"}, -1115),
        ({"aboveIcebergQty": "0.001"}, -1020),
        ({"abovePegPriceType": "PRIMARY_PEG"}, -1020),
        ({"belowStrategyType": "5"}, -1134),
        ({"belowStopPrice": "0"}, -1013),
        ({"belowStopPrice": "1000000"}, -2010),
        ({"abovePrice": "1000"}, -2010),
        ({"newOrderRespType": "SOME"}, -1130),
        ({"listClientOrderId": "a b"}, -1100),
        ({"aboveClientOrderId": "x", "belowClientOrderId": "x"}, -2010),
        ({"selfTradePreventionMode": "TRANSFER"}, -1013),
    ],
)  # fmt: skip
async def test_a_list_that_cannot_be_is_refused_and_nothing_kept(
    local: Local, change: dict[str, str], code: int
) -> None:
    query = oco(local, **change).replace(" ", "%20")
    assert (await bad(local, "POST", "/api/v3/orderList/oco", query))[1] == code
    assert local.exchange.venue.engine.orders == {}


@pytest.mark.parametrize(
    ("side", "above", "below", "code"),
    [
        ("BUY", "LIMIT_MAKER&abovePrice={}", "STOP_LOSS&belowStopPrice={}", -1165),
        ("SELL", "STOP_LOSS&aboveStopPrice={}", "LIMIT_MAKER&belowPrice={}", -1166),
        ("SELL", "LIMIT_MAKER&abovePrice={}", "LIMIT_MAKER&belowPrice={}", -1168),
        ("BUY", "STOP_LOSS&aboveStopPrice={}", "STOP_LOSS&belowStopPrice={}", -1196),
        ("SELL", "STOP_LOSS&aboveStopPrice={}", "STOP_LOSS&belowStopPrice={}", -1197),
        ("BUY", "TAKE_PROFIT&aboveStopPrice={}", "TAKE_PROFIT&belowStopPrice={}", -1198),
        ("SELL", "TAKE_PROFIT&aboveStopPrice={}", "TAKE_PROFIT&belowStopPrice={}", -1199),
    ],
)  # fmt: skip
async def test_each_leg_stands_on_its_side_of_the_market(
    local: Local, side: str, above: str, below: str, code: int
) -> None:
    query = (
        f"symbol=BTCUSDT&side={side}&quantity=0.01&aboveType={above.format(last(local, 500))}"
        f"&belowType={below.format(last(local, -500))}"
    )
    status, got, message = await bad(local, "POST", "/api/v3/orderList/oco", query)
    official = {one["code"]: one["messages"] for one in error_codes()}
    assert (status, got) == (400, code)
    assert message in official[code]


def error_codes() -> list[dict[str, Any]]:
    return json.loads(shared_path("fixtures/binance-docs/error_codes.json").read_text())["codes"]


def replace_with(local: Local, move: int = 600, **more: str) -> str:
    given = {"cancelReplaceMode": "STOP_ON_FAILURE", "price": last(local, move)} | more
    return f"{SELL}&type=LIMIT&timeInForce=GTC" + "".join(f"&{n}={v}" for n, v in given.items())


def official_replacement(label: str) -> Any:
    found = [s for s in samples("rest-api.json") if s["endpoint"] == f"POST {REPLACE}"]
    return next(s["payload"] for s in found if label in s["label"])


async def resting(local: Local) -> int:
    query = f"{SELL}&type=LIMIT&timeInForce=GTC&price={last(local, 500)}"
    return int((await good(local, "POST", ORDER, query))["orderId"])


async def test_cancel_replace_does_both(local: Local) -> None:
    number = await resting(local)
    answer = await good(local, "POST", REPLACE, replace_with(local, cancelOrderId=str(number)))
    same_shape(answer, official_replacement("SUCCESS"))
    (left,) = await good(local, "GET", "/api/v3/openOrders", "symbol=BTCUSDT")
    assert left["orderId"] == answer["newOrderResponse"]["orderId"]


@pytest.mark.parametrize(
    ("mode", "cancelled", "placed", "status", "code", "label"),
    [
        ("STOP_ON_FAILURE", False, True, 400, -2022, "Cancel Order Fails with STOP_ON"),
        ("STOP_ON_FAILURE", True, False, 409, -2021, "Cancel Order Succeeds but New Order"),
        ("ALLOW_FAILURE", False, True, 409, -2021, "Cancel Order fails with ALLOW_FAILURE"),
        ("ALLOW_FAILURE", False, False, 400, -2022, "both Cancel Order and New Order"),
    ],
)  # fmt: skip
async def test_cancel_replace_tells_which_half_failed(
    local: Local, mode: str, cancelled: bool, placed: bool, status: int, code: int, label: str
) -> None:
    number = await resting(local) if cancelled else 99
    query = replace_with(local, cancelReplaceMode=mode, cancelOrderId=str(number))
    query += "&newOrderRespType=ACK"
    if not placed:
        maker = f"{SELL}&type=LIMIT_MAKER&price={last(local, -500)}"
        query = f"{maker}&cancelReplaceMode={mode}&cancelOrderId={number}"
    before = len(local.exchange.venue.engine.orders)
    got, answer = await local.signed("POST", REPLACE, query)
    assert isinstance(answer, dict)
    assert (got, answer["code"]) == (status, code)
    same_shape(answer, official_replacement(label))
    attempted = placed and mode == "ALLOW_FAILURE"
    assert len(local.exchange.venue.engine.orders) == before + attempted


async def test_cancel_replace_checks_filters_before_either_half(local: Local) -> None:
    number = await resting(local)
    query = replace_with(local, cancelOrderId=str(number)).replace("=0.01&", "=0.000001&")
    assert await bad(local, "POST", REPLACE, query) == (400, -1013, "Filter failure: LOT_SIZE")
    assert local.exchange.venue.engine.orders[number].is_open


async def test_cancel_replace_beyond_the_order_limit_cancels_only_where_told(
    open_exchange: Opener,
) -> None:
    async with open_exchange(limits=LimitRules(orders_10s=1, orders_1d=1)) as local:
        number = await resting(local)
        query = replace_with(local, cancelOrderId=str(number))
        status, code, _ = await bad(local, "POST", REPLACE, query)
        assert (status, code) == (429, -1015)
        assert local.exchange.venue.engine.orders[number].is_open
        got, answer = await local.signed(
            "POST", REPLACE, f"{query}&orderRateLimitExceededMode=CANCEL_ONLY"
        )
        assert got == 409
        same_shape(answer, official_replacement("orderRateLimitExceededMode=CANCEL_ONLY"))
        assert not local.exchange.venue.engine.orders[number].is_open


async def test_an_order_is_amended_and_its_amendments_are_told(local: Local) -> None:
    number = await resting(local)
    told = await good(local, "PUT", AMEND, f"symbol=BTCUSDT&orderId={number}&newQty=0.008")
    official = [s["payload"] for s in samples("rest-api.json") if s["endpoint"] == f"PUT {AMEND}"]
    same_shape(told, official[0])
    assert told["amendedOrder"]["qty"] == "0.00800000"
    await good(local, "PUT", AMEND, f"symbol=BTCUSDT&orderId={number}&newQty=0.005")
    path = "/api/v3/order/amendments"
    rows = await good(local, "GET", path, f"symbol=BTCUSDT&orderId={number}")
    same_shape(rows, rest_sample(f"GET {path}"))
    assert [(one["origQty"], one["newQty"]) for one in rows] == [
        ("0.01000000", "0.00800000"),
        ("0.00800000", "0.00500000"),
    ]
    assert rows[0]["newClientOrderId"] == rows[1]["origClientOrderId"]
    assert await bad(local, "PUT", AMEND, f"symbol=BTCUSDT&orderId={number}&newQty=0.006") == (
        400,
        -2038,
        "Order amend (quantity increase) is not supported.",
    )


async def test_a_pending_order_of_a_list_is_amended_with_its_list(local: Local) -> None:
    query = f"{working(local)}&pendingType=MARKET&pendingSide=SELL&pendingQuantity=0.009"
    placed = await good(local, "POST", "/api/v3/orderList/oto", query)
    number = placed["orderReports"][1]["orderId"]
    told = await good(local, "PUT", AMEND, f"symbol=BTCUSDT&orderId={number}&newQty=0.004")
    official = [s["payload"] for s in samples("rest-api.json") if s["endpoint"] == f"PUT {AMEND}"]
    same_shape(told, official[1])


async def test_both_names_of_an_order_must_agree(local: Local) -> None:
    number = await resting(local)
    for method in ("GET", "DELETE"):
        assert await bad(
            local, method, ORDER, f"symbol=BTCUSDT&orderId={number}&origClientOrderId=other"
        ) == (400, -2039, "Client order ID is not correct for this order ID.")


async def test_order_counts_are_two_for_an_oco_and_given_back_at_a_fill(local: Local) -> None:
    path = "/api/v3/rateLimit/order"
    told = await good(local, "GET", path, "")
    same_shape(told, rest_sample(f"GET {path}"))
    await good(local, "POST", "/api/v3/orderList/oco", oco(local))
    await good(local, "POST", ORDER, f"{SELL}&type=MARKET")  # filled: counts no more
    assert [one["count"] for one in await good(local, "GET", path, "")] == [2, 2]


async def test_commission_in_bnb_is_told_and_can_be_switched(local: Local) -> None:
    told = await good(local, "GET", "/api/v3/account/commission", "symbol=BTCUSDT")
    same_shape(told, rest_sample("GET /api/v3/account/commission"))
    assert told["discount"]["enabledForAccount"] is False
    await good(local, "POST", "/sapi/v1/bnbBurn", "spotBNBBurn=true")
    told = await good(local, "GET", "/api/v3/account/commission", "symbol=BTCUSDT")
    assert told["discount"] == {
        "enabledForAccount": True,
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": "0.25000000",
    }


async def test_relevant_filters_are_those_of_exchange_info(local: Local) -> None:
    told = await good(local, "GET", "/api/v3/myFilters", "symbol=BTCUSDT")
    assert set(told) == set(rest_sample("GET /api/v3/myFilters"))
    _, info = await local.call("GET", "/api/v3/exchangeInfo")
    assert told["symbolFilters"] == info["symbols"][0]["filters"]  # type: ignore[index]
    kinds = {one["filterType"] for one in told["symbolFilters"]}
    assert {"MAX_NUM_ALGO_ORDERS", "PERCENT_PRICE_BY_SIDE", "TRAILING_DELTA"} <= kinds


async def test_a_key_without_the_permission_to_trade_reads_and_does_not_place(
    open_exchange: Opener,
) -> None:
    closed = (("enableReading", True), ("enableSpotAndMarginTrading", False))
    async with open_exchange(permissions=closed) as local:
        assert (await good(local, "GET", "/api/v3/account", ""))["canTrade"] is False
        for path, query in ((ORDER, f"{SELL}&type=MARKET"), ("/api/v3/orderList/oco", oco(local))):
            assert (await bad(local, "POST", path, query))[:2] == (401, -2015)
    blind = (("enableReading", False), ("enableSpotAndMarginTrading", True))
    async with open_exchange(permissions=blind) as local:
        assert (await bad(local, "GET", "/api/v3/account", ""))[:2] == (401, -2015)
        await good(local, "GET", "/sapi/v1/account/apiRestrictions", "")


async def test_a_window_of_more_than_a_day_is_refused(local: Local) -> None:
    for path in ("allOrders", "myTrades"):
        query = f"symbol=BTCUSDT&startTime=0&endTime={86_400_001}"
        assert await bad(local, "GET", f"/api/v3/{path}", query) == (
            400,
            -1127,
            "More than 24 hours between startTime and endTime.",
        )


async def test_an_account_never_sees_another_ones_orders(open_exchange: Opener) -> None:
    async with open_exchange(accounts=2) as local:
        number = await resting(local)
        placed = await good(local, "POST", "/api/v3/orderList/oco", oco(local))
        other = local.exchange.venue.accounts.all[1]
        stamp = f"timestamp={local.exchange.clock.wall_ms()}"
        for method, path, query in (
            ("GET", ORDER, f"symbol=BTCUSDT&orderId={number}&{stamp}"),
            ("DELETE", ORDER, f"symbol=BTCUSDT&orderId={number}&{stamp}"),
            ("PUT", AMEND, f"symbol=BTCUSDT&orderId={number}&newQty=0.001&{stamp}"),
            ("GET", "/api/v3/orderList", f"orderListId={placed['orderListId']}&{stamp}"),
            ("DELETE", "/api/v3/orderList", f"symbol=BTCUSDT&orderListId=0&{stamp}"),
        ):
            status, answer = await local.call(
                method,
                path,
                query=f"{query}&signature={sign(other.secret, query)}",
                key=other.api_key,
            )
            assert status == 400, answer
        assert local.exchange.venue.engine.orders[number].is_open
        assert to_e8("0.01") < local.exchange.venue.engine.ledger.get("account-1", "BTC").locked_e8
