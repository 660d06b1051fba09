"""User data over the WebSocket API: who hears what, and what a bad request is told."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.security import sign, ws_payload
from bridge.local_exchange.ws_session import ApiSession
from tests.local_exchange.conftest import Local, Opener
from workbench.market.instruments import to_e8

Answer = dict[str, Any]
FULL = {"code": -2042, "msg": "Maximum subscription ID reached for this connection."}


class Api:
    """One WebSocket API connection that signs as account number `user`."""

    def __init__(
        self, local: Local, socket: aiohttp.ClientWebSocketResponse, user: int = 0
    ) -> None:
        self._account = local.exchange.venue.accounts.all[user]
        self._clock = local.exchange.clock
        self.socket = socket

    async def ask(self, method: str, params: Answer | None = None) -> Answer:
        await self.socket.send_json({"id": method, "method": method, "params": params or {}})
        return await self.hear()

    async def signed(self, method: str, **params: str) -> Answer:
        named = {
            **params,
            "apiKey": self._account.api_key,
            "timestamp": str(self._clock.wall_ms()),
        }
        named["signature"] = sign(self._account.secret, ws_payload(named))
        return await self.ask(method, named)

    async def hear(self) -> Answer:
        return await asyncio.wait_for(self.socket.receive_json(), 5)


async def test_only_the_accounts_own_events_arrive_and_none_after_unsubscribing(
    open_exchange: Opener,
) -> None:
    async with (
        open_exchange(accounts=2) as local,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket,
    ):
        mine, other = Api(local, socket), Api(local, socket, user=1)
        assert (await mine.signed("userDataStream.subscribe.signature"))["result"] == {
            "subscriptionId": 0
        }
        again = await mine.signed("userDataStream.subscribe.signature")
        assert (again["status"], again["error"]["code"]) == (400, -2035)
        placed = await other.signed(
            "order.place", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100"
        )
        assert placed["result"]["status"] == "FILLED"
        listed = await mine.ask("session.subscriptions")
        assert listed["result"] == [{"subscriptionId": 0}]
        ended = await mine.ask("userDataStream.unsubscribe", {"subscriptionId": 0})
        assert ended["result"] == {}
        last = await mine.hear()
        assert (last["subscriptionId"], last["event"]["e"]) == (0, "eventStreamTerminated")
        await mine.signed(
            "order.place", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100"
        )
        gone = await mine.ask("userDataStream.unsubscribe")
        assert gone["error"]["code"] == -2036


async def test_a_connection_subscribes_65535_times_in_its_life_and_no_more(
    open_exchange: Opener,
) -> None:
    async with (
        open_exchange() as local,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as worn,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as fresh,
    ):
        mine, users = Api(local, worn), local.exchange.users
        session, account = await only_listener(mine, local)
        for number in range(1, 65_535):  # over the socket they would take a minute
            users.unsubscribe(session, None)
            assert users.subscribe(session, account) == number
        users.unsubscribe(session, None)
        refused = await mine.signed("userDataStream.subscribe.signature")
        assert (refused["status"], refused["error"]) == (400, FULL)
        other = await Api(local, fresh).signed("userDataStream.subscribe.signature")
        assert other["result"] == {"subscriptionId": 0}


async def test_a_connection_holds_1000_subscriptions_at_a_time(open_exchange: Opener) -> None:
    async with (
        open_exchange(accounts=1_001) as local,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket,
    ):
        last, users = Api(local, socket, user=1_000), local.exchange.users
        session, _ = await only_listener(Api(local, socket), local)
        for account in local.exchange.venue.accounts.all[1:1_000]:
            users.subscribe(session, account)
        refused = await last.signed("userDataStream.subscribe.signature")
        assert (refused["status"], refused["error"]) == (400, FULL)
        users.unsubscribe(session, 500)
        allowed = await last.signed("userDataStream.subscribe.signature")
        assert allowed["result"] == {"subscriptionId": 1_000}


async def only_listener(api: Api, local: Local) -> tuple[ApiSession, Account]:
    """Subscribe, and return the exchange's own end of this connection with the first account."""
    assert "result" in await api.signed("userDataStream.subscribe.signature")
    account = local.exchange.venue.accounts.all[0]
    (session,) = local.exchange.users._listeners[account.name]
    return session, account


async def test_a_cancel_reports_its_own_id_and_the_orders(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        api = Api(local, socket)
        await api.signed("userDataStream.subscribe.signature")
        limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        await socket.send_json({"id": 0, "method": "ping"})
        await api.hear()
        place = await api.signed(
            "order.place", **limit, price="50000", quantity="0.01", newClientOrderId="mine"
        )
        events = [place, await api.hear(), await api.hear()]
        new = next(one["event"] for one in events if one.get("event", {}).get("x") == "NEW")
        assert (new["X"], new["w"], new["t"], new["N"], new["c"]) == ("NEW", True, -1, None, "mine")
        cancel = await api.signed(
            "order.cancel", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="off"
        )
        events = [cancel, await api.hear(), await api.hear()]
    gone = next(one["event"] for one in events if one.get("event", {}).get("x") == "CANCELED")
    assert (gone["c"], gone["C"], gone["X"], gone["w"]) == ("off", "mine", "CANCELED", False)
    locks = next(one["event"]["B"] for one in events if "B" in one.get("event", {}))
    assert {one["a"]: one["l"] for one in locks}["USDT"] == "0.00000000"


async def test_a_resting_order_that_the_tape_trades_through_reports_a_makers_fill(
    local: Local,
) -> None:
    low = min(local.candles.records["low"][300:303])
    price = f"{low + 0.01:.2f}"
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        api = Api(local, socket)
        await local.signed(
            "POST",
            "/api/v3/order",
            f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={price}",
        )
        await api.signed("userDataStream.subscribe.signature")
        for _ in range(3):
            await local.admin("POST", "/admin/advance")
        event = (await api.hear())["event"]
    assert (event["x"], event["X"], event["m"]) == ("TRADE", "FILLED", True)
    assert event["L"] == f"{price}000000"
    assert to_e8(event["n"]) == to_e8("0.01") // 1000


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        ("{", 400, -1135),
        ("[1]", 400, -1135),
        ('{"id":1,"method":"ping","params":[]}', 400, -1135),
        ('{"id":1,"method":"order.teleport"}', 400, -1020),
        ('{"id":1,"method":"orderList.place.opo"}', 400, -1020),
        ('{"id":1,"method":"userDataStream.start"}', 400, -1020),
        ('{"id":1,"method":"session.logon"}', 400, -1102),
        ('{"id":1,"method":"userDataStream.subscribe"}', 401, -1002),
        ('{"id":1,"method":"account.status"}', 400, -1102),
        ('{"id":1,"method":"account.status","params":{"apiKey":"x","timestamp":1,"signature":"y"}}', 401, -2014),
        ('{"id":1,"method":"userDataStream.subscribe.signature","params":{"apiKey":"x"}}', 400, -1102),
        ('{"id":1,"method":"klines","params":{"symbol":"NOPE","interval":"1m"}}', 400, -1121),
    ],
)  # fmt: skip
async def test_a_bad_request_is_refused_and_the_connection_lives_on(
    local: Local, frame: str, status: int, code: int
) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        await socket.send_str(frame)
        answer = await socket.receive_json()
        assert (answer["status"], answer["error"]["code"]) == (status, code)
        await socket.send_json(
            {"id": "after", "method": "v3/ping", "params": {"returnRateLimits": False}}
        )
        assert await socket.receive_json() == {"id": "after", "status": 200, "result": {}}


async def test_numbers_in_params_are_read_as_they_were_written(local: Local) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        account, stamp = local.exchange.venue.accounts.all[0], local.exchange.clock.wall_ms()
        named = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.00010000"}
        named |= {"apiKey": account.api_key, "timestamp": str(stamp)}
        signature = sign(account.secret, ws_payload(named))
        await socket.send_str(
            '{"id":7,"method":"order.place","params":{"symbol":"BTCUSDT","side":"SELL","type":"MARKET",'
            f'"quantity":0.00010000,"apiKey":"{account.api_key}","timestamp":{stamp},'
            f'"signature":"{signature}"}}}}'
        )
        answer = await socket.receive_json()
    assert answer["result"]["executedQty"] == "0.00010000"
