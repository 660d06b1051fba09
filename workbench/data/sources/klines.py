"""Klines as Binance writes them, turned into a frame: a page of REST rows, and nothing believed.

Row: open_time, open, high, low, close, volume, close_time, quote_volume, trades, taker_buy_base,
taker_buy_quote, unused. Prices and amounts are plain decimal text. A row that cannot be what was asked
for is an error, never a candle.
"""

from __future__ import annotations

import re
from typing import cast

import numpy as np
import polars as pl

from workbench.data.schema import OPEN_TIME
from workbench.data.times import iso
from workbench.errors import DataError
from workbench.market.timeframes import Timeframe

# All texts of a column are matched in one go: a page has eight thousand of them.
_PLAIN_DECIMALS = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:\n|\Z))+")
_WIDTH = 11  # of a row without its unused last field


def frame_of(
    rows: list[object], symbol: str, timeframe: Timeframe, *, from_ms: int, to_ms: int
) -> pl.DataFrame:
    """Return one page of klines as a frame; DataError where a row cannot be what was asked for."""
    label = f"{symbol} {timeframe}"
    for row in rows:
        if not isinstance(row, list) or len(row) < _WIDTH:
            raise DataError(
                f"{label}: the server sent {str(row)[:60]!r} where a candle of 12 fields belongs"
            )
    table = list(zip(*rows, strict=False)) if rows else [()] * _WIDTH
    opens, closes = _whole(table[0], label, "open_time"), _whole(table[6], label, "close_time")
    frame = pl.DataFrame(
        {
            "symbol": pl.Series([symbol] * len(rows), dtype=pl.String),
            "open_time": pl.Series(opens, dtype=pl.Int64).cast(OPEN_TIME),
            "open": _decimal(table[1], label, "open"),
            "high": _decimal(table[2], label, "high"),
            "low": _decimal(table[3], label, "low"),
            "close": _decimal(table[4], label, "close"),
            "volume": _decimal(table[5], label, "volume"),
            "quote_volume": _decimal(table[7], label, "quote_volume"),
            "trades": _whole(table[8], label, "trades"),
            "taker_buy_base": _decimal(table[9], label, "taker_buy_base"),
            "taker_buy_quote": _decimal(table[10], label, "taker_buy_quote"),
        }
    )
    if rows:
        _refuse_order(opens, label, from_ms, to_ms)
        _refuse_close_times(opens, closes, timeframe, label)
    return frame


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


def _whole(values: tuple[object, ...], label: str, name: str) -> np.ndarray:
    for value in values:
        if type(value) is not int:
            raise DataError(f"{label}: {name} is {value!r}, not a whole number")
    return np.array(values, np.int64)


def _decimal(values: tuple[object, ...], label: str, name: str) -> np.ndarray:
    for value in values:
        if type(value) is not str:
            raise _no_decimal(label, name, value)
    texts = cast(tuple[str, ...], values)
    if texts and not _PLAIN_DECIMALS.fullmatch("\n".join(texts)):
        raise _no_decimal(label, name, next(one for one in texts if not _is_plain(one)))
    return np.array(list(map(float, texts)), np.float64)


def _no_decimal(label: str, name: str, value: object) -> DataError:
    return DataError(f"{label}: {name} is {value!r}, not a plain decimal like '0.0123'")


def _is_plain(text: str) -> bool:
    return "\n" not in text and bool(_PLAIN_DECIMALS.fullmatch(text))
