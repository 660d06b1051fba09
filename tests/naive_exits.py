"""Slow, obvious oracle of protective exits and guards: a price that walks from leg to leg.

It shares nothing with the core: levels are worked out anew at every candle from what was bought and
what has closed since, and a candle is a list of points that the price visits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

DAY_MS = 86_400_000
TIE = 1e-12  # levels that differ by rounding alone are equal


@dataclass(frozen=True)
class Bar:
    """One candle; `finer` are the candles it is made of, where they are known."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 10.0
    missing: int = 0
    finer: tuple[Bar, ...] = ()

    @property
    def trades(self) -> bool:
        return self.volume > 0 and self.missing == 0

    @property
    def points(self) -> tuple[float, ...]:
        return self.open, self.low, self.high, self.close


@dataclass(frozen=True)
class Rules:
    """Levels as (value, unit), unit one of offset, pct, atr; None for none. Guards: None for off."""

    stop: tuple[float, str] | None = None
    take_profit: tuple[float, str] | None = None
    trail: tuple[float, str] | None = None
    atr_period: int = 14
    time_stop: int | None = None
    trades_a_day: int | None = None
    daily_loss: float | None = None
    drawdown: float | None = None
    cooldown_bars: int | None = None
    loss_streak: int | None = None
    streak_pause_bars: int = 0
    volatility: tuple[float, int] | None = None


@dataclass
class Trip:
    """What was bought from flat on, and the highs of the candles that have closed since."""

    buys: list[tuple[float, float]] = field(default_factory=list)  # price, base kept
    range_: float = math.nan
    highs: list[float] = field(default_factory=list)
    spent: float = 0.0
    earned: float = 0.0

    @property
    def price(self) -> float:
        kept = sum(base for _, base in self.buys)
        return sum(price * base for price, base in self.buys) / kept


@dataclass
class Tale:
    """Everything that happened: fills are (candle, side, price, why)."""

    cash: float
    base: float = 0.0
    trip: Trip | None = None
    fills: list[tuple[int, str, float, str]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    trips: list[tuple[int, float]] = field(default_factory=list)  # candle of the end, profit
    reasons: list[str] = field(default_factory=list)  # what decide sees at each close
    ambiguous: int = 0
    guarded: int = 0


def true_ranges(bars: Sequence[Bar], period: int) -> list[float]:
    """Return Wilder's average true range at every close, NaN before there is one."""
    reach = [bars[0].high - bars[0].low]
    for before, bar in pairwise(bars):
        top, bottom = max(bar.high, before.close), min(bar.low, before.close)
        reach.append(top - bottom)
    out = [math.nan] * len(bars)
    if len(bars) >= period:
        out[period - 1] = sum(reach[:period]) / period
        for t in range(period, len(bars)):
            out[t] = (out[t - 1] * (period - 1) + reach[t]) / period
    return out


def tell(
    bars: Sequence[Bar],
    targets: Sequence[float | None],
    rules: Rules,
    *,
    written: Sequence[tuple[float, float, float]] | None = None,
    cash: float = 10_000.0,
    fee: float = 0.001,
    slippage: float = 0.0001,
    interval_ms: int = 3_600_000,
) -> Tale:
    """Trade the targets at the next tradable open, with exits and guards.

    `written` are the stop, take-profit and trail that the strategy wrote at each close.
    """
    tale = Tale(cash)
    ranges = true_ranges(bars, rules.atr_period)
    wanted: tuple[str, float, int] | None = None
    last_target, last_equity_of_day = 0.0, {}
    levels = (0.0, 0.0, 0.0)
    day_of_fill = [bar.time // DAY_MS for bar in bars]
    for t, bar in enumerate(bars):
        if bar.trades:
            if wanted is not None:
                side, amount, signal = wanted
                if side == "BUY":
                    _buy(tale, t, bar.open * (1 + slippage), amount, fee, ranges[signal])
                else:
                    _sell(tale, t, bar.open * (1 - slippage), min(amount, tale.base), fee, "signal")
                wanted = None
            if tale.trip is not None:
                _leave(tale, t, bar, rules, levels, fee, slippage)
        worth = tale.cash + tale.base * bar.close
        tale.equity.append(worth)
        if tale.trip is not None:
            tale.trip.highs.append(bar.high)
        tale.reasons.append(_last_reason(tale))
        tomorrow = (bar.time + interval_ms) // DAY_MS
        last_equity_of_day[bar.time // DAY_MS] = worth
        if written is not None:
            levels = written[t]
        target = targets[t]
        if target is None or target == last_target:
            continue
        last_target = target
        wanted = None
        if rules.volatility is not None:
            target *= min(1.0, rules.volatility[0] / _volatility(bars, t, rules.volatility[1]))
        gap = target * worth - tale.base * bar.close
        if abs(gap) <= 1e-12 * worth:
            continue
        if gap < 0:
            if tale.base > 0:
                wanted = ("SELL", tale.base if target == 0 else -gap / bar.close, t)
            continue
        yesterday = [worth for day, worth in last_equity_of_day.items() if day < tomorrow]
        today = [
            1 for at, side, _, _ in tale.fills if side == "BUY" and day_of_fill[at] == tomorrow
        ]
        if held_back(tale, rules, t, cash, yesterday, len(today)):
            tale.guarded += 1
            continue
        wanted = ("BUY", min(gap, tale.cash), t)
    return tale


def held_back(
    tale: Tale, rules: Rules, t: int, cash: float, yesterday: list[float], buys_today: int
) -> bool:
    """Return whether a guard refuses a buy at the close of candle t."""
    worth = tale.equity[-1]
    before = yesterday[-1] if yesterday else cash
    since = t - tale.trips[-1][0] if tale.trips else None
    losses = 0
    for _, profit in tale.trips:
        losses = 0 if profit > 0 else losses + 1
    if rules.trades_a_day is not None and buys_today >= rules.trades_a_day:
        return True
    if rules.daily_loss is not None and worth <= before * (1 - rules.daily_loss):
        return True
    if rules.drawdown is not None and worth <= max(cash, *tale.equity) * (1 - rules.drawdown):
        return True
    if rules.cooldown_bars is not None and since is not None and since < rules.cooldown_bars:
        return True
    if rules.loss_streak is not None and losses >= rules.loss_streak:
        assert since is not None
        return rules.streak_pause_bars == 0 or since < rules.streak_pause_bars
    return False


def _volatility(bars: Sequence[Bar], t: int, count: int) -> float:
    closes = [bar.close for bar in bars[t - count : t + 1]]
    returns = [b / a - 1 for a, b in pairwise(closes)]
    mean = sum(returns) / count
    variance = sum((one - mean) ** 2 for one in returns) / (count - 1)
    return math.sqrt(variance * 8_760)


def _buy(tale: Tale, t: int, price: float, quote: float, fee: float, range_: float) -> None:
    if tale.trip is None:
        tale.trip = Trip(range_=range_)
    kept = quote / price * (1 - fee)
    tale.trip.buys.append((price, kept))
    tale.trip.spent += quote
    tale.cash -= quote
    tale.base += kept
    tale.fills.append((t, "BUY", price, "signal"))


def _sell(tale: Tale, t: int, price: float, base: float, fee: float, why: str) -> None:
    assert tale.trip is not None
    tale.cash += base * price * (1 - fee)
    tale.trip.earned += base * price * (1 - fee)
    left = 1 - base / tale.base  # a sale takes the same share of every buy
    tale.trip.buys = [(paid, kept * left) for paid, kept in tale.trip.buys]
    tale.base -= base
    tale.fills.append((t, "SELL", price, why))
    if tale.base <= 1e-15:
        tale.base = 0.0
        tale.trips.append((t, tale.trip.earned - tale.trip.spent))
        tale.trip = None


def _last_reason(tale: Tale) -> str:
    """Return why the last position ended, as far as an exit did it and nothing was bought since."""
    for _, side, _, why in reversed(tale.fills):
        if side == "BUY":
            return ""
        if why != "signal":
            return why
    return ""


def _leave(
    tale: Tale,
    t: int,
    bar: Bar,
    rules: Rules,
    levels: tuple[float, float, float],
    fee: float,
    slippage: float,
) -> None:
    trip = tale.trip
    assert trip is not None
    if rules.time_stop is not None and len(trip.highs) >= rules.time_stop:
        _sell(tale, t, bar.open * (1 - slippage), tale.base, fee, "time")
        return
    stop, why = _stop_of(trip, rules, levels)
    goal = _goal_of(trip, rules, levels)
    found, clear = _visit(bar, stop, goal)
    if not clear:
        for part in bar.finer:
            if part.trades:
                better, certain = _visit(part, stop, goal)
                if better is not None:
                    found, clear = better, certain
                    break
        tale.ambiguous += not clear
    if found is None:
        return
    which, price = found
    if which == "take_profit":
        _sell(tale, t, price, tale.base, fee, which)
    else:
        _sell(tale, t, price * (1 - slippage), tale.base, fee, why)


def _stop_of(
    trip: Trip, rules: Rules, levels: tuple[float, float, float]
) -> tuple[float | None, str]:
    fixed = levels[0] or None
    if fixed is None and rules.stop is not None:
        fixed = trip.price - _distance(rules.stop, trip.price, trip.range_)
    top = max([trip.buys[0][0], *trip.highs])
    trail = None
    if levels[2]:
        trail = top - levels[2]
    elif rules.trail is not None:
        size = trip.price if rules.trail[1] != "pct" else top
        trail = top - _distance(rules.trail, size, trip.range_)
    if trail is not None and (fixed is None or trail > fixed * (1 + TIE)):
        return trail, "trail"
    return fixed, "stop"


def _goal_of(trip: Trip, rules: Rules, levels: tuple[float, float, float]) -> float | None:
    if levels[1]:
        return levels[1]
    if rules.take_profit is None:
        return None
    return trip.price + _distance(rules.take_profit, trip.price, trip.range_)


def _distance(level: tuple[float, str], price: float, range_: float) -> float:
    value, unit = level
    return value * {"offset": 1.0, "pct": price, "atr": range_}[unit]


def _visit(
    bar: Bar, stop: float | None, goal: float | None
) -> tuple[tuple[str, float] | None, bool]:
    """Return what the price meets first on its way, and whether that is beyond doubt."""
    if stop is not None and bar.open <= stop:
        return ("stop", bar.open), True
    if goal is not None and bar.open > goal:
        return ("take_profit", goal), True
    for start, end in pairwise(bar.points):
        if stop is not None and min(start, end) <= stop:
            doubtful = goal is not None and bar.high > goal
            return ("stop", stop), not doubtful
        if goal is not None and max(start, end) > goal:
            return ("take_profit", goal), True
    return None, True
