"""The guards of one live instance: the watch of the backtests, and what it was asked and told here.

Nothing of it is stored: `books.fold` tells it again what the journal holds, so that after a crash it knows
each close, each fill and each buy that it held back once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bridge.journal_rows import CandleRow, DecisionRow, FillRow, InstanceRow
from workbench.errors import UsageError
from workbench.execution.guard_watch import GuardWatch, VolatilityMeter
from workbench.execution.guards import Guards
from workbench.execution.ledger import LedgerAccount
from workbench.market.instruments import SCALE
from workbench.market.timeframes import parse_timeframe

MOST_VOLATILITY_BARS = 10_000  # candles that a start asks the exchange for


class LiveGuards:
    """Judges the buys of one instance at its closes."""

    def __init__(self, row: InstanceRow) -> None:
        guards = Guards.of(row.guards)
        self.is_on = guards.is_any
        self.last_refused: DecisionRow | None = None
        self._timeframe = parse_timeframe(row.interval)
        self._watch = GuardWatch(guards, capital=row.capital_e8 / SCALE)
        # From so many candles before the first its volatility is measured.
        self.warm_up = guards.volatility_bars if guards.volatility > 0.0 else 0
        self._meter = self._new_meter()

    @property
    def refused(self) -> int:
        """Return how many buys were held back."""
        return self._watch.count

    # -- what happened, now or in the journal

    def measure(self, candles: Sequence[CandleRow]) -> None:
        """Measure the volatility anew, from the newest of the candles that were seen already."""
        self._meter = self._new_meter()
        for candle in candles:
            self._see(candle.close)

    def filled(self, fill: FillRow, before: LedgerAccount, after: LedgerAccount) -> None:
        """Take in an execution that the ledger has booked."""
        if self.is_on:
            self._watch.filled(fill.market_ms, fill.order_id, before, after)

    def closed(self, open_time_ms: int, equity: float) -> None:
        """Mark the equity at the close of a candle, before the decision on it."""
        if self.is_on:
            self._watch.closed(self._timeframe.next(open_time_ms), equity)

    def decided(self, decision: DecisionRow) -> None:
        """Count a buy that was held back, once its decision is journaled."""
        if decision.guard:
            self._watch.refused()
            self.last_refused = decision

    # -- what a decision asks

    def at_close(self, candle: CandleRow, equity: float) -> None:
        """Take in the candle that is to be decided on."""
        self._see(candle.close)
        self.closed(candle.open_time_ms, equity)

    def size(self, target: float) -> float:
        """Return a target scaled by the realised volatility; UsageError where there is none yet."""
        return self._watch.size(target, self._meter.value if self._meter else math.nan)

    def objection(self) -> str:
        """Return the name of the guard that refuses a buy at this close, "" for none."""
        return self._watch.objection()

    def reason(self, name: str) -> str:
        """Return why a buy was held back, for people."""
        return self._watch.reason(name)

    def _new_meter(self) -> VolatilityMeter | None:
        return VolatilityMeter(self.warm_up, self._timeframe.per_year) if self.warm_up else None

    def _see(self, close: float) -> None:
        if self._meter:
            self._meter.see(close)


def demand_guards_that_can_judge(form: str) -> None:
    """Raise UsageError for guards that an instance cannot be started with."""
    guards = Guards.of(form)
    if guards.volatility > 0.0 and guards.volatility_bars > MOST_VOLATILITY_BARS:
        raise UsageError(
            f"guards {form!r}: volatility_bars={guards.volatility_bars} is more than the "
            f"{MOST_VOLATILITY_BARS} candles that a start asks the exchange for; take fewer"
        )
