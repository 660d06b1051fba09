"""The rows of an account's journal, as frozen values.

`Event` is the append-only story (hash-chained, what clients follow); the others are the tables
that a restart reads. Every row of one decision goes into one transaction (`Journal.write`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.exchanges.base import OrderKind, Side

JsonValue = str | int | float | bool | None
JsonObject = Mapping[str, JsonValue]


class InstanceState(StrEnum):
    """Where an instance stands; the table of moves is `MOVES`."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAULTED = "FAULTED"


MOVES: Mapping[InstanceState, frozenset[InstanceState]] = {
    InstanceState.STARTING: frozenset(
        {
            InstanceState.STARTING,
            InstanceState.RUNNING,
            InstanceState.STOPPING,
            InstanceState.STOPPED,
            InstanceState.FAULTED,
        }
    ),
    InstanceState.RUNNING: frozenset(
        {InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.FAULTED}
    ),
    InstanceState.STOPPING: frozenset(
        {InstanceState.STOPPING, InstanceState.STOPPED, InstanceState.FAULTED}
    ),
    # A faulted instance decides nothing more, but its position can still be sold by `stop`.
    InstanceState.FAULTED: frozenset({InstanceState.FAULTED, InstanceState.STOPPING}),
    InstanceState.STOPPED: frozenset(),
}


class TicketStatus(StrEnum):
    """What is known of an order instruction. A restart must resolve those that are `UNSETTLED`."""

    WRITTEN = "WRITTEN"  # journaled; it may or may not have left
    OPEN = "OPEN"  # the exchange knows it, and more may happen to it
    CANCELLING = "CANCELLING"  # as OPEN, and a cancel was journaled that may or may not have left
    DONE = "DONE"  # final at the exchange, all its fills booked
    REFUSED = "REFUSED"  # the exchange said no
    VOID = "VOID"  # proven absent at the exchange, and given up


# Why an exit's ticket was written; every other reason is a decision's.
EXIT_STOP, EXIT_TAKE_PROFIT, EXIT_TIME = "stop loss", "take profit", "time stop"
STANDING_EXITS = frozenset({EXIT_STOP, EXIT_TAKE_PROFIT})
RUNG_STOP = "stop loss of a rung"  # the other half of a rung's sale
EXITS = STANDING_EXITS | {EXIT_TIME, RUNG_STOP}

UNSETTLED = frozenset({TicketStatus.WRITTEN, TicketStatus.OPEN, TicketStatus.CANCELLING})


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the story; seq, wall time and hashes are added when it is written."""

    kind: str
    instance: str
    market_ms: int
    data: JsonObject


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """All that must survive of an instance, its strategy's state included."""

    name: str
    tag: str
    strategy: str
    code_sha: str
    params: JsonObject
    symbol: str
    interval: str
    capital_e8: int
    late_entry: str
    started_ms: int
    synthetic: bool
    state: InstanceState
    reason: str
    seq: int  # of the last thing written: a decision, or a ticket of its own
    bars: int  # candles decided live
    first_warm_ms: int
    last_candle_ms: int
    last_close: float
    last_target: float  # the last target written; NaN before the first
    strategy_state: bytes
    state_layout: str  # hash of the STATE dtype
    stop_policy: str
    exits: str = ""  # the overlay of protective exits as its caller wrote it
    plan: bytes = b""  # where the exits stand (a PLAN record)
    ladder: bytes = b""  # what rests of a ladder
    guards: str = ""  # what may hold its buys back, as its caller wrote it


@dataclass(frozen=True, slots=True)
class Ticket:
    """A journaled order instruction; its client order id never changes.

    A market order shares the seq of its decision. A ticket that rests has a seq of its own; two
    with one `list_id` are an OCO.
    """

    client_order_id: str
    instance: str
    seq: int
    attempt: int
    symbol: str
    side: Side
    quote_e8: int
    quantity_e8: int
    reason: str
    candle_ms: int
    target_before: float
    status: TicketStatus
    order_id: int
    executed_e8: int
    note: str
    kind: OrderKind = OrderKind.MARKET
    price_e8: int = 0
    stop_e8: int = 0
    list_id: str = ""

    @property
    def rests(self) -> bool:
        """Tell whether it may stay at the exchange for long."""
        return self.kind is not OrderKind.MARKET

    @property
    def left_e8(self) -> int:
        """Return how much of its quantity may still trade."""
        return self.quantity_e8 - self.executed_e8 if self.status in UNSETTLED else 0


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision: which candle, what was wanted, and the account it was decided on."""

    instance: str
    seq: int
    open_time_ms: int
    kind: str  # "bar" or "stop"
    target: float
    acted: bool
    side: str
    equity: float
    cash: float
    quantity: float
    late: bool
    note: str
    intent: bytes  # zlib: nearly all of a record is an empty ladder
    state_sha: str
    guard: str = ""  # the guard that held a buy back


@dataclass(frozen=True, slots=True)
class FillRow:
    """One execution booked, unique by (symbol, trade id)."""

    symbol: str
    trade_id: int
    instance: str
    order_id: int
    client_order_id: str
    side: Side
    price_e8: int
    quantity_e8: int
    commission_e8: int
    commission_asset: str
    market_ms: int
    time_ms: int
    is_maker: bool
    ticks: int
    lots: int
    after_seq: int = 0  # the instance's seq when it was booked


@dataclass(frozen=True, slots=True)
class CandleRow:
    """One closed candle that an instance has seen; `warm` ones came before its start."""

    instance: str
    open_time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    missing_before: int
    warm: bool


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command that was carried out, and the answer that a replay of it gets."""

    command_id: str
    status: int
    answer: str


Row = Event | InstanceRow | Ticket | DecisionRow | FillRow | CandleRow | CommandRow
