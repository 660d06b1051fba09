"""Slow, obvious oracles of the strategies' decisions, in exact fractions; they share no code with them.

Each takes whole series and returns the target written at each close, None for no opinion. Prices are
whole cents, handed in as integers, so that ties are ties.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

Targets = list[float | None]
TIE = Fraction(1, 10**13)


def crossing(differences: list[Fraction | None]) -> Targets:
    """Return 1.0 where a difference turns from <= 0 to > 0, 0.0 where it turns from >= 0 to < 0."""
    out: Targets = [None]
    for before, now in pairwise(differences):
        if before is None or now is None:
            out.append(None)
        elif before <= 0 < now:
            out.append(1.0)
        elif before >= 0 > now:
            out.append(0.0)
        else:
            out.append(None)
    return out


def simple_average(values: list[int], period: int) -> list[Fraction | None]:
    """Return the average of the last `period` values, None before there are as many."""
    return [
        None if i + 1 < period else Fraction(sum(values[i + 1 - period : i + 1]), period)
        for i in range(len(values))
    ]


def smoothed(values: list[Fraction], period: int, weight: Fraction) -> list[Fraction | None]:
    """Return the exponential average seeded with the simple one of the first `period` values."""
    out: list[Fraction | None] = []
    for i, value in enumerate(values):
        last = out[-1] if out else None
        if last is not None:
            out.append(last + weight * (value - last))
        else:
            out.append(sum(values[: i + 1], Fraction(0)) / period if i + 1 == period else None)
    return out


def _apart(
    fast: list[Fraction | None], slow: list[Fraction | None], closes: list[int]
) -> list[Fraction | None]:
    out: list[Fraction | None] = []
    for one, other, close in zip(fast, slow, closes, strict=True):
        gap = None if one is None or other is None else one - other
        out.append(Fraction(0) if gap is not None and abs(gap) <= TIE * close else gap)
    return out


def sma_cross(closes: list[int], *, fast: int, slow: int) -> Targets:
    """Cross of two simple averages."""
    return crossing(_apart(simple_average(closes, fast), simple_average(closes, slow), closes))


def ema_cross(closes: list[int], *, fast: int, slow: int) -> Targets:
    """Cross of two exponential averages."""
    values = [Fraction(one) for one in closes]
    quick, sluggish = (smoothed(values, n, Fraction(2, n + 1)) for n in (fast, slow))
    return crossing(_apart(quick, sluggish, closes))


def rsi_series(closes: list[int], period: int) -> list[Fraction | None]:
    """Return Wilder's relative strength index; 50 where nothing has moved."""
    changes = [Fraction(b - a) for a, b in pairwise(closes)]
    gains = smoothed([max(c, Fraction(0)) for c in changes], period, Fraction(1, period))
    losses = smoothed([max(-c, Fraction(0)) for c in changes], period, Fraction(1, period))
    out: list[Fraction | None] = [None]
    for gain, loss in zip(gains, losses, strict=True):
        if gain is None or loss is None:
            out.append(None)
        else:
            out.append(100 * gain / (gain + loss) if gain + loss else Fraction(50))
    return out


def rsi(closes: list[int], *, period: int, oversold: int, overbought: int) -> Targets:
    """Buy when RSI rises out of oversold, sell when it falls out of overbought."""
    values = rsi_series(closes, period)
    near = Fraction(1, 10**6)

    def to(bound: int) -> list[Fraction | None]:
        gaps = [None if v is None else v - bound for v in values]
        return [g if g is None or abs(g) > near else Fraction(0) for g in gaps]

    rises, falls = crossing(to(oversold)), crossing(to(overbought))
    return [
        1.0 if up == 1.0 else 0.0 if down == 0.0 else None
        for up, down in zip(rises, falls, strict=True)
    ]


def bollinger(closes: list[int], *, period: int, width: int) -> Targets:
    """Buy below mean - width x deviation, sell at the mean; squares instead of roots."""
    out: Targets = []
    for i, close in enumerate(closes):
        window = closes[max(0, i + 1 - period) : i + 1]
        mean = Fraction(sum(window), len(window))
        variance = sum((v - mean) ** 2 for v in window) / len(window)
        if i + 1 < period:
            out.append(None)
        elif close >= mean:
            out.append(0.0)
        else:
            out.append(1.0 if (mean - close) ** 2 > width**2 * variance else None)
    return out


def donchian(
    closes: list[int], highs: list[int], lows: list[int], *, entry: int, exit: int
) -> Targets:
    """Buy above the highest high before, sell below the lowest low before."""
    out: Targets = []
    for i, close in enumerate(closes):
        if i < max(entry, exit):
            out.append(None)
        elif close > max(highs[i - entry : i]):
            out.append(1.0)
        else:
            out.append(0.0 if close < min(lows[i - exit : i]) else None)
    return out


def random_entry(open_times_ms: list[int], *, seed: int, bars: int, chance: float) -> Targets:
    """Buy by lot, sell after `bars` candles; the lot is splitmix64 in Python's own integers."""
    out: Targets = []
    left = 0
    for time in open_times_ms:
        if left:
            left -= 1
            out.append(None if left else 0.0)
        elif draw(seed, time) < chance:
            left = bars
            out.append(1.0)
        else:
            out.append(None)
    return out


def draw(seed: int, counter: int) -> float:
    """Return the number in 0..1 that seed and counter draw."""
    return (_splitmix(_splitmix(seed) ^ counter) >> 11) / 2**53


def _splitmix(number: int) -> int:
    number = (number + 0x9E3779B97F4A7C15) % 2**64
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % 2**64
    return number ^ (number >> 31)


ON_CLOSES: dict[str, Callable[..., Targets]] = {
    "sma_cross": sma_cross,
    "ema_cross": ema_cross,
    "rsi": rsi,
    "bollinger": bollinger,
}
