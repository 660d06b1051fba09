"""Client order ids are deterministic; configuration refuses what it does not know."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.config import StartRequest, one_line, parse_venue_urls, venue
from bridge.gateway.ids import client_order_id, new_tag, parse
from workbench.errors import UsageError

WISH = {
    "command_id": "c1", "name": "one", "account": "paper", "strategy": "macd", "params": {"fast": 12},
    "symbol": "BTCUSDT", "interval": "1h", "capital": "1000",
}  # fmt: skip


@given(st.binary(min_size=5, max_size=5), st.integers(0, 2**40), st.integers(1, 99))
def test_an_id_is_a_pure_function_that_can_be_read_back(
    chance: bytes, seq: int, attempt: int
) -> None:
    """Same decision, same id; at most 36 characters that no signer escapes."""
    tag = new_tag(chance)
    made = client_order_id(tag, seq, attempt)
    assert made == client_order_id(tag, seq, attempt)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,36}", made)
    assert parse(made) == (tag, seq, attempt)


def test_known_ids() -> None:
    """Worked by hand: 1000 = 31*32 + 8 is "v8" in base 32."""
    assert client_order_id("00000abc", 1000, 2) == "wb-00000abc-v8-2"
    assert parse("x-HNA2TXFJ0123") is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"leverage": 3}, "leverage: is not a known key"),
        ({"capital": "-5"}, "capital -5 must be above 0"),
        ({"capital": "NaN"}, "capital"),
        ({"symbol": "btcusdt"}, "upper-case"),
        ({"interval": "7m"}, "unknown interval '7m'"),
        ({"name": "../etc"}, "name"),
        ({"params": {"fast": "10%"}}, "params.fast"),
    ],
)
def test_a_wrong_start_request_is_refused_in_one_line(
    change: dict[str, object], complaint: str
) -> None:
    """The line names the key and the rule."""
    with pytest.raises(ValidationError) as caught:
        StartRequest.model_validate(WISH | change)
    line = one_line(caught.value)
    assert complaint in line
    assert "\n" not in line


def test_mainnet_is_refused_and_an_address_only_moves_the_local_venue() -> None:
    """No spelling of an option reaches mainnet, and local means loopback."""
    with pytest.raises(UsageError, match="mainnet cannot be traded yet"):
        venue("mainnet", {})
    with pytest.raises(UsageError, match="only venue local"):
        parse_venue_urls(["mainnet=http://127.0.0.1:1,ws://127.0.0.1:1"])
    with pytest.raises(UsageError, match="must be on loopback"):
        parse_venue_urls(["local=http://10.0.0.1:1,ws://10.0.0.1:1"])
    urls = parse_venue_urls(["local=http://127.0.0.1:9000,ws://127.0.0.1:9000"])
    assert venue("local", urls).ws_api == "ws://127.0.0.1:9000/ws-api/v3"
    assert venue("testnet", {}).rest == "https://testnet.binance.vision/api"
