"""Klines over Binance's REST API, or over any server that speaks it.

A page is at most 1,000 candles. Whether a candle has closed is judged by the server's clock, never by
ours; on a replayed market, whose candles keep their past times, only a candle that has a later one
behind it counts as closed. Where our own clock is handed in, one that differs by more than a minute
from the server's stops everything: one of the two would take an open candle for a closed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
MAX_MS = 1 << 53
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
    def replayed(self) -> bool:
        """Return whether the market may be a replay, whose candles keep their past times."""
        return self.venue == "local"

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
        last_ms = end_ms - 1
        if self.replayed:  # one more, because only the next candle proves that one has closed
            last_ms = timeframe.next(timeframe.floor(last_ms))
        closed_before_ms = min(end_ms, timeframe.floor(now_ms))
        with ThreadPoolExecutor(1, thread_name_prefix="page") as ahead:
            at_ms: int | None = start_ms
            coming = ahead.submit(self._rows, symbol, timeframe, start_ms, last_ms)
            while at_ms is not None:
                from_ms, rows = at_ms, coming.result()
                at_ms = self._following(rows, timeframe, from_ms, min(last_ms, closed_before_ms))
                if at_ms is not None:  # is on its way while this page is read and stored
                    coming = ahead.submit(self._rows, symbol, timeframe, at_ms, last_ms)
                frame = frame_of(rows, symbol, timeframe, from_ms=from_ms, to_ms=last_ms)
                closed = _before(frame.head(-1) if self.replayed else frame, closed_before_ms)
                if not closed.is_empty():
                    yield closed

    def first_candle(self, symbol: str, timeframe: Timeframe) -> pl.DataFrame:
        """Return the oldest candle there is, an empty frame where there is none."""
        rows = self._rows(symbol, timeframe, 0, None, limit=1)
        return frame_of(rows, symbol, timeframe, from_ms=0, to_ms=MAX_MS)

    def last_candle(self, symbol: str, timeframe: Timeframe, now_ms: int) -> pl.DataFrame:
        """Return the newest candle that opens before a time, an empty frame where there is none."""
        rows = self._rows(symbol, timeframe, None, now_ms, limit=1)
        return frame_of(rows, symbol, timeframe, from_ms=0, to_ms=now_ms)

    def _rows(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_ms: int | None,
        last_ms: int | None,
        limit: int = PAGE,
    ) -> list[object]:
        """Return the first klines that open in [start, last] as they came, the open one among them.

        Without a start they are the last ones before the end.
        """
        query = {
            "symbol": symbol,
            "interval": timeframe.name,
            "limit": str(limit),
        }
        if start_ms is not None:
            query["startTime"] = str(start_ms)
        if last_ms is not None:
            query["endTime"] = str(last_ms)
        rows = self.http.get("/api/v3/klines", query)
        if not isinstance(rows, list):
            raise ExchangeError(
                f"{self.http.host}: klines is {type(rows).__name__}, not a list of candles"
            )
        return rows

    def _following(
        self, rows: list[object], timeframe: Timeframe, from_ms: int, end_ms: int
    ) -> int | None:
        """Return where the next page starts; None after the last page, or one not to be believed."""
        if len(rows) < PAGE:
            return None
        last = rows[-1]
        opened = last[0] if isinstance(last, list) and last else None
        if not isinstance(opened, int) or not from_ms <= opened < end_ms:
            return None
        following = opened if self.replayed else timeframe.next(opened)
        return following if from_ms < following < end_ms else None

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


def _before(frame: pl.DataFrame, time_ms: int) -> pl.DataFrame:
    """Return the candles that open before a time; the opening times rise."""
    return frame.head(int(frame["open_time"].to_physical().to_numpy().searchsorted(time_ms)))
