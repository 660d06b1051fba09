"""A folder of parquet or CSV files as a source, for candles that someone already has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workbench.data import files
from workbench.data.quality import check
from workbench.data.schema import OPEN_TIME
from workbench.errors import DataError
from workbench.market.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class Folder:
    """Candle files below `path`; `named_venue` says whose candles they are."""

    path: Path
    named_venue: str = "binance"

    @property
    def venue(self) -> str:
        """Return the venue whose candles the folder is said to hold."""
        return self.named_venue

    @property
    def description(self) -> str:
        """Return the folder's name, without the way to it."""
        return f"folder {self.path.name}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the candles that open in [start, end), a file's worth at a time."""
        parts = [
            part
            for part in files.parts_in(self.path, suffixes=(".parquet", ".csv"))
            if part.symbol == symbol and part.timeframe == timeframe
        ]
        if not parts:
            raise DataError(
                f"{symbol} {timeframe}: the folder {self.path.name} has no such candles"
            )
        window = pl.col("open_time").is_between(
            pl.lit(start_ms).cast(OPEN_TIME), pl.lit(end_ms).cast(OPEN_TIME), closed="left"
        )
        for part in sorted(parts, key=lambda one: one.first_ms):
            frame = files.read([part], keep=("close_time",)).filter(window).collect()
            if "close_time" in frame.columns:
                check(frame, timeframe).refuse(f"{part.path.name}: {symbol} {timeframe}")
                frame = frame.drop("close_time")
            if not frame.is_empty():
                yield frame
