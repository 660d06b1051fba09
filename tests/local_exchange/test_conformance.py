"""Every documented endpoint and method is served, refused with -1020, or gone as at Binance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.cli.exchange import exchange
from bridge.local_exchange.conformance import Row, State, table
from bridge.local_exchange.endpoints import BY_METHOD, BY_ROUTE
from bridge.local_exchange.session_methods import SESSION_METHODS
from bridge.local_exchange.unbuilt import UNBUILT, UNBUILT_METHODS
from tests.conftest import shared_path
from tests.local_exchange.conftest import Local

LEFT_OUT = ("sor", "opo", "executionRules", "Allocations")


def documented(file: str, key: str) -> Any:
    return json.loads(shared_path(f"fixtures/binance-docs/{file}").read_text())[key]


def test_rest_table_covers_the_official_list_and_serves_nothing_else_under_api() -> None:
    official = {
        (one["method"], one["path"]) for one in documented("rest_endpoints.json", "endpoints")
    }
    served = {route for route in BY_ROUTE if route[1].startswith("/api/")}
    assert official == served | UNBUILT
    assert not served & UNBUILT


def test_ws_api_table_covers_the_official_list_and_serves_nothing_else() -> None:
    official = set(documented("ws_api_methods.json", "methods"))
    assert official == set(BY_METHOD) | UNBUILT_METHODS | set(SESSION_METHODS)
    assert not set(BY_METHOD) & UNBUILT_METHODS


def test_only_what_was_left_out_on_purpose_is_refused() -> None:
    refused = [row.operation for row in table() if row.state is State.REFUSED]
    assert [one for one in refused if not any(word in one for word in LEFT_OUT)] == []


def test_served_endpoints_know_every_parameter_of_the_docs_and_demand_the_mandatory() -> None:
    for one in documented("rest_endpoints.json", "endpoints"):
        endpoint = BY_ROUTE.get((one["method"], one["path"]))
        if endpoint is None or not one["params"]:
            continue
        names = {param["name"] for param in one["params"]}
        assert names <= endpoint.known, (one["path"], names - endpoint.known)
        needed = {param["name"] for param in one["params"] if param["mandatory"]}
        assert needed - {"timestamp"} <= set(endpoint.mandatory), one["path"]


def test_order_counts_are_those_of_the_docs() -> None:
    for one in documented("rest_endpoints.json", "endpoints"):
        endpoint = BY_ROUTE.get((one["method"], one["path"]))
        if endpoint is not None:
            assert endpoint.orders == (one["unfilled_order_count"] or 0), one["path"]


@pytest.mark.parametrize("row", [row for row in table() if row.api == "REST"], ids=str)
async def test_the_server_does_what_the_table_says_of_rest(local: Local, row: Row) -> None:
    method, path = row.operation.split()
    status, answer = await local.call(method, path)
    if row.state is State.RETIRED:
        assert status == 410
        assert str(answer).startswith("<html>")
    else:
        code = answer.get("code") if isinstance(answer, dict) else None
        assert (code == -1020) == (row.state is State.REFUSED)
        assert status in (200, 400)


async def test_the_server_does_what_the_table_says_of_the_websocket_api(local: Local) -> None:
    for row in (row for row in table() if row.api == "WebSocket API"):
        async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
            await socket.send_json({"id": row.operation, "method": row.operation})
            answer = await socket.receive_json(timeout=5)
        code = answer.get("error", {}).get("code")
        assert (code == -1020) == (row.state is not State.SERVED), row


@pytest.mark.parametrize("path", ["/api/v1/ping", "/api/v1/userDataStream", "/api/v1/order"])
async def test_the_first_version_of_the_api_is_gone(local: Local, path: str) -> None:
    status, answer = await local.call("GET", path)
    assert (status, str(answer)[:6]) == (410, "<html>")


def test_the_table_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    exchange(conformance=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(table()) + 2
    assert "| REST | `POST /api/v3/orderList/otoco` | served | 200 |" in lines
    assert "| REST | `POST /api/v3/sor/order` | refused | 400 -1020 |" in lines
