"""Orders and accounts over the WebSocket API: the same operations as REST, in the official shapes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bridge.local_exchange.limits import LimitRules
from bridge.local_exchange.security import sign, ws_payload
from tests.local_exchange.conftest import Local, Opener
from tests.local_exchange.test_answer_shapes import same_shape, samples
from tests.local_exchange.test_order_surface import last

Params = dict[str, Any]
SELL = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01"}
# Fields that some orders do not have, and two that the samples of some methods forget.
OPTIONAL = (
    "selfTradePreventionMode",
    "origClientOrderId",
    "icebergQty",
    "stopPrice",
    "commissionRates",
    "trailingDelta",
    "trailingTime",
    "sors",
)


def official(method: str, label: str = "") -> Any:
    """Return the documented result of a method, of the first response whose label has a word."""
    asked = ""
    for one in samples("web-socket-api.json"):
        payload = one["payload"] if isinstance(one["payload"], dict) else {}
        asked = payload.get("method", asked)
        if asked == method and "status" in payload and label in one["label"]:
            return payload
    raise LookupError(method)


async def ask(local: Local, method: str, **params: Any) -> Any:
    """Send one signed request on a connection of its own; return the answer."""
    params |= {"apiKey": local.key, "timestamp": local.exchange.clock.wall_ms()}
    texts = {name: str(value) for name, value in params.items()}
    params["signature"] = sign(local.secret, ws_payload(texts))
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        await socket.send_json({"id": method, "method": method, "params": params})
        answer = await asyncio.wait_for(socket.receive_json(), 5)
    assert answer["id"] == method
    return answer


async def good(local: Local, method: str, **params: Any) -> Any:
    answer = await ask(local, method, **params)
    assert answer["status"] == 200, json.dumps(answer)
    return answer["result"]


def priced(local: Local, move: int = 500, **more: Any) -> Params:
    return SELL | {"type": "LIMIT", "timeInForce": "GTC", "price": last(local, move)} | more


def bracket(local: Local, prefix: str = "") -> Params:
    names = {
        "AboveType": "LIMIT_MAKER",
        "AbovePrice": last(local, 500),
        "BelowType": "STOP_LOSS",
        "BelowStopPrice": last(local, -500),
    }
    return {
        (prefix + name if prefix else name[0].lower() + name[1:]): value
        for name, value in names.items()
    }


def working(local: Local) -> Params:
    return {
        "symbol": "BTCUSDT",
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingTimeInForce": "GTC",
        "workingQuantity": "0.01",
        "workingPrice": last(local, -100),
        "pendingSide": "SELL",
        "pendingQuantity": "0.009",
    }


@pytest.mark.parametrize("kind", ["ACK", "RESULT", "FULL"])
async def test_an_order_is_placed_in_its_three_forms(local: Local, kind: str) -> None:
    told = await ask(local, "order.place", **priced(local, newOrderRespType=kind))
    sample = official("order.place", f"`{kind}`")
    if kind == "FULL":
        told["result"]["fills"] = sample["result"]["fills"]  # none here: it rests
    same_shape(told, sample, optional=OPTIONAL)
    kinds = [(one["rateLimitType"], one["interval"]) for one in told["rateLimits"]]
    assert kinds == [("ORDERS", "SECOND"), ("ORDERS", "DAY"), ("REQUEST_WEIGHT", "MINUTE")]


async def test_every_method_about_single_orders_has_the_official_shape(local: Local) -> None:
    assert await good(local, "order.test", **priced(local)) == {}
    rates = await good(local, "order.test", computeCommissionRates="true", **priced(local))
    same_shape(rates, official("order.test", "With `compute")["result"])
    placed = await good(local, "order.place", **priced(local))
    one = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    for method in ("order.status", "openOrders.status", "allOrders"):
        asked = one if method == "order.status" else {"symbol": "BTCUSDT"}
        told = await good(local, method, **asked)
        sample = official(method)["result"]
        rare = set(sample if isinstance(sample, dict) else sample[0]) - set(
            told if isinstance(told, dict) else told[0]
        )
        assert rare <= set(OPTIONAL) | {
            "preventedMatchId",
            "preventedQuantity",
            "strategyId",
            "strategyType",
        }
        same_shape(told, sample, method, tuple(rare))
    amended = await good(local, "order.amend.keepPriority", newQty="0.008", **one)
    same_shape(amended, official("order.amend.keepPriority")["result"])
    same_shape(await good(local, "order.amendments", **one), official("order.amendments")["result"])
    replaced = await good(
        local,
        "order.cancelReplace",
        cancelReplaceMode="ALLOW_FAILURE",
        cancelOrderId=placed["orderId"],
        **priced(local, 600),
    )
    sample = official("order.cancelReplace", "both cancel and placement succeed")["result"]
    assert set(replaced) == set(sample)
    new = replaced["newOrderResponse"]["orderId"]
    gone = await good(local, "order.cancel", symbol="BTCUSDT", orderId=new)
    sample = official("order.cancel", "individual")["result"]
    rare = set(sample) - set(gone)
    assert rare <= {"stopPrice", "trailingDelta", "trailingTime", "icebergQty"} | {
        "strategyId",
        "strategyType",
    }
    same_shape(gone, sample, optional=tuple(rare))


async def test_every_method_about_order_lists_has_the_official_shape(local: Local) -> None:
    legacy = SELL | {
        "price": last(local, 500),
        "stopPrice": last(local, -500),
        "newOrderRespType": "RESULT",
    }
    for method, asked in (
        ("orderList.place", legacy),
        ("orderList.place.oco", SELL | bracket(local)),
        ("orderList.place.oto", working(local) | {"pendingType": "MARKET"}),
        ("orderList.place.otoco", working(local) | bracket(local, "pending")),
    ):
        told = await good(local, method, **asked)
        same_shape(told, official(method)["result"], method, OPTIONAL)
    listed = await good(local, "openOrderLists.status")
    assert len(listed) == 4
    same_shape(listed, official("openOrderLists.status")["result"])
    same_shape(await good(local, "allOrderLists"), official("allOrderLists")["result"])
    number = listed[0]["orderListId"]
    told = await good(local, "orderList.status", orderListId=number)
    same_shape(told, official("orderList.status")["result"])
    gone = await good(local, "orderList.cancel", symbol="BTCUSDT", orderListId=number)
    same_shape(gone, official("orderList.cancel")["result"], optional=OPTIONAL)
    leg = listed[1]["orders"][0]["orderId"]
    gone = await good(local, "order.cancel", symbol="BTCUSDT", orderId=leg)
    same_shape(gone, official("order.cancel", "order list")["result"], optional=OPTIONAL)
    rest = await good(local, "openOrders.cancelAll", symbol="BTCUSDT")
    assert [one["contingencyType"] for one in rest] == ["OTO", "OTO"]


async def test_every_method_about_the_account_has_the_official_shape(local: Local) -> None:
    await good(local, "order.place", **SELL, type="MARKET")
    for method, asked in (
        ("account.status", {}),
        ("account.rateLimits.orders", {}),
        ("account.commission", {"symbol": "BTCUSDT"}),
        ("myTrades", {"symbol": "BTCUSDT"}),
    ):
        told = await good(local, method, **asked)
        same_shape(told, official(method)["result"], method, OPTIONAL)
    filters = await good(local, "myFilters", symbol="BTCUSDT")
    assert set(filters) == set(official("myFilters")["result"])
    assert await good(local, "myPreventedMatches", symbol="BTCUSDT", orderId=1) == []


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("STOP_ON_FAILURE", 400, -2022), ("ALLOW_FAILURE", 409, -2021)],
)
async def test_a_failed_half_is_told_with_its_data(
    local: Local, mode: str, status: int, code: int
) -> None:
    told = await ask(
        local, "order.cancelReplace", cancelReplaceMode=mode, cancelOrderId=99, **priced(local)
    )
    assert (told["status"], told["error"]["code"]) == (status, code)
    assert told["error"]["data"]["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}


async def test_rest_and_the_websocket_api_see_the_same_orders(local: Local) -> None:
    placed = await good(local, "order.place", **priced(local, newClientOrderId="both"))
    _, rest = await local.signed("GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=both")
    assert rest == await good(local, "order.status", symbol="BTCUSDT", orderId=placed["orderId"])


async def test_a_refusal_over_the_websocket_api_is_the_one_of_rest(local: Local) -> None:
    for params in (
        priced(local, quantity="0.000001"),
        priced(local, price="1000000"),
        priced(local, quantity="50"),
        priced(local, type="STOP_LOSS"),
        priced(local, side="HOLD"),
        priced(local, strategyType=3),
    ):
        told = await ask(local, "order.place", **params)
        query = "&".join(f"{name}={value}" for name, value in params.items())
        _, rest = await local.signed("POST", "/api/v3/order", query)
        assert told["error"] == rest
        assert told["status"] == 400
    assert local.exchange.venue.engine.orders == {}


async def test_an_order_too_many_is_429_with_its_limit(open_exchange: Opener) -> None:
    async with open_exchange(limits=LimitRules(orders_10s=1, orders_1d=9)) as local:
        told = await ask(local, "orderList.place.oco", **SELL, **bracket(local))
        assert (told["status"], told["error"]["code"]) == (429, -1015)
        assert local.exchange.venue.engine.orders == {}
