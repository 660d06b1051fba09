"""Candles: the record that every engine reads, and a series of them that knows where it came from.

A record's time is its opening time in int64 milliseconds UTC. `missing_before` counts the candles
that are absent between it and the one before; nothing is ever invented to fill them. `aux` carries
values of other *closed* inputs that a strategy declares.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import DataError
from workbench.market.timeframes import DAY_MS, Timeframe

if TYPE_CHECKING:
    import polars as pl

_FIELDS = [
    ("open_time", "<i8"),
    ("open", "<f8"),
    ("high", "<f8"),
    ("low", "<f8"),
    ("close", "<f8"),
    ("volume", "<f8"),
    ("missing_before", "<i4"),
    ("aux", "<f8", (4,)),
]
CANDLE = np.dtype(_FIELDS, align=True)
_BLOCK = 4_096  # records; 350 kB
_WORTH_SHARING = 25 * _BLOCK
_CANONICAL = np.dtype(_FIELDS)  # packed: no padding bytes that a hash could stumble over


@dataclass(frozen=True)
class Candles:
    """A candle series: `records[first:]` is what was asked for, what lies before is warm-up.

    `fine` is the same market at a shorter interval; it tells which of two exits came first.
    """

    symbol: str
    timeframe: Timeframe
    records: np.ndarray
    first: int = 0
    source: str = "in memory"
    fine: Candles | None = None

    def __post_init__(self) -> None:
        if self.records.dtype != CANDLE:
            raise DataError(
                f"{self.symbol} {self.timeframe}: records have dtype {self.records.dtype}, not CANDLE; "
                "build them with records_from_columns"
            )
        if not 0 <= self.first <= len(self.records):
            raise DataError(f"first={self.first} lies outside 0..{len(self.records)}")

    @classmethod
    def from_frame(
        cls, frame: pl.DataFrame, timeframe: Timeframe, *, source: str = "a polars frame"
    ) -> Candles:
        """Return a frame of one series, with the candle store's columns, as candles.

        Raises DataError where columns are missing, symbols are mixed or a candle is impossible.
        """
        columns = ("open", "high", "low", "close", "volume")
        missing = [name for name in ("open_time", *columns) if name not in frame.columns]
        if missing:
            raise DataError(f"the frame lacks {', '.join(missing)}; add or rename these columns")
        symbols = frame["symbol"].unique().to_list() if "symbol" in frame.columns else ["FRAME"]
        if len(symbols) != 1:
            raise DataError(f"the frame holds {len(symbols)} symbols; filter it to one")
        values = {name: _numbers(frame[name]) for name in columns}
        times = opening_times(frame)
        records = records_from_columns(times, **values, timeframe=timeframe, label=symbols[0])
        return cls(symbols[0], timeframe, records, source=source)

    def __len__(self) -> int:
        return len(self.records) - self.first

    @property
    def window(self) -> np.ndarray:
        """Return the records that were asked for, without the warm-up before them."""
        return self.records[self.first :]

    @property
    def synthetic(self) -> bool:
        """Return whether the candles come from the synthetic market."""
        return self.source.startswith("SYNTHETIC")

    @cached_property
    def sha256(self) -> str:
        """Return the hash of all records, warm-up included, in canonical little-endian bytes."""
        return sha256_of(self.records)

    @cached_property
    def is_sound(self) -> bool:
        """Return whether every record is a candle that could be, and times rise."""
        prices = (self.records[n] for n in ("open", "high", "low", "close", "volume"))
        times = self.records["open_time"]
        return _is_sound(*prices) and bool((times[1:] > times[:-1]).all())

    @cached_property
    def sample_ends(self) -> np.ndarray:
        """Return, for each record, whether a return sample ends with it: a UTC day, or a longer candle.

        1 where it closes at midnight; 2 where its day had not ended when it closed, and only the candles
        after it, or the end of them, tell that none followed: no decision at its close may know.
        """
        times, length = self.records["open_time"], self.timeframe.mean_ms
        ends = np.ones(len(times), np.int8)
        if length < DAY_MS:
            days = (times + length - 1) // DAY_MS
            ends[:-1] = days[1:] != days[:-1]
            found = np.flatnonzero(ends)
            ends[found[(times[found] + length) % DAY_MS != 0]] = 2
        return ends

    def used_sha256(self, begin: int) -> str:
        """Return the hash of the records from `begin` on, with the finer ones where there are any.

        Taken once a series and `begin`: it costs more than a backtest does.
        """
        if begin not in self._hashes:
            used = self.records[begin:]
            if self.fine is not None:
                used = np.concatenate([used, self.fine.records])
            self._hashes[begin] = sha256_of(used)
        return self._hashes[begin]

    @cached_property
    def _hashes(self) -> dict[int, str]:
        return {}

    def tail(self, count: int) -> Candles:
        """Return the last `count` candles of the window; what lies before becomes warm-up."""
        first = max(self.first, len(self.records) - count)
        return replace(self, first=first)

    def frame(self) -> pl.DataFrame:
        """Return the window as a polars frame with the columns of the candle store."""
        import polars as pl

        window = self.window
        return pl.DataFrame(
            {
                "symbol": [self.symbol] * len(window),
                "open_time": pl.Series(window["open_time"]).cast(pl.Datetime("ms", "UTC")),
                **{name: window[name] for name in ("open", "high", "low", "close", "volume")},
            }
        )

    def __repr__(self) -> str:
        if not len(self):
            return f"Candles({self.symbol} {self.timeframe}, none, {self.source})"
        first, last = (_text(int(self.window["open_time"][i])) for i in (0, -1))
        return (
            f"Candles({self.symbol} {self.timeframe}, {len(self):,} from {first} to {last}, "
            f"{self.first:,} before as warm-up, {self.source})"
        )


def opening_times(frame: pl.DataFrame) -> np.ndarray:
    """Return a frame's opening times in milliseconds; DataError where one is missing or is no time."""
    import polars as pl

    times = frame["open_time"]
    if times.null_count() or not (times.dtype.is_temporal() or times.dtype.is_integer()):
        raise DataError(
            f"open_time holds {times.null_count():,} nulls and is {times.dtype}; it takes UTC datetimes, "
            "or milliseconds, without any null"
        )
    epoch = times.cast(pl.Datetime("ms")) if times.dtype.is_integer() else times
    return epoch.dt.epoch("ms").to_numpy()


def _numbers(column: pl.Series) -> np.ndarray:
    import polars as pl

    try:
        return column.cast(float).to_numpy()
    except pl.exceptions.PolarsError:
        raise DataError(f"column {column.name} is {column.dtype}, not numbers; mend it") from None


def sha256_of(records: np.ndarray) -> str:
    """Return the SHA-256 of CANDLE records in their canonical packed little-endian bytes."""
    digest = hashlib.sha256()
    for start in range(0, len(records), _BLOCK):  # a copy of the whole would double the memory
        block = records[start : start + _BLOCK]
        packed = np.empty(len(block), _CANONICAL)
        for name in CANDLE.names or ():
            packed[name] = block[name]
        digest.update(packed.view(np.uint8).data)
    return digest.hexdigest()


def records_from_columns(
    open_time_ms: np.ndarray,
    open: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
    timeframe: Timeframe,
    *,
    label: str = "candles",
) -> np.ndarray:
    """Return CANDLE records from columns of one series, with the gaps counted.

    Raises DataError where times do not rise, or a price is not finite and positive, or
    high and low do not enclose open and close, or a volume is negative or not finite.
    """
    records = np.zeros(len(open_time_ms), CANDLE)
    times = np.asarray(open_time_ms, np.int64)
    columns = [np.asarray(values, np.float64) for values in (open, high, low, close, volume)]
    if not (_fill(records, times, columns) and (times[1:] > times[:-1]).all()):
        refuse_bad_records(records, label=f"{label} {timeframe}")
    if len(times) > 1:
        _count_missing(records["missing_before"][1:], times, timeframe)
    return records


def _fill(records: np.ndarray, times: np.ndarray, columns: list[np.ndarray]) -> bool:
    """Write times and prices into records; return whether all prices are sound.

    Most of it is waiting for memory, and numpy copies without Python's lock: long series go in shares.
    """
    fields = [records[name] for name in ("open", "high", "low", "close", "volume")]
    opened = records["open_time"]

    def fill(share: range) -> bool:
        sound = True
        for start in share:  # each block is written while it is in the cache
            block = slice(start, start + _BLOCK)
            opened[block] = times[block]
            for field, values in zip(fields, columns, strict=True):
                field[block] = values[block]
            sound = sound and _is_sound(*(values[block] for values in columns))
        return sound

    starts, threads = range(0, len(records), _BLOCK), os.cpu_count() or 1
    if len(records) < _WORTH_SHARING:
        return fill(starts)
    with ThreadPoolExecutor(threads) as pool:
        sound = list(pool.map(fill, (starts[i::threads] for i in range(threads))))
    return all(sound)  # asked when all shares are written: an error names a candle of any of them


def _is_sound(
    open: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray, volume: np.ndarray
) -> bool:
    """Return whether `refuse_bad_records` has nothing against these values; NaN compares as false.

    With low above 0, high finite, and open and close between them, all four are finite and positive.
    """
    return bool(
        (low > 0).all()
        and (high < np.inf).all()
        and (low <= open).all()
        and (open <= high).all()
        and (low <= close).all()
        and (close <= high).all()
        and (volume >= 0).all()
        and (volume < np.inf).all()
    )


def refuse_bad_records(records: np.ndarray, *, label: str) -> None:
    """Raise DataError at the first candle that no engine may see."""
    times = records["open_time"]
    rules = [
        ("times must rise", np.concatenate([[False], np.diff(times) <= 0])),
        *(
            (f"{name} must be finite and above 0", ~(np.isfinite(p) & (p > 0)))
            for name in ("open", "high", "low", "close")
            for p in [records[name]]
        ),
        (
            "high must not lie below open, close or low",
            records["high"]
            < np.maximum(np.maximum(records["open"], records["close"]), records["low"]),
        ),
        (
            "low must not lie above open or close",
            records["low"] > np.minimum(records["open"], records["close"]),
        ),
        (
            "volume must be finite and not negative",
            ~(np.isfinite(records["volume"]) & (records["volume"] >= 0)),
        ),
    ]
    for rule, bad in rules:
        if bad.any():
            at = int(np.argmax(bad))
            raise DataError(
                f"{label}: candle {at} at {_text(int(times[at]))} is "
                f"{[float(records[n][at]) for n in ('open', 'high', 'low', 'close', 'volume')]}: {rule}; "
                "look at the series with `workbench data check`"
            )


def _count_missing(counts: np.ndarray, times: np.ndarray, timeframe: Timeframe) -> None:
    """Write how many candles are absent before each but the first; the counts are 0 so far."""
    if timeframe.fixed_ms is None:
        counts[:] = [timeframe.steps(int(a), int(b)) - 1 for a, b in pairwise(times)]
        return
    steps = times[1:] - times[:-1]
    if (steps != timeframe.fixed_ms).any():
        counts[:] = steps // timeframe.fixed_ms - 1


def _text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
