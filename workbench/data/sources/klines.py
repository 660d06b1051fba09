"""Klines as Binance writes them, turned into a frame: a page of REST rows, and nothing believed.

Row: open_time, open, high, low, close, volume, close_time, quote_volume, trades, taker_buy_base,
taker_buy_quote, unused. Prices and amounts are plain decimal text. A row that cannot be what was asked
for is an error, never a candle. A page holds eight thousand texts and a collection thousands of pages,
so the good case is looked at as a whole, and only a bad page field by field.
"""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
import polars as pl

from workbench.data.schema import OPEN_TIME
from workbench.data.times import iso
from workbench.errors import DataError
from workbench.market.timeframes import Timeframe

_DECIMALS = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5} | {
    "quote_volume": 7,
    "taker_buy_base": 9,
    "taker_buy_quote": 10,
}
_WHOLE = {"open_time": 0, "close_time": 6, "trades": 8}
_LATEST_MS = 4_102_444_800_000  # the year 2100
_MOST = 1 << 53
_WIDTH = 11  # of a row without its unused last field
_PLAIN = re.compile(r"[0-9]++(?:\.[0-9]*+)?+")
_ALL_PLAIN = re.compile(rf"(?:{_PLAIN.pattern}\n)*+")


def frame_of(
    rows: list[object], symbol: str, timeframe: Timeframe, *, from_ms: int, to_ms: int
) -> pl.DataFrame:
    """Return one page of klines as a frame; DataError where a row cannot be what was asked for."""
    label = f"{symbol} {timeframe}"
    table = _columns(rows, label)
    for name in ("open_time", "close_time"):
        _refuse_other_units(name, table[_WHOLE[name]], label)
    opens, closes, trades = (np.array(table[at], np.int64) for at in _WHOLE.values())
    if rows:
        _refuse_order(opens, label, from_ms, to_ms)
        _refuse_close_times(opens, closes, timeframe, label)
    texts = pl.Series(list(chain(*(table[at] for at in _DECIMALS.values()))), dtype=pl.String)
    numbers = texts.cast(pl.Float64).to_numpy().reshape(len(_DECIMALS), len(rows))
    amounts = dict(zip(_DECIMALS, numbers, strict=True))
    return pl.DataFrame(
        {
            "symbol": pl.Series([symbol] * len(rows), dtype=pl.String),
            "open_time": pl.Series(opens, dtype=pl.Int64).cast(OPEN_TIME),
            **{name: amounts[name] for name in ("open", "high", "low", "close", "volume")},
            "quote_volume": amounts["quote_volume"],
            "trades": trades,
            "taker_buy_base": amounts["taker_buy_base"],
            "taker_buy_quote": amounts["taker_buy_quote"],
        }
    )


def _columns(rows: list[object], label: str) -> list[tuple[object, ...]]:
    """Return the fields of all rows by their place, each of the type and form that belongs there."""
    lists = [row for row in rows if isinstance(row, list) and len(row) >= _WIDTH]
    if len(lists) < len(rows):
        wrong = next(row for row in rows if not (isinstance(row, list) and len(row) >= _WIDTH))
        raise DataError(
            f"{label}: the server sent {str(wrong)[:60]!r} where a candle of 12 fields belongs"
        )
    table: list[tuple[object, ...]] = list(zip(*lists, strict=False)) or [()] * _WIDTH
    for name, at in _WHOLE.items():
        if not set(map(type, table[at])) <= {int}:
            wrong = next(value for value in table[at] if type(value) is not int)
            raise DataError(f"{label}: {name} is {wrong!r}, not a whole number")
    if rows and not 0 <= min(table[_WHOLE["trades"]]) <= max(table[_WHOLE["trades"]]) < _MOST:  # type: ignore[type-var,operator]
        raise DataError(f"{label}: trades holds a number beyond 0 to 2^53")
    for name, at in _DECIMALS.items():
        texts = [value for value in table[at] if type(value) is str]
        if len(texts) < len(rows) or not _ALL_PLAIN.fullmatch("\n".join([*texts, ""])):
            wrong = next(value for value in table[at] if not _is_plain(value))
            raise DataError(f"{label}: {name} is {wrong!r}, not a plain decimal like '0.0123'")
    return table


def _refuse_other_units(name: str, times: tuple[object, ...], label: str) -> None:
    """Refuse what is no time in milliseconds; Binance counts in microseconds where it is told to."""
    odd = [time for time in times if isinstance(time, int) and not 0 <= time < _LATEST_MS]
    if odd:
        unit = "microseconds" if _LATEST_MS <= odd[0] < _LATEST_MS * 1_000 else "no time at all"
        raise DataError(
            f"{label}: {name} is {odd[0]}, which in milliseconds lies beyond 1970 to 2100 ({unit}); "
            "ask a server that counts in milliseconds (no X-MBX-TIME-UNIT on the way)"
        )


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and bool(_PLAIN.fullmatch(value))


def _refuse_order(opens: np.ndarray, label: str, from_ms: int, to_ms: int) -> None:
    back = np.diff(opens) <= 0
    if back.any():
        at = int(opens[1:][back][0])
        raise DataError(f"{label}: the server sent candles twice or out of order at {iso(at)}")
    if opens[0] < from_ms or opens[-1] > to_ms:
        raise DataError(
            f"{label}: asked for {iso(from_ms)} to {iso(to_ms)}, the server sent "
            f"{iso(int(opens[0]))} to {iso(int(opens[-1]))}"
        )


def _refuse_close_times(
    opens: np.ndarray, closes: np.ndarray, timeframe: Timeframe, label: str
) -> None:
    if timeframe.fixed_ms is not None:
        due = opens + timeframe.fixed_ms
    else:
        due = np.array([timeframe.next(time_ms) for time_ms in opens.tolist()])
    wrong = np.flatnonzero(closes != due - 1)
    if len(wrong):
        raise DataError(
            f"{label}: the candle of {iso(int(opens[wrong[0]]))} closes at {closes[wrong[0]]}, not "
            "one millisecond before the next; is the server's interval another, or its unit not "
            "milliseconds?"
        )
