"""Archives for whole months and the REST API for the rest: quick for years, complete to the minute.

What the archives leave open, before, between and after their candles, the API is asked for. And a
sample of what the archives gave is asked for again, because a silent difference between the two
would part research from live; a difference is declared and kept in the series' manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from workbench.data.collect import missing_ranges
from workbench.data.comparisons import overlap
from workbench.data.quality import Finding
from workbench.data.schema import marked
from workbench.data.sources.base import Source
from workbench.errors import UsageError
from workbench.market.timeframes import TIMEFRAMES, Timeframe


@dataclass(slots=True)
class Auto:
    """Two sources of one venue: `archive` for months that are over at `now_ms`, `api` for the rest."""

    archive: Source
    api: Source
    now_ms: int
    _declared: dict[tuple[str, str], tuple[Finding, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.archive.venue != self.api.venue:
            raise UsageError(
                f"--source auto joins {self.archive.description} (venue {self.archive.venue}) and "
                f"{self.api.description} (venue {self.api.venue}); give --archive-url and --base-url "
                "of one venue, or take --source rest"
            )

    @property
    def venue(self) -> str:
        """Return the venue that both sources are of."""
        return self.api.venue

    @property
    def description(self) -> str:
        """Return both sources, for the manifest; every candle is marked with its own."""
        return f"{self.archive.description} and {self.api.description}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the closed candles that open in [start, end), each page marked with its source."""
        whole_ms = TIMEFRAMES["1M"].floor(min(end_ms, self.now_ms))
        due_ms = start_ms
        if start_ms < whole_ms:
            for frame in self.archive.fetch(symbol, timeframe, start_ms, whole_ms):
                self._compare(symbol, timeframe, frame)
                times = frame["open_time"].to_physical().to_list()
                after_ms = timeframe.next(times[-1])
                pieces = [marked(frame, self.archive.description)]
                for stretch in missing_ranges(times, timeframe, due_ms, after_ms):
                    pieces += self._from_api(symbol, timeframe, *stretch)
                yield pl.concat(pieces).sort("open_time")
                due_ms = after_ms
        if due_ms < end_ms:
            yield from self._from_api(symbol, timeframe, due_ms, end_ms)

    def declared(self, symbol: str, timeframe: Timeframe) -> tuple[Finding, ...]:
        """Return where a sample of the archives' candles differed from the API's."""
        return self._declared.get((symbol, timeframe.name), ())

    def _from_api(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        for page in self.api.fetch(symbol, timeframe, start_ms, end_ms):
            yield marked(page, self.api.description)

    def _compare(self, symbol: str, timeframe: Timeframe, frame: pl.DataFrame) -> None:
        found = overlap(frame, timeframe, self.api, named=self.archive.description)
        self._declared[symbol, timeframe.name] = (*self.declared(symbol, timeframe), *found)
