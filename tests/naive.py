"""Slow, obvious oracles: the same rules once more, written for reading and sharing nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from itertools import pairwise


def sma_seeded_ema(values: list[float], period: int) -> list[float | None]:
    """Return the exponential average, None until `period` values have been seen."""
    out: list[float | None] = []
    for i, value in enumerate(values):
        if i + 1 < period:
            out.append(None)
        elif i + 1 == period:
            out.append(sum(values[:period]) / period)
        else:
            k = 2 / (period + 1)
            out.append(k * value + (1 - k) * out[-1])  # type: ignore[operator]
    return out


def macd_targets(closes: list[float], fast: int, slow: int, signal: int) -> list[float | None]:
    """Return 1.0 where MACD says buy at that close, 0.0 where it says sell, else None."""
    quick, sluggish = sma_seeded_ema(closes, fast), sma_seeded_ema(closes, slow)
    line = [a - b for a, b in zip(quick, sluggish, strict=True) if a is not None and b is not None]
    smooth = sma_seeded_ema(line, signal)
    histogram = [None] * (len(closes) - len(line)) + [
        None if s is None else v - s for v, s in zip(line, smooth, strict=True)
    ]
    targets: list[float | None] = [None]
    for before, now in pairwise(histogram):
        if before is None or now is None:
            targets.append(None)
        elif before <= 0 < now:
            targets.append(1.0)
        elif before >= 0 > now:
            targets.append(0.0)
        else:
            targets.append(None)
    return targets


@dataclass
class Book:
    """Cash and base of the naive account, and what happened to them."""

    cash: float
    base: float = 0.0
    fills: list[tuple[int, str, float, float]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)


def all_in_out(
    opens: list[float],
    closes: list[float],
    volumes: list[float],
    missing: list[int],
    targets: list[float | None],
    *,
    first: int,
    cash: float,
    fee: float,
    slippage: float,
) -> Book:
    """Trade targets 1 and 0 at the next tradable open, everything in and everything out."""
    book = Book(cash)
    want: float | None = None
    written = 0.0
    for t in range(len(closes)):
        if t >= first:
            if want is not None and volumes[t] > 0 and missing[t] == 0:
                if want == 1.0:
                    price = opens[t] * (1 + slippage)
                    book.base += book.cash / price * (1 - fee)
                    book.cash = 0.0
                    book.fills.append((t, "BUY", price, book.base))
                else:
                    price = opens[t] * (1 - slippage)
                    book.cash += book.base * price * (1 - fee)
                    book.fills.append((t, "SELL", price, book.base))
                    book.base = 0.0
                want = None
            book.equity.append(book.cash + book.base * closes[t])
            target = targets[t]
            if target is not None and target != written:
                written = target
                has = book.base > 0
                want = target if (target == 1.0) != has else None
    return book


def any_targets(
    opens: list[float],
    closes: list[float],
    volumes: list[float],
    targets: list[float | None],
    *,
    cash: float,
    fee: float,
    slippage: float,
) -> Book:
    """Trade towards any share of the equity, sized at the signal's close, at the next open with volume."""
    book, written = Book(cash), 0.0
    spend = sell = 0.0
    for t, close in enumerate(closes):
        if volumes[t] > 0 and spend > 0:
            price = opens[t] * (1 + slippage)
            book.base += spend / price * (1 - fee)
            book.cash -= spend
            book.fills.append((t, "BUY", price, spend / price))
            spend = 0.0
        elif volumes[t] > 0 and sell > 0:
            price = opens[t] * (1 - slippage)
            book.base -= sell
            book.cash += sell * price * (1 - fee)
            book.fills.append((t, "SELL", price, sell))
            sell = 0.0
        equity = book.cash + book.base * close
        book.equity.append(equity)
        if targets[t] is not None and targets[t] != written:
            written = targets[t]
            spend = sell = 0.0
            wanted = written * equity - book.base * close
            if wanted > 1e-11 * equity:
                spend = min(wanted, book.cash)
            elif wanted < -1e-11 * equity:
                sell = book.base if written == 0.0 else -wanted / close
    return book


@dataclass
class ExactBook:
    """The exchange's account in decimal arithmetic."""

    cash: Decimal
    base: Decimal = Decimal(0)
    fills: list[tuple[int, str, Decimal, Decimal]] = field(default_factory=list)


def exact_all_in_out(
    opens: list[float],
    targets: list[float | None],
    *,
    cash: Decimal,
    fee: Decimal,
    slippage: Decimal,
    tick: Decimal,
    step: Decimal,
) -> ExactBook:
    """Trade targets 1 and 0 at the next open in whole lots and ticks, fees cut off at 1e-8."""
    unit = Decimal("0.00000001")
    book, written, want = ExactBook(cash), 0.0, None
    for t, target in enumerate(targets):
        price = Decimal(repr(opens[t]))
        if want == 1.0:
            paid = (price * (1 + slippage) / tick).to_integral_value(ROUND_CEILING) * tick
            lots = (book.cash / paid / step).to_integral_value(ROUND_FLOOR)
            bought = lots * step
            book.cash -= bought * paid
            book.base += bought - (bought * fee).quantize(unit, ROUND_DOWN)
            book.fills.append((t, "BUY", paid, bought))
        elif want == 0.0:
            got = (price * (1 - slippage) / tick).to_integral_value(ROUND_FLOOR) * tick
            sold = (book.base / step).to_integral_value(ROUND_FLOOR) * step
            book.base -= sold
            book.cash += sold * got - (sold * got * fee).quantize(unit, ROUND_DOWN)
            book.fills.append((t, "SELL", got, sold))
        want = None
        if target is not None and target != written:
            written = target
            has = book.base >= step
            want = target if (target == 1.0) != has else None
    return book


def daily_returns(
    open_times_ms: list[int], interval_ms: int, cash: float, equity: list[float]
) -> list[float]:
    """Return the returns from one UTC day's last close to the next, the first from `cash`."""
    last: dict[int, float] = {}
    for opened, value in zip(open_times_ms, equity, strict=True):
        last[(opened + interval_ms - 1) // 86_400_000] = value
    levels = [cash, *last.values()]
    return [b / a - 1 for a, b in pairwise(levels)]


def sharpe(returns: list[float], samples_a_year: float) -> float:
    """Return mean over standard deviation (ddof 1), annualised."""
    mean = sum(returns) / len(returns)
    variance = sum((r - mean) ** 2 for r in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(samples_a_year)


def sortino(returns: list[float], samples_a_year: float) -> float:
    """Return mean over the root mean square of losses, annualised."""
    mean = sum(returns) / len(returns)
    losses = math.sqrt(sum(min(r, 0.0) ** 2 for r in returns) / len(returns))
    return mean / losses * math.sqrt(samples_a_year)


def max_drawdown(cash: float, equity: list[float]) -> float:
    """Return the deepest fall from a peak as a fraction <= 0."""
    peak, worst = cash, 0.0
    for value in equity:
        peak = max(peak, value)
        worst = min(worst, value / peak - 1)
    return worst
