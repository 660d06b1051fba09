"""User events of every order type: the fields that are always there, and those that only some have.

The official sample is of a plain LIMIT order; `v` in it belongs to self-trade prevention alone. The
conditional fields are those of the documentation's table (d D j J v A B u U Cs pl pL pY W eR).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.local_exchange.conftest import FIRST, Local
from tests.local_exchange.test_answer_shapes import event_sample, same_shape
from tests.local_exchange.test_sessions import Talk

Event = dict[str, Any]
ORDER = "/api/v3/order"
ALWAYS = set("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQV")
USER = "user-data-stream.json"


@pytest.fixture
async def talk(local: Local) -> AsyncIterator[Talk]:
    """A connection that hears the first account."""
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        one = Talk(local, socket, local.exchange.venue.accounts.all[0])
        await one.signed("userDataStream.subscribe.signature")
        yield one


async def send(local: Local, query: str, path: str = ORDER, method: str = "POST") -> Any:
    """Send a signed request that must succeed."""
    status, answer = await local.signed(method, path, query)
    assert status == 200, answer
    return answer


async def heard(talk: Talk, until: str) -> list[Event]:
    """Return the events up to the first of a kind."""
    events: list[Event] = []
    while not events or events[-1]["e"] != until:
        events.append((await asyncio.wait_for(talk.hear(), 5))["event"])
    return events


def reports(events: list[Event]) -> list[Event]:
    """Return the execution reports, each checked against the official sample."""
    sample = event_sample(USER, "executionReport")
    found = [event for event in events if event["e"] == "executionReport"]
    for event in found:
        assert set(event) >= ALWAYS
        same_shape(event, sample, optional=(*tuple("vWdDjJABuU"), "Cs", "pl", "pL", "pY", "eR"))
    return found


def price(local: Local, factor: float) -> str:
    return f"{float(local.candles.records['open'][FIRST]) * factor:.2f}"


@pytest.mark.parametrize(
    ("kind", "more", "below", "working"),
    [
        ("LIMIT", "&timeInForce=GTC&price={far}", "", True),
        ("LIMIT_MAKER", "&price={far}", "", True),
        ("STOP_LOSS", "&stopPrice={near}", "", False),
        ("STOP_LOSS_LIMIT", "&stopPrice={near}&timeInForce=GTC&price={far}", "", False),
        ("TAKE_PROFIT", "&stopPrice={above}", "", False),
        ("TAKE_PROFIT_LIMIT", "&stopPrice={above}&timeInForce=GTC&price={above}", "", False),
    ],
)
async def test_a_new_order_says_whether_it_works_and_since_when(
    local: Local, talk: Talk, kind: str, more: str, below: str, working: bool
) -> None:
    if kind in ("LIMIT", "LIMIT_MAKER"):
        more = more.replace("{far}", "{above}")  # sells above the market
    prices = {"far": price(local, 0.5), "near": price(local, 0.9), "above": price(local, 1.5)}
    query = f"symbol=BTCUSDT&side=SELL&type={kind}&quantity=0.01{more.format(**prices)}"
    await send(local, f"{query}&strategyId=12&strategyType=1000000")
    events = await heard(talk, "outboundAccountPosition")
    (new,) = reports(events)
    assert (new["x"], new["X"], new["o"], new["w"]) == ("NEW", "NEW", kind, working)
    assert ("W" in new) is working
    assert (new["j"], new["J"]) == (12, 1000000)
    assert float(new["P"]) == float(prices["near"] if "STOP" in kind else prices["above"]) or (
        kind.startswith("LIMIT") and float(new["P"]) == 0
    )
    same_shape(events[-1], event_sample(USER, "outboundAccountPosition"))
    base = next(one for one in events[-1]["B"] if one["a"] == "BTC")
    assert (base["f"], base["l"]) == ("0.99000000", "0.01000000")


async def test_a_trailing_stop_tells_its_delta_and_since_when_it_trails(
    local: Local, talk: Talk
) -> None:
    query = "symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.01&trailingDelta=50"
    await send(local, query)
    (new,) = reports(await heard(talk, "outboundAccountPosition"))
    assert new["d"] == 50
    assert new["D"] <= new["T"]
    for _ in range(60):
        await local.admin("POST", "/admin/advance")
        orders = local.exchange.venue.engine.orders
        if orders[1].status == "FILLED":
            break
    kinds = [
        (one["x"], one["X"], "W" in one)
        for one in reports(await heard(talk, "outboundAccountPosition"))
    ]
    assert kinds[-1] == ("TRADE", "FILLED", True)


async def test_a_market_order_tells_its_trade_and_commission(local: Local, talk: Talk) -> None:
    answer = await send(local, "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=500")
    new, trade = reports(await heard(talk, "outboundAccountPosition"))
    fill = answer["fills"][0]
    assert (new["x"], trade["x"], trade["X"]) == ("NEW", "TRADE", "FILLED")
    assert (new["t"], new["N"], new["Q"]) == (-1, None, "500.00000000")
    assert (trade["t"], trade["L"], trade["l"]) == (fill["tradeId"], fill["price"], fill["qty"])
    assert (trade["n"], trade["N"], trade["m"]) == (fill["commission"], "BTC", False)
    assert (trade["z"], trade["Z"]) == (answer["executedQty"], answer["cummulativeQuoteQty"])
    assert trade["I"] == new["I"] + 1


async def test_what_the_exchange_takes_back_says_why(local: Local, talk: Talk) -> None:
    for tif, reason in (
        ("IOC", "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("FOK", "UNFILLED_FOK_ORDER_EXPIRED"),
    ):
        query = f"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.01&price={price(local, 0.5)}"
        await send(local, f"{query}&timeInForce={tif}")
        last = reports(await heard(talk, "outboundAccountPosition"))[-1]
        assert (last["x"], last["X"], last["eR"], last["w"]) == (
            "EXPIRED",
            "EXPIRED",
            reason,
            False,
        )


async def test_a_cancel_and_an_amendment_carry_both_names(local: Local, talk: Talk) -> None:
    query = f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price={price(local, 0.5)}"
    await send(local, f"{query}&quantity=0.02&newClientOrderId=first")
    await heard(talk, "outboundAccountPosition")
    path = "/api/v3/order/amend/keepPriority"
    await send(local, "symbol=BTCUSDT&orderId=1&newQty=0.01&newClientOrderId=second", path, "PUT")
    (amended,) = reports(await heard(talk, "outboundAccountPosition"))
    assert (amended["x"], amended["c"], amended["C"]) == ("REPLACED", "second", "first")
    assert amended["q"] == "0.01000000"
    await send(local, "symbol=BTCUSDT&orderId=1&newClientOrderId=third", ORDER, "DELETE")
    (gone,) = reports(await heard(talk, "outboundAccountPosition"))
    assert (gone["x"], gone["c"], gone["C"]) == ("CANCELED", "third", "second")


async def test_a_list_tells_its_steps(local: Local, talk: Talk) -> None:
    query = (
        f"symbol=BTCUSDT&side=SELL&quantity=0.01&aboveType=LIMIT_MAKER&abovePrice={price(local, 1.5)}"
        f"&belowType=STOP_LOSS&belowStopPrice={price(local, 0.9)}&listClientOrderId=pair"
    )
    await send(local, query, "/api/v3/orderList/oco")
    events = await heard(talk, "outboundAccountPosition")
    started = next(event for event in events if event["e"] == "listStatus")
    same_shape(started, event_sample(USER, "listStatus"))
    assert (started["l"], started["L"], started["c"], started["C"]) == (
        "EXEC_STARTED", "EXECUTING", "OCO", "pair",
    )  # fmt: skip
    legs = reports(events)
    assert {one["i"] for one in started["O"]} == {leg["i"] for leg in legs}
    assert {leg["g"] for leg in legs} == {started["g"]}
    await send(local, f"symbol=BTCUSDT&orderId={legs[0]['i']}", ORDER, "DELETE")
    events = await heard(talk, "outboundAccountPosition")
    done = next(event for event in events if event["e"] == "listStatus")
    assert (done["l"], done["L"]) == ("ALL_DONE", "ALL_DONE")
    assert [one["x"] for one in reports(events)] == ["CANCELED", "CANCELED"]


async def test_a_prevented_self_trade_tells_both_orders(local: Local, talk: Talk) -> None:
    middle = price(local, 0.5)
    await send(
        local, f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.02&price={middle}"
    )
    await heard(talk, "outboundAccountPosition")
    # The bid of the market is above: sell down to our own order with an order too large for it.
    quote = local.exchange.venue.engine.quote("BTCUSDT")
    assert quote is not None
    bid = f"{quote.bid_ticks / 100:.2f}"
    await send(
        local, f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={bid}"
    )
    await heard(talk, "outboundAccountPosition")
    query = f"symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price={bid}"
    await send(local, f"{query}&selfTradePreventionMode=EXPIRE_BOTH")
    events = reports(await heard(talk, "outboundAccountPosition"))
    prevented = [one for one in events if one["x"] == "TRADE_PREVENTION"]
    assert {one["X"] for one in prevented} == {"EXPIRED_IN_MATCH"}
    maker, taker = sorted(prevented, key=lambda one: one["i"])
    assert (maker["U"], taker["U"]) == (taker["i"], maker["i"])
    for one in prevented:
        assert (one["A"], one["B"], one["pl"]) == ("0.01000000",) * 3
        assert one["v"] == maker["v"]
        assert float(one["pL"]) == float(bid)
        assert float(one["pY"]) == pytest.approx(float(bid) * 0.01)
    assert taker["V"] == "EXPIRE_BOTH"
