"""Signatures against the vectors that Binance publishes in its documentation."""

from __future__ import annotations

import pytest

from bridge.local_exchange.security import check_fresh, rest_payload, sign, ws_payload
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
