"""WebSocket API sessions: who may log on, what then needs no signature, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from bridge.local_exchange.accounts import Account, KeyKind
from bridge.local_exchange.key_pairs import sign_with
from bridge.local_exchange.security import sign, ws_payload
from tests.local_exchange.conftest import Local, Opener
from tests.local_exchange.test_answer_shapes import same_shape, samples

Answer = dict[str, Any]
KINDS = (KeyKind.ED25519, KeyKind.HMAC, KeyKind.RSA)


class Talk:
    """One WebSocket API connection of one account."""

    def __init__(
        self, local: Local, socket: aiohttp.ClientWebSocketResponse, account: Account
    ) -> None:
        self._clock = local.exchange.clock
        self.account = account
        self.socket = socket
        self.events: list[Answer] = []

    async def ask(self, method: str, **params: object) -> Answer:
        await self.socket.send_json({"id": method, "method": method, "params": params})
        while (frame := await self.hear()).get("id") != method:
            self.events.append(frame)
        return frame

    async def signed(self, method: str, **params: str) -> Answer:
        stamp = str(self._clock.wall_ms())
        named = {**params, "apiKey": self.account.api_key, "timestamp": stamp}
        payload, secret = ws_payload(named), self.account.secret
        hmac = self.account.kind is KeyKind.HMAC
        named["signature"] = sign(secret, payload) if hmac else sign_with(secret, payload)
        return await self.ask(method, **named)

    async def unsigned(self, method: str, **params: object) -> Answer:
        return await self.ask(method, timestamp=self._clock.wall_ms(), **params)

    async def hear(self) -> Answer:
        return await asyncio.wait_for(self.socket.receive_json(), 5)


def sample(method: str) -> Answer:
    """Return the official answer to a method."""
    found = samples("web-socket-api.json")
    asked = next(
        i for i, one in enumerate(found)
        if isinstance(one["payload"], dict) and one["payload"].get("method") == method
    )  # fmt: skip
    return next(one["payload"] for one in found[asked:] if "status" in one["payload"])


async def test_a_session_of_an_ed25519_key_needs_no_more_signatures(open_exchange: Opener) -> None:
    async with (
        open_exchange(accounts=3, key_kinds=KINDS) as local,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3?returnRateLimits=false") as socket,
    ):
        talk = Talk(local, socket, local.exchange.venue.accounts.all[0])
        assert (await talk.unsigned("account.status"))["error"]["code"] == -1102
        logged_on = await talk.signed("session.logon")
        assert "error" not in logged_on, logged_on
        same_shape(logged_on, sample("session.logon"))
        assert logged_on["result"]["apiKey"] == talk.account.api_key
        status = await talk.ask("session.status")
        same_shape(status, sample("session.status"))
        assert (await talk.unsigned("account.status"))["result"]["uid"] == talk.account.uid
        assert (await talk.ask("account.status"))["error"]["code"] == -1102  # no timestamp
        late = await talk.ask("account.status", timestamp=1)
        assert late["error"]["code"] == -1021
        assert (await talk.ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
        unsigned = await talk.unsigned("userDataStream.subscribe.signature")
        assert unsigned["error"]["code"] == -2035  # by the session, and it listens already
        again = await talk.ask("userDataStream.subscribe")
        assert again["error"]["code"] == -2035
        assert (await talk.ask("session.status"))["result"]["userDataStream"] is True
        out = await talk.ask("session.logout")
        same_shape(out, sample("session.logout"))
        assert out["result"]["apiKey"] is None
        assert (await talk.hear())["event"]["e"] == "eventStreamTerminated"
        assert (await talk.unsigned("account.status"))["error"]["code"] == -1102


async def test_only_a_lenient_exchange_lets_other_keys_log_on(open_exchange: Opener) -> None:
    for lenient in (False, True):
        async with open_exchange(accounts=3, key_kinds=KINDS, lenient=lenient) as local:
            for account in local.exchange.venue.accounts.all:
                async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
                    answer = await Talk(local, socket, account).signed("session.logon")
                    if lenient or account.kind is KeyKind.ED25519:
                        assert answer["status"] == 200
                    else:
                        assert answer["error"]["code"] == -4056


async def test_every_kind_of_key_signs_and_a_changed_text_is_refused(
    open_exchange: Opener,
) -> None:
    async with (
        open_exchange(accounts=3, key_kinds=KINDS) as local,
        local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket,
    ):
        for number, account in enumerate(local.exchange.venue.accounts.all):
            talk = Talk(local, socket, account)
            answer = await talk.signed("userDataStream.subscribe.signature")
            assert answer["result"] == {"subscriptionId": number}
            stamp = str(local.exchange.clock.wall_ms())
            signature = sign(account.secret, "x")
            if account.kind is not KeyKind.HMAC:
                signature = sign_with(account.secret, "x")
            forged = await talk.ask(
                "account.status", apiKey=account.api_key, timestamp=stamp, signature=signature
            )
            assert forged["error"]["code"] == -1022
        listed = await Talk(local, socket, account).ask("session.subscriptions")
        assert listed["result"] == [{"subscriptionId": n} for n in range(3)]


@pytest.mark.parametrize("shown", [True, False, None])
async def test_rate_limits_are_shown_as_asked(local: Local, shown: bool | None) -> None:
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        talk = Talk(local, socket, local.exchange.venue.accounts.all[0])
        wanted = {} if shown is None else {"returnRateLimits": shown}
        answer = await talk.ask("time", **wanted)
        assert ("rateLimits" in answer) is (shown is not False)
        placed = await talk.signed(
            "order.place", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
            quantity="0.01", price="50000",
        )  # fmt: skip
        kinds = [(one["rateLimitType"], one["interval"]) for one in placed["rateLimits"]]
        assert kinds == [("ORDERS", "SECOND"), ("ORDERS", "DAY"), ("REQUEST_WEIGHT", "MINUTE")]
        assert [one["count"] for one in placed["rateLimits"][:2]] == [1, 1]


async def test_answers_and_events_come_in_microseconds_where_asked(local: Local) -> None:
    url = f"{local.running.ws}/ws-api/v3?timeUnit=microsecond"
    async with local.http.ws_connect(url) as socket:
        talk = Talk(local, socket, local.exchange.venue.accounts.all[0])
        assert (await talk.ask("time"))["result"]["serverTime"] > 10**15
        rows = (await talk.ask("klines", symbol="BTCUSDT", interval="1m", limit=1))["result"]
        assert (rows[0][6] + 1) % 60_000_000 == 0
        await talk.signed("userDataStream.subscribe.signature")
        await talk.signed(
            "order.place", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="50"
        )
        event = talk.events[0]["event"]  # events of an order leave before its answer
        assert event["T"] == local.exchange.venue.now_ms * 1000
        assert event["t"] == -1
