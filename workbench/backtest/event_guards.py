"""Guards in the event-driven backtest: what the loop keeps in registers, kept here by hand."""

from __future__ import annotations

import math

from workbench.backtest.overlay import Overlay
from workbench.backtest.setting import sample_ends
from workbench.core.guards import GUARDS, buy_guard, holds_back, sized
from workbench.core.intents import ERROR_RANGE, REASONS
from workbench.errors import UsageError
from workbench.execution.guards import Guards
from workbench.market.candles import Candles

NAMES = ("", "trades_a_day", "daily_loss", "drawdown", "cooldown_bars", "loss_streak")


class EventGuards:
    """The guards of one instance, if any `is_on`; `refused` counts the buys that they held back."""

    def __init__(
        self, candles: Candles, guards: Guards, overlay: Overlay, *, capital: float
    ) -> None:
        self.is_on = guards.is_any
        self._record = guards.record()
        self._volatility = overlay.volatility
        self._day_ends = sample_ends(candles)
        self._peak = self._day_equity = self._equity = capital
        self._buys_today = 0
        self._last_exit = -1
        self._losses = 0
        self.refused = 0

    @property
    def holds_back(self) -> bool:
        """Return whether any guard could ever refuse a buy."""
        return self.is_on and bool(holds_back(self._record[0]))

    def bought(self) -> None:
        """Count a buy of today."""
        self._buys_today += 1

    def ended(self, t: int, profit: float) -> None:
        """Note that a round trip ended in candle t."""
        self._last_exit = t
        self._losses = 0 if profit > 0.0 else self._losses + 1

    def close(self, t: int, equity: float) -> None:
        """Mark the equity at the close of candle t; the day may end with it."""
        self._equity = equity
        self._peak = max(self._peak, equity)
        if self._day_ends[t]:
            self._day_equity, self._buys_today = equity, 0

    def size(self, target: float, t: int) -> float:
        """Return a target scaled by the realised volatility; UsageError before there is one."""
        if not len(self._volatility):
            return target
        realised = float(self._volatility[t])
        if math.isnan(realised) and target > 0.0:
            raise UsageError(f"the strategy wrote {REASONS[ERROR_RANGE]}")
        return float(sized(target, self._record[0], realised))

    def objection(self, t: int) -> str:
        """Return the guard that refuses a buy decided at the close of candle t, "" for none."""
        if not self.is_on:
            return ""
        since = t - self._last_exit if self._last_exit >= 0 else -1
        guard = buy_guard(
            self._record[0], self._equity, self._day_equity, self._peak, self._buys_today, since,
            self._losses,
        )  # fmt: skip
        name = NAMES[int(guard)]
        if not name:
            return ""
        self.refused += 1
        limit = self._record[name][0] if name in (GUARDS.names or ()) else ""
        return f"guard {name}={limit:g} allows no buy now"
