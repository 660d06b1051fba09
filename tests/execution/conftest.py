"""An engine with one market standing, and two users with money."""

from __future__ import annotations

import pytest

from workbench.execution.matching import MatchingEngine
from workbench.market.instruments import SCALE, instrument

SYMBOL = "BTCUSDT"
FEE_E8 = 100_000  # 10 bps


@pytest.fixture
def engine() -> MatchingEngine:
    """BTCUSDT at 99.90 / 100.00, ten whole coins deep; ann and bob hold 10,000 USDT and 10 BTC."""
    made = MatchingEngine({SYMBOL: instrument(SYMBOL)}, FEE_E8, FEE_E8)
    for name in ("ann", "bob"):
        made.deposit(name, "USDT", 10_000 * SCALE)
        made.deposit(name, "BTC", 10 * SCALE)
    made.stand_at(SYMBOL, 9_990, 10_000, 1_000_000, 0)
    return made
