"""Which candles are used, and the loading of them.

The rule, in this order: the folder that WORKBENCH_DATA names; the project's own `datasets/` where
they cover the request; the folder `shared/data` beside the checkout; the synthetic market. An
interval that nobody recorded is built from a finer recorded one before anything is made up. What
was taken is said in `Candles.source`, and so is a window that the recording does not cover.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from workbench.data import files
from workbench.data.resample import divides, refuse_misaligned, resample
from workbench.data.schema import OPEN_TIME
from workbench.data.times import When, iso, window_ms
from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles, records_from_columns
from workbench.market.instruments import KNOWN
from workbench.market.timeframes import TIMEFRAMES, Timeframe, parse_timeframe

WARM_UP = 5_000  # candles before the start that the synthetic market makes; recordings give all
_SYMBOL = re.compile(r"\w{2,40}")


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
        return f"recorded {kind}, {self.place}"


@dataclass(frozen=True, slots=True)
class _Choice:
    """The series that answers a request: recorded, or None for the synthetic market."""

    series: Series | None
    timeframe: Timeframe
    source: str


def load(
    symbol: str,
    interval: str | Timeframe,
    *,
    start: When | None = None,
    end: When | None = None,
    venue: str = "binance",
    places: Places | None = None,
) -> Candles:
    """Return the candles that open in [start, end), with all earlier ones before them as warm-up.

    Times are ISO text, datetime or milliseconds, in UTC. `venue` other than "binance" looks only
    into the project's own datasets. Raises UsageError for a request that makes no sense, DataError
    where recorded candles do not reach it or break a rule.
    """
    timeframe = parse_timeframe(interval)
    start_ms, end_ms = window_ms(start, end)
    choice = _choose(symbol, timeframe, start_ms, end_ms, venue, places or Places.here())
    from_ms = None if start_ms is None or choice.series else start_ms - WARM_UP * timeframe.mean_ms
    frame = _frame(choice, symbol, from_ms, end_ms, columns=_CANDLE_COLUMNS)
    records = _records(frame, symbol, timeframe)
    first = 0 if start_ms is None else int(np.searchsorted(records["open_time"], start_ms))
    if first == len(records):
        raise DataError(_nothing(symbol, timeframe, start_ms, end_ms, choice))
    return Candles(symbol, timeframe, records, first, choice.source)


def load_frame(
    symbol: str,
    interval: str | Timeframe,
    start: When | None = None,
    end: When | None = None,
    *,
    venue: str = "binance",
    places: Places | None = None,
) -> pl.DataFrame:
    """Return the candles that open in [start, end) with every column their source has.

    The same data as `load` would take; `source_of` says which.
    """
    timeframe = parse_timeframe(interval)
    start_ms, end_ms = window_ms(start, end)
    choice = _choose(symbol, timeframe, start_ms, end_ms, venue, places or Places.here())
    frame = _frame(choice, symbol, start_ms, end_ms, columns=None)
    if frame.is_empty():
        raise DataError(_nothing(symbol, timeframe, start_ms, end_ms, choice))
    return frame


def source_of(
    symbol: str,
    interval: str | Timeframe,
    start: When | None = None,
    end: When | None = None,
    *,
    venue: str = "binance",
    places: Places | None = None,
) -> str:
    """Return in words which data `load` and `load_frame` take for a request."""
    start_ms, end_ms = window_ms(start, end)
    timeframe = parse_timeframe(interval)
    return _choose(symbol, timeframe, start_ms, end_ms, venue, places or Places.here()).source


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


def recorded_series(
    symbol: str, timeframe: Timeframe, *, venue: str, places: Places
) -> tuple[Series, list[Series]]:
    """Return the recorded series that `load` takes without a window, and its place's other symbols.

    Raises UsageError where nobody recorded it.
    """
    refuse_symbol(symbol)
    everything = list(recorded(places))
    of_symbol = [
        one
        for one in everything
        if one.symbol == symbol and (one.place != "datasets" or one.venue == venue)
    ]
    for one in of_symbol:
        if one.timeframe == timeframe:
            others = [
                other
                for other in everything
                if (other.place, other.venue, other.timeframe) == (one.place, one.venue, timeframe)
                and other.symbol != symbol
            ]
            return one, others
    raise UsageError(_unknown(symbol, timeframe, venue, of_symbol))


def datasets_folder() -> Path:
    """Return the folder of the project's own candles: the checkout's, else `./datasets`."""
    return (checkout_root() or Path.cwd()) / "datasets"


@cache
def checkout_root() -> Path | None:
    """Return the root of the checkout this package lies in, None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def refuse_symbol(symbol: str) -> None:
    """Raise UsageError for a symbol that is not made of letters, digits and underscores."""
    if not _SYMBOL.fullmatch(symbol):
        raise UsageError(
            f"{symbol!r} is not a symbol; write a pair like BTCUSDT, without / or spaces"
        )


_CANDLE_COLUMNS = ("symbol", "open_time", "open", "high", "low", "close", "volume")


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


def _choose(
    symbol: str,
    timeframe: Timeframe,
    start_ms: int | None,
    end_ms: int | None,
    venue: str,
    places: Places,
) -> _Choice:
    refuse_symbol(symbol)
    mine = [
        one
        for one in recorded(places)
        if one.symbol == symbol and (one.place != "datasets" or one.venue == venue)
    ]
    exact = [one for one in mine if one.timeframe == timeframe]
    reaching = [one for one in exact if _overlaps(one, start_ms, end_ms)]
    if reaching:
        return _recorded_choice(
            _first_by_rule(reaching, start_ms, end_ms), timeframe, start_ms, end_ms
        )
    if exact:
        raise DataError(_out_of_reach(exact, start_ms, end_ms))
    finer = [
        one
        for one in mine
        if divides(one.timeframe, timeframe) and _overlaps(one, start_ms, end_ms)
    ]
    if finer:
        coarsest = max(one.timeframe.mean_ms for one in finer)
        best = [one for one in finer if one.timeframe.mean_ms == coarsest]
        return _recorded_choice(_first_by_rule(best, start_ms, end_ms), timeframe, start_ms, end_ms)
    if venue != "binance" or symbol not in KNOWN:
        raise UsageError(_unknown(symbol, timeframe, venue, mine))
    from workbench.data.sources import synthetic

    return _Choice(None, timeframe, synthetic.LABEL)


def _first_by_rule(series: list[Series], start_ms: int | None, end_ms: int | None) -> Series:
    """Return the first series in the order of the rule; datasets count only where they cover."""
    for one in series:
        if one.place != "datasets" or _covers(one, start_ms, end_ms):
            return one
    return series[0]


def _overlaps(series: Series, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or start_ms <= series.last_ms) and (
        end_ms is None or series.first_ms < end_ms
    )


def _covers(series: Series, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or series.first_ms <= start_ms) and (
        end_ms is None or end_ms <= series.end_ms
    )


def _recorded_choice(
    series: Series, timeframe: Timeframe, start_ms: int | None, end_ms: int | None
) -> _Choice:
    source = series.source
    if series.timeframe != timeframe:
        source += f", resampled from {series.timeframe}"
    if start_ms and start_ms < series.first_ms:
        source += f", recorded only from {iso(series.first_ms)}"
    if end_ms is not None and end_ms > series.end_ms:
        source += f", recorded only until {iso(series.end_ms)}"
    return _Choice(series, timeframe, source)


def _frame(
    choice: _Choice,
    symbol: str,
    start_ms: int | None,
    end_ms: int | None,
    *,
    columns: tuple[str, ...] | None,
) -> pl.DataFrame:
    if choice.series is None:
        from workbench.data.sources import synthetic

        return synthetic.candles(symbol, choice.timeframe, start_ms, end_ms)
    lazy = files.read(list(choice.series.parts))
    if columns is not None:
        lazy = lazy.select(columns)
    if choice.series.timeframe != choice.timeframe:
        return _resampled(lazy, choice, start_ms, end_ms)
    frame = _between(lazy, start_ms, end_ms).collect()
    refuse_misaligned(frame, choice.timeframe)
    return frame


def _resampled(
    lazy: pl.LazyFrame, choice: _Choice, start_ms: int | None, end_ms: int | None
) -> pl.DataFrame:
    """Build coarse candles; the first one is left out where the fine series begins inside it."""
    series = choice.series
    assert series is not None
    coarse = resample(lazy.collect(), series.timeframe, choice.timeframe)
    start_ms = series.first_ms if start_ms is None else max(start_ms, series.first_ms)
    return _between(coarse.lazy(), start_ms, end_ms).collect()


def _between(lazy: pl.LazyFrame, start_ms: int | None, end_ms: int | None) -> pl.LazyFrame:
    time = pl.col("open_time")
    if start_ms is not None:
        lazy = lazy.filter(time >= pl.lit(start_ms).cast(OPEN_TIME))
    if end_ms is not None:
        lazy = lazy.filter(time < pl.lit(end_ms).cast(OPEN_TIME))
    return lazy


def _records(frame: pl.DataFrame, symbol: str, timeframe: Timeframe) -> np.ndarray:
    opens, highs, lows, closes, volumes = (
        frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")
    )
    times = frame["open_time"].to_physical().to_numpy()
    return records_from_columns(times, opens, highs, lows, closes, volumes, timeframe, label=symbol)


def _out_of_reach(exact: list[Series], start_ms: int | None, end_ms: int | None) -> str:
    one = exact[0]
    asked = f"from {iso(start_ms)}" if start_ms is not None else f"before {iso(end_ms or 0)}"
    return (
        f"{one.symbol} {one.timeframe}: asked for candles {asked}, but {one.source} reach from "
        f"{iso(one.first_ms)} to {iso(one.end_ms)}; ask inside that, or run `workbench collect`"
    )


def _nothing(
    symbol: str, timeframe: Timeframe, start_ms: int | None, end_ms: int | None, choice: _Choice
) -> str:
    window = f"[{iso(start_ms) if start_ms else 'first'}, {iso(end_ms) if end_ms else 'last'})"
    return (
        f"{symbol} {timeframe}: no candle opens in {window} ({choice.source}); "
        "widen the window, or collect more with `workbench collect`"
    )


def _unknown(symbol: str, timeframe: Timeframe, venue: str, mine: list[Series]) -> str:
    if mine:
        held = " ".join(sorted({one.timeframe.name for one in mine}))
        return f"{symbol} {timeframe}: recorded are only {held}; run `workbench collect` for it"
    if symbol.upper() in KNOWN:
        return f"unknown symbol {symbol!r}; write it {symbol.upper()}"
    where = "" if venue == "binance" else f" for venue {venue}"
    return (
        f"unknown symbol {symbol!r}{where}: nobody recorded it; the synthetic market has "
        f"{' '.join(KNOWN)}, others come with `workbench collect --symbols {symbol}`"
    )
