"""Order states, and the only table that changes them.

An order is born NEW (a refused order leaves no record). What happens to it afterwards is one of
four events; the table below says which state follows, and an unknown pair raises:

    NEW, PARTIALLY_FILLED --part--> PARTIALLY_FILLED     some lots traded, some are left
    NEW, PARTIALLY_FILLED --fill--> FILLED               the last lot traded
    NEW, PARTIALLY_FILLED --cancel--> CANCELED           its owner took it back
    NEW, PARTIALLY_FILLED --expire--> EXPIRED            the exchange took it back (IOC, FOK, MARKET)

All amounts are integers: prices in ticks, quantities in lots, money at 1e-8 of its asset.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workbench.errors import ExchangeError


class Side(StrEnum):
    """Which way an order trades the base asset."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """The order types that the engine matches."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """How long what is left of a LIMIT order stays."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """Where an order stands; the names are Binance's."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class OrderEvent(StrEnum):
    """What can happen to an order that stands."""

    PART = "part"
    FILL = "fill"
    CANCEL = "cancel"
    EXPIRE = "expire"


class ReportKind(StrEnum):
    """What an execution report tells (Binance's execution types)."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class ExpiryReason(StrEnum):
    """Why the exchange took an order back."""

    NONE = ""
    INSUFFICIENT_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"
    UNFILLED_IOC_QUANTITY_EXPIRED = "UNFILLED_IOC_QUANTITY_EXPIRED"
    UNFILLED_FOK_ORDER_EXPIRED = "UNFILLED_FOK_ORDER_EXPIRED"


OPEN = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})

TRANSITIONS: dict[tuple[OrderStatus, OrderEvent], OrderStatus] = {
    (state, event): follower
    for state in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    for event, follower in (
        (OrderEvent.PART, OrderStatus.PARTIALLY_FILLED),
        (OrderEvent.FILL, OrderStatus.FILLED),
        (OrderEvent.CANCEL, OrderStatus.CANCELED),
        (OrderEvent.EXPIRE, OrderStatus.EXPIRED),
    )
}


def after(status: OrderStatus, event: OrderEvent) -> OrderStatus:
    """Return the state that follows `event` in `status`; LookupError for a pair not in the table."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise LookupError(
            f"an order that is {status} cannot see {event}; see TRANSITIONS"
        ) from None


class Rejected(ExchangeError):
    """The exchange refuses a request, with Binance's own code and message; nothing was changed."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a user asks for; amounts at 1e-8, zero where the order type has none.

    MARKET takes either `quantity_e8` or `quote_e8`, LIMIT takes `quantity_e8` and `price_e8`.
    An empty `client_order_id` is replaced by one that the engine derives from the order's number.
    """

    account: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity_e8: int = 0
    quote_e8: int = 0
    price_e8: int = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A snapshot of an accepted order; times are market time in ms."""

    order_id: int
    account: str
    symbol: str
    client_order_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price_ticks: int
    lots: int
    quote_e8: int
    status: OrderStatus
    created_ms: int
    updated_ms: int
    filled_lots: int = 0
    filled_quote_e8: int = 0
    expiry_reason: ExpiryReason = ExpiryReason.NONE

    @property
    def open_lots(self) -> int:
        """Lots that have not traded."""
        return self.lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """Whether the order can still trade."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill of one order; a trade between two users gives two, with the same trade id."""

    trade_id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    price_ticks: int
    lots: int
    quote_e8: int
    commission_e8: int
    commission_asset: str
    is_maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """One step in an order's life: its snapshot after the step, and the fill where there was one.

    `replaces` is the client order id before a cancel gave the order's report a new one.
    """

    kind: ReportKind
    order: Order
    execution: Execution | None = None
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What placing or cancelling did: the order, its own fills, and every report in order.

    `reports` also holds those of other users' orders that were filled on the way.
    """

    order: Order
    executions: tuple[Execution, ...]
    reports: tuple[Report, ...]
