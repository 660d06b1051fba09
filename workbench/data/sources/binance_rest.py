"""Klines over Binance's REST API, or over any server that speaks it.

A page is at most 1,000 candles. Whether a candle has closed is judged by the server's clock, never by
ours; on a replayed market, whose candles keep their past times, only a candle that has a later one
behind it counts as closed. Where our own clock is handed in, one that differs by more than a minute
from the server's stops everything: one of the two would take an open candle for a closed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import polars as pl

from workbench.data.sources.address import refuse_address, venue_of
from workbench.data.sources.binance_http import BinanceHttp
from workbench.data.sources.klines import frame_of
from workbench.data.sources.patience import Patience
from workbench.data.times import iso
from workbench.errors import ExchangeError, UsageError
from workbench.market.timeframes import MINUTE_MS, Timeframe

BASE_URL = "https://api.binance.com"
PAGE = 1_000
CLOCKS_APART_MS = MINUTE_MS


@dataclass(slots=True)
class BinanceRest:
    """Binance's REST API at `base_url` as a source of candles; may be used by several threads."""

    base_url: str = BASE_URL
    patience: Patience = field(default_factory=Patience)
    clock_ms: Callable[[], int] | None = None
    http: BinanceHttp = field(init=False, repr=False)

    def __post_init__(self) -> None:
        refuse_address(self.base_url, option="--base-url", example=BASE_URL)
        self.http = BinanceHttp(self.base_url, self.patience)

    @property
    def venue(self) -> str:
        """Return the venue that the host stands for; an unknown host stands for itself."""
        return venue_of(self.base_url)

    @property
    def description(self) -> str:
        """Return the host that was asked, for the manifest."""
        return f"REST klines of {urlsplit(self.base_url).hostname}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the closed candles that open in [start, end), oldest first, a page at a time."""
        now_ms = self.server_time_ms()
        if start_ms > now_ms:
            raise UsageError(
                f"since {iso(start_ms)} lies in the future of the server ({iso(now_ms)}); "
                "start earlier"
            )
        replayed = self.venue == "local"
        last_asked_ms = end_ms - 1
        if replayed:  # one more, because the last one proves only that those before it have closed
            last_asked_ms = timeframe.next(timeframe.floor(last_asked_ms))
        at_ms = start_ms
        while at_ms < end_ms:
            frame = self.page(symbol, timeframe, at_ms, last_asked_ms)
            if frame.is_empty():
                return
            at_ms = timeframe.next(int(frame["open_time"].to_physical()[-1]))
            done = len(frame) < PAGE
            if replayed and done:
                frame = frame.head(-1)
            closed = _closed(_before(frame, end_ms), timeframe, now_ms)
            if not closed.is_empty():
                yield closed
            if done or len(closed) < len(frame):
                return  # the rest is not asked for, or still open

    def page(
        self, symbol: str, timeframe: Timeframe, start_ms: int, last_ms: int, *, limit: int = PAGE
    ) -> pl.DataFrame:
        """Return the first candles that open in [start, last], the open one among them."""
        query = {
            "symbol": symbol,
            "interval": timeframe.name,
            "startTime": str(start_ms),
            "endTime": str(last_ms),
            "limit": str(limit),
        }
        rows = self.http.get("/api/v3/klines", query)
        if not isinstance(rows, list):
            raise ExchangeError(
                f"{self.http.host}: klines is {type(rows).__name__}, not a list of candles"
            )
        return frame_of(rows, symbol, timeframe, from_ms=start_ms, to_ms=last_ms)

    def server_time_ms(self) -> int:
        """Return the server's clock in milliseconds UTC; UsageError where ours is far from it."""
        answer = self.http.get("/api/v3/time", {})
        now = answer.get("serverTime") if isinstance(answer, dict) else None
        if not isinstance(now, int):
            raise ExchangeError(
                f"{self.http.host}: /api/v3/time has no serverTime; is it a Binance API?"
            )
        if self.clock_ms is not None:
            self._compare(now, self.clock_ms())
        return now

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def _compare(self, server_ms: int, own_ms: int) -> None:
        apart_ms = abs(server_ms - own_ms)
        if apart_ms > CLOCKS_APART_MS:
            raise UsageError(
                f"the clock of {self.http.host} says {iso(server_ms // 1000 * 1000)}, this "
                f"machine's {iso(own_ms // 1000 * 1000)}: {apart_ms / MINUTE_MS:.0f} minutes apart, "
                "so an open candle could pass for a closed one; set this machine's clock "
                "(`timedatectl set-ntp true`), or ask another server"
            )


def _closed(frame: pl.DataFrame, timeframe: Timeframe, now_ms: int) -> pl.DataFrame:
    return _before(frame, timeframe.floor(now_ms))


def _before(frame: pl.DataFrame, time_ms: int) -> pl.DataFrame:
    """Return the candles that open before a time; the opening times rise."""
    return frame.head(int(frame["open_time"].to_physical().to_numpy().searchsorted(time_ms)))
