"""A crowd of made-up symbols, `C0001USDT` and on: for load, never for research.

Every one is a walk in whole cents around a price of its own, seeded by its number, with candles that
hold to low <= open, close <= high. All open at the same times, as real symbols do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.execution.matching.tape import Tape
from workbench.market.candles import Candles, records_from_columns
from workbench.market.instruments import SCALE, Instrument, infer_instrument
from workbench.market.timeframes import parse_timeframe

BEGIN_MS = 1_735_689_600_000  # 2025-01-01T00:00Z
CANDLES, BACKLOG = 1_500, 60
CENT_E8, LOT_E8 = SCALE // 100, SCALE // 1_000
LABEL = "SYNTHETIC crowd, seed {}"


def crowd(count: int, interval: str, seed: int) -> dict[str, tuple[Candles, Instrument, Tape, int]]:
    """Return that many symbols with their candles, rules, tape and first candle to replay."""
    found = {}
    for number in range(1, count + 1):
        candles = _candles(f"C{number:04}USDT", interval, seed, number)
        rules = replace(
            infer_instrument(candles.symbol, candles.records[:1]),
            tick_e8=CENT_E8,
            min_price_e8=CENT_E8,
            step_e8=LOT_E8,
            min_qty_e8=LOT_E8,
        )
        found[candles.symbol] = (candles, rules, Tape(candles), BACKLOG)
    return found


def _candles(symbol: str, interval: str, seed: int, number: int) -> Candles:
    rng = np.random.default_rng([seed, number])
    timeframe = parse_timeframe(interval)
    closes = 10_000 + 100 * number + np.cumsum(rng.integers(-5, 6, CANDLES))
    opens = np.concatenate([[10_000 + 100 * number], closes[:-1]])
    highs = np.maximum(opens, closes) + rng.integers(0, 5, CANDLES)
    lows = np.minimum(opens, closes) - rng.integers(0, 5, CANDLES)
    volumes = rng.integers(1, 1_000_000, CANDLES) / 1_000
    times = BEGIN_MS + np.arange(CANDLES) * timeframe.mean_ms
    records = records_from_columns(
        times, opens / 100, highs / 100, lows / 100, closes / 100, volumes, timeframe
    )
    return Candles(symbol, timeframe, records, BACKLOG, LABEL.format(seed))
