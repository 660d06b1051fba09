"""Where the exits of a live position stand, by hand, as its fills and closed candles tell."""

from __future__ import annotations

import numpy as np

from workbench.core.records import INTENT
from workbench.execution.exits import no_exits
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
