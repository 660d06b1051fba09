"""Other futures, and other pasts: what a candle series could have been, for those who must not know it.

A poisoned future replaces everything after a bar, `aux` and volume included: ten times as high, a wild
random walk after a gap, or nothing (NaN). A prices-only double of a whole series keeps its times and gaps
and has prices of its own, with the volatility of the real ones and nothing else from them.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

PRICES = ("open", "high", "low", "close")
WILD = 0.05  # deviation of a poisoned walk's log steps
DAY_MS = 86_400_000
WEEKS_52_MS = 52 * 7 * DAY_MS


class Poison(StrEnum):
    """What is put in place of the future."""

    TENFOLD = "tenfold"
    WALK = "random walk"
    MISSING = "missing"


def poison(
    records: np.ndarray, begin: int, end: int, kind: Poison, rng: np.random.Generator
) -> None:
    """Replace the candles from `begin` to `end` (not included), in place."""
    part = records[begin:end]
    if not len(part):
        return
    if kind is Poison.TENFOLD:
        for name in (*PRICES, "volume", "aux"):
            part[name] *= 10.0
    elif kind is Poison.MISSING:
        for name in (*PRICES, "volume", "aux"):
            part[name] = np.nan
    else:
        before = float(records["close"][begin - 1]) if begin else float(part["open"][0])
        for name, values in wild_prices(len(part), before, rng).items():
            part[name] = values
        part["open_time"] += DAY_MS
        part["missing_before"] += 1
        part["aux"] = rng.normal(0.0, 1.0, part["aux"].shape)


def priceless_double(records: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return candles at the same times whose prices and volumes are drawn; `aux` stays as it is."""
    double, volume = records.copy(), float(records["volume"].mean())
    deviation = volatility(records["close"])
    drawn = drawn_prices(len(records), float(records["open"][0]), deviation, volume, rng)
    for name, values in drawn.items():
        double[name] = values
    return double


def volatility(closes: np.ndarray) -> float:
    """Return the deviation of a series' log steps."""
    return float(np.std(np.diff(np.log(closes)))) if len(closes) > 2 else 0.01


def moved_in_time(records: np.ndarray, by_ms: int = WEEKS_52_MS) -> np.ndarray:
    """Return the candles at other dates; 52 weeks keep the hour and the day of the week."""
    moved = records.copy()
    moved["open_time"] += by_ms
    return moved


def scaled(records: np.ndarray, factor: float) -> np.ndarray:
    """Return the candles in another unit of price; a power of two changes no rounding."""
    other = records.copy()
    for name in PRICES:
        other[name] *= factor
    return other


def next_returns(opens: np.ndarray) -> np.ndarray:
    """Return what an order at each close earns from the next open to the one after it; NaN for the last two."""
    found = np.full(len(opens), np.nan)
    found[:-2] = opens[2:] / opens[1:-1] - 1.0
    return found


def drawn_prices(
    count: int, before: float, deviation: float, volume: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return prices and volumes of a random walk whose price is a martingale, opening at `before`."""
    steps = rng.normal(-(deviation**2) / 2.0, deviation, count)
    closes = before * np.exp(np.clip(np.cumsum(steps), -200.0, 200.0))
    opens = np.concatenate([[before], closes[:-1]])
    reach = np.abs(rng.normal(0.0, deviation / 2.0, (2, count)))
    return {
        "open": opens,
        "high": np.maximum(opens, closes) * (1.0 + reach[0]),
        "low": np.minimum(opens, closes) / (1.0 + reach[1]),
        "close": closes,
        "volume": (volume or 1.0) * rng.lognormal(0.0, 0.5, count),
    }


def wild_prices(count: int, before: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return prices and volumes that no market had, from the first open on, which gaps up by a tenth."""
    return drawn_prices(count, before * 1.1, WILD, 1.0, rng)
