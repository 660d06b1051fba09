"""The recorded tape: every candle as four prints O-L-H-C, and the klines built back from prints.

Spot is long only, so low before high is the pessimistic order; the same legs are walked by the
sweep's kernel. Prints are 1e-8 integers and obey no filter. A candle's volume is cut into four
parts that sum to it exactly; the first takes what division leaves. Published klines, of the
source's interval or coarser, are reductions of prints and nothing else, so that they equal the
source's candles to the digit.

Print `k` of candle `i` stands at index 4 i + k of every array, which is also its trade number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles
from workbench.market.instruments import SCALE
from workbench.market.timeframes import Timeframe, parse_timeframe

LEGS = ("open", "low", "high", "close")
PRINTS = len(LEGS)
SELLER_TAKES = np.array([False, True, False, True])  # the leg went down: the buyer was the maker
LARGEST = 9e10  # times 1e8 still an int64
FLOAT_EXACT = 9e7  # above it a float times 1e8 is no whole number any more
FIRST_TRADE_ID = 1_000_000_000  # far from the numbers that the engine gives to users' trades


@dataclass(frozen=True, slots=True)
class Print:
    """One recorded trade; price and quantity at 1e-8."""

    trade_id: int
    time_ms: int
    price_e8: int
    quantity_e8: int
    quote_e8: int
    seller_takes: bool


@dataclass(frozen=True, slots=True)
class Kline:
    """A published candle, everything at 1e-8; `trades` prints from number `first_trade_id` on."""

    open_ms: int
    close_ms: int
    open_e8: int
    high_e8: int
    low_e8: int
    close_e8: int
    volume_e8: int
    quote_volume_e8: int
    trades: int
    taker_volume_e8: int
    taker_quote_e8: int
    first_trade_id: int


class Tape:
    """All prints of one symbol's candles, in order."""

    def __init__(self, candles: Candles) -> None:
        if not len(candles.records):
            raise DataError(f"{candles.symbol}: no candles to replay")
        self.symbol = candles.symbol
        self.timeframe = candles.timeframe
        records = candles.records
        self.open_ms = records["open_time"].astype(np.int64)
        self.candle_volume_e8 = e8_of_floats(records["volume"])
        self.price_e8 = np.stack([e8_of_floats(records[leg]) for leg in LEGS], axis=1).ravel()
        self.quantity_e8 = _split(self.candle_volume_e8)
        self.quote_e8 = value_e8(self.price_e8, self.quantity_e8)
        self.buyer_takes = np.tile(~SELLER_TAKES, len(records))

    def __len__(self) -> int:
        return len(self.price_e8)

    @property
    def candles(self) -> int:
        """Number of candles on the tape."""
        return len(self.open_ms)

    def close_ms(self, candle: int) -> int:
        """Return the last millisecond of a candle."""
        return self.timeframe.next(int(self.open_ms[candle])) - 1

    def print_at(self, index: int) -> Print:
        """Return one print with its time: the opening, a third, two thirds, the last millisecond."""
        candle, leg = divmod(index, PRINTS)
        opened = int(self.open_ms[candle])
        return Print(
            trade_id=FIRST_TRADE_ID + index,
            time_ms=opened + (self.close_ms(candle) - opened) * leg // (PRINTS - 1),
            price_e8=int(self.price_e8[index]),
            quantity_e8=int(self.quantity_e8[index]),
            quote_e8=int(self.quote_e8[index]),
            seller_takes=bool(SELLER_TAKES[leg]),
        )

    def kline_at(self, timeframe: Timeframe, played: int, time_ms: int) -> Kline | None:
        """Return the kline that contains a time, from the first `played` prints; None without one."""
        opened = timeframe.floor(time_ms)
        found = list(self.klines(timeframe, played, start_ms=opened, end_ms=opened, limit=1))
        return found[0] if found else None

    def klines(
        self,
        timeframe: Timeframe,
        played: int,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> Iterator[Kline]:
        """Yield klines of the first `played` prints by opening time, the unfinished one included.

        With a start the oldest from it, without one the most recent up to the end. Raises
        UsageError for an interval finer than the source's, or one that it does not divide.
        """
        refuse_finer(timeframe, self.timeframe)
        shown = self.open_ms[: -(-played // PRINTS)]
        opened = _openings(shown, timeframe, start_ms, end_ms, limit)
        for open_ms in opened:
            close_ms = timeframe.next(open_ms) - 1
            first = int(np.searchsorted(shown, open_ms)) * PRINTS
            last = min(int(np.searchsorted(shown, close_ms, "right")) * PRINTS, played)
            yield self._reduce(open_ms, close_ms, slice(first, last))

    def _reduce(self, open_ms: int, close_ms: int, part: slice) -> Kline:
        prices, taker = self.price_e8[part], self.buyer_takes[part]
        quantity, quote = self.quantity_e8[part], self.quote_e8[part]
        return Kline(
            open_ms=open_ms,
            close_ms=close_ms,
            open_e8=int(prices[0]),
            high_e8=int(prices.max()),
            low_e8=int(prices.min()),
            close_e8=int(prices[-1]),
            volume_e8=total(quantity),
            quote_volume_e8=total(quote),
            trades=len(prices),
            taker_volume_e8=total(quantity[taker]),
            taker_quote_e8=total(quote[taker]),
            first_trade_id=FIRST_TRADE_ID + part.start,
        )


def refuse_finer(timeframe: Timeframe, source: Timeframe) -> None:
    """Raise UsageError unless candles of `source` add up to candles of `timeframe`."""
    if timeframe == source:
        return
    length = source.fixed_ms
    if (
        length is None
        or timeframe.mean_ms < source.mean_ms
        or ((timeframe.fixed_ms or parse_timeframe("1d").mean_ms) % length)
    ):
        raise UsageError(
            f"{timeframe} klines cannot be built from a replay of {source} candles; "
            f"ask for {source} or a multiple of it, or replay finer candles"
        )


def e8_of_floats(values: np.ndarray) -> np.ndarray:
    """Return decimal amounts that arrived as floats as integers at 1e-8, nearest where finer."""
    if len(values) and values.max() > LARGEST:
        raise DataError(
            f"an amount of {values.max():g} is too large to be counted at 1e-8 in int64"
        )
    amounts = np.rint(values * SCALE).astype(np.int64)
    for index in np.flatnonzero(values > FLOAT_EXACT):
        amounts[index] = int(round(Decimal(repr(float(values[index]))) * SCALE))
    return amounts


def value_e8(price_e8: np.ndarray, quantity_e8: np.ndarray) -> np.ndarray:
    """Return floor(price x quantity) at 1e-8 of arrays at 1e-8, without overflowing int64."""
    price, price_rest = np.divmod(price_e8, SCALE)
    quantity, quantity_rest = np.divmod(quantity_e8, SCALE)
    return price * quantity_e8 + price_rest * quantity + price_rest * quantity_rest // SCALE


def total(amounts_e8: np.ndarray) -> int:
    """Return the exact sum of amounts at 1e-8, which may exceed int64 (a month of turnover does)."""
    whole, rest = np.divmod(amounts_e8, SCALE)
    return int(whole.sum()) * SCALE + int(rest.sum())


def _split(volume_e8: np.ndarray) -> np.ndarray:
    parts = np.repeat(volume_e8[:, None] // PRINTS, PRINTS, axis=1)
    parts[:, 0] += volume_e8 % PRINTS
    return parts.ravel()


def _openings(
    shown: np.ndarray, timeframe: Timeframe, start_ms: int | None, end_ms: int | None, limit: int
) -> list[int]:
    """Return the opening times of the candles of `timeframe` that the window asks for, rising."""
    if not len(shown) or limit <= 0:
        return []
    found: list[int] = []
    if start_ms is not None:
        index = int(np.searchsorted(shown, start_ms))
        if index and timeframe.floor(int(shown[index - 1])) >= start_ms:
            index -= 1
        while index < len(shown) and len(found) < limit:
            opened = timeframe.floor(int(shown[index]))
            if end_ms is not None and opened > end_ms:
                break
            if opened >= start_ms:
                found.append(opened)
            index = int(np.searchsorted(shown, timeframe.next(opened)))
        return found
    index = len(shown) - 1 if end_ms is None else int(np.searchsorted(shown, end_ms, "right")) - 1
    while index >= 0 and len(found) < limit:
        opened = timeframe.floor(int(shown[index]))
        found.append(opened)
        index = int(np.searchsorted(shown, opened)) - 1
    return found[::-1]
