"""What the bridge asks of an exchange, and the values it answers with.

Money and quantities are integers at 1e-8. An order call has three outcomes: an `OrderReport` (it
is known what happened), `Refused` (it is known that nothing happened) and `Doubt` (nobody knows;
only a query may tell).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from workbench.errors import ExchangeError
from workbench.market.instruments import Instrument


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "BUY"
    SELL = "SELL"


class OrderKind(StrEnum):
    """What sort of order a ticket is, in the exchange's own words; all but MARKET may rest."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"


FINAL_STATUSES = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})


@dataclass(frozen=True, slots=True)
class MarketOrder:
    """A market order: a buy spends `quote_e8`, a sell sells `quantity_e8`; the other one is 0."""

    client_order_id: str
    symbol: str
    side: Side
    quote_e8: int
    quantity_e8: int


@dataclass(frozen=True, slots=True)
class OrderRules:
    """Which kinds of orders a symbol takes, whether as an OCO, how many stops and orders may wait (0: no rule)."""

    kinds: frozenset[str] = frozenset(OrderKind)
    pairs: bool = True
    most_stops: int = 0
    most_orders: int = 0
    buy_band: tuple[float, float] = (0.0, math.inf)  # of a limit, as multiples of the price
    sell_band: tuple[float, float] = (0.0, math.inf)


ANY_ORDER = OrderRules()


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order that waits at the exchange; `price_e8` or `stop_e8` is 0 where its kind has none."""

    client_order_id: str
    symbol: str
    side: Side
    kind: OrderKind
    quantity_e8: int
    price_e8: int
    stop_e8: int


@dataclass(frozen=True, slots=True)
class OrderPair:
    """An OCO: a stop and a gain of one quantity, of which one ends the other."""

    list_id: str
    stop: RestingOrder
    gain: RestingOrder


@dataclass(frozen=True, slots=True)
class TradeReport:
    """One execution of an order of ours."""

    symbol: str
    trade_id: int
    order_id: int
    price_e8: int
    quantity_e8: int
    commission_e8: int
    commission_asset: str
    market_ms: int
    is_maker: bool


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the exchange says of an order; `trades` may be fewer than `executed_e8` tells of."""

    client_order_id: str
    order_id: int
    symbol: str
    side: Side
    status: str
    executed_e8: int
    market_ms: int
    trades: tuple[TradeReport, ...]

    @property
    def final(self) -> bool:
        """Tell whether nothing more can happen to the order."""
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of the account."""

    free_e8: int
    locked_e8: int


@dataclass(frozen=True, slots=True)
class BalanceUpdate:
    """New balances of some assets of the account."""

    balances: Mapping[str, Balance]


@dataclass(frozen=True, slots=True)
class Kline:
    """One candle as the exchange tells it; `event_ms` is market time when it was told, 0 if unknown."""

    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool
    event_ms: int


@dataclass(frozen=True, slots=True)
class StreamBroken:
    """The stream was interrupted: whatever happened meanwhile must be asked for by REST."""

    reason: str


class Refused(ExchangeError):
    """The exchange answered that it did not do it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


class Doubt(ExchangeError):
    """Nobody knows whether it was done; query before anything else."""


class Unanswered(ExchangeError):
    """A question (not an order) got no usable answer; it may be asked again."""


class Exchange(Protocol):
    """A spot account at a venue."""

    async def open(self) -> None:
        """Connect and learn the clock offset."""

    async def close(self) -> None:
        """Let go of all connections."""

    async def instrument(self, symbol: str) -> Instrument:
        """Return tick, lot and notional of a symbol. Raises UsageError for one that cannot be traded."""

    async def order_rules(self, symbol: str) -> OrderRules:
        """Return which orders a symbol takes. Raises UsageError for one that is not listed."""

    async def is_synthetic(self) -> bool:
        """Tell whether the market's prices were made up; unknown counts as made up."""

    async def balances(self) -> dict[str, Balance]:
        """Return all assets that are not zero."""

    async def market_ms(self, symbol: str, interval: str) -> int:
        """Return the market's present time: the wall clock's, or in a replay at least the open candle's."""

    async def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, now_ms: int, limit: int
    ) -> list[Kline]:
        """Return candles, oldest first, from `start_ms` or else the newest; `closed` is judged by `now_ms`."""

    async def send_market_order(self, order: MarketOrder) -> OrderReport:
        """Send it once. Raises Refused or Doubt."""

    async def send_resting_order(self, order: RestingOrder) -> OrderReport:
        """Send it once. Raises Refused or Doubt."""

    async def send_pair(self, pair: OrderPair) -> tuple[OrderReport, ...]:
        """Send both orders of an OCO at once. Raises Refused or Doubt, for both."""

    async def cancel_order(self, symbol: str, client_order_id: str) -> tuple[OrderReport, ...]:
        """Take an order back, with its list where it has one; return what ended. Raises Refused or Doubt."""

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Return all orders that stand at the exchange, without their trades. Raises Unanswered."""

    async def resync_clock(self) -> None:
        """Measure the clock offset anew, after the exchange refused a timestamp."""

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        """Return the order, or None when the exchange says that it knows none. Raises Unanswered."""

    async def trades_of(self, symbol: str, order_id: int) -> tuple[TradeReport, ...]:
        """Return all executions of an order. Raises Unanswered."""

    def kline_stream(self, symbol: str, interval: str) -> AsyncIterator[Kline | StreamBroken]:
        """Yield candle frames for ever; after each interruption one StreamBroken, then go on."""

    def user_stream(self) -> AsyncIterator[OrderReport | BalanceUpdate | StreamBroken]:
        """Yield order events for ever; after each interruption one StreamBroken, then go on."""
