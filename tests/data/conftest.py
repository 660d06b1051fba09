"""Small candle frames for the data tests, and the folder of recorded candles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import shared_path
from workbench.market.timeframes import parse_timeframe

JANUARY_2024_MS = 1_704_067_200_000  # 2024-01-01T00:00Z, a Monday

Build = Callable[..., pl.DataFrame]


def candle_frame(
    count: int,
    interval: str = "1h",
    *,
    symbol: str = "BTCUSDT",
    start_ms: int = JANUARY_2024_MS,
    raw: bool = True,
) -> pl.DataFrame:
    """Return healthy candles of a small sine wave, no two alike."""
    timeframe = parse_timeframe(interval)
    times = [timeframe.floor(start_ms)]
    while len(times) < count:
        times.append(timeframe.next(times[-1]))
    steps = np.arange(count)
    close = 100 + 5 * np.sin(steps / 7) + steps / 1000
    opened = np.concatenate([[100.0], close[:-1]])[:count]
    volume = 10 + 3 * np.cos(steps / 5)
    columns: dict[str, object] = {
        "symbol": [symbol] * count,
        "open_time": pl.Series(times[:count], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC")),
        "open": opened,
        "high": np.maximum(opened, close) + 0.25,
        "low": np.minimum(opened, close) - 0.25,
        "close": close,
        "volume": volume,
    }
    if raw:
        columns |= {
            "quote_volume": volume * close,
            "trades": steps + 1,
            "taker_buy_base": volume / 2,
            "taker_buy_quote": volume * close / 2,
        }
    return pl.DataFrame(columns)


@pytest.fixture
def candle() -> Build:
    """Return the builder of healthy candles."""
    return candle_frame


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of recorded candles, or skip."""
    return shared_path("data/klines_1h.parquet").parent
