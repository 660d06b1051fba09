"""What every source of candles offers, so that collecting does not care where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import polars as pl

from workbench.data.quality import Finding
from workbench.market.timeframes import Timeframe


class Source(Protocol):
    """A place that candles can be fetched from."""

    @property
    def venue(self) -> str:
        """Return the venue under which the store keeps these candles ("binance", "local", …)."""

    @property
    def description(self) -> str:
        """Return what the manifest says about where the candles came from."""

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the closed candles that open in [start, end), oldest first, in pages.

        Each page has the schema's columns as far as the source knows them. Raises UsageError for a
        request the source refuses, DataError for candles that cannot be right and ExchangeError
        where the source does not answer as it should.
        """


@runtime_checkable
class Declaring(Protocol):
    """A source that found something out about its candles while it fetched them."""

    def declared(self, symbol: str, timeframe: Timeframe) -> tuple[Finding, ...]:
        """Return the warnings about one series that no check of its candles alone can find."""


def declared_by(source: Source, symbol: str, timeframe: Timeframe) -> tuple[Finding, ...]:
    """Return what a source declared about a series it has fetched; most declare nothing."""
    return source.declared(symbol, timeframe) if isinstance(source, Declaring) else ()
