"""Every documented endpoint and method is served, refused with -1020, or gone as at Binance."""

from __future__ import annotations

import json

from bridge.local_exchange.endpoints import BY_METHOD, BY_ROUTE, RETIRED_METHODS
from bridge.local_exchange.unbuilt import UNBUILT, UNBUILT_METHODS
from tests.conftest import shared_path

SESSION = {
    "session.logon",
    "session.logout",
    "session.status",
    "session.subscriptions",
    "userDataStream.subscribe",
    "userDataStream.subscribe.signature",
    "userDataStream.unsubscribe",
}


def documented(file: str, key: str) -> list:  # type: ignore[type-arg]
    return json.loads(shared_path(f"fixtures/binance-docs/{file}").read_text())[key]


def test_rest_table_covers_the_official_list_and_serves_nothing_else() -> None:
    official = {
        (one["method"], one["path"]) for one in documented("rest_endpoints.json", "endpoints")
    }
    assert official == set(BY_ROUTE) | UNBUILT
    assert not set(BY_ROUTE) & UNBUILT


def test_ws_api_table_covers_the_official_list() -> None:
    official = set(documented("ws_api_methods.json", "methods"))
    missing = official - set(BY_METHOD) - UNBUILT_METHODS - SESSION - RETIRED_METHODS
    assert missing == set()


def test_served_endpoints_know_every_mandatory_parameter_of_the_docs() -> None:
    for one in documented("rest_endpoints.json", "endpoints"):
        endpoint = BY_ROUTE.get((one["method"], one["path"]))
        if endpoint is None or not one["params"]:
            continue
        needed = {param["name"] for param in one["params"] if param["mandatory"]}
        assert needed <= endpoint.known, (one["path"], needed - endpoint.known)
