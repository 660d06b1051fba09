"""One file of the bulk archives: its name, and the reading of it that believes nothing.

A spot archive is a zip with one CSV of twelve columns and no header; a CHECKSUM beside it gives its
sha256. Times are milliseconds in files of before 2025 and microseconds since. The gates stand in
this order, each with its own message: checksum, zip, header, columns, unit of the first time, plain
numbers, closing times, the quality rules, period. What passes is candles; gaps and odd prices are
kept and declared later, because they may be true.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from workbench.data.files import interval_folder
from workbench.data.quality import check
from workbench.data.resample import closing_time
from workbench.data.schema import OPEN_TIME, RAW, REQUIRED
from workbench.data.times import iso
from workbench.errors import DataError
from workbench.market.timeframes import DAY_MS, TIMEFRAMES, Timeframe

MICROSECONDS_SINCE_MS = 1_735_689_600_000  # 2025-01-01
_LARGEST_BYTES = 1 << 30  # a month of seconds has about 350 MB
_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades",
    "taker_buy_base", "taker_buy_quote", "ignore",
)  # fmt: skip
_WHOLE = ("open_time", "close_time", "trades")
_DECIMAL = tuple(name for name in _COLUMNS[:-1] if name not in _WHOLE)
_UNITS = ("microseconds", "milliseconds")
_CHECKSUM = re.compile(r"([0-9a-f]{64})\s+\*?(\S+)\s*")


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A month or a day of one series, and where it lies in the archives."""

    symbol: str
    timeframe: Timeframe
    start_ms: int
    end_ms: int

    @property
    def name(self) -> str:
        """Return the file's name without its ending, like BTCUSDT-1m-2025-01-02."""
        at = datetime.fromtimestamp(self.start_ms / 1000, UTC)
        period = at.strftime("%Y-%m-%d" if self._is_day else "%Y-%m")
        return f"{self.symbol}-{interval_folder(self.timeframe)}-{period}"

    @property
    def path(self) -> str:
        """Return the file's path below the base URL."""
        kind = "daily" if self._is_day else "monthly"
        folder = f"{self.symbol}/{interval_folder(self.timeframe)}"
        return f"/data/spot/{kind}/klines/{folder}/{self.name}.zip"

    @property
    def _is_day(self) -> bool:
        return self.end_ms - self.start_ms == DAY_MS

    def days(self) -> list[ArchiveFile]:
        """Return the files of the days of this one's period."""
        starts = range(self.start_ms, self.end_ms, DAY_MS)
        return [ArchiveFile(self.symbol, self.timeframe, at, at + DAY_MS) for at in starts]


def month_file(symbol: str, timeframe: Timeframe, time_ms: int) -> ArchiveFile:
    """Return the file of the month that contains a time."""
    month = TIMEFRAMES["1M"]
    start_ms = month.floor(time_ms)
    return ArchiveFile(symbol, timeframe, start_ms, month.next(start_ms))


def candles_in(file: ArchiveFile, content: bytes, checksum: str) -> pl.DataFrame:
    """Return the candles of one archive whose CHECKSUM says `checksum`.

    Raises DataError with the gate that the file does not pass.
    """
    label = f"{file.name}.zip"
    _refuse_checksum(label, content, checksum)
    table = _table(label, _member(label, content))
    scale = 1_000 if file.start_ms >= MICROSECONDS_SINCE_MS else 1
    _refuse_first_time(file, label, table.item(0, "open_time"), scale)
    _refuse_unplain(label, table)
    frame = _frame(file, table, scale)
    _refuse_closing(file, label, frame, table, scale)
    check(frame, file.timeframe).refuse(label)
    return _inside(file, label, frame)


def _refuse_checksum(label: str, content: bytes, checksum: str) -> None:
    told = _CHECKSUM.fullmatch(checksum)
    if told is None or told[2] != label:
        raise DataError(
            f"{label}.CHECKSUM says {checksum[:80]!r}, not a sha256 and the name {label}; "
            "check --archive-url, or take --source rest"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != told[1]:
        raise DataError(
            f"{label}: checksum {found[:12]}… is not the {told[1][:12]}… that its CHECKSUM says, so "
            "it was cut off or changed; run the same command again, or take --source rest"
        )


def _member(label: str, content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            wanted = f"{label.removesuffix('.zip')}.csv"
            if [one.filename for one in members] != [wanted]:
                names = ", ".join(one.filename for one in members[:3])
                raise DataError(f"{label} holds {names or 'nothing'}, not {wanted} alone")
            if members[0].file_size > _LARGEST_BYTES:
                raise DataError(f"{label} would unpack to {members[0].file_size:,} bytes; refused")
            return archive.read(members[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise DataError(f"{label} is not a whole zip ({error}); take --source rest") from None


def _table(label: str, content: bytes) -> pl.DataFrame:
    """Return the CSV as text columns, so that nothing is guessed."""
    start = content[:80].decode("ascii", "replace").splitlines()
    first = start[0].split(",")[0] if start else ""
    if not first:
        raise DataError(f"{label} holds no candle at all; take --source rest")
    if not re.fullmatch(r"-?[\d.]+", first):
        raise DataError(
            f"{label} begins with a header ({first!r}); spot archives have none, so this file is of "
            "another market or was changed"
        )
    try:
        table = pl.read_csv(content, has_header=False, infer_schema=False, quote_char=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{label} is no table ({str(error).splitlines()[0]})") from None
    if table.width != len(_COLUMNS):
        raise DataError(
            f"{label} has {table.width} columns, candles have {len(_COLUMNS)}; is it of trades?"
        )
    return table.rename(dict(zip(table.columns, _COLUMNS, strict=True)))


def _refuse_first_time(file: ArchiveFile, label: str, first: str, scale: int) -> None:
    earliest_ms = file.timeframe.floor(file.start_ms)
    if first.isdecimal() and earliest_ms <= int(first) // scale < file.end_ms:
        return
    unit, other = _UNITS if scale == 1_000 else _UNITS[::-1]
    if first.isdecimal() and earliest_ms <= _in_other_unit(int(first), scale) < file.end_ms:
        raise DataError(
            f"{label} counts in {other}, but spot archives of {iso(file.start_ms)[:4]} count in "
            f"{unit}; this file is of another market or was changed"
        )
    raise DataError(
        f"{label}: the first candle opens at {first}, which in {unit} is no time of "
        f"{iso(file.start_ms)[:10]} to {iso(file.end_ms)[:10]}; the file is damaged or of another time"
    )


def _in_other_unit(time: int, scale: int) -> int:
    """Return a time of the file in milliseconds, were it written in the unit it should not be."""
    return time if scale == 1_000 else time // 1_000


def _refuse_unplain(label: str, table: pl.DataFrame) -> None:
    patterns = dict.fromkeys(_WHOLE, r"^\d{1,18}$") | dict.fromkeys(_DECIMAL, r"^-?\d+(\.\d+)?$")
    patterns["ignore"] = r"^\S+$"  # a row cut short lacks at least this
    for name, pattern in patterns.items():
        odd = table.filter(~pl.col(name).str.contains(pattern).fill_null(False))
        if not odd.is_empty():
            raise DataError(
                f"{label}: {name} is {odd.item(0, name)!r}, not a plain number like '0.0123'"
            )


def _frame(file: ArchiveFile, table: pl.DataFrame, scale: int) -> pl.DataFrame:
    names = [name for name in (*REQUIRED, *RAW) if name not in ("symbol", "open_time", "trades")]
    time = pl.col("open_time").cast(pl.Int64) // scale
    return table.select(
        pl.lit(file.symbol, pl.String).alias("symbol"),
        time.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").cast(OPEN_TIME),
        pl.col(names).cast(pl.Float64),
        pl.col("trades").cast(pl.Int64),
    ).select(*REQUIRED, *RAW)


def _refuse_closing(
    file: ArchiveFile, label: str, frame: pl.DataFrame, table: pl.DataFrame, scale: int
) -> None:
    """Refuse a time of opening or closing that is not whole, in the file's own unit."""
    opened = frame["open_time"].to_physical() * scale
    closes = frame.select(closing_time(pl.col("open_time"), file.timeframe)).to_series()
    due = closes.to_physical() * scale - 1
    raw_open, raw_close = (table[name].cast(pl.Int64) for name in ("open_time", "close_time"))
    bad = (raw_open != opened) | (raw_close != due)
    if bad.any():
        at = int(bad.arg_max() or 0)
        raise DataError(
            f"{label}: the candle that opens at {raw_open[at]} closes at {raw_close[at]}, not at "
            f"{due[at]}; its unit or its interval is not what the name says"
        )


def _inside(file: ArchiveFile, label: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the candles that open and close in the file's period; others it cannot vouch for.

    Weeks and three-day candles run over the end of a month, before which they have not closed.
    """
    first_ms, last_ms = (int(frame["open_time"].to_physical()[at]) for at in (0, -1))
    if last_ms >= file.end_ms:
        raise DataError(f"{label} holds a candle of {iso(last_ms)}, outside its period")
    if file.timeframe.fixed_ms is not None and file.timeframe.fixed_ms <= DAY_MS:
        if first_ms < file.start_ms:
            raise DataError(f"{label} holds a candle of {iso(first_ms)}, outside its period")
        return frame
    closes = closing_time(pl.col("open_time"), file.timeframe).dt.epoch("ms")
    return frame.filter(closes <= file.end_ms)
