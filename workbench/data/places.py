"""Where recorded candles lie: the folders that are looked into, and the series that each holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from workbench.data import files
from workbench.data.schema import OPEN_TIME
from workbench.errors import UsageError
from workbench.market.timeframes import TIMEFRAMES, Timeframe


@dataclass(frozen=True, slots=True)
class Places:
    """The folders in which recorded candles are looked for; None where there is no such folder."""

    workbench_data: Path | None
    datasets: Path | None
    shared: Path | None

    @staticmethod
    def here() -> Places:
        """Return the folders of this process: its environment and the checkout it runs from."""
        named = os.environ.get("WORKBENCH_DATA")
        root = checkout_root()
        shared = root.parent / "shared" / "data" if root else None
        return Places(
            workbench_data=Path(named) if named else None,
            datasets=datasets_folder(),
            shared=shared if shared and shared.is_dir() else None,
        )


@dataclass(frozen=True, slots=True)
class Series:
    """One recorded series in one place."""

    symbol: str
    timeframe: Timeframe
    place: str
    parts: tuple[files.Part, ...]

    @property
    def first_ms(self) -> int:
        """Return the opening time of the first candle."""
        return min(part.first_ms for part in self.parts)

    @property
    def last_ms(self) -> int:
        """Return the opening time of the last candle."""
        return max(part.last_ms for part in self.parts)

    @property
    def end_ms(self) -> int:
        """Return the time at which the last candle closes."""
        return self.timeframe.next(self.last_ms)

    @property
    def rows(self) -> int:
        """Return the number of candles."""
        return sum(part.rows for part in self.parts)

    @property
    def venue(self) -> str:
        """Return the venue that the path names; a folder that names none holds Binance candles."""
        return self.parts[0].venue or "binance"

    @property
    def source(self) -> str:
        """Return where the candles come from, in words, without a path of this machine."""
        if self.venue == "synthetic":
            return f"SYNTHETIC market, {self.place}"
        kind = "Binance candles" if self.venue == "binance" else f"candles of venue {self.venue}"
        return f"recorded {kind}, {self.place}{self._repaired}"

    @property
    def _repaired(self) -> str:
        """Return in words which other sources filled holes, and how many candles."""
        counts: dict[str, int] = {}
        for name, count in (one for part in self.parts for one in part.repairs):
            counts[name] = counts.get(name, 0) + count
        said = [f"{count:,} candles repaired from {name}" for name, count in counts.items()]
        return f" ({', '.join(said)})" if said else ""


def available(*, places: Places | None = None) -> pl.DataFrame:
    """Return every recorded series: symbol, interval, first, last, rows, source."""
    order = list(TIMEFRAMES)
    found = sorted(
        recorded(places or Places.here()),
        key=lambda one: (one.symbol, order.index(one.timeframe.name)),
    )
    return pl.DataFrame(
        {
            "symbol": [one.symbol for one in found],
            "interval": [one.timeframe.name for one in found],
            "first": pl.Series([one.first_ms for one in found], dtype=pl.Int64).cast(OPEN_TIME),
            "last": pl.Series([one.last_ms for one in found], dtype=pl.Int64).cast(OPEN_TIME),
            "rows": pl.Series([one.rows for one in found], dtype=pl.Int64),
            "source": pl.Series([one.source for one in found], dtype=pl.String),
        }
    )


def recorded(places: Places) -> Iterator[Series]:
    """Yield every recorded series of every place, places in the order of the rule."""
    for place, folder in (
        ("WORKBENCH_DATA", places.workbench_data),
        ("datasets", places.datasets),
        ("shared/data", places.shared),
    ):
        if folder is not None and (place == "WORKBENCH_DATA" or folder.is_dir()):
            yield from _series_in(place, folder)


def datasets_folder() -> Path:
    """Return the folder of the project's own candles: the checkout's, else `./datasets`."""
    return (checkout_root() or Path.cwd()) / "datasets"


@cache
def checkout_root() -> Path | None:
    """Return the root of the checkout this package lies in, None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def _series_in(place: str, folder: Path) -> Iterator[Series]:
    grouped: dict[tuple[str, str, str | None], list[files.Part]] = {}
    for part in files.parts_in(folder):
        grouped.setdefault((part.symbol, part.timeframe.name, part.venue), []).append(part)
    if place == "WORKBENCH_DATA" and not grouped:
        raise UsageError(
            f"WORKBENCH_DATA names the folder {folder.name}, which holds no candle files; "
            "point it at a folder of parquet files, or unset it"
        )
    for parts in grouped.values():
        yield Series(parts[0].symbol, parts[0].timeframe, place, tuple(parts))
