"""Candles finer than their source: a path drawn inside every candle, seeded, labelled SYNTHETIC.

    open -- low -- high -- close      the order in which every shell walks a candle

The path goes from the open to the low, to the high and to the close, straight but for noise that stays
between low and high; where it turns is chance. The finer candles are cut from it on the source's own
tick, and their volumes are parts of the source's volume: put together again they are the source's
candles to the last digit, so that published klines of the source's interval stay what was recorded.
"""

from __future__ import annotations

import numpy as np

from workbench.errors import UsageError
from workbench.execution.matching.tape import LEGS, e8_of_floats
from workbench.market.candles import Candles, records_from_columns
from workbench.market.instruments import SCALE, infer_instrument
from workbench.market.timeframes import parse_timeframe

MOST = 4_000_000  # fine candles
NOISE = 0.15  # of a candle's range
LABEL = "SYNTHETIC {fine} path inside {source} candles, seed {seed}"


def refined(candles: Candles, interval: str, seed: int) -> Candles:
    """Return candles of a finer interval that add up to these. Raises UsageError where none can."""
    fine, source = parse_timeframe(interval), candles.timeframe
    if not (fine.fixed_ms and source.fixed_ms) or source.fixed_ms % fine.fixed_ms:
        raise UsageError(
            f"{fine} candles do not fit into {source} candles; pass a part of {source}"
        )
    parts, count = source.fixed_ms // fine.fixed_ms, len(candles.records)
    if parts * count > MOST:
        raise UsageError(
            f"{count} {source} candles would become {parts * count} of {fine}, {MOST} at most; "
            "narrow the replay with --start and --end"
        )
    rng = np.random.default_rng([seed, *candles.symbol.encode()])
    legs = np.stack([e8_of_floats(candles.records[leg]) for leg in LEGS])
    tick_e8 = infer_instrument(candles.symbol, candles.records).tick_e8
    opens, highs, lows, closes = _drawn(legs, parts, tick_e8, rng)
    volumes = _shared(e8_of_floats(candles.records["volume"]), parts, rng)
    times = candles.records["open_time"][:, None] + np.arange(parts) * fine.fixed_ms
    columns = [one.ravel() / SCALE for one in (opens, highs, lows, closes, volumes)]
    records = records_from_columns(
        times.ravel(), columns[0], columns[1], columns[2], columns[3], columns[4], fine
    )
    label = LABEL.format(fine=fine, source=source, seed=seed)
    source_text = f"{candles.source}; {label}"
    return Candles(candles.symbol, fine, records, candles.first * parts, source_text)


def _drawn(
    legs: np.ndarray, parts: int, tick_e8: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return opens, highs, lows and closes, a row a source candle; everything at 1e-8."""
    opened, low, high, closed = (leg[:, None] for leg in legs)
    turns = np.sort(rng.integers(0, parts, (legs.shape[1], 2)), axis=1)
    at_low, at_high = turns[:, :1], turns[:, 1:]
    step = np.arange(1, parts + 1)
    path = np.where(
        step <= at_low,
        _between(opened, low, step / np.maximum(at_low, 1)),
        np.where(
            step <= at_high,
            _between(low, high, (step - at_low) / np.maximum(at_high - at_low, 1)),
            _between(high, closed, (step - at_high) / (parts - at_high)),
        ),
    )
    noise = rng.normal(0, NOISE, path.shape) * (high - low)
    ticks = np.rint((path + noise) / tick_e8).astype(np.int64) * tick_e8
    closes = np.clip(ticks, low, high)
    closes[:, -1:] = closed
    opens = np.concatenate([opened, closes[:, :-1]], axis=1)
    number = np.arange(parts)
    lows = np.where(number == at_low, low, np.minimum(opens, closes))
    highs = np.where(number == at_high, high, np.maximum(opens, closes))
    return opens, highs, lows, closes


def _between(begin: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    return begin + (end - begin) * np.clip(share, 0.0, 1.0)


def _shared(volume_e8: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Return volumes cut into random parts that sum to them exactly."""
    weights = rng.uniform(0.5, 1.5, (len(volume_e8), parts))
    cut = volume_e8[:, None] * (weights / weights.sum(axis=1, keepdims=True))
    found = np.floor(cut).astype(np.int64)
    found[:, 0] += volume_e8 - found.sum(axis=1)
    return found
