"""Order states, and the only table that changes them.

An order is born NEW (a refused order leaves no record), or PENDING_NEW where it waits for another
order of its list. What happens to it afterwards is one event; the table below says which state
follows, and an unknown pair raises:

    NEW, PARTIALLY_FILLED --part--> PARTIALLY_FILLED     some lots traded, some are left
    NEW, PARTIALLY_FILLED --fill--> FILLED               the last lot traded
    NEW, PARTIALLY_FILLED --cancel--> CANCELED           its owner took it back
    NEW, PARTIALLY_FILLED --expire--> EXPIRED            the exchange took it back (IOC, FOK, MARKET)
    NEW, PARTIALLY_FILLED --prevent--> EXPIRED_IN_MATCH  it would have traded with its own account
    PENDING_NEW --activate--> NEW                        the working order of its list filled
    PENDING_NEW --reject--> REJECTED                     it could not be placed then
    PENDING_NEW --cancel, expire--> CANCELED, EXPIRED    its list ended before

All amounts are integers: prices in ticks, quantities in lots, money at 1e-8 of its asset.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workbench.errors import ExchangeError
from workbench.execution.order_lists import Contingency, OrderList


class Side(StrEnum):
    """Which way an order trades the base asset."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """The order types that the engine matches."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class SelfTrade(StrEnum):
    """What a taker's order does when it meets a resting order of its own account."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class TimeInForce(StrEnum):
    """How long what is left of a LIMIT order stays."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """Where an order stands; the names are Binance's."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


class OrderEvent(StrEnum):
    """What can happen to an order that stands."""

    PART = "part"
    FILL = "fill"
    CANCEL = "cancel"
    EXPIRE = "expire"
    PREVENT = "prevent"
    ACTIVATE = "activate"
    REJECT = "reject"


class ReportKind(StrEnum):
    """What an execution report tells (Binance's execution types)."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


class ExpiryReason(StrEnum):
    """Why the exchange took an order back."""

    NONE = ""
    INSUFFICIENT_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"
    UNFILLED_IOC_QUANTITY_EXPIRED = "UNFILLED_IOC_QUANTITY_EXPIRED"
    UNFILLED_FOK_ORDER_EXPIRED = "UNFILLED_FOK_ORDER_EXPIRED"


class RejectReason(StrEnum):
    """Why an order of a list could not be placed when its turn came."""

    NONE = "NONE"
    INSUFFICIENT_BALANCES = "INSUFFICIENT_BALANCES"
    STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY = "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY"
    WOULD_MATCH_IMMEDIATELY = "WOULD_MATCH_IMMEDIATELY"


LIVE = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
OPEN = LIVE | {OrderStatus.PENDING_NEW}
CONDITIONAL = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)
STOPS = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
PRICED = frozenset(
    {
        OrderType.LIMIT,
        OrderType.LIMIT_MAKER,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)

TRANSITIONS: dict[tuple[OrderStatus, OrderEvent], OrderStatus] = {
    (state, event): follower
    for state in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    for event, follower in (
        (OrderEvent.PART, OrderStatus.PARTIALLY_FILLED),
        (OrderEvent.FILL, OrderStatus.FILLED),
        (OrderEvent.CANCEL, OrderStatus.CANCELED),
        (OrderEvent.EXPIRE, OrderStatus.EXPIRED),
        (OrderEvent.PREVENT, OrderStatus.EXPIRED_IN_MATCH),
    )
} | {
    (OrderStatus.PENDING_NEW, OrderEvent.ACTIVATE): OrderStatus.NEW,
    (OrderStatus.PENDING_NEW, OrderEvent.REJECT): OrderStatus.REJECTED,
    (OrderStatus.PENDING_NEW, OrderEvent.CANCEL): OrderStatus.CANCELED,
    (OrderStatus.PENDING_NEW, OrderEvent.EXPIRE): OrderStatus.EXPIRED,
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

    MARKET takes either `quantity_e8` or `quote_e8`, LIMIT takes `quantity_e8` and `price_e8`; the
    conditional types take `stop_e8`, `trailing_bips` or both.
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
    stop_e8: int = 0
    trailing_bips: int = 0
    self_trade: SelfTrade = SelfTrade.NONE
    strategy_id: int | None = None
    strategy_type: int | None = None


@dataclass(frozen=True, slots=True)
class NewList:
    """What a user asks for as a list: in an OCO both legs, in an OTO the working order first."""

    account: str
    symbol: str
    contingency: Contingency
    orders: tuple[NewOrder, ...]
    client_list_id: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A snapshot of an accepted order; times are market time in ms.

    `working_ms` is when it began to work: -1 while it waits for its stop or for its list.
    """

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
    stop_ticks: int = 0
    trailing_bips: int = 0
    trailing_ms: int = -1
    self_trade: SelfTrade = SelfTrade.NONE
    list_id: int = -1
    working_ms: int = -1
    prevented_lots: int = 0
    prevented_match_id: int = -1
    strategy_id: int | None = None
    strategy_type: int | None = None

    @property
    def open_lots(self) -> int:
        """Lots that have not traded."""
        return self.lots - self.filled_lots

    @property
    def is_working(self) -> bool:
        """Whether the order has begun to work."""
        return self.working_ms >= 0

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
class PreventedMatch:
    """A trade with one's own account that did not happen; lots are zero for a side that stays."""

    match_id: int
    account: str
    symbol: str
    taker_id: int
    maker_id: int
    mode: SelfTrade
    price_ticks: int
    taker_lots: int
    maker_lots: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change of an order's lots and client id; `number` counts those of the whole exchange."""

    number: int
    order_id: int
    old_client_id: str
    new_client_id: str
    old_lots: int
    new_lots: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """One step in an order's life: its snapshot after the step, and the fill where there was one.

    `replaces` is the client order id before a cancel gave the order's report a new one;
    `order_list` is the list that this step took a step further.
    """

    kind: ReportKind
    order: Order
    execution: Execution | None = None
    replaces: str = ""
    prevented: PreventedMatch | None = None
    reason: RejectReason = RejectReason.NONE
    order_list: OrderList | None = None


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What placing or cancelling did: the order, its own fills, and every report in order.

    `reports` also holds those of other users' orders that were filled on the way.
    """

    order: Order
    executions: tuple[Execution, ...]
    reports: tuple[Report, ...]
