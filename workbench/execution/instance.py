"""One instance's decision, as bytes in and bytes out: what a runner process serves.

The event-driven backtest calls it in process, the gateway calls it over a socket; the bytes are
those of the records in `workbench.core.records`, of the strategy's STATE and of a CANDLE.
"""

from __future__ import annotations

import math

import numpy as np

from workbench.core.intents import (
    ERROR_EXITS,
    ERROR_LADDER,
    ERROR_NONE,
    REASONS,
    asks_for_exits,
    asks_for_ladder,
    intent_error,
)
from workbench.core.records import INTENT, POSITION, empty_intent
from workbench.errors import UsageError
from workbench.market.candles import CANDLE
from workbench.strategies.spec import Spec


class Decider:
    """A strategy with one parameter set; it keeps nothing between two calls."""

    def __init__(self, spec: Spec, params: np.ndarray) -> None:
        self.spec = spec
        self.params = np.ascontiguousarray(params, spec.params_dtype).reshape(1)

    def initial_state(self) -> bytes:
        """Return the state before the first candle, with the strategy's constants prepared."""
        state = np.zeros(1, self.spec.state_dtype)
        self.spec.prepare(state[0], self.params[0])
        return state.tobytes()

    def decide(self, state: bytes, candle: bytes, position: bytes) -> tuple[bytes, bytes]:
        """Return the new state and the intent after one closed candle.

        Raises UsageError where a record has the wrong length for its dtype.
        """
        new_state = _record(state, self.spec.state_dtype, "state")
        intent = empty_intent().reshape(1)
        self.spec.decide(
            new_state[0],
            _record(candle, CANDLE, "candle")[0],
            _record(position, POSITION, "position")[0],
            self.params[0],
            intent[0],
        )
        return new_state.tobytes(), intent.tobytes()

    def warm_up(self, records: np.ndarray, state: bytes, cash: float = 0.0) -> bytes:
        """Return the state after feeding candles whose intents are ignored, flat and with `cash`."""
        new_state = _record(state, self.spec.state_dtype, "state")
        position = np.zeros(1, POSITION)
        position["cash"] = position["equity"] = cash
        for i in range(len(records)):
            intent = empty_intent().reshape(1)
            self.spec.decide(new_state[0], records[i], position[0], self.params[0], intent[0])
        return new_state.tobytes()


def next_target(last_target: float, intent: bytes, *, ladders: bool = False) -> float | None:
    """Return the target to act on, or None: no opinion (NaN), or the one last written again.

    Raises UsageError for an intent that cannot be executed, or that holds levels or (unless the
    caller carries out `ladders`) a ladder: the instance is then faulted.
    """
    record = _readable(intent)
    if asks_for_exits(record[0]):
        raise UsageError(f"the strategy wrote {REASONS[ERROR_EXITS]}")
    return target_beside_exits(last_target, intent, ladders=ladders)


def target_beside_exits(
    last_target: float, intent: bytes, *, ladders: bool = False
) -> float | None:
    """Return `next_target` where the caller executes the intent's levels (`written_levels`)."""
    record = _readable(intent)
    error = intent_error(record[0])
    if asks_for_ladder(record[0]) and not ladders:
        error = ERROR_LADDER
    if error != ERROR_NONE:
        raise UsageError(f"the strategy wrote {REASONS[error]} (target {record['target'][0]})")
    target = float(record["target"][0])
    return None if math.isnan(target) or target == last_target else target


def _readable(intent: bytes) -> np.ndarray:
    return _record(intent, INTENT, "intent").view(np.recarray)  # without the compiler too


def written_target(intent: bytes) -> float:
    """Return the target in an intent as it was written, NaN for no opinion."""
    return float(_record(intent, INTENT, "intent")["target"][0])


def written_revision(intent: bytes) -> int:
    """Return the revision of the ladder in an intent, 0 for none."""
    return int(_record(intent, INTENT, "intent")["revision"][0])


def _record(data: bytes, dtype: np.dtype, name: str) -> np.ndarray:
    if len(data) != dtype.itemsize:
        raise UsageError(
            f"{name} has {len(data)} bytes, its dtype {dtype.itemsize}: another version wrote it; "
            "stop the instance and start it anew"
        )
    return np.frombuffer(bytearray(data), dtype)
