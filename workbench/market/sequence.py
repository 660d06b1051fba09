"""Which closed candle comes next, whoever listens: holes are asked for before anything later goes on.

A stream of klines tells the open candle again and again and says once that it has closed. That one
frame may be lost, doubled, late or broken. The rule that a live instance and a collector share: a
candle goes on when it has closed, is sound and is the expected one; when a later one is told of, or
the close lies further back than min(3 s, 2 % of the interval) of market time, REST is asked first.
What REST does not have either was never traded; it is never invented. No clock and no socket here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from workbench.market.timeframes import Timeframe


class ToldCandle(Protocol):
    """A candle as an exchange tells it; `event_ms` is market time when it was told, 0 if unknown."""

    @property
    def open_ms(self) -> int:
        """Return the opening time."""

    @property
    def close_ms(self) -> int:
        """Return the last millisecond."""

    @property
    def open(self) -> float:
        """Return the first price."""

    @property
    def high(self) -> float:
        """Return the highest price."""

    @property
    def low(self) -> float:
        """Return the lowest price."""

    @property
    def close(self) -> float:
        """Return the last price."""

    @property
    def volume(self) -> float:
        """Return the amount traded in base."""

    @property
    def closed(self) -> bool:
        """Tell whether the exchange says that it has closed."""

    @property
    def event_ms(self) -> int:
        """Return market time when it was told."""


Told = TypeVar("Told", bound=ToldCandle)


@dataclass(frozen=True, slots=True)
class Pass(Generic[Told]):
    """This candle is the next one."""

    kline: Told


@dataclass(frozen=True, slots=True)
class AskRest:
    """Candles from this opening time on are missing."""

    start_ms: int


class CandleSequence(Generic[Told]):
    """Which candle comes next, and how the market's clock stands."""

    def __init__(self, timeframe: Timeframe, *, last_ms: int) -> None:
        self.timeframe = timeframe
        self.last_ms = last_ms
        self.market_ms = 0
        self._asked_at_ms = 0

    @property
    def expected_ms(self) -> int:
        """Return the opening time of the next candle."""
        return self.timeframe.next(self.last_ms)

    def frame(self, kline: Told) -> Pass[Told] | AskRest | None:
        """Take a frame of the stream."""
        self.market_ms = max(self.market_ms, kline.event_ms)
        if not sound(kline):
            return AskRest(self.expected_ms) if kline.closed else None
        if kline.open_ms <= self.last_ms:
            return None
        if kline.closed and kline.open_ms == self.expected_ms:
            return Pass(kline)
        if kline.closed or self._overdue(kline):
            self._asked_at_ms = kline.open_ms
            return AskRest(self.expected_ms)
        return None

    def passed(self, kline: Told) -> int:
        """Note that a candle went on; return how many are missing before it."""
        return self.passed_at(kline.open_ms)

    def passed_at(self, open_ms: int) -> int:
        """Note that the candle of this opening time went on; return how many are missing before it."""
        missing = self.timeframe.steps(self.last_ms, open_ms) - 1 if self.last_ms else 0
        self.last_ms = open_ms
        return missing

    def is_next(self, kline: Told) -> bool:
        """Tell whether a candle from REST has closed, is sound and has not been passed on."""
        closed = kline.closed or kline.close_ms < self.market_ms
        return closed and sound(kline) and kline.open_ms > self.last_ms

    def _overdue(self, kline: Told) -> bool:
        close_ms = self.timeframe.next(self.expected_ms)
        waited = kline.event_ms >= close_ms + grace_ms(self.timeframe)
        return kline.open_ms > max(self.expected_ms, self._asked_at_ms) and waited


def grace_ms(timeframe: Timeframe) -> float:
    """Return how long after a close its x:true may take."""
    return min(3_000.0, 0.02 * timeframe.mean_ms)


def sound(kline: ToldCandle) -> bool:
    """Tell whether the numbers can be those of a candle."""
    prices = (kline.open, kline.high, kline.low, kline.close)
    return (
        all(math.isfinite(price) and price > 0 for price in prices)
        and kline.low <= min(kline.open, kline.close)
        and kline.high >= max(kline.open, kline.close)
        and math.isfinite(kline.volume)
        and kline.volume >= 0
    )
