"""Whatever a client sends, an operation answers or is refused with a code; nothing else is raised."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.local_exchange.accounts import Accounts, generate
from bridge.local_exchange.endpoints import ENDPOINTS, Endpoint
from bridge.local_exchange.parameters import Parameters, parse_query
from bridge.local_exchange.settings import Settings
from bridge.local_exchange.venue import Venue
from tests.local_exchange.conftest import SYMBOL, made_up
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import Rejected
from workbench.market.instruments import instrument

VENUE = Venue(
    Settings(), Accounts(generate(1)), {SYMBOL: (instrument(SYMBOL), Tape(made_up()), 300)}
)
ACCOUNT = VENUE.accounts.all[0]

WORDS = (
    "BTCUSDT BUY SELL LIMIT MARKET GTC IOC FOK 1m 1M 1w 0.001 90000 FULL ACK true ONLY_NEW 1 "
    '["BTCUSDT"] [] [1] {"a":1}'
)

texts = st.one_of(
    st.text(max_size=12),
    st.integers(-5, 10**21).map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(WORDS.split()),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ENDPOINTS), st.data())
def test_every_operation_answers_json_or_a_code(endpoint: Endpoint, data: st.DataObject) -> None:
    names = sorted((endpoint.known | {"hello"}) - {"signature"})
    sent = data.draw(st.dictionaries(st.sampled_from(names), texts, max_size=8))
    likely = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "interval": "1m"}
    sent = {name: likely[name] for name in endpoint.mandatory if name in likely} | sent
    params = Parameters(sent)
    with suppress(Rejected):
        params.require(endpoint.mandatory)
        endpoint.cost(params)
        if endpoint.public:
            answer = endpoint.public(VENUE, params, 0)
        else:
            assert endpoint.signed is not None
            answer = endpoint.signed(VENUE, params, ACCOUNT)
        json.dumps(answer)
    VENUE.engine.ledger.check_conservation()


@given(st.text(), st.text())
def test_any_query_and_body_are_read_or_refused(query: str, body: str) -> None:
    with suppress(Rejected):
        parse_query(query, body)
