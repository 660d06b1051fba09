"""Refusals recorded on the spot testnet: the same request gets the same status and body here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import shared_path
from tests.local_exchange.conftest import Local, Opener

EMPTY = ("account", "myTrades", "openOrders", "order", "orderCancel", "orderCancelReplace")


def recording(name: str) -> tuple[str, str, int, object]:
    """Return (method, path, status, body) of a recording."""
    folder = shared_path(f"fixtures/spot-testnet/rest/{name}_rejected")
    (file,) = Path(folder).glob("*.yaml")
    text = file.read_text()
    endpoint = re.search(r"^  endpoint: (\S+) (\S+)$", text, re.MULTILINE)
    status = re.search(r"^  http_status: (\d+)$", text, re.MULTILINE)
    body = re.search(r"^body: '(.*)'$", text, re.MULTILINE)
    assert endpoint
    assert status
    assert body
    return endpoint[1], endpoint[2], int(status[1]), json.loads(body[1].replace("''", "'"))


@pytest.mark.parametrize("name", EMPTY)
async def test_an_empty_request_is_refused_as_on_the_testnet(local: Local, name: str) -> None:
    method, path, status, body = recording(name)
    assert await local.call(method, path, key=local.key) == (status, body)


async def test_the_recorded_clock_answer_has_our_shape(local: Local, open_exchange: Opener) -> None:
    (file,) = Path(shared_path("fixtures/spot-testnet/rest/serverTime")).glob("*.yaml")
    body = json.loads(file.read_text().partition("body: '")[2].rpartition("'")[0])
    _, told = await local.call("GET", "/api/v3/time")
    assert set(told) == set(body)  # type: ignore[call-overload]


async def test_a_symbol_is_listed_with_the_fields_of_the_testnet(local: Local) -> None:
    (file,) = Path(shared_path("fixtures/spot-testnet/rest/exchangeInfo")).glob("*.yaml")
    body = json.loads(
        file.read_text().partition("body: '")[2].rpartition("'")[0].replace("''", "'")
    )
    recorded = next(one for one in body["symbols"] if one["symbol"] == "BTCUSDT")
    _, told = await local.call("GET", "/api/v3/exchangeInfo")
    (ours,) = told["symbols"]  # type: ignore[index]
    assert set(ours) == set(recorded)
    assert ours["orderTypes"] == recorded["orderTypes"]
    theirs = {one["filterType"]: set(one) for one in recorded["filters"]}
    for one in ours["filters"]:
        assert set(one) == theirs[one["filterType"]], one["filterType"]
    missing = set(theirs) - {one["filterType"] for one in ours["filters"]}
    assert missing <= {"ICEBERG_PARTS", "MAX_POSITION", "T_PLUS_SELL"}
