"""Everything that one running exchange shares, and the one way in for an operation.

REST and the WebSocket API both call `operate`: mandatory parameters, who signed it, unknown
parameters, then the handler. The order of these checks is the order of the refusals.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.local_exchange.accounts import Account
from bridge.local_exchange.conditions import Change, Conditions, Plan, read_plan
from bridge.local_exchange.connections import Connection
from bridge.local_exchange.endpoint import Endpoint
from bridge.local_exchange.faults import FaultPlan
from bridge.local_exchange.limits import LimitExceeded, Limits
from bridge.local_exchange.pace import MarketClock
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.refusals import ReplaceFailed
from bridge.local_exchange.replay import Played
from bridge.local_exchange.security import authenticate, check_fresh
from bridge.local_exchange.shapes import Json
from bridge.local_exchange.streams import Streams, Subscriber
from bridge.local_exchange.user_events import server_shutdown
from bridge.local_exchange.user_streams import UserStreams
from bridge.local_exchange.venue import Venue
from bridge.local_exchange.ws_session import ApiSession
from workbench.execution.orders import Rejected, Report

RESTRICTIONS = "/sapi/v1/account/apiRestrictions"  # told to every key
HTTP_STATUS = {-1002: 401, -2014: 401, -2015: 401, -1008: 503}


def http_status(refusal: Rejected) -> int:
    """Return the HTTP status that goes with a refusal."""
    if isinstance(refusal, LimitExceeded | ReplaceFailed):
        return refusal.status
    return HTTP_STATUS.get(refusal.code, 400)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends an operation: the key named, the payload its signature covers, the wall time.

    `logged_on` is the account of a session that need not sign.
    """

    api_key: str
    payload: str
    wall_ms: int
    logged_on: Account | None = None


@dataclass(slots=True)
class SkewedClock:
    """The machine's clock as the exchange believes it to be."""

    clock: Clock
    conditions: Conditions

    def wall_ms(self) -> int:
        """Return milliseconds since 1970 UTC, with the skew that was planned."""
        return self.clock.wall_ms() + self.conditions.skew_ms

    def elapsed(self) -> float:
        """Return seconds since some fixed moment."""
        return self.clock.elapsed()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self.clock.sleep(seconds)


@dataclass(slots=True)
class Exchange:
    """The venue with its clock, limits, faults, streams and open connections."""

    venue: Venue
    clock: Clock
    source: str
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    faults: FaultPlan = field(default_factory=FaultPlan)
    open_sockets: dict[Connection, Subscriber | ApiSession] = field(default_factory=dict)
    conditions: Conditions = field(default_factory=Conditions)
    plan: Plan = field(default_factory=Plan)
    market_clock: MarketClock | None = None
    limits: Limits = field(init=False)
    streams: Streams = field(init=False)
    users: UserStreams = field(init=False)

    def __post_init__(self) -> None:
        self.limits = Limits(self.venue.settings.limits)
        self.clock = SkewedClock(self.clock, self.conditions)
        self.streams = Streams(self.venue, self.clock, self.faults)
        self.users = UserStreams(self.venue, self.faults)
        self.venue.listener = self
        if self.venue.settings.fault_plan:
            self.plan = read_plan(self.venue.settings.fault_plan, list(self.venue.replays))
            for fault in self.plan.faults:
                self.faults.add(fault)

    def change(self, change: Change) -> None:
        """Put a change of conditions into force."""
        before = self.conditions.maintenance
        self.conditions.apply(change, self.venue)
        self.users.silent = self.conditions.silent
        if self.conditions.maintenance and not before:
            self.shut_down()

    def shut_down(self) -> None:
        """Tell every socket that the exchange goes down, and close it."""
        event = server_shutdown(self.clock.wall_ms())
        for connection, listener in list(self.open_sockets.items()):
            if isinstance(listener, ApiSession):
                listener.send_event(event)
            else:
                self.streams.send_shutdown(listener, event)
            connection.close()

    def on_print(self, symbol: str, played: Played) -> None:
        """Pass a print on to the market streams."""
        self.streams.on_print(symbol, played)

    def on_deposit(self, account: str, asset: str, change_e8: int, now_ms: int) -> None:
        """Pass a deposit on to its user."""
        self.users.on_deposit(account, asset, change_e8, now_ms)

    def on_reports(self, reports: tuple[Report, ...], now_ms: int) -> None:
        """Pass order reports on to their users, and what they did to the book to the streams."""
        wall_ms = self.clock.wall_ms()
        for report in reports:
            if report.execution and report.order.filled_lots == report.execution.lots:
                self.limits.give_back_orders(report.order.account, 1, wall_ms)
        self.users.on_reports(reports, now_ms)
        for symbol in {report.order.symbol for report in reports}:
            self.streams.on_book(symbol)


def operate(
    exchange: Exchange, endpoint: Endpoint, params: Parameters, caller: Caller
) -> tuple[Json, Account | None]:
    """Do an operation and return its answer and the account that signed it; Rejected otherwise."""
    params.require(endpoint.mandatory)
    if endpoint.public is not None:
        params.refuse_others(endpoint.known)
        return endpoint.public(exchange.venue, params, caller.wall_ms), None
    account = _account(exchange, params, caller)
    params.refuse_others(endpoint.known)
    _check_permission(exchange, endpoint)
    if endpoint.counted is not None:
        return endpoint.counted(exchange.limits, account, caller.wall_ms), account
    answer = _counting(exchange, endpoint, params, caller, account)
    if endpoint.free_on_success:
        exchange.limits.refund(endpoint.cost(params), caller.wall_ms)
    return answer, account


def _counting(
    exchange: Exchange,
    endpoint: Endpoint,
    params: Parameters,
    caller: Caller,
    account: Account,
) -> Json:
    """Do an account's operation, and count the orders that it places."""
    assert endpoint.signed is not None
    limits, orders = exchange.limits, endpoint.orders
    try:
        limits.take_orders(account.name, orders, caller.wall_ms)
    except LimitExceeded as refusal:
        if endpoint.beyond_limit is not None:
            endpoint.beyond_limit(exchange.venue, params, account, refusal)
        raise
    try:
        if endpoint.trades:  # once more, just before the matching engine
            check_fresh(
                params.text("timestamp"), params.optional("recvWindow"), exchange.clock.wall_ms()
            )
        return endpoint.signed(exchange.venue, params, account)
    except Rejected as refusal:
        if not (isinstance(refusal, ReplaceFailed) and refusal.counts_order):
            limits.give_back_orders(account.name, orders, caller.wall_ms)
        raise


def _check_permission(exchange: Exchange, endpoint: Endpoint) -> None:
    """Refuse what the keys of this exchange may not do."""
    needed = "enableSpotAndMarginTrading" if endpoint.trades else "enableReading"
    if (needed, False) in exchange.venue.settings.permissions and endpoint.path != RESTRICTIONS:
        raise Rejected(-2015, "Invalid API-key, IP, or permissions for action.")


def _account(exchange: Exchange, params: Parameters, caller: Caller) -> Account:
    """Return who sends a signed operation: by its signature, or by the session that it is in."""
    if caller.logged_on is None:
        return authenticate(
            exchange.venue.accounts,
            params,
            api_key=caller.api_key,
            payload=caller.payload,
            wall_ms=caller.wall_ms,
        )
    check_fresh(params.text("timestamp"), params.optional("recvWindow"), caller.wall_ms)
    return caller.logged_on
