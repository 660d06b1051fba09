"""The few wallet endpoints (/sapi) that clients call at start, and the permissions of a key.

A real testnet has no /sapi at all. Here the lists are empty, the fees are those of the exchange,
and a key may by default read and trade from bound addresses, and nothing else: what the bridge
demands of a mainnet key. `--permissions enableWithdrawals=true,ipRestrict=` makes a key that it
must refuse: the first named otherwise, the second left out.
"""

from __future__ import annotations

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.endpoint import SIGNING, Endpoint
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.venue import Venue
from workbench.market.instruments import from_e8

MADE_MS = 1_735_689_600_000


def _restrictions(venue: Venue, params: Parameters, account: Account) -> Json:
    return {**dict(venue.settings.permissions), "createTime": MADE_MS}


def _trade_fees(venue: Venue, params: Parameters, account: Account) -> Json:
    asked = params.optional("symbol")
    if asked is not None:
        venue.engine.instrument(asked)
    engine = venue.engine
    maker, taker = from_e8(engine.maker_rate_e8), from_e8(engine.taker_rate_e8)
    return [
        {"symbol": symbol, "makerCommission": maker, "takerCommission": taker}
        for symbol in venue.replays
        if asked in (None, symbol)
    ]


def _nothing(venue: Venue, params: Parameters, account: Account) -> Json:
    return []


def _bnb_burn(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return whether commissions are paid in BNB; change it where `spotBNBBurn` was sent."""
    payers = venue.engine.clearing.pays_in_bnb
    if "spotBNBBurn" in params:
        (payers.add if params.flag("spotBNBBurn") else payers.discard)(account.name)
    return {"spotBNBBurn": account.name in payers, "interestBNBBurn": False}


def _nothing_public(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    return []


def _up(venue: Venue, params: Parameters, wall_ms: int) -> Json:
    return {"status": 0, "msg": "normal"}


_V1 = "/sapi/v1/"
_PAIR = ("symbol", *sorted(SIGNING))  # signed or not, as the client likes
_BURNS = ("spotBNBBurn", "interestBNBBurn")
WALLET: tuple[Endpoint, ...] = (
    Endpoint("GET", _V1 + "account/apiRestrictions", "", 1, signed=_restrictions),
    Endpoint("GET", _V1 + "asset/tradeFee", "", 1, optional=("symbol",), signed=_trade_fees),
    Endpoint("GET", _V1 + "capital/config/getall", "", 10, signed=_nothing),
    Endpoint("GET", _V1 + "bnbBurn", "", 1, signed=_bnb_burn),
    Endpoint("POST", _V1 + "bnbBurn", "", 1, optional=_BURNS, signed=_bnb_burn),
    Endpoint("GET", _V1 + "margin/allPairs", "", 1, optional=_PAIR, public=_nothing_public),
    Endpoint(
        "GET", _V1 + "margin/isolated/allPairs", "", 1, optional=_PAIR, public=_nothing_public
    ),
    Endpoint("GET", _V1 + "system/status", "", 1, public=_up),
)
