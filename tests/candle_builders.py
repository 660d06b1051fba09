"""Small candle series for tests: by hand, and random walks that are martingales in price."""

from __future__ import annotations

import numpy as np

from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

START_MS = 1_735_689_600_000  # 2025-01-01T00:00Z


def candles_of(
    opens: list[float],
    closes: list[float],
    *,
    interval: str = "1h",
    volumes: list[float] | None = None,
    start_ms: int = START_MS,
    first: int = 0,
    symbol: str = "TESTUSDT",
) -> Candles:
    """Return candles with the given opens and closes; high and low enclose them."""
    timeframe = parse_timeframe(interval)
    o, c = np.array(opens, float), np.array(closes, float)
    records = records_from_columns(
        start_ms + np.arange(len(o)) * timeframe.mean_ms,
        o,
        np.maximum(o, c),
        np.minimum(o, c),
        c,
        np.full(len(o), 10.0) if volumes is None else np.array(volumes, float),
        timeframe,
        label=symbol,
    )
    return Candles(symbol, timeframe, records, first)


def martingale(
    count: int, seed: int, *, interval: str = "1h", sigma: float = 0.01, substeps: int = 100
) -> Candles:
    """Return a random walk whose price is a martingale: log steps N(-s^2/2, s^2), 100 a candle."""
    rng = np.random.default_rng(seed)
    small = sigma / np.sqrt(substeps)
    steps = rng.normal(-(small**2) / 2, small, (count, substeps))
    path = 100.0 * np.exp(np.cumsum(steps).reshape(count, substeps))
    return along(path, interval=interval, symbol="TESTUSDT", volume=10.0)


def to_cents(candles: Candles) -> Candles:
    """Return the candles as BTCUSDT with every price rounded to its tick of a cent."""
    records = candles.records.copy()
    for name in ("open", "high", "low", "close"):
        records[name] = np.round(records[name], 2)
    return Candles("BTCUSDT", candles.timeframe, records, candles.first)


def candles_of_bars(
    bars: list[tuple[float, float, float, float]],
    *,
    interval: str = "1h",
    volumes: list[float] | None = None,
    start_ms: int = START_MS,
    symbol: str = "TESTUSDT",
) -> Candles:
    """Return candles of (open, high, low, close)."""
    timeframe = parse_timeframe(interval)
    o, h, low, c = np.array(bars, float).T
    records = records_from_columns(
        start_ms + np.arange(len(bars)) * timeframe.mean_ms, o, h, low, c,
        np.full(len(bars), 10.0) if volumes is None else np.array(volumes, float),
        timeframe, label=symbol,
    )  # fmt: skip
    return Candles(symbol, timeframe, records)


def along(path: np.ndarray, *, interval: str, symbol: str, volume: float) -> Candles:
    """Return the candles of a price path, shape (candles, steps), that begins at 100."""
    opens = np.concatenate([[100.0], path[:-1, -1]])
    whole = np.column_stack([opens, path])
    timeframe = parse_timeframe(interval)
    records = records_from_columns(
        START_MS + np.arange(len(path)) * timeframe.mean_ms,
        opens,
        whole.max(axis=1),
        whole.min(axis=1),
        path[:, -1],
        np.full(len(path), volume),
        timeframe,
    )
    return Candles(symbol, timeframe, records)
