"""What the guards of one instance judge a buy by, kept outside the compiled loop.

The loop has these in registers (`workbench.core.simulate`); the event-driven backtest and the gateway
keep them here, and ask the core's own functions. What is told comes in the order in which it was booked,
with the market's time:

    filled    an execution that the ledger has booked, with the account before and after it
    closed    a candle closed, and so much was owned
    refused   a buy was held back

Everything is a fold of that, so a journal that holds the three gives the same watch again. The day is the
market's: it ends with the candle that closes at midnight UTC, or with the last one before a hole there.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from workbench.core.guards import buy_guard, realised_volatility, sized
from workbench.core.intents import ERROR_RANGE, REASONS
from workbench.core.records import readable
from workbench.errors import UsageError
from workbench.execution.guards import Guards
from workbench.execution.ledger import LedgerAccount
from workbench.market.candles import CANDLE
from workbench.market.timeframes import DAY_MS

NAMES = ("", "trades_a_day", "daily_loss", "drawdown", "cooldown_bars", "loss_streak")


class GuardWatch:
    """The guards of one instance, if any `is_on`; `count` is how many buys they held back."""

    def __init__(self, guards: Guards, *, capital: float) -> None:
        self.is_on, self.holds_back = guards.is_any, guards.holds_back
        self.count = 0
        self._record = readable(guards.record())
        self._peak = self._equity = self._day_equity = capital
        self._closed_ms = self._day = 0
        self._bars = 0
        self._buys = self._buys_day = 0
        self._begun: set[int] = set()  # orders that have begun to buy
        self._trip_began = 0.0  # what had been realised before this round trip
        self._last_exit = -1
        self._losses = 0

    def filled(self, time_ms: int, order: int, before: LedgerAccount, after: LedgerAccount) -> None:
        """Take in an execution; an `order` that fills in parts is one buy, of the day that it began on."""
        if after.base_e8 > before.base_e8:
            if not before.is_open:
                self._trip_began = before.realised
            if order not in self._begun:
                self._begun.add(order)
                self._count_buy(time_ms // DAY_MS)
        elif not after.is_open:
            # A fill that is told late happened in a candle that has closed.
            self._last_exit = self._bars + (time_ms >= self._closed_ms)
            profit = after.realised - self._trip_began
            self._losses = 0 if profit > 0.0 else self._losses + 1

    def _count_buy(self, day: int) -> None:
        if day > self._buys_day:
            self._buys, self._buys_day = 0, day
        if day == self._buys_day:  # one that is told late may be of a day that is over
            self._buys += 1

    def closed(self, close_ms: int, equity: float) -> None:
        """Mark the equity at a close, before the decision."""
        if self._bars and (close_ms - 1) // DAY_MS > self._day:
            self._day_equity = self._equity  # yesterday's last candle is missing
        self._bars += 1
        self._closed_ms, self._day = close_ms, close_ms // DAY_MS
        self._equity, self._peak = equity, max(self._peak, equity)
        if close_ms % DAY_MS == 0:
            self._day_equity = equity

    def size(self, target: float, realised: float) -> float:
        """Return a target scaled by the realised volatility; UsageError where there is none yet."""
        if self._record["volatility"][0] <= 0.0:
            return target
        if math.isnan(realised) and target > 0.0:
            raise UsageError(f"the strategy wrote {REASONS[ERROR_RANGE]}")
        return float(sized(target, self._record[0], realised))

    def objection(self) -> str:
        """Return the name of the guard that refuses a buy at this close, "" for none."""
        if not self.is_on:
            return ""
        since = self._bars - self._last_exit if self._last_exit >= 0 else -1
        buys_today = self._buys if self._buys_day == self._day else 0
        guard = buy_guard(
            self._record[0], self._equity, self._day_equity, self._peak, buys_today, since,
            self._losses,
        )  # fmt: skip
        return NAMES[int(guard)]

    def refused(self) -> None:
        """Count a buy that was held back."""
        self.count += 1

    def reason(self, name: str) -> str:
        """Return why a buy was held back, for people."""
        return f"guard {name}={self._record[name][0]:g} allows no buy now"


class VolatilityMeter:
    """The realised volatility a year, candle by candle: the core's own over the last `bars` returns."""

    def __init__(self, bars: int, bars_a_year: float) -> None:
        self._bars, self._bars_a_year = bars, bars_a_year
        self._closes: deque[float] = deque(maxlen=bars + 1)

    def see(self, close: float) -> None:
        """Take one closed candle in."""
        self._closes.append(close)

    @property
    def value(self) -> float:
        """Return the volatility at the last close, NaN before it has a value."""
        if len(self._closes) <= self._bars:
            return math.nan
        candles, found = readable(np.zeros(self._bars + 1, CANDLE)), np.empty(self._bars + 1)
        candles["close"] = self._closes
        realised_volatility(candles, self._bars, self._bars_a_year, found)
        return float(found[-1])
