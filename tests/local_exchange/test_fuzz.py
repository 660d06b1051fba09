"""Whatever a client sends, an operation answers or is refused with a code; nothing else is raised."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.local_exchange.accounts import Accounts, generate
from bridge.local_exchange.endpoint import Endpoint
from bridge.local_exchange.endpoints import BY_METHOD, ENDPOINTS
from bridge.local_exchange.exchange import Exchange
from bridge.local_exchange.parameters import Parameters, parse_query
from bridge.local_exchange.refusals import ReplaceFailed
from bridge.local_exchange.settings import Settings
from bridge.local_exchange.time_units import answer_in_microseconds
from bridge.local_exchange.venue import Venue
from tests.local_exchange.conftest import SYMBOL, Local, made_up
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import Rejected
from workbench.market.instruments import instrument

BALANCES = (("USDT", 10**14), ("BTC", 10**10))
VENUE = Venue(
    Settings(balances=BALANCES),
    Accounts(generate(1)),
    {SYMBOL: (instrument(SYMBOL), Tape(made_up()), 300)},
)
EXCHANGE = Exchange(VENUE, SystemClock(), "SYNTHETIC")
ACCOUNT = VENUE.accounts.all[0]
MARKET = VENUE.replays[SYMBOL].last.price_e8 // 10**8

WORDS = (
    "BTCUSDT BUY SELL LIMIT MARKET LIMIT_MAKER STOP_LOSS STOP_LOSS_LIMIT TAKE_PROFIT "
    "TAKE_PROFIT_LIMIT GTC IOC FOK 1m 1M 1w 0.001 0.002 FULL ACK RESULT MINI true false ONLY_NEW 1 2 "
    'ALLOW_FAILURE STOP_ON_FAILURE EXPIRE_MAKER EXPIRE_BOTH NONE ["BTCUSDT"] [] [1] {"a":1} TRADING '
    f"+8:30 1d 7d {MARKET} {MARKET + 500} {MARKET - 500} {MARKET + 900} {MARKET - 900} 100"
).split()
LIKELY = {
    "symbol": SYMBOL,
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "interval": "1m",
    "quantity": "0.001",
    "price": str(MARKET + 500),
    "aboveType": "LIMIT_MAKER",
    "abovePrice": str(MARKET + 500),
    "belowType": "STOP_LOSS",
    "belowStopPrice": str(MARKET - 500),
    "stopPrice": str(MARKET - 500),
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingTimeInForce": "GTC",
    "workingPrice": str(MARKET - 100),
    "workingQuantity": "0.001",
    "pendingType": "MARKET",
    "pendingSide": "SELL",
    "pendingQuantity": "0.001",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": str(MARKET + 500),
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": str(MARKET - 500),
    "cancelReplaceMode": "ALLOW_FAILURE",
    "cancelOrderId": "1",
    "orderId": "1",
    "orderListId": "0",
    "newQty": "0.0005",
}

texts = st.one_of(
    st.text(max_size=12),
    st.integers(-5, 10**21).map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
)


def state() -> Any:
    """Return what no refusal may change."""
    engine = VENUE.engine
    return (
        dict(engine.orders),
        len(engine.executions),
        dict(engine.floor.lists),
        engine.balances(ACCOUNT.name),
        dict(engine.clearing.held),
    )


def usual(endpoint: Endpoint) -> dict[str, str]:
    """Return parameters that a good request could have; a stop price only where it must be sent."""
    names = endpoint.known - ({"stopPrice"} - set(endpoint.mandatory))
    return {name: LIKELY[name] for name in names if name in LIKELY}


def call(endpoint: Endpoint, params: Parameters) -> Any:
    params.require(endpoint.mandatory)
    endpoint.cost(params)
    if endpoint.public:
        return endpoint.public(VENUE, params, 0)
    if endpoint.counted:
        return endpoint.counted(EXCHANGE.limits, ACCOUNT, 0)
    assert endpoint.signed is not None
    return endpoint.signed(VENUE, params, ACCOUNT)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(ENDPOINTS), st.data())
def test_every_operation_answers_json_or_a_code(endpoint: Endpoint, data: st.DataObject) -> None:
    names = sorted((endpoint.known | {"hello"}) - {"signature"})
    sent = data.draw(st.dictionaries(st.sampled_from(names), texts, max_size=3))
    left_out = data.draw(st.lists(st.sampled_from(names), max_size=2))
    likely = {name: value for name, value in usual(endpoint).items() if name not in left_out}
    before = state()
    try:
        answer = call(endpoint, Parameters(likely | sent))
    except ReplaceFailed:
        pass  # one half of it may have been done
    except Rejected:
        assert state() == before
    else:
        json.dumps(answer)
        json.dumps(answer_in_microseconds(answer))
    VENUE.engine.ledger.check_conservation()


def test_the_usual_parameters_alone_are_good_ones() -> None:
    """Guard the test above: from values that are all refused at once it would prove little."""
    answered = set()
    for endpoint in ENDPOINTS:
        with suppress(Rejected):
            call(endpoint, Parameters(usual(endpoint)))
            answered.add((endpoint.method, endpoint.path.removeprefix("/api/v3/")))
    for route in (
        ("POST", "order"),
        ("POST", "orderList/oco"),
        ("POST", "orderList/oto"),
        ("POST", "orderList/otoco"),
        ("GET", "order"),
        ("GET", "ticker/price"),
        ("GET", "openOrders"),
    ):
        assert route in answered


@given(st.text(), st.text())
def test_any_query_and_body_are_read_or_refused(query: str, body: str) -> None:
    with suppress(Rejected):
        parse_query(query, body)


@pytest.mark.parametrize("seed", range(4))
async def test_any_bytes_over_http_get_a_code_and_change_nothing(local: Local, seed: int) -> None:
    rng = random.Random(seed)
    engine = local.exchange.venue.engine
    before = engine.balances("account-1")
    for _ in range(60):
        endpoint = rng.choice([one for one in ENDPOINTS if one.is_signed])
        pieces = ["symbol=BTCUSDT", "timestamp=1", "signature=%FF", "a=%zz", "&&==", "%00=1", "é=ü"]
        query = "&".join(rng.choices(pieces, k=3)).encode().decode("latin-1")
        body = bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
        url = f"{local.running.rest}{endpoint.path}"
        headers = {
            "X-MBX-APIKEY": rng.choice([local.key, "short", "Z" * 64]),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with local.http.request(
            endpoint.method, url, params=query, data=body, headers=headers
        ) as answer:
            assert answer.status in (400, 401)
            assert (await answer.json())["code"] < 0
    assert (engine.orders, engine.balances("account-1")) == ({}, before)


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\x00\xff\r\n\r\n",
        b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /api/v3/account?signature=" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_400_and_fills_no_log(
    local: Local, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.running.port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.split(b" ", 2)[1] == b"400"
    assert caplog.records == []
    assert (await local.call("GET", "/api/v3/ping"))[0] == 200


async def test_a_body_beyond_the_limit_is_refused_and_nothing_kept(local: Local) -> None:
    async with local.http.post(
        f"{local.running.rest}/api/v3/order", data=b"a" * (2 << 20), headers={}
    ) as answer:
        assert answer.status == 413
    assert local.exchange.venue.engine.orders == {}


@pytest.mark.parametrize("seed", range(3))
async def test_any_frame_on_the_websocket_api_gets_a_code(local: Local, seed: int) -> None:
    rng = random.Random(seed)
    values: list[Any] = [
        None,
        True,
        1,
        -1,
        1e300,
        "",
        "BTCUSDT",
        [],
        {},
        [[1]],
        "é",
        "\x00",
        "9" * 30,
    ]
    async with local.http.ws_connect(f"{local.running.ws}/ws-api/v3") as socket:
        for number in range(4):  # five messages a second are allowed
            method = rng.choice([*BY_METHOD, "no.such", ""])
            params = {
                rng.choice([*LIKELY, "apiKey", "timestamp", "signature"]): rng.choice(values)
                for _ in range(4)
            }
            frame = rng.choice([{"id": number, "method": method, "params": params}, values, params])
            await socket.send_json(frame)
            answer = await asyncio.wait_for(socket.receive_json(), 5)
            assert answer["status"] in (200, 400, 401)
            assert answer["status"] == 200 or answer["error"]["code"] < 0
    assert local.exchange.venue.engine.orders == {}
