"""Signatures against the vectors that Binance publishes in its documentation."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from bridge.local_exchange.accounts import KeyKind
from bridge.local_exchange.security import check_fresh, rest_payload, sign, ws_payload
from tests.local_exchange.conftest import Local, Opener
from workbench.execution.orders import Rejected

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
ORDER = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
)
REST_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
WS_SIGNATURE = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"
NOW_MS = 1_000_000_000_000


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"{ORDER}&signature={REST_SIGNATURE}", ""),
        ("", f"{ORDER}&signature={REST_SIGNATURE}"),
        (f"signature={REST_SIGNATURE}&{ORDER}", ""),
    ],
)
def test_documented_rest_order_has_the_documented_signature(query: str, body: str) -> None:
    assert sign(SECRET, rest_payload(query, body)) == REST_SIGNATURE


def test_query_and_body_are_joined_without_a_separator() -> None:
    assert rest_payload("a=1&b=2", "c=3&signature=x") == "a=1&b=2c=3"


def test_documented_ws_order_has_the_documented_signature() -> None:
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "recvWindow": "100",
        "timestamp": "1645423376532",
        "apiKey": KEY,
        "signature": WS_SIGNATURE,
    }
    assert sign(SECRET, ws_payload(params)) == WS_SIGNATURE


@pytest.mark.parametrize(
    ("offset_ms", "window"),
    [(0, None), (999, None), (-5_000, None), (-60_000, "60000"), (-1_000, "1000.500")],
)
def test_a_timestamp_inside_the_window_is_fresh_in_milli_and_microseconds(
    offset_ms: int, window: str | None
) -> None:
    for sent in (NOW_MS + offset_ms, (NOW_MS + offset_ms) * 1000):
        check_fresh(str(sent), window, NOW_MS)


@pytest.mark.parametrize(
    ("sent", "window", "refusal"),
    [
        (str(NOW_MS + 1000), None, "-1021: Timestamp for this request was 1000ms ahead"),
        (str(NOW_MS - 5001), None, "-1021: Timestamp for this request is outside"),
        (str(NOW_MS - 101), "100", "-1021: Timestamp for this request is outside"),
        (str(NOW_MS), "60001", "-1131: recvWindow must be less than 60000"),
        (str(NOW_MS), "12.3456", "-1102: Mandatory parameter 'recvWindow'"),
        ("yesterday", None, "-1100: Illegal characters found in parameter 'timestamp'"),
    ],
)
def test_a_timestamp_outside_the_window_is_refused(
    sent: str, window: str | None, refusal: str
) -> None:
    with pytest.raises(Rejected, match=refusal):
        check_fresh(sent, window, NOW_MS)


@dataclass
class Stepping:
    """A clock that goes on by 20 ms whenever it is read."""

    now_ms: int

    def wall_ms(self) -> int:
        self.now_ms += 20
        return self.now_ms

    def elapsed(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_the_window_is_checked_again_just_before_matching(local: Local) -> None:
    async def place(window: str) -> tuple[int, object]:
        stamp = local.exchange.clock.wall_ms()
        local.exchange.clock = Stepping(stamp)  # type: ignore[assignment]
        query = (
            "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100"
            f"&timestamp={stamp}&recvWindow={window}"
        )
        return await local.call(
            "POST",
            "/api/v3/order",
            query=f"{query}&signature={sign(local.secret, query)}",
            key=local.key,
        )

    status, answer = await place("30.5")  # 20 ms old on arrival, 40 ms before matching
    assert (status, answer["code"]) == (400, -1021)  # type: ignore[index]
    assert local.exchange.venue.engine.orders == {}
    assert local.exchange.limits.orders("account-1", local.exchange.clock.wall_ms()) == (0, 0)
    assert (await place("60.125"))[0] == 200


async def test_times_over_rest_are_microseconds_where_asked(local: Local) -> None:
    url = f"{local.running.rest}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1"
    answers = {}
    for unit in ("MILLISECOND", "MICROSECOND"):
        async with local.http.get(url, headers={"X-MBX-TIME-UNIT": unit}) as answer:
            (answers[unit],) = await answer.json()
    assert answers["MICROSECOND"][0] == answers["MILLISECOND"][0] * 1000
    assert answers["MICROSECOND"][6] == answers["MILLISECOND"][6] * 1000 + 999
    async with local.http.get(url, headers={"X-MBX-TIME-UNIT": "HOUR"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, -1194)
    _, now = await local.call("GET", "/api/v3/klines", query=url.partition("?")[2])
    start = answers["MICROSECOND"][0]
    _, same = await local.call(
        "GET", "/api/v3/klines", query=f"symbol=BTCUSDT&interval=1m&startTime={start}"
    )
    assert now == same


@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.RSA])
async def test_rest_takes_base64_signatures_of_key_pairs(
    open_exchange: Opener, kind: KeyKind
) -> None:
    async with open_exchange(key_kinds=(kind,)) as local:
        private = serialization.load_pem_private_key(local.secret.encode(), None)

        async def signed(spoil: bool) -> tuple[int, object]:
            payload = f"timestamp={local.exchange.clock.wall_ms()}"
            if isinstance(private, ed25519.Ed25519PrivateKey):
                raw = private.sign(payload.encode())
            else:
                assert isinstance(private, rsa.RSAPrivateKey)
                raw = private.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256())
            text = base64.b64encode(raw).decode()
            text = text.swapcase() if spoil else text
            query = f"{payload}&signature={quote(text, safe='')}"
            return await local.call("GET", "/api/v3/account", query=query, key=local.key)

        assert (await signed(spoil=False))[0] == 200
        status, answer = await signed(spoil=True)
        assert (status, answer["code"]) == (400, -1022)  # type: ignore[index]
