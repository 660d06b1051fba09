"""Planned faults: what the client sees goes wrong, what the exchange did stays true."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.local_exchange.conditions import parse_change, read_plan
from bridge.local_exchange.settings import Pace
from tests.local_exchange.conftest import Local, Opener, made_up
from tests.local_exchange.test_sessions import Talk
from workbench.errors import UsageError

ORDER = "/api/v3/order"
BUY = "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100&newClientOrderId="
RESTING = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000"


async def plan(local: Local, match: str, do: str, **more: object) -> None:
    """Arm one fault."""
    answer: Any = await local.admin("POST", "/admin/faults", {"match": match, "do": do, **more})
    assert isinstance(answer, list), answer


async def change(local: Local, **conditions: object) -> dict[str, Any]:
    """Change conditions over the admin route."""
    answer: Any = await local.admin("POST", "/admin/conditions", conditions)
    return answer


async def placed(local: Local) -> list[str]:
    """Return the client ids of every order that the exchange took."""
    truth: Any = await local.admin("GET", "/admin/truth")
    return [one["client_order_id"] for one in truth["orders"]]


@pytest.mark.parametrize("when", ["before_apply", "after_apply"])
@pytest.mark.parametrize("do", ["drop", "status", "body", "html", "half_body"])
async def test_an_answer_that_is_lost_or_garbled_says_nothing_about_the_order(
    local: Local, do: str, when: str
) -> None:
    await plan(local, f"POST {ORDER}", do, when=when, nth=2, body='{"code":-1007,"msg":"later"}')
    assert (await local.signed("POST", ORDER, BUY + "one"))[0] == 200
    if do in ("drop", "half_body"):
        with pytest.raises(aiohttp.ClientError):
            await local.signed("POST", ORDER, BUY + "two")
    else:
        status, answer = await local.signed("POST", ORDER, BUY + "two")
        assert status == {"status": 503, "body": 200, "html": 502}[do]
        assert ("502 Bad Gateway" in str(answer)) is (do == "html")
        assert do == "html" or answer["code"] == -1007  # type: ignore[index]
    assert await placed(local) == ["one", "two"][: 2 if when == "after_apply" else 1]
    assert (await local.signed("POST", ORDER, BUY + "three"))[0] == 200


async def test_a_request_that_the_network_delivers_twice_is_applied_twice(local: Local) -> None:
    await plan(local, f"POST {ORDER}", "dup")
    assert (await local.signed("POST", ORDER, BUY + "twin"))[0] == 200
    assert await placed(local) == ["twin", "twin"]  # W1: the first had filled, its id was free


async def test_an_answer_can_be_overtaken_by_the_next(local: Local) -> None:
    await plan(local, f"POST {ORDER}", "reorder", ms=5_000)
    finished: list[str] = []

    async def order(name: str) -> None:
        await local.signed("POST", ORDER, BUY + name)
        finished.append(name)

    first = asyncio.ensure_future(order("first"))
    while not local.exchange.venue.engine.orders:
        await asyncio.sleep(0.01)
    await order("second")
    await first
    assert await placed(local) == ["first", "second"]
    assert finished == ["second", "first"]


async def test_a_fault_can_act_on_several_in_a_row_or_for_ever_and_on_any_path(
    local: Local,
) -> None:
    await plan(local, "GET /api/v3/*", "status", nth=2, times=2, status=500)
    seen = [(await local.call("GET", f"/api/v3/{path}"))[0] for path in ("ping", "time") * 2]
    assert seen == [200, 500, 500, 200]
    await local.admin("DELETE", "/admin/faults")
    await plan(local, "*", "status", times=0)
    seen = [(await local.call("GET", "/api/v3/ping"))[0] for _ in range(5)]
    assert seen == [503] * 5


@pytest.mark.parametrize(
    ("do", "events"),
    [
        ("drop", ["TRADE", "position"]),
        ("dup", ["NEW", "NEW", "TRADE", "position"]),
        ("reorder", ["TRADE", "NEW", "position"]),
        ("delay", ["TRADE", "position", "NEW"]),
    ],
)
async def test_user_events_are_lost_doubled_late_and_out_of_order(
    local: Local, do: str, events: list[str]
) -> None:
    await plan(local, "EVENT executionReport", do, ms=300)
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        talk = Talk(local, socket, local.exchange.venue.accounts.all[0])
        await talk.signed("userDataStream.subscribe.signature")
        await local.signed("POST", ORDER, BUY + "one")
        heard = [(await talk.hear())["event"] for _ in events]
    assert [one.get("x", "position") for one in heard] == events


async def test_a_silent_user_stream_answers_pings_and_says_nothing(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        talk = Talk(local, socket, local.exchange.venue.accounts.all[0])
        await talk.signed("userDataStream.subscribe.signature")
        assert (await change(local, silent=True))["silent"] is True
        await local.signed("POST", ORDER, BUY + "unheard")
        assert (await talk.ask("ping"))["status"] == 200
        assert talk.events == []
        await change(local, silent=False)
        await local.signed("POST", ORDER, BUY + "heard")
        assert (await talk.hear())["event"]["c"] == "heard"


@pytest.mark.parametrize(
    ("do", "minutes"),
    [("drop", [0, 2, 3]), ("dup", [0, 1, 1, 2, 3]), ("reorder", [0, 1, 2, 3])],
)
async def test_closed_candles_are_missing_doubled_and_overtaken_by_the_next_ones_open(
    local: Local, do: str, minutes: list[int]
) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@kline_1m") as socket:
        # Low, high, close, next open: the seventh frame closes the second candle.
        await plan(local, "STREAM btcusdt@kline_1m", do, nth=7)
        for _ in range(4):
            await local.admin("POST", "/admin/advance")
        heard: list[Any] = []
        closed: list[int] = []
        while len(closed) < len(minutes):
            heard.append((await asyncio.wait_for(socket.receive_json(), 5))["k"])
            closed += [heard[-1]["t"]] if heard[-1]["x"] else []
    assert [(at - closed[0]) // 60_000 for at in closed] == minutes
    overtaken = any(one["x"] and one["t"] < other["t"] for other, one in pairwise(heard))
    assert overtaken is (do == "reorder")


async def test_an_api_socket_answers_twice_late_or_closes(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        await plan(local, "WS ping", "dup", when="after_apply")
        await plan(local, "WS time", "reorder", when="after_apply")
        for method in ("ping", "time", "ping"):
            await socket.send_json({"id": method, "method": method})
        heard = [(await socket.receive_json(timeout=5))["id"] for _ in range(4)]
        assert heard == ["ping", "ping", "ping", "time"]
        await plan(local, "WS ping", "close")
        await socket.send_json({"id": 1, "method": "ping"})
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


async def test_a_skewed_clock_refuses_what_the_true_one_signed(local: Local) -> None:
    for skew_ms, code in ((5_001, -1021), (-5_000, -1021), (0, None)):
        stamp = local.exchange.clock.wall_ms()
        await change(local, skew_ms=skew_ms)
        _, answer = await local.call("GET", "/api/v3/time")
        assert abs(answer["serverTime"] - stamp - skew_ms) < 2_000  # type: ignore[index]
        _, answer = await _sign_at(local, stamp)
        assert answer.get("code") == code
        await change(local, skew_ms=0)


async def _sign_at(local: Local, stamp: int) -> tuple[int, Any]:
    from bridge.local_exchange.security import sign

    query = f"timestamp={stamp}"
    signature = sign(local.secret, query)
    return await local.call(
        "GET", "/api/v3/account", query=f"{query}&signature={signature}", key=local.key
    )


async def test_maintenance_tells_and_closes_sockets_and_answers_503(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@trade") as socket:
        await change(local, maintenance=True)
        assert (await socket.receive_json(timeout=5))["e"] == "serverShutdown"
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert (await local.call("GET", "/api/v3/ping"))[0] == 503
    for path in ("/ws/btcusdt@trade", "/ws-api/v3"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await local.http.ws_connect(f"{local.running.ws}{path}")
        assert error.value.status == 503
    await change(local, maintenance=False)
    assert (await local.call("GET", "/api/v3/ping"))[0] == 200


async def test_a_halted_symbol_takes_no_order_and_prints_nothing_until_it_trades(
    local: Local,
) -> None:
    assert (await local.signed("POST", ORDER, RESTING))[0] == 200
    for status in ("HALT", "BREAK"):
        await change(local, status={"BTCUSDT": status})
        before = local.exchange.venue.now_ms
        await local.admin("POST", "/admin/advance")
        assert local.exchange.venue.now_ms == before
        code, answer = await local.signed("POST", ORDER, BUY + "x")
        assert (code, answer) == (400, {"code": -2010, "msg": "Market is closed."})
    assert (await local.signed("DELETE", ORDER, "symbol=BTCUSDT&orderId=1"))[0] == 200
    await change(local, status={"BTCUSDT": "TRADING"})
    await local.admin("POST", "/admin/advance")
    assert local.exchange.venue.now_ms == before + 60_000
    assert (await local.signed("POST", ORDER, BUY + "x"))[0] == 200


async def test_a_halt_at_a_clocks_pace_makes_candles_late_and_loses_none(
    open_exchange: Opener,
) -> None:
    async with open_exchange(made_up(4_000), pace=Pace.TIME, speed=600.0, hold_s=0.0) as local:
        async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@kline_1m") as socket:
            await change(local, status={"BTCUSDT": "HALT"})
            while True:
                try:
                    await socket.receive_json(timeout=0.4)
                except TimeoutError:
                    break
            played = local.exchange.venue.replay("BTCUSDT").played
            await change(local, status={"BTCUSDT": "TRADING"})
        async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@trade") as socket:
            first = await socket.receive_json(timeout=5)
        assert first["t"] - int(local.exchange.venue.replay("BTCUSDT").tape.ids[0]) >= played


async def test_filters_change_and_a_grid_with_orders_on_it_does_not(local: Local) -> None:
    grown = await change(local, filters={"BTCUSDT": {"min_notional": "200", "tick_size": "0.05"}})
    assert grown["status"] == {"BTCUSDT": "TRADING"}
    _, info = await local.call("GET", "/api/v3/exchangeInfo")
    filters = {one["filterType"]: one for one in info["symbols"][0]["filters"]}  # type: ignore[index]
    assert float(filters["PRICE_FILTER"]["tickSize"]) == 0.05
    assert float(filters["NOTIONAL"]["minNotional"]) == 200
    _, answer = await local.signed("POST", ORDER, BUY + "small")
    assert answer == {"code": -1013, "msg": "Filter failure: NOTIONAL"}
    _, answer = await local.signed("POST", ORDER, RESTING.replace("50000", "50000.01"))
    assert answer == {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}
    assert (await local.signed("POST", ORDER, RESTING))[0] == 200
    refused = await change(local, filters={"BTCUSDT": {"tick_size": "0.01"}})
    assert "has orders on its grid" in refused["error"]
    await change(local, filters={"BTCUSDT": {"min_notional": "5"}})
    assert (await local.signed("POST", ORDER, BUY + "small"))[0] == 200


async def test_a_wipe_forgets_orders_and_trades_and_keeps_keys(local: Local) -> None:
    await local.signed("POST", ORDER, BUY + "before")
    await local.signed("POST", ORDER, RESTING)
    assert (await change(local, wipe=True))["epoch"] == 2
    assert await placed(local) == []
    _, answer = await local.signed("GET", ORDER, "symbol=BTCUSDT&origClientOrderId=before")
    assert answer == {"code": -2013, "msg": "Order does not exist."}
    _, account = await local.signed("GET", "/api/v3/account")
    free = {one["asset"]: float(one["free"]) for one in account["balances"]}  # type: ignore[index]
    assert free == {"BTC": 1.0, "USDT": 10_000.0}
    _, order = await local.signed("POST", ORDER, BUY + "after")
    assert (order["orderId"], order["fills"][0]["tradeId"]) == (1, 1)  # type: ignore[index]
    await local.admin("POST", "/admin/advance")
    told: Any = await local.admin("GET", "/admin/truth")
    assert len(told["fills"]) == 1


async def test_a_deposit_is_an_event_and_a_balance(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        talk = Talk(local, socket, local.exchange.venue.accounts.all[0])
        await talk.signed("userDataStream.subscribe.signature")
        body = {"account": "account-1", "asset": "BTC", "amount": "0.25"}
        await local.admin("POST", "/admin/deposit", body)
        update, position = [(await talk.hear())["event"] for _ in range(2)]
    assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "BTC", "0.25000000")
    assert position["B"] == [{"a": "BTC", "f": "1.25000000", "l": "0.00000000"}]


PLAN = """
[[fault]]
match = "POST /api/v3/order"
nth = 3
when = "after_apply"
do = "drop"

[[change]]
after = "200ms"
skew_ms = 60000
status = {BTCUSDT = "HALT"}
"""


async def test_a_plan_in_a_file_acts_from_the_start(tmp_path: Path, open_exchange: Opener) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    read = read_plan(file, ["BTCUSDT"])
    assert [(one.match, one.nth, one.do) for one in read.faults] == [
        ("POST /api/v3/order", 3, "drop")
    ]
    async with open_exchange(fault_plan=file) as local:
        listed: Any = await local.admin("GET", "/admin/faults")
        assert listed[0]["nth"] == 3
        while (await change(local, silent=False))["skew_ms"] == 0:
            await asyncio.sleep(0.05)
        assert (await change(local, silent=False))["status"] == {"BTCUSDT": "HALT"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault", "fault plan plan.toml"),
        ("[[faults]]\nmatch = 'x'", "unknown tables"),
        ("[[fault]]\nmatch = 'POST /x'\ndo = 'explode'", "explode"),
        ("[[change]]\nafter = 'soon'", "write a time like"),
        ("[[change]]\nskew_ms = 'much'", "whole milliseconds"),
        ("[[change]]\nstatus = {NOPE = 'HALT'}", "replayed are BTCUSDT"),
        ("[[change]]\nstatus = {BTCUSDT = 'SLEEPY'}", "use one of TRADING"),
        ("[[change]]\nfilters = {BTCUSDT = {tick = '1'}}", "use min_notional"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_plan(file, ["BTCUSDT"])


def test_a_change_must_say_something() -> None:
    for entry in ({}, [], {"skew": 1}, {"wipe": "yes"}, {"silent": 1}):
        with pytest.raises(UsageError):
            parse_change(entry, ["BTCUSDT"])  # type: ignore[arg-type]
