"""Feed candles to a decision, as a runner does, and collect what it writes."""

from __future__ import annotations

import numpy as np

from tests.candle_builders import START_MS
from workbench import strategies
from workbench.core.records import INTENT, POSITION
from workbench.execution.instance import Decider
from workbench.market.candles import CANDLE

HOUR_MS = 3_600_000


def cents(closes: list[int], highs: list[int] | None = None, lows: list[int] | None = None):
    """Return candles of whole cents; without highs and lows the four prices are the close."""
    records = np.zeros(len(closes), CANDLE)
    records["open_time"] = START_MS + HOUR_MS * np.arange(len(closes))
    for name, prices in (("open", closes), ("close", closes), ("high", highs), ("low", lows)):
        records[name] = np.array(closes if prices is None else prices, np.float64) / 100.0
    records["volume"] = 1.0
    return records


def flat(cash: float = 10_000.0, **fields: float) -> np.ndarray:
    """Return a position without base, or with what the fields say."""
    position = np.zeros((), POSITION)
    position["cash"] = position["equity"] = cash
    for name, value in fields.items():
        position[name] = value
    return position


def intents(
    name: str, records: np.ndarray, positions: list[np.ndarray] | None = None, **params: float
) -> np.ndarray:
    """Return the intent written at each candle, from state bytes to state bytes."""
    spec = strategies.load(name)
    decider = Decider(spec, spec.params(**params))
    state, out = decider.initial_state(), np.zeros(len(records), INTENT)
    for i, record in enumerate(records):
        position = flat() if positions is None else positions[i]
        state, intent = decider.decide(state, record.tobytes(), position.tobytes())
        out[i] = np.frombuffer(intent, INTENT)[0]
    return out


def targets(name: str, records: np.ndarray, **params: float) -> list[float | None]:
    """Return the target written at each candle, None for no opinion."""
    written = intents(name, records, **params)["target"]
    return [None if np.isnan(one) else float(one) for one in written]
