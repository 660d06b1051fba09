"""Which series a folder of parquet (or CSV) files holds: symbol, interval, range and rows a file.

Symbol and interval come from the columns or from hive partitions in the path (`symbol=BTCUSDT`).
Where nothing names the interval, the median distance of the candles does, and a file name like
`klines_1h.parquet` only where one candle is too few to tell. What was read is remembered as long as
the file's size and time of change stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import polars as pl

from workbench.data.schema import PROVENANCE, REPAIRED, SCHEMA, STORED, conformed
from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import DAY_MS, TIMEFRAMES, Timeframe

_NAMED_INTERVAL = re.compile(r"(?:^|[-_. ])(" + "|".join(TIMEFRAMES) + r")(?=[-_. ]|$)")
_BY_LENGTH = {frame.fixed_ms: frame for frame in TIMEFRAMES.values() if frame.fixed_ms is not None}
MONTH_FOLDER = "1mo"  # in paths, because some file systems do not tell 1M from 1m
_LATEST_MS = 4_102_444_800_000  # the year 2100: what lies beyond was not written in milliseconds


@dataclass(frozen=True, slots=True)
class Part:
    """One series, or a piece of it, in one file; `first_ms` and `last_ms` are opening times."""

    path: Path
    symbol: str
    timeframe: Timeframe
    first_ms: int
    last_ms: int
    rows: int
    venue: str | None = None
    stored: bool = False  # written by the store: the schema to the letter, and one symbol
    repairs: tuple[tuple[str, int], ...] = ()  # the source that filled holes, and how many candles


def parts_in(folder: Path, *, suffixes: tuple[str, ...] = (".parquet",)) -> list[Part]:
    """Return what a folder and those below it hold, in the order of their paths.

    Files without candle columns are left out. Raises UsageError where the folder cannot be read.
    """
    return [part for path in _files(folder, suffixes) for part in _remembered(path)]


def read(parts: list[Part], *, keep: tuple[str, ...] = ()) -> pl.LazyFrame:
    """Return one series lazily from its parts, oldest first, with all columns they have in common.

    Columns beside the schema are left out but for those to `keep`, where all parts have them.
    Raises DataError where two files hold the same stretch of time: nothing is dropped silently.
    """
    ordered = sorted(parts, key=lambda part: part.first_ms)
    for earlier, later in pairwise(ordered):
        if later.first_ms <= earlier.last_ms:
            raise DataError(
                f"{later.symbol} {later.timeframe}: {earlier.path.name} and {later.path.name} "
                f"both hold {iso(later.first_ms)}; keep one of the two files"
            )
    if all(part.stored for part in ordered):
        return _scan_stored(ordered, keep)
    frames = [_scan_part(part, keep) for part in ordered]
    if len(frames) == 1:
        return frames[0]
    common = [
        name
        for name in frames[0].collect_schema()
        if all(name in frame.collect_schema() for frame in frames)
    ]
    return pl.concat([frame.select(common) for frame in frames])


def _scan_stored(parts: list[Part], keep: tuple[str, ...]) -> pl.LazyFrame:
    """Return files of the store as one: they have the schema to the letter and hold one symbol."""
    wanted = SCHEMA | {name: STORED[name] for name in keep if name in STORED}
    return pl.scan_parquet(
        [part.path for part in parts],
        schema=pl.Schema(wanted),
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
    )


def _scan_part(part: Part, keep: tuple[str, ...]) -> pl.LazyFrame:
    raw = _raw(part.path)
    names = raw.collect_schema()
    if "interval" in names:
        raw = raw.filter(pl.col("interval") == part.timeframe.name)
    kept = tuple(name for name in keep if name in names)
    lazy = conformed(raw, symbol=_partition(part.path, "symbol"), label=part.path.name, keep=kept)
    return lazy.filter(pl.col("symbol") == part.symbol)


def interval_folder(timeframe: Timeframe) -> str:
    """Return the name under which a timeframe's candles lie in a partitioned folder."""
    return MONTH_FOLDER if timeframe.fixed_ms is None else timeframe.name


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder.name}: no such folder; name one that holds candle files")
    return sorted(
        Path(inside, name)
        for inside, _, names in os.walk(folder, onerror=_refuse_unreadable)
        for name in names
        if name.endswith(suffixes) and not name.startswith(".")
    )


def _refuse_unreadable(error: OSError) -> None:
    name = Path(str(error.filename)).name
    raise UsageError(f"{name}: {error.strerror}; give the folder read permission") from None


def _raw(path: Path) -> pl.LazyFrame:
    if path.suffix == ".csv":
        return pl.scan_csv(path, try_parse_dates=True)
    return pl.scan_parquet(path, hive_partitioning=False)


def _partition(path: Path, key: str) -> str | None:
    for name in reversed(path.parts[:-1]):
        if name.startswith(f"{key}="):
            return name[len(key) + 1 :]
    return None


def _remembered(path: Path) -> tuple[Part, ...]:
    try:
        status = path.stat()
        return _parts_of(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise UsageError(f"{path.name}: {error.strerror}; give the file read permission") from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path.name} cannot be read ({reason}); remove or collect it again"
        ) from None


@lru_cache(maxsize=4096)
def _parts_of(path: Path, mtime_ns: int, size: int) -> tuple[Part, ...]:
    names = _raw(path).collect_schema()
    if "open_time" not in names or "close" not in names:
        return ()  # some other table: results, trades, an equity curve
    keep = ("interval",) if "interval" in names else ()
    lazy = conformed(_raw(path), symbol=_partition(path, "symbol"), label=path.name, keep=keep)
    time = pl.col("open_time").dt.epoch("ms")
    found = (
        lazy.group_by("symbol", *keep, maintain_order=True)
        .agg(
            first=time.min(),
            last=time.max(),
            rows=pl.len(),
            step=time.diff().filter(time.diff() > 0).median(),
        )
        .collect()
    )
    parts = tuple(_part(path, row) for row in _dicts(found))
    if len(parts) == 1 and dict(names) in (SCHEMA, STORED) and path.suffix == ".parquet":
        repairs = _repairs(_raw(path)) if PROVENANCE in names else ()
        return (replace(parts[0], stored=True, repairs=repairs),)
    return parts


def _repairs(raw: pl.LazyFrame) -> tuple[tuple[str, int], ...]:
    """Return which sources filled holes in a file of the store, which holds one series."""
    mark = pl.col(PROVENANCE)
    found = raw.filter(mark.str.starts_with(REPAIRED)).group_by(mark).len().sort(PROVENANCE)
    return tuple((name.removeprefix(REPAIRED), count) for name, count in found.collect().rows())


def _dicts(frame: pl.DataFrame) -> Iterator[dict[str, object]]:
    return frame.iter_rows(named=True)


def _part(path: Path, row: dict[str, object]) -> Part:
    symbol, first, last = str(row["symbol"]), row["first"], row["last"]
    if not isinstance(first, int) or not isinstance(last, int):
        raise DataError(f"{path.name}: {symbol} has no open_time at all; collect the file again")
    if last > _LATEST_MS:
        raise DataError(
            f"{path.name}: {symbol} has an open_time of {last} ms, beyond the year 2100; "
            "it was written in microseconds or finer: convert it to milliseconds"
        )
    return Part(
        path=path,
        symbol=symbol,
        timeframe=_timeframe(path, row.get("interval"), row["step"], symbol),
        first_ms=first,
        last_ms=last,
        rows=int(str(row["rows"])),
        venue=_partition(path, "venue"),
    )


def _timeframe(path: Path, named: object, step_ms: object, symbol: str) -> Timeframe:
    declared = named or _partition(path, "interval")
    if declared == MONTH_FOLDER:
        return TIMEFRAMES["1M"]
    if declared is not None:
        if declared not in TIMEFRAMES:
            raise DataError(
                f"{path.name}: unknown interval {declared!r}; use one of {' '.join(TIMEFRAMES)}"
            )
        return TIMEFRAMES[str(declared)]
    if isinstance(step_ms, float):
        if step_ms in _BY_LENGTH:
            return _BY_LENGTH[int(step_ms)]
        if 28 * DAY_MS <= step_ms <= 31 * DAY_MS:
            return TIMEFRAMES["1M"]
    match = _NAMED_INTERVAL.search(path.stem)
    if match is None:
        raise DataError(
            f"{path.name}: cannot tell the interval of {symbol} (median distance {step_ms} ms); "
            "name it in the file name (…_1h.parquet) or in a column `interval`"
        )
    return TIMEFRAMES[match[1]]
