"""What a run is made under: costs, filters, cash; and the candles as the kernel wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.core.account import COSTS
from workbench.core.costs import RATE_PER_BPS_E8
from workbench.errors import DataError, UsageError
from workbench.execution.guards import NO_GUARDS, Guards
from workbench.market.candles import Candles
from workbench.market.instruments import KNOWN, Instrument, infer_instrument, instrument
from workbench.market.timeframes import DAY_MS, YEAR_MS, Timeframe

if TYPE_CHECKING:
    import polars as pl

Filters = Literal["none", "exchange"]
DEFAULT_FEE_BPS = 10.0
DEFAULT_SLIPPAGE_BPS = 1.0
DEFAULT_CASH = 10_000.0
KILL_LIMIT = 0.30  # the drawdown at which an instance is stopped, where no guard has one
ROUNDED = 1e-9  # relative: what engines may differ by in one and the same equity


@dataclass(frozen=True, slots=True)
class Costs:
    """Fee and slippage in basis points a side, starting cash in quote, filters and guards.

    `filters="none"` rounds nothing; `"exchange"` keeps whole lots, ticks and amounts at 1e-8. Limit
    orders fill when they are traded through, with `touch` when their price is touched.
    Raises UsageError for a value that is negative, not finite or, for filters, unknown.
    """

    fee_bps: float = DEFAULT_FEE_BPS
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS
    cash: float = DEFAULT_CASH
    filters: Filters = "none"
    guards: Guards = NO_GUARDS
    touch: bool = False

    def __post_init__(self) -> None:
        for name in ("fee_bps", "slippage_bps", "cash"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise UsageError(f"{name}={value!r} is not a number; write {name}=10")
        for name in ("fee_bps", "slippage_bps"):
            value = getattr(self, name)
            if not 0.0 <= value < 10_000.0:
                raise UsageError(f"{name}={value} is out of range; it takes 0 to below 10000")
        if not (np.isfinite(self.cash) and 0.0 < self.cash <= 9e10):
            raise UsageError(
                f"cash={self.cash} is out of range; it takes more than 0, at most 9e10"
            )
        if self.filters not in ("none", "exchange"):
            raise UsageError(f"filters={self.filters!r} is unknown; use 'none' or 'exchange'")

    @property
    def rate_e8(self) -> int:
        """Return the fee as a share at 1e-8."""
        return round(self.fee_bps * RATE_PER_BPS_E8)

    def record(self, rules: Instrument | None) -> np.ndarray:
        """Return the COSTS record (shape (1,)) that the kernel reads."""
        costs = np.zeros(1, COSTS)
        costs["fee"] = self.fee_bps / 1e4
        costs["slippage_bps"] = self.slippage_bps
        costs["cash"] = self.cash
        costs["rate_e8"] = self.rate_e8
        costs["touch"] = self.touch
        if rules is not None:
            costs["exact"] = 1
            for name in (
                "tick_e8", "step_e8", "unit_e8", "min_qty_e8", "max_qty_e8", "min_notional_e8",
            ):  # fmt: skip
                costs[name] = getattr(rules, name)
        return costs


def trading_rules(candles: Candles, costs: Costs) -> tuple[Instrument | None, tuple[str, ...]]:
    """Return the instrument that applies (None without filters) and what must be said about it."""
    if costs.filters == "none":
        return None, ()
    known = instrument(candles.symbol) if candles.symbol in KNOWN else None
    begins = int(candles.window["open_time"][0])
    if known is not None and known.valid_from_ms <= begins:
        return known, ()
    inferred = infer_instrument(candles.symbol, candles.window)
    why = (
        "lie before our table's rules" if known else "are of a symbol that our table does not hold"
    )
    tick = f"{inferred.tick_e8 / 1e8:g}"
    return inferred, (f"{candles.symbol}: candles {why}; tick {tick} inferred from their prices",)


def demand_window(candles: Candles, at_least: int = 2) -> None:
    """Raise DataError where the window has too few candles to trade."""
    if len(candles) < at_least:
        raise DataError(
            f"{candles.symbol} {candles.timeframe}: {len(candles)} candles in the window, at least "
            f"{at_least} are needed; ask for an earlier start or a later end"
        )


def samples_a_year(timeframe: Timeframe) -> float:
    """Return how many return samples a year of 365 days holds."""
    return YEAR_MS / max(DAY_MS, timeframe.mean_ms)


def window_days(candles: Candles) -> float:
    """Return the window's length in days, counted in candles."""
    return len(candles) * candles.timeframe.mean_ms / DAY_MS


def beats(value: pl.Expr, holding: pl.Expr) -> pl.Expr:
    """Return whether a return, a fraction, is above holding's by more than engines round.

    Who bought when holding did, and never sold, has earned the same and has beaten nothing.
    """
    return 1.0 + value > (1.0 + holding) * (1.0 + ROUNDED)


def holding_curve(candles: Candles, costs: Costs) -> np.ndarray:
    """Return the equity of buying once at the open of the window's second candle, fee paid."""
    window = candles.window
    curve = np.full(len(window), costs.cash)
    price = window["open"][1] * (1.0 + costs.slippage_bps / 1e4)
    curve[1:] = costs.cash / price * (1.0 - costs.fee_bps / 1e4) * window["close"][1:]
    return curve


def plain(values: Mapping[str, object]) -> str:
    """Return parameters as text: fast=12, slow=26."""
    return ", ".join(f"{name}={value}" for name, value in values.items())
