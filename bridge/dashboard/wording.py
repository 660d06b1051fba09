"""How numbers, times and states read on the page: one place, so that columns agree.

Unknown values (None, NaN) read as an en dash. A minus is the typographic one, as wide as a plus.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

UNKNOWN = "–"
TONES = {
    "STARTING": "accent",
    "RUNNING": "up",
    "STOPPING": "warn",
    "STOPPED": "muted",
    "FAULTED": "down",
    "UNREACHABLE": "down",
}
ENDED = frozenset({"STOPPED"})
STOPPABLE = frozenset({"STARTING", "RUNNING", "FAULTED", "UNREACHABLE"})
_QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "EUR")


def amount(value: float | None, decimals: int = 2) -> str:
    """Return a number with thousands separated and a fixed number of decimals."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.{decimals}f}".replace("-", "−")


def signed(value: float | None, decimals: int = 2, *, suffix: str = "") -> str:
    """Return a number that always shows its sign; zero shows none."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    rounded = round(value, decimals)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):,.{decimals}f}{suffix}"


def quantity(value: float | None) -> str:
    """Return a quantity with as many of its 8 decimals as it needs."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:,.8f}".rstrip("0").rstrip(".")
    return text.replace("-", "−") or "0"


def sign_tone(value: float | None) -> str:
    """Return the tone of a profit or loss: up, down, or none for zero and unknown."""
    if value is None or not math.isfinite(value) or round(value, 8) == 0:
        return ""
    return "up" if value > 0 else "down"


def price_decimals(price: float | None) -> int:
    """Return how many decimals a price of that size is shown with."""
    if price is None or not math.isfinite(price) or price <= 0:
        return 2
    return 2 if price >= 10 else 4 if price >= 0.1 else 8


def decimals_of(prices: list[float], *, most: int = 8) -> int:
    """Return the fewest decimals that show every one of the prices exactly, at least 2."""
    for decimals in range(2, most):
        if all(round(price, decimals) == price for price in prices):
            return decimals
    return most


def moment(time_ms: int | None) -> str:
    """Return a time in ms as UTC date and minute."""
    if time_ms is None:
        return UNKNOWN
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def base_asset(symbol: str) -> str:
    """Return the asset that a pair's quantity counts: BTC for BTCUSDT."""
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote)
    return symbol
