"""One instance's decision: on records in process, and as their bytes, which a runner process serves.

The event-driven backtest feeds candle after candle into records that it keeps; the gateway sends their
bytes over a socket. Both call one compiled function. The bytes are those of the records in
`workbench.core.records`, of the strategy's STATE and of a CANDLE.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from workbench.core.intents import (
    ERROR_EXITS,
    ERROR_LADDER,
    ERROR_NONE,
    REASONS,
    asks,
    asks_for_exits,
    asks_for_ladder,
    intent_error,
    want_nothing,
)
from workbench.core.records import INTENT, POSITION, empty_intent, readable
from workbench.errors import UsageError
from workbench.market.candles import CANDLE
from workbench.strategies.spec import FAILURES, Spec, decision_failed


class Decider:
    """A strategy with one parameter set; it keeps nothing between two calls."""

    def __init__(self, spec: Spec, params: np.ndarray) -> None:
        self.spec = spec
        self.params = np.ascontiguousarray(params, spec.params_dtype).reshape(1)
        self._feed = _feeding(spec.decide)

    def feed(
        self,
        state: np.ndarray,
        candles: np.ndarray,
        t: int,
        positions: np.ndarray,
        row: int,
        intent: np.ndarray,
    ) -> int:
        """Decide at the close of `candles[t]` and write state and intent (shapes (1,)) in place.

        Returns what the intent asks for, as bits (`core.intents.asks`). Raises UsageError where it fails.
        """
        try:
            return self._feed(state, candles, t, positions, row, self.params, intent)
        except FAILURES as error:
            raise decision_failed(self.spec.name, error) from error

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
        candles = _record(candle, CANDLE, "candle")
        self.feed(new_state, candles, 0, _record(position, POSITION, "position"), 0, intent)
        return new_state.tobytes(), intent.tobytes()

    def warm_up(self, records: np.ndarray, state: bytes, cash: float = 0.0) -> bytes:
        """Return the state after feeding candles whose intents are ignored, flat and with `cash`."""
        new_state = _record(state, self.spec.state_dtype, "state")
        position = np.zeros(1, POSITION)
        position["cash"] = position["equity"] = cash
        intent = empty_intent().reshape(1)
        for i in range(len(records)):
            self.feed(new_state, records, i, position, 0, intent)
        return new_state.tobytes()


@cache
def _feeding(decide: Callable[..., None]) -> Callable[..., int]:
    """Return `decide` over arrays and places in them: a record made in Python costs a microsecond.

    Its divisions by zero are numpy's, as in the sweep's loop: what divides by zero decides the same.
    """

    @njit(nogil=True, error_model="numpy")
    def feed(state, candles, t, positions, row, params, intent):  # type: ignore[no-untyped-def]
        want_nothing(intent[0])
        decide(state[0], candles[t], positions[row], params[0], intent[0])
        return asks(intent[0])

    return feed


class BeyondEngine(UsageError):
    """The intent asks for what this engine does not execute, and another one does."""


def next_target(last_target: float, intent: bytes, *, ladders: bool = False) -> float | None:
    """Return the target to act on, or None: no opinion (NaN), or the one last written again.

    Raises UsageError for an intent that cannot be executed, or that holds levels or (unless the
    caller carries out `ladders`) a ladder: the instance is then faulted.
    """
    if asks_for_exits(readable(_record(intent, INTENT, "intent"))[0]):
        raise BeyondEngine(f"the strategy wrote {REASONS[ERROR_EXITS]}")
    return target_beside_exits(last_target, intent, ladders=ladders)


def target_beside_exits(
    last_target: float, intent: bytes, *, ladders: bool = False
) -> float | None:
    """Return `next_target` where the caller executes the levels of an intent as well."""
    record = readable(_record(intent, INTENT, "intent"))
    if asks_for_ladder(record[0]) and not ladders:
        raise BeyondEngine(f"the strategy wrote {REASONS[ERROR_LADDER]}")
    demand_executable(record)
    return differing(last_target, float(record["target"][0]))


def differing(last_target: float, target: float) -> float | None:
    """Return a target to act on; None for no opinion (NaN), or the one last written again."""
    return None if math.isnan(target) or target == last_target else target


def demand_executable(intent: np.ndarray) -> None:
    """Raise UsageError for an intent (shape (1,)) that no loop can execute."""
    error = intent_error(intent[0])
    if error != ERROR_NONE:
        raise UsageError(f"the strategy wrote {REASONS[error]} (target {intent['target'][0]})")


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
