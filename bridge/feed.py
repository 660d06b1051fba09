"""The feed: each closed candle once, in order; holes are filled from REST before the next one is passed on.

`CandleSequence` decides (sans-I/O) and `ClosedCandles` does. A frame says x:true for a candle
that has closed; when the next expected one is missing, either because a later candle is told of
or because its close lies further back than min(3 s, 2 % of the interval) of market time, REST is
asked. A candle that REST does not have either was never traded: it is counted in `missing_before`
and never invented. No decision ever sees an open candle.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from bridge.clock import Clock, back_off
from bridge.exchanges.base import Exchange, Kline, StreamBroken
from bridge.journal_rows import CandleRow
from workbench.errors import ExchangeError
from workbench.market.timeframes import Timeframe

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Pass:
    """This candle is the next one."""

    kline: Kline


@dataclass(frozen=True, slots=True)
class AskRest:
    """Candles from this opening time on are missing."""

    start_ms: int


class CandleSequence:
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

    def frame(self, kline: Kline) -> Pass | AskRest | None:
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

    def passed(self, kline: Kline) -> int:
        """Note that a candle went on; return how many are missing before it."""
        missing = self.timeframe.steps(self.last_ms, kline.open_ms) - 1 if self.last_ms else 0
        self.last_ms = kline.open_ms
        return missing

    def is_next(self, kline: Kline) -> bool:
        """Tell whether a candle from REST has closed, is sound and has not been passed on."""
        closed = kline.closed or kline.close_ms < self.market_ms
        return closed and sound(kline) and kline.open_ms > self.last_ms

    def _overdue(self, kline: Kline) -> bool:
        close_ms = self.timeframe.next(self.expected_ms)
        waited = kline.event_ms >= close_ms + grace_ms(self.timeframe)
        return kline.open_ms > max(self.expected_ms, self._asked_at_ms) and waited


class ClosedCandles:
    """The closed candles of one symbol and interval, for one instance."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        instance: str,
        symbol: str,
        timeframe: Timeframe,
        last_ms: int,
        on_price: Callable[[float], None],
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._instance = instance
        self._symbol = symbol
        self._on_price = on_price
        self.sequence = CandleSequence(timeframe, last_ms=last_ms)

    async def follow(self) -> AsyncIterator[CandleRow]:
        """Yield candles for ever, those first that closed since `last_ms`."""
        interval = self.sequence.timeframe.name
        async for item in self._exchange.kline_stream(self._symbol, interval):
            if isinstance(item, StreamBroken):
                async for row in self._fill(self.sequence.expected_ms):
                    yield row
                continue
            self._on_price(item.close)
            step = self.sequence.frame(item)
            if isinstance(step, AskRest):
                async for row in self._fill(step.start_ms):
                    yield row
                step = self.sequence.frame(
                    item
                )  # what REST lacks is not there: go on with this one
                if isinstance(step, AskRest) and item.closed and sound(item):
                    step = Pass(item)
            if isinstance(step, Pass):
                yield self._row(step.kline)

    async def _fill(self, start_ms: int) -> AsyncIterator[CandleRow]:
        for kline in await self._ask(start_ms):
            if self.sequence.is_next(kline):
                yield self._row(kline)

    async def _ask(self, start_ms: int) -> list[Kline]:
        failures = 0
        while True:
            try:
                now_ms = await self._exchange.market_ms(self._symbol, self.sequence.timeframe.name)
                self.sequence.market_ms = max(now_ms, self.sequence.market_ms)
                return await self._exchange.klines(
                    self._symbol,
                    self.sequence.timeframe.name,
                    start_ms=start_ms,
                    now_ms=self.sequence.market_ms,
                    limit=PAGE,
                )
            except ExchangeError:
                failures += 1
                await self._clock.sleep(back_off(failures))

    def _row(self, kline: Kline) -> CandleRow:
        return candle_row(self._instance, kline, missing=self.sequence.passed(kline), warm=False)


async def warm_up_candles(
    exchange: Exchange, *, instance: str, symbol: str, timeframe: Timeframe, count: int
) -> list[CandleRow]:
    """Return the newest closed candles, at most `count`, oldest first. Raises ExchangeError."""
    now_ms = await exchange.market_ms(symbol, timeframe.name)
    found: dict[int, Kline] = {}
    start_ms = None if count < PAGE else now_ms - (count + 2) * timeframe.mean_ms
    while True:
        page = await exchange.klines(
            symbol, timeframe.name, start_ms=start_ms, now_ms=now_ms, limit=PAGE
        )
        found |= {kline.open_ms: kline for kline in page if kline.closed and sound(kline)}
        if start_ms is None or len(page) < PAGE:
            break
        start_ms = page[-1].open_ms + 1
    rows: list[CandleRow] = []
    for kline in [found[time_ms] for time_ms in sorted(found)][-count:] if count else []:
        missing = timeframe.steps(rows[-1].open_time_ms, kline.open_ms) - 1 if rows else 0
        rows.append(candle_row(instance, kline, missing=missing, warm=True))
    return rows


def candle_row(instance: str, kline: Kline, *, missing: int, warm: bool) -> CandleRow:
    """Return a candle as the journal keeps it."""
    return CandleRow(
        instance=instance,
        open_time_ms=kline.open_ms,
        open=kline.open,
        high=kline.high,
        low=kline.low,
        close=kline.close,
        volume=kline.volume,
        missing_before=missing,
        warm=warm,
    )


def grace_ms(timeframe: Timeframe) -> float:
    """Return how long after a close its x:true may take."""
    return min(3_000.0, 0.02 * timeframe.mean_ms)


def late_after_ms(timeframe: Timeframe) -> float:
    """Return from which age on a closed candle is late for an entry."""
    return min(60_000.0, 0.05 * timeframe.mean_ms)


def sound(kline: Kline) -> bool:
    """Tell whether the numbers can be those of a candle."""
    prices = (kline.open, kline.high, kline.low, kline.close)
    return (
        all(math.isfinite(price) and price > 0 for price in prices)
        and kline.low <= min(kline.open, kline.close)
        and kline.high >= max(kline.open, kline.close)
        and math.isfinite(kline.volume)
        and kline.volume >= 0
    )
