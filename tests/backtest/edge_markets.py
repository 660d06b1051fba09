"""Markets in which a trend-following rule has an edge, since the drift turns seldom."""

from __future__ import annotations

import numpy as np

from tests.candle_builders import START_MS, to_cents
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

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
    opens = np.concatenate([[100.0], path[:-1, -1]])
    whole = np.column_stack([opens, path])
    timeframe = parse_timeframe(interval)
    records = records_from_columns(
        START_MS + np.arange(count) * timeframe.mean_ms,
        opens,
        whole.max(axis=1),
        whole.min(axis=1),
        path[:, -1],
        np.full(count, 1e6),
        timeframe,
    )
    return to_cents(Candles("BTCUSDT", timeframe, records))
