"""Binance's bulk archives: whole months as one zip each, and days where a month is not made yet.

The archives know candles up to yesterday and no limits of weight, so they are the quick way to years
of minutes. A month file appears some days after its month; until then, and for the month that runs,
there are day files (for intervals up to 1d). A month that has neither its file nor one of its first
or last day counts as a month without candles: before the listing, or after the delisting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import polars as pl

from workbench.data.schema import OPEN_TIME
from workbench.data.sources.address import refuse_address, venue_of
from workbench.data.sources.archive_file import ArchiveFile, candles_in, month_file
from workbench.data.sources.download import Downloads
from workbench.data.sources.patience import Patience
from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import DAY_MS, Timeframe

ARCHIVE_URL = "https://data.binance.vision"
FIRST_MS = 1_498_867_200_000  # 2017-07-01, the month in which Binance opened


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class BinanceArchive:
    """The spot archives at `base_url` as a source of candles; `clock_ms` says which month runs."""

    base_url: str = ARCHIVE_URL
    patience: Patience = field(default_factory=Patience)
    clock_ms: Callable[[], int] = _wall_ms
    _downloads: Downloads = field(init=False)

    def __post_init__(self) -> None:
        refuse_address(self.base_url, option="--archive-url", example=ARCHIVE_URL)
        self._downloads = Downloads(self.base_url, self.patience)

    @property
    def venue(self) -> str:
        """Return the venue that the host stands for; an unknown host stands for itself."""
        return venue_of(self.base_url)

    @property
    def description(self) -> str:
        """Return the host that was asked, for the manifest."""
        return f"archives of {urlsplit(self.base_url).hostname}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the candles that open in [start, end), a file's worth at a time, oldest first."""
        now_ms = self.clock_ms()
        if start_ms > now_ms:
            raise UsageError(
                f"since {iso(start_ms)} lies in the future ({iso(now_ms)} by the clock)"
            )
        window = pl.col("open_time").is_between(
            pl.lit(start_ms).cast(OPEN_TIME), pl.lit(end_ms).cast(OPEN_TIME), closed="left"
        )
        month = month_file(symbol, timeframe, max(start_ms, FIRST_MS))
        while month.start_ms < min(end_ms, now_ms):
            for frame in self._frames(month, start_ms, end_ms, now_ms):
                if not (asked := frame.filter(window)).is_empty():
                    yield asked
            month = month_file(symbol, timeframe, month.end_ms)

    def close(self) -> None:
        """Close the connection."""
        self._downloads.close()

    def _frames(
        self, month: ArchiveFile, start_ms: int, end_ms: int, now_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the month from its own file, else the days of it that were asked for."""
        over = month.end_ms <= now_ms
        whole = self._candles(month) if over else None
        if whole is not None:
            yield whole
            return
        fixed_ms = month.timeframe.fixed_ms
        if fixed_ms is None or fixed_ms > DAY_MS:
            return  # such candles have no day files
        days = month.days()
        if over and not any(self._downloads.exists(day.path) for day in (days[0], days[-1])):
            return
        for day in days:
            if start_ms < day.end_ms and day.start_ms < end_ms and day.end_ms <= now_ms:
                frame = self._candles(day)
                if frame is not None:
                    yield frame

    def _candles(self, file: ArchiveFile) -> pl.DataFrame | None:
        content = self._downloads.get(file.path)
        if content is None:
            return None
        checksum = self._downloads.get(f"{file.path}.CHECKSUM")
        if checksum is None:
            raise DataError(
                f"{file.name}.zip has no CHECKSUM beside it, so nothing vouches for it; "
                "try again later, or take --source rest"
            )
        return candles_in(file, content, checksum.decode("utf-8", "replace"))
