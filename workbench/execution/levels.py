"""Where the protective exits of one position stand, for whoever carries them out order by order.

The event-driven backtest and the gateway keep the same books: levels hang on what the buys really paid,
move when a candle closes, and go with the position. The rules are the core's own (`core.exits`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.exits import (
    PLAN,
    REASON_STOP,
    REASON_TRAIL,
    enter,
    set_levels,
    stand_down,
)
from workbench.core.records import readable


class Levels:
    """The levels of one position; `exits`, `intent` and `costs` are records of shape (1,).

    `intent` is where the strategy's own levels stand whenever this is asked.
    """

    def __init__(self, exits: np.ndarray, intent: np.ndarray, costs: np.ndarray) -> None:
        self._exits, self._intent, self._costs = readable(exits), readable(intent), readable(costs)
        self._plan = readable(np.zeros(1, PLAN))
        stand_down(self._plan[0])

    @property
    def plan(self) -> np.ndarray:
        """Return the PLAN record (shape (1,)) as it is now."""
        return self._plan

    @property
    def stop(self) -> float:
        """Return where the stop stands, 0 for none."""
        return float(self._plan["stop_now"][0])

    @property
    def goal(self) -> float:
        """Return where the take-profit stands, infinity for none."""
        return float(self._plan["take_profit_now"][0])

    def is_due(self, bars_held: int) -> bool:
        """Return whether a position has been held for as long as it may."""
        return bars_held >= int(self._plan["bars_now"][0])

    def bought(
        self, price: float, kept: float, held: float, range_: float, *, bars_held: int
    ) -> None:
        """Hang the levels on a buy: `kept` base on top of what was `held`, `range_` at its signal.

        `bars_held` are the closes that the position was held for when it filled.
        """
        self._plan["reason"] = 0
        enter(self._plan[0], self._exits[0], price, kept, held, range_, bars_held)
        set_levels(self._plan[0], self._intent[0], self._costs[0])

    def reached(self, high: float) -> None:
        """Move them at the close of a candle that reached `high`; an exit that was given up stays so."""
        _ratchet(self._plan, self._intent, self._costs, high)

    def named(self, reason: int) -> int:
        """Return the REASON of a sale: that of a stop is the trailing one's where that one stood."""
        return REASON_TRAIL if reason == REASON_STOP and self._plan["trails"][0] else reason

    def closed(self) -> None:
        """Take the levels away: the position is sold."""
        stand_down(self._plan[0])

    def give_up(self) -> None:
        """Try no exit again before another buy: the exchange finds the position too small."""
        stand_down(self._plan[0])
        self._plan["spent"] = 1


@njit(nogil=True)
def _ratchet(plans, intents, costs, high):  # type: ignore[no-untyped-def]
    plan = plans[
        0
    ]  # whole arrays: a record of its own costs Python half a microsecond to hand over
    if plan.spent == 0:
        plan.highest = max(plan.highest, high)
        set_levels(plan, intents[0], costs[0])
