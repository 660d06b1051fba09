"""What the name of a market stream asks for.

    <symbol>@trade                 <symbol>@bookTicker            <symbol>@avgPrice
    <symbol>@aggTrade              <symbol>@miniTicker            <symbol>@ticker
    <symbol>@kline_<interval>[@+08:00]                            <symbol>@ticker_<1h|4h|1d>
    <symbol>@depth[@100ms]         <symbol>@depth<5|10|20>[@100ms]
    !miniTicker@arr                !ticker_<1h|4h|1d>@arr

`!ticker@arr` was retired by Binance on 2026-03-26; block trades and reference prices do not exist
here. A name that cannot be served is refused aloud, where Binance would stay silent for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from workbench.errors import UsageError
from workbench.market.timeframes import HOUR_MS, Timeframe, parse_timeframe

CHINA_MS = 8 * HOUR_MS
SECOND_S, FAST_S, KLINE_S = 1.0, 0.1, 2.0
RETIRED = "!ticker@arr"
_ONE = re.compile(r"(\w+)@(trade|aggTrade|bookTicker|miniTicker|ticker|avgPrice)")
_KLINE = re.compile(r"(\w+)@kline_(\w+)(@\+08:00)?")
_WINDOW = re.compile(r"(?:(\w+)@ticker_(1h|4h|1d)|!ticker_(1h|4h|1d)@arr)")
_DEPTH = re.compile(r"(\w+)@depth(5|10|20)?(?:@(100|1000)ms)?")


class Kind(Enum):
    """What a stream carries."""

    TRADE = auto()
    AGG_TRADE = auto()
    BOOK_TICKER = auto()
    MINI_TICKER = auto()
    TICKER = auto()
    WINDOW_TICKER = auto()
    AVERAGE_PRICE = auto()
    KLINE = auto()
    DEPTH = auto()
    PARTIAL_DEPTH = auto()


@dataclass(frozen=True, slots=True)
class StreamName:
    """A parsed name; `symbol` is empty for all symbols at once, `every_s` 0 for real time."""

    text: str
    symbol: str
    kind: Kind
    every_s: float = 0.0
    timeframe: Timeframe | None = None
    offset_ms: int = 0
    levels: int = 0


_SIMPLE = {
    "trade": (Kind.TRADE, 0.0),
    "aggTrade": (Kind.AGG_TRADE, 0.0),
    "bookTicker": (Kind.BOOK_TICKER, 0.0),
    "miniTicker": (Kind.MINI_TICKER, SECOND_S),
    "ticker": (Kind.TICKER, SECOND_S),
    "avgPrice": (Kind.AVERAGE_PRICE, SECOND_S),
}


def parse_stream(text: str) -> StreamName:
    """Return what a name asks for; UsageError for a name that no stream here has."""
    if text == "!miniTicker@arr":
        return StreamName(text, "", Kind.MINI_TICKER, SECOND_S)
    if match := _ONE.fullmatch(text):
        kind, every_s = _SIMPLE[match[2]]
        return StreamName(text, _symbol(text, match[1]), kind, every_s)
    if match := _KLINE.fullmatch(text):
        timeframe = parse_timeframe(match[2])
        every_s = SECOND_S if timeframe.name == "1s" else KLINE_S
        offset_ms = CHINA_MS if match[3] else 0
        symbol = _symbol(text, match[1])
        return StreamName(text, symbol, Kind.KLINE, every_s, timeframe, offset_ms)
    if match := _WINDOW.fullmatch(text):
        timeframe = parse_timeframe(match[2] or match[3])
        symbol = _symbol(text, match[1]) if match[1] else ""
        return StreamName(text, symbol, Kind.WINDOW_TICKER, SECOND_S, timeframe)
    if match := _DEPTH.fullmatch(text):
        kind = Kind.PARTIAL_DEPTH if match[2] else Kind.DEPTH
        every_s = FAST_S if match[3] == "100" else SECOND_S
        symbol = _symbol(text, match[1])
        return StreamName(text, symbol, kind, every_s, levels=int(match[2] or 0))
    if text == RETIRED:
        raise UsageError(f"stream {text!r} was retired by Binance; subscribe to !miniTicker@arr")
    raise UsageError(f"stream {text!r} is not served; write e.g. btcusdt@kline_1m or btcusdt@depth")


def _symbol(text: str, lower: str) -> str:
    if lower != lower.lower():
        raise UsageError(f"stream {text!r}: symbols are in lower case; write {text.lower()!r}?")
    return lower.upper()
