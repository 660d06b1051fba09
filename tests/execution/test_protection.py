"""Where the exits of a live position stand, by hand, as its fills and closed candles tell."""

from __future__ import annotations

import numpy as np

from workbench.core.records import INTENT
from workbench.execution.exits import exits_of, no_exits
from workbench.execution.protection import Protection
from workbench.market.instruments import instrument


def test_a_trail_that_is_first_written_late_hangs_on_the_highest_high_since_entry() -> None:
    rules, quiet = instrument("BTCUSDT"), np.zeros(1, INTENT)
    trailing = quiet.copy()
    trailing["trail"] = 12.0
    kept = Protection(no_exits(), rules)
    kept.follow(quiet.tobytes(), 130.0, is_open=False)  # the signal's own high is none of it
    kept.bought(100.0, 1.0, 0.0, 0.0, bars_held=0)
    for high in (101.0, 120.0, 118.0):
        kept.follow(quiet.tobytes(), high, is_open=True)
        assert kept.stop_e8 == 0
    kept = Protection(no_exits(), rules, kept.saved())  # a restart forgets no high
    kept.follow(trailing.tobytes(), 113.0, is_open=True)
    assert kept.stop_e8 == 108_00000000


def test_a_buy_after_a_refused_exit_begins_levels_and_time_anew() -> None:
    """Bought at 100, given up; another buy at 80 when it was held for three closes: 72, and two closes more."""
    kept = Protection(exits_of("stop=10%,time_stop=2"), instrument("BTCUSDT"))
    kept.bought(100.0, 0.055, 0.0, 0.0, bars_held=0)
    assert (kept.stop_e8, kept.is_due(1), kept.is_due(2)) == (90_00000000, False, True)
    kept.give_up()
    assert (kept.stop_e8, kept.is_due(10**6)) == (0, False)
    kept = Protection(exits_of("stop=10%,time_stop=2"), instrument("BTCUSDT"), kept.saved())
    kept.bought(80.0, 0.06875, 0.055, 0.0, bars_held=3)
    assert (kept.stop_e8, kept.is_due(4), kept.is_due(5)) == (72_00000000, False, True)
