"""Instruments: what may be traded in which steps, as whole numbers at 1e-8.

A price is a number of ticks, a quantity a number of lots; one lot at one tick is worth `unit_e8`
of the quote asset, a whole number at 1e-8, so that every trade's value is exact. The table below
holds the steps of today's Binance spot market for six pairs, each with the day from which we vouch
for it; a replay of older candles infers the tick from the candles and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import numpy as np

from workbench.errors import DataError, UsageError

SCALE = 100_000_000
MAX_E8 = 9_000_000_000 * SCALE


@dataclass(frozen=True, slots=True)
class Instrument:
    """A spot pair and its trading rules; every amount is an integer at 1e-8."""

    symbol: str
    base: str
    quote: str
    tick_e8: int
    step_e8: int
    min_qty_e8: int
    max_qty_e8: int
    min_price_e8: int
    max_price_e8: int
    min_notional_e8: int
    valid_from_ms: int

    def __post_init__(self) -> None:
        if self.tick_e8 <= 0 or self.step_e8 <= 0:
            raise UsageError(f"{self.symbol}: tick and step must be above 0")
        if self.tick_e8 * self.step_e8 % SCALE:
            raise UsageError(
                f"{self.symbol}: tick {from_e8(self.tick_e8)} x step {from_e8(self.step_e8)} is finer "
                "than 1e-8, so a trade's value would not be exact; use a coarser step"
            )

    @property
    def unit_e8(self) -> int:
        """Return the value of one lot at a price of one tick, in quote at 1e-8."""
        return self.tick_e8 * self.step_e8 // SCALE


def _at(symbol: str, base: str, tick: str, step: str, valid_from: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=base,
        quote="USDT",
        tick_e8=to_e8(tick),
        step_e8=to_e8(step),
        min_qty_e8=to_e8(step),
        max_qty_e8=to_e8("9000000"),
        min_price_e8=to_e8(tick),
        max_price_e8=to_e8("1000000"),
        min_notional_e8=to_e8("5"),
        valid_from_ms=int(datetime.fromisoformat(valid_from).replace(tzinfo=UTC).timestamp())
        * 1000,
    )


def to_e8(text: str | Decimal | int) -> int:
    """Return a decimal amount as an integer at 1e-8; ValueError where it is finer or not a number."""
    try:
        scaled = Decimal(text) * SCALE
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"{text} has more than 8 decimal places")
    return int(scaled)


def from_e8(amount_e8: int) -> str:
    """Return an integer at 1e-8 as plain decimal text with 8 places, as the exchange writes it."""
    digits = str(int(amount_e8)).zfill(9 if amount_e8 >= 0 else 10)  # quicker than divmod
    return f"{digits[:-8]}.{digits[-8:]}"


_TABLE = {
    one.symbol: one
    for one in (
        _at("BTCUSDT", "BTC", "0.01", "0.00001", "2021-09-01"),
        _at("ETHUSDT", "ETH", "0.01", "0.0001", "2021-09-01"),
        _at("BNBUSDT", "BNB", "0.01", "0.001", "2024-12-01"),
        _at("SOLUSDT", "SOL", "0.01", "0.001", "2024-12-01"),
        _at("XRPUSDT", "XRP", "0.0001", "0.1", "2024-12-01"),
        _at("ADAUSDT", "ADA", "0.0001", "0.1", "2024-12-01"),
    )
}
KNOWN = tuple(_TABLE)


def instrument(symbol: str) -> Instrument:
    """Return today's trading rules of a pair; UsageError for one that the table does not hold."""
    try:
        return _TABLE[symbol]
    except KeyError:
        raise UsageError(f"unknown symbol {symbol!r}; known are {' '.join(KNOWN)}") from None


def infer_instrument(symbol: str, records: np.ndarray) -> Instrument:
    """Return rules whose tick is the coarsest power of ten that every candle's price is a multiple of.

    The step follows so that tick x step is 1e-8 or coarser; limits are those of a known pair of that
    name, or wide. Raises DataError where a price is finer than 1e-8.
    """
    prices = np.concatenate([records[name] for name in ("open", "high", "low", "close")])
    scaled = np.rint(prices * SCALE)
    if np.any(np.abs(scaled / SCALE - prices) > 1e-12 * prices):
        raise DataError(
            f"{symbol}: a price is finer than 1e-8, so no exchange could quote it; round the prices, or "
            "backtest them with filters='none'"
        )
    common = int(np.gcd.reduce(scaled.astype(np.int64))) if len(prices) else 1
    tick_e8 = 1
    while common % (tick_e8 * 10) == 0 and tick_e8 < SCALE:
        tick_e8 *= 10
    known = _TABLE.get(symbol)
    step_e8 = known.step_e8 if known else SCALE // 1000
    step_e8 = max(step_e8, SCALE // tick_e8)
    base = known.base if known else symbol.removesuffix("USDT")
    return Instrument(
        symbol=symbol,
        base=base,
        quote="USDT",
        tick_e8=tick_e8,
        step_e8=step_e8,
        min_qty_e8=step_e8,
        max_qty_e8=known.max_qty_e8 if known else MAX_E8,
        min_price_e8=tick_e8,
        max_price_e8=MAX_E8,
        min_notional_e8=to_e8("5"),
        valid_from_ms=int(records["open_time"][0]) if len(records) else 0,
    )
