"""Frames as a run hands them to the charts: small, seeded, and with known ends."""

from __future__ import annotations

import numpy as np
import polars as pl

HOUR_MS = 3_600_000
BEGIN_MS = 1_727_740_800_000  # 2024-10-01T00:00Z


def candle_frame(rows: int = 300) -> pl.DataFrame:
    """Return candles of a seeded walk; every body lies inside its wick."""
    rng = np.random.default_rng(5)
    close = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.004, rows)))
    opened = np.concatenate(([60_000.0], close[:-1]))
    times = pl.Series(BEGIN_MS + HOUR_MS * np.arange(rows)).cast(pl.Datetime("ms", "UTC"))
    return pl.DataFrame(
        {
            "open_time": times,
            "open": opened,
            "high": np.maximum(opened, close) * 1.002,
            "low": np.minimum(opened, close) * 0.998,
            "close": close,
            "volume": rng.uniform(10, 90, rows),
        }
    )


def equity_frame(rows: int = 300) -> pl.DataFrame:
    """Return an equity that ends 20 % up beside a holding that ends 10 % down."""
    times = pl.Series(BEGIN_MS + HOUR_MS * np.arange(rows)).cast(pl.Datetime("ms", "UTC"))
    return pl.DataFrame(
        {
            "open_time": times,
            "equity": np.linspace(10_000, 12_000, rows),
            "holding": np.linspace(10_000, 9_000, rows),
            "quantity": (np.arange(rows) % 40 < 20) * 0.1,
        }
    )


def trade_frame(candles: pl.DataFrame) -> pl.DataFrame:
    """Return one closed round trip and one that is still open."""
    times, opened = candles["open_time"], candles["open"]
    return pl.DataFrame(
        {
            "entry_time": [times[-100], times[-20]],
            "exit_time": [times[-60], None],
            "entry_price": [opened[-100], opened[-20]],
            "exit_price": [opened[-60], None],
        }
    )
