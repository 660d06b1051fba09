"""How the market of an event-driven backtest treats an order: how late, how much of it, as what.

    latency     an order reaches the market `latency_ms` after the close at which it was decided. What it
                meets inside a candle is the worst price between the open and its arrival on the path
                O-L-H-C, so that being later never helps; after the candle it waits for the next one
    volume      at most `volume_share` of a candle's volume trades with one's orders; what is left of an
                order goes on at the next tradable open, until it is done or the target changes
    orders      "market" takes what the market offers; "limit" rests at the close of the signal candle
                (a tick better where that is between two) and fills when it is traded through, as a maker

Everything at its default is the kernel's market: any size, at once, as a taker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.core.costs import RATE_PER_BPS_E8
from workbench.errors import UsageError

OrderKind = Literal["market", "limit"]
LONGEST_LATENCY_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class MarketModel:
    """Latency, share of the volume (None for any size), kind of orders, and the maker's fee (None: the
    taker's). Raises UsageError for a value out of range.
    """

    latency_ms: int = 0
    volume_share: float | None = None
    orders: OrderKind = "market"
    maker_fee_bps: float | None = None

    def __post_init__(self) -> None:
        if self.latency_ms != int(self.latency_ms) or not 0 <= self.latency_ms < LONGEST_LATENCY_MS:
            raise UsageError(
                f"latency_ms={self.latency_ms} is out of range; it takes whole milliseconds from 0 to "
                "below a year"
            )
        share, maker = self.volume_share, self.maker_fee_bps
        if share is not None and not 0.0 < share <= 1.0:
            raise UsageError(f"volume_share={share} is out of range; it takes above 0, at most 1")
        if self.orders not in ("market", "limit"):
            raise UsageError(f"orders={self.orders!r} is unknown; use 'market' or 'limit'")
        if maker is not None and not 0.0 <= maker < 10_000.0:
            raise UsageError(f"maker_fee_bps={maker} is out of range; it takes 0 to below 10000")

    def maker_rate_e8(self, taker_rate_e8: int) -> int:
        """Return the maker's commission as a share at 1e-8."""
        if self.maker_fee_bps is None:
            return taker_rate_e8
        return round(self.maker_fee_bps * RATE_PER_BPS_E8)

    def said(self) -> tuple[str, ...]:
        """Return what must be said about a market that is not the kernel's."""
        notes = []
        if self.latency_ms:
            notes.append(f"orders reach the market {self.latency_ms:,} ms after the close")
        if self.volume_share is not None:
            notes.append(f"orders trade at most {self.volume_share:.2%} of a candle's volume")
        if self.orders == "limit":
            notes.append("orders rest at the signal's close and fill as a maker")
        return tuple(notes)


AT_ONCE = MarketModel()
LEGS = ("open", "low", "high", "close")


def worst_price(candle: np.void, opened_ms: int, ends_ms: int, at_ms: int, *, buys: bool) -> float:
    """Return the worst price on the candle's path O-L-H-C between its open and `at_ms`.

    The prints stand at the opening, a third, two thirds and the end, as on the local exchange.
    """
    done = min(1.0, max(0.0, (at_ms - opened_ms) / (ends_ms - opened_ms))) * (len(LEGS) - 1)
    whole = int(done)
    seen = [float(candle[leg]) for leg in LEGS[: whole + 1]]
    if whole + 1 < len(LEGS):
        ahead = float(candle[LEGS[whole + 1]])
        seen.append(seen[-1] + (ahead - seen[-1]) * (done - whole))
    return max(seen) if buys else min(seen)


def legs_after(opened_ms: int, ends_ms: int, at_ms: int) -> tuple[str, ...]:
    """Return the prints of a candle that come after `at_ms`."""
    span, last = ends_ms - 1 - opened_ms, len(LEGS) - 1
    return tuple(leg for i, leg in enumerate(LEGS) if opened_ms + span * i // last > at_ms)
