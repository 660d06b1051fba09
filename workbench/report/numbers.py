"""How numbers are written in charts, tables and reports; what cannot be computed is a dash."""

from __future__ import annotations

import math
from typing import Final

MISSING: Final = "–"
MINUS: Final = "\N{MINUS SIGN}"
RATIOS: Final = frozenset(
    {
        "total_return", "holding_return", "cagr", "max_drawdown", "win_rate", "exposure",
        "capital_exposure",
    }
)  # fmt: skip

NAMES: Final = {
    "cagr": "CAGR", "sharpe": "Sharpe", "sortino": "Sortino", "calmar": "Calmar", "sqn": "SQN",
    "bar_sharpe": "Sharpe per bar", "adjusted_sharpe": "Sharpe after Lo",
    "expectancy_r": "expectancy in R",
}  # fmt: skip


def spoken(name: str) -> str:
    """Return a column's name as it is said: 'max drawdown', 'Sharpe'."""
    return NAMES.get(name, name.replace("_", " "))


def percent(fraction: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Write a fraction as percent: 0.1234 -> '12.3 %'."""
    if _missing(fraction):
        return MISSING
    return f"{plain(100 * float(fraction or 0), digits, sign=sign)} %"


def plain(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Write a number with thousands separated and a real minus sign; minus zero is zero."""
    if _missing(value):
        return MISSING
    rounded = round(float(value or 0), digits) + 0.0
    return f"{rounded:{'+' if sign else ''},.{digits}f}".replace("-", MINUS)


def count(value: int | None) -> str:
    """Write a whole number with thousands separated."""
    return MISSING if value is None else f"{int(value):,}".replace("-", MINUS)


def price(value: float | None) -> str:
    """Write a price with as many decimals as its size asks for: 64,210.5 or 0.5537."""
    if _missing(value):
        return MISSING
    size = abs(float(value or 0))
    digits = 0 if size >= 10_000 else 2 if size >= 10 else 4 if size >= 0.01 else 8
    return plain(value, digits)


def duration(seconds: float | None) -> str:
    """Write a span of time: '850 ms', '12.3 s', '4 min 05 s'."""
    if _missing(seconds):
        return MISSING
    span = float(seconds or 0)
    if span < 1:
        return f"{span * 1000:.0f} ms"
    if span < 60:
        return f"{span:.1f} s"
    return f"{int(span // 60)} min {int(span % 60):02d} s"


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)
