"""Everything that one running exchange shares, and the one way in for an operation.

REST and the WebSocket API both call `operate`: mandatory parameters, who signed it, unknown
parameters, then the handler. The order of these checks is the order of the refusals.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.local_exchange.accounts import Account
from bridge.local_exchange.connections import Connection
from bridge.local_exchange.endpoints import Endpoint
from bridge.local_exchange.faults import FaultPlan
from bridge.local_exchange.limits import Limits
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.replay import Played
from bridge.local_exchange.security import authenticate
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.streams import Streams
from bridge.local_exchange.user_streams import UserStreams
from bridge.local_exchange.venue import Venue
from workbench.execution.orders import Report

HTTP_STATUS = {-1002: 401, -2014: 401, -2015: 401, -1003: 429, -1015: 429}


def http_status(code: int) -> int:
    """Return the HTTP status that goes with one of Binance's codes."""
    return HTTP_STATUS.get(code, 400)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends an operation: the key named, the payload its signature covers, the wall time."""

    api_key: str
    payload: str
    wall_ms: int


@dataclass(slots=True)
class Exchange:
    """The venue with its clock, limits, faults, streams and open connections."""

    venue: Venue
    clock: Clock
    source: str
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    faults: FaultPlan = field(default_factory=FaultPlan)
    connections: set[Connection] = field(default_factory=set)
    limits: Limits = field(init=False)
    streams: Streams = field(init=False)
    users: UserStreams = field(init=False)

    def __post_init__(self) -> None:
        self.limits = Limits(self.venue.settings.weight_limit)
        self.streams = Streams(self.venue, self.clock)
        self.users = UserStreams(self.venue, self.faults)
        self.venue.listener = self

    def on_print(self, symbol: str, played: Played) -> None:
        """Pass a print on to the market streams."""
        self.streams.on_print(symbol, played)

    def on_reports(self, reports: tuple[Report, ...], now_ms: int) -> None:
        """Pass order reports on to their users."""
        self.users.on_reports(reports, now_ms)


def operate(
    exchange: Exchange, endpoint: Endpoint, params: Parameters, caller: Caller
) -> tuple[Json, Account | None]:
    """Do an operation and return its answer and the account that signed it; Rejected otherwise."""
    params.require(endpoint.mandatory)
    if endpoint.public is not None:
        params.refuse_others(endpoint.known)
        return endpoint.public(exchange.venue, params, caller.wall_ms), None
    assert endpoint.signed is not None
    account = authenticate(
        exchange.venue.accounts,
        params,
        api_key=caller.api_key,
        payload=caller.payload,
        wall_ms=caller.wall_ms,
    )
    params.refuse_others(endpoint.known)
    answer = endpoint.signed(exchange.venue, params, account)
    if endpoint.counts_order:
        exchange.limits.count_order(account.name, caller.wall_ms)
    if endpoint.free_on_success:
        exchange.limits.refund(endpoint.cost(params), caller.wall_ms)
    return answer, account
