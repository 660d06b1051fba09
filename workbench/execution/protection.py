"""Where the protective exits of one live position stand; a record that survives a restart as bytes.

The levels are the core's own, the same as in every backtest: they hang on the price that the entry
really paid, move when a candle closes, and an exit spends the target. Whoever holds this carries the
orders to an exchange and tells of their fills.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.core.account import COSTS
from workbench.core.exits import PLAN, needs_range, next_range
from workbench.core.records import INTENT, empty_intent
from workbench.execution.levels import Levels
from workbench.market.instruments import SCALE, Instrument

LEVELS = ("stop", "take_profit", "trail")
_KEPT = np.dtype(
    [("plan", PLAN), *((name, "<f8") for name in LEVELS)]
)  # the intent's levels beside it


class Protection(Levels):
    """The exits of one instance: `exits` is its EXITS record (shape (1,)), `saved` what was kept."""

    def __init__(self, exits: np.ndarray, rules: Instrument, saved: bytes = b"") -> None:
        costs = np.zeros(1, COSTS)
        costs["exact"] = 1
        costs["tick_e8"] = rules.tick_e8
        super().__init__(exits, empty_intent().reshape(1), costs)
        if saved:
            kept = np.frombuffer(saved, _KEPT)
            self._plan[:] = kept["plan"]
            for name in LEVELS:
                self._intent[name] = kept[name]

    def saved(self) -> bytes:
        """Return what a restart needs."""
        kept = np.zeros(1, _KEPT)
        kept["plan"] = self._plan
        for name in LEVELS:
            kept[name] = self._intent[name]
        return kept.tobytes()

    @property
    def stop_e8(self) -> int:
        """Return where the stop stands, 0 for none."""
        return round(self.stop * SCALE)

    @property
    def gain_e8(self) -> int:
        """Return where the take-profit stands, 0 for none."""
        return 0 if math.isinf(self.goal) else round(self.goal * SCALE)

    @property
    def has_stop(self) -> bool:
        """Return whether a position has a stop, or would have one if there were a position now."""
        exits, intent = self._exits[0], self._intent[0]
        written = intent["stop"] > 0.0 or intent["trail"] > 0.0
        return bool(written or exits["stop"]["unit"] or exits["trail"]["unit"])

    @property
    def reason(self) -> int:
        """Return why the last position was closed by an exit, 0 where none was."""
        return int(self._plan["reason"][0])

    @property
    def range_period(self) -> int:
        """Return the period of the average true range that the exits need, 0 for none."""
        return int(self._exits["atr_period"][0]) if needs_range(self._exits[0]) else 0

    def sold(self, reason: int, *, is_open: bool) -> None:
        """Take in a sale for a REASON (0 for a signal); a position that is closed has no levels."""
        if reason:
            self._plan["reason"] = self.named(reason)
        if not is_open:
            self.closed()

    def follow(self, intent: bytes, high: float, *, is_open: bool) -> None:
        """Put the levels of an intent in force at the close of a candle that reached `high`."""
        written = np.frombuffer(intent, INTENT)
        for name in LEVELS:
            self._intent[name] = written[name]
        if is_open:
            self.reached(high)


class RangeMeter:
    """Wilder's average true range, candle by candle: the core's own, one step at a time."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._count = 0
        self._memory = 0.0
        self._last_close = math.nan

    def see(self, high: float, low: float, close: float) -> None:
        """Take one closed candle in."""
        self._count += 1
        self._memory = next_range(
            self._memory, self._count, self._period, high, low, self._last_close
        )
        self._last_close = close

    @property
    def value(self) -> float:
        """Return the average, NaN before it has a value."""
        return self._memory if self._count >= self._period else math.nan
