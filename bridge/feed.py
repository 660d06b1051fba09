"""The feed: each closed candle once, in order; holes are filled from REST before the next one is passed on.

`workbench.market.sequence` decides and `ClosedCandles` does. A candle that REST does not have either
was never traded: it is counted in `missing_before` and never invented. No decision ever sees an open
candle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from bridge.clock import Clock, back_off
from bridge.exchanges.base import Exchange, Kline, StreamBroken
from bridge.journal_rows import CandleRow
from workbench.errors import ExchangeError
from workbench.market.sequence import AskRest, CandleSequence, Pass, sound
from workbench.market.timeframes import Timeframe

PAGE = 1_000


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
        self.sequence = CandleSequence[Kline](timeframe, last_ms=last_ms)

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


def late_after_ms(timeframe: Timeframe) -> float:
    """Return from which age on a closed candle is late for an entry."""
    return min(60_000.0, 0.05 * timeframe.mean_ms)
