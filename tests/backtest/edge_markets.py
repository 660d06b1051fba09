"""Markets in which a trend-following rule has an edge, since the drift turns seldom."""

from __future__ import annotations

import numpy as np

from tests.candle_builders import along, to_cents
from workbench.market.candles import Candles

SUBSTEPS = 20


def turning(
    count: int,
    seed: int,
    *,
    drift: float = 0.0035,
    sigma: float = 0.007,
    stays: int = 24,
    interval: str = "4h",
) -> Candles:
    """Return candles whose drift is up or down for `stays` candles on average, prices in cents."""
    rng = np.random.default_rng(seed)
    signs = np.where(np.cumsum(rng.random(count) < 1 / stays) % 2 == 0, 1.0, -1.0)
    steps = rng.normal(0.0, sigma / np.sqrt(SUBSTEPS), (count, SUBSTEPS))
    steps += (signs * drift / SUBSTEPS)[:, None]
    path = 100.0 * np.exp(np.cumsum(steps).reshape(count, SUBSTEPS))
    return to_cents(along(path, interval=interval, symbol="BTCUSDT", volume=1e6))
