"""Limits in fixed windows of the wall: what is counted, what is refused, and for how long."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from bridge.local_exchange.limits import DAY_MS, MINUTE_MS, LimitExceeded, LimitRules, Limits
from bridge.local_exchange.settings import SocketRules
from tests.local_exchange.conftest import Local, Opener

NOON_MS = 1_735_732_800_000  # 2025-01-01T12:00Z, the start of a minute and of ten seconds
ORDER = "/api/v3/order"
RESTING = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=50000"


def refusal(limits: Limits, weight: int, at_ms: int) -> LimitExceeded | None:
    """Return how a request is refused, None where it is not."""
    try:
        limits.arrive(at_ms)
        limits.charge(weight, at_ms)
    except LimitExceeded as refused:
        return refused
    return None


def banned(limits: Limits, at_ms: int) -> LimitExceeded:
    """Go on past the weight of a minute until the ban comes."""
    for _ in range(100):
        refused = refusal(limits, 6_000, at_ms)
        if refused and refused.status == 418:
            return refused
    raise AssertionError("no ban after 100 requests")


def test_a_full_minute_refuses_until_it_ends() -> None:
    limits = Limits(LimitRules())
    assert refusal(limits, 6_000, NOON_MS) is None
    refused = refusal(limits, 1, NOON_MS + 25_000)
    assert refused is not None
    assert (refused.status, refused.code) == (429, -1003)
    assert refused.retry_after_s(NOON_MS + 25_000) == 35
    assert refusal(limits, 1, NOON_MS + MINUTE_MS) is None


def test_who_does_not_listen_is_banned_longer_each_time_and_three_days_at_most() -> None:
    limits, now_ms, minutes = Limits(LimitRules()), NOON_MS, []
    for _ in range(8):
        refused = banned(limits, now_ms)
        assert refusal(limits, 1, refused.retry_ms - 1) is not None
        assert str(refused.retry_ms) in refused.message
        minutes.append((refused.retry_ms - now_ms) / MINUTE_MS)
        now_ms = (refused.retry_ms // MINUTE_MS + 1) * MINUTE_MS
    assert minutes == [2, 10, 50, 250, 1250, 4320, 4320, 4320]


def test_ten_refusals_are_tolerated() -> None:
    limits = Limits(LimitRules())
    refusal(limits, 6_000, NOON_MS)
    seen = [refusal(limits, 1, NOON_MS + n) for n in range(11)]
    assert [one.status for one in seen if one] == [429] * 10 + [418]


def test_requests_of_five_minutes_are_counted_whatever_they_weigh() -> None:
    limits = Limits(LimitRules(requests_5m=3))
    for _ in range(3):
        limits.arrive(NOON_MS)
    with pytest.raises(LimitExceeded) as error:
        limits.arrive(NOON_MS + 4 * MINUTE_MS)
    assert error.value.retry_after_s(NOON_MS + 4 * MINUTE_MS) == 60
    limits.arrive(NOON_MS + 5 * MINUTE_MS)


def test_a_full_day_of_orders_does_not_count_in_the_ten_seconds() -> None:
    limits = Limits(LimitRules(orders_10s=2, orders_1d=3))
    limits.take_orders("a", 2, NOON_MS)
    with pytest.raises(LimitExceeded, match="current limit is 2 orders per 10 SECOND"):
        limits.take_orders("a", 1, NOON_MS + 9_999)
    limits.take_orders("a", 1, NOON_MS + 10_000)
    with pytest.raises(LimitExceeded, match="current limit is 3 orders per 1 DAY"):
        limits.take_orders("a", 1, NOON_MS + 10_001)
    assert limits.orders("a", NOON_MS + 10_001) == (1, 3)
    limits.take_orders("b", 2, NOON_MS)  # another account
    limits.give_back_orders("a", 1, NOON_MS + 10_002)
    assert limits.orders("a", NOON_MS + 10_002) == (0, 2)
    assert limits.orders("a", NOON_MS + DAY_MS) == (0, 0)


async def test_the_order_past_the_limit_is_refused_and_placed_nowhere(
    open_exchange: Opener,
) -> None:
    async with open_exchange(limits=LimitRules(orders_10s=10, orders_1d=3)) as local:
        for _ in range(3):
            assert (await local.signed("POST", ORDER, RESTING))[0] == 200
        status, answer = await local.signed("POST", ORDER, RESTING)
        assert (status, answer["code"]) == (429, -1015)  # type: ignore[index]
        assert len(local.exchange.venue.engine.orders) == 3
        _, gone = await local.signed("DELETE", ORDER, "symbol=BTCUSDT&orderId=1")
        assert gone["status"] == "CANCELED"  # type: ignore[index]
        assert (await local.signed("POST", ORDER, RESTING))[0] == 429  # a cancel gives nothing back


async def test_a_ban_answers_418_to_rest_and_to_the_socket_api(open_exchange: Opener) -> None:
    rules = LimitRules(weight=10, first_ban_ms=600_000)
    async with (
        open_exchange(limits=rules) as local,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket,
    ):
        seen = []
        for _ in range(26):  # a minute may turn in between
            async with local.http.get(f"{local.running.rest}/api/v3/time") as answer:
                seen.append(answer)
        assert seen[-1].status == 418
        assert {answer.status for answer in seen} == {200, 429, 418}
        assert 590 <= int(seen[-1].headers["Retry-After"]) <= 600
        await socket.send_json({"id": 1, "method": "time"})
        told = await asyncio.wait_for(socket.receive_json(), 5)
        assert (told["status"], told["error"]["code"]) == (418, -1003)
        data = told["error"]["data"]
        assert 0 < data["retryAfter"] - data["serverTime"] <= 600_000


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """Read until the server ends the connection; return the code that it gave."""
    while not socket.closed:
        message = await asyncio.wait_for(socket.receive(), 5)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return int(message.data)
    return socket.close_code


async def test_the_sixth_message_of_a_second_ends_the_connection(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws") as socket:
        for number in range(6):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert await closed_with(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_more_streams_than_allowed_are_refused_as_a_whole(open_exchange: Opener) -> None:
    async with (
        open_exchange(sockets=SocketRules(streams=2)) as local,
        local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@trade") as socket,
    ):
        names = ["btcusdt@depth", "btcusdt@ticker"]
        await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert "more than 2 streams" in (await socket.receive_json(timeout=5))["msg"]
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert (await socket.receive_json(timeout=5))["result"] == ["btcusdt@trade"]


async def test_attempts_to_connect_are_counted(open_exchange: Opener) -> None:
    async with open_exchange(limits=LimitRules(connections_5m=2)) as local:
        statuses = []
        for path in ("/ws", "/stream", "/ws-api/v3", "/ws", "/ws"):  # the window may turn once
            try:
                async with local.http.ws_connect(f"{local.running.ws}{path}"):
                    statuses.append(101)
            except aiohttp.WSServerHandshakeError as error:
                statuses.append(error.status)
        assert 429 in statuses
        assert statuses[:2] == [101, 101] or 101 in statuses


async def test_a_connection_lives_as_long_as_was_set(open_exchange: Opener) -> None:
    async with open_exchange(sockets=SocketRules(life_s=0.3)) as local:
        for path in ("/ws/btcusdt@trade", "/ws-api/v3"):
            before = local.exchange.clock.elapsed()
            async with local.http.ws_connect(f"{local.running.ws}{path}") as socket:
                assert await closed_with(socket) == aiohttp.WSCloseCode.GOING_AWAY
            assert local.exchange.clock.elapsed() - before >= 0.3


async def test_who_answers_pings_stays_and_who_does_not_is_dropped(open_exchange: Opener) -> None:
    rules = SocketRules(ping_s=0.3, pong_s=1.5)
    async with open_exchange(sockets=rules) as local:
        url = f"{local.running.ws}/ws/btcusdt@trade"
        async with (
            local.http.ws_connect(url) as polite,
            local.http.ws_connect(url, autoping=False) as mute,
        ):
            waiting = asyncio.ensure_future(polite.receive())
            assert (await asyncio.wait_for(mute.receive(), 5)).type is aiohttp.WSMsgType.PING
            assert await closed_with(mute) == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
            assert not waiting.done()
            await local.admin("POST", "/admin/advance")
            assert (await asyncio.wait_for(waiting, 5)).type is aiohttp.WSMsgType.TEXT
