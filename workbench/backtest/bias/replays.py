"""One strategy's decisions replayed: the compiled functions of `core.replay`, cached, with their scratch."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np

from workbench.backtest.kernels import generated_module, import_name, key_of
from workbench.core import replay
from workbench.core.records import POSITION, empty_intent
from workbench.core.replay import TRACE
from workbench.market.candles import CANDLE
from workbench.strategies.spec import FAILURES, Spec, decision_failed

_TEMPLATE = '''"""Generated from the sources of workbench.core and of strategy {name}; do not edit."""

from numba import njit

from workbench.core.replay import make_replay
from {module} import decide, prepare

_replay = make_replay(decide, prepare, "{key}_replay")


@njit(nogil=True, cache=True, error_model="numpy")
def replay(candles, begins, ends, how, first, params, flat, book, positions, traces, states):
    _replay(candles, begins, ends, how, first, params, flat, book, positions, traces, states)
'''
INTENT_FIELDS = tuple(name for name in TRACE.names or () if name != "state")


class Replay:
    """A strategy with one parameter set, to be run over candles again and again.

    Raises UsageError where a decision fails.
    """

    def __init__(self, spec: Spec, params: np.ndarray, cash: float) -> None:
        self.spec, self.cash = spec, cash
        self.params = np.ascontiguousarray(params, spec.params_dtype).reshape(1)
        self._run = _compiled(spec.name, spec.sha, import_name(spec)).replay
        state, intent, cell = np.zeros(1, spec.state_dtype), empty_intent().reshape(1), _nowhere()
        word = "<u8" if spec.state_dtype.itemsize % 8 == 0 else "<u1"
        now, words = np.zeros(1, POSITION), intent.view("<u8")
        self._book = (state, state.view(word), intent, words, now, cell)

    def follow(self, records: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of an account that trades the targets from `first` on, and the traces."""
        positions = np.zeros(len(records), POSITION)
        return positions, self._once(records, replay.FOLLOW, positions, first)

    def again(self, records: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the traces at these positions, from a fresh state, that of the last state alone."""
        return self._once(records, replay.AGAIN, positions)

    def closely(self, records: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the traces at these positions, from a fresh state, with every state."""
        return self._once(records, replay.CLOSELY, positions)

    def isolated(self, records: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the traces where each candle is read alone, out of memory that holds no other."""
        return self._once(records, replay.ISOLATED, positions)

    def settle(
        self, records: np.ndarray, ends: np.ndarray, warm: int, positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return trace and state at each end, begun anew `warm` candles before it."""
        traces, states = np.zeros(len(ends), TRACE), np.zeros(len(ends), self.spec.state_dtype)
        begins = np.maximum(ends - warm, 0)
        self._go(records, begins, ends + 1, replay.SETTLE, positions, traces, states)
        return traces, states

    def flat(self, count: int) -> np.ndarray:
        """Return so many positions of an account that holds its cash and nothing else."""
        positions = np.zeros(count, POSITION)
        positions["cash"] = positions["equity"] = self.cash
        return positions

    def _once(
        self, records: np.ndarray, how: int, positions: np.ndarray, first: int = 0
    ) -> np.ndarray:
        """Return the traces of one run over all the records."""
        traces, states = np.zeros(len(records), TRACE), np.zeros(0, self.spec.state_dtype)
        whole = np.array([0, len(records)])
        self._go(records, whole[:1], whole[1:], how, positions, traces, states, first)
        return traces

    def _go(
        self,
        records: np.ndarray,
        begins: np.ndarray,
        ends: np.ndarray,
        how: int,
        positions: np.ndarray,
        traces: np.ndarray,
        states: np.ndarray,
        first: int = 0,
    ) -> None:
        try:
            self._run(
                records, begins, ends, how, first, self.params, self.flat(1), self._book, positions,
                traces, states,
            )  # fmt: skip
        except FAILURES as failure:
            raise decision_failed(self.spec.name, failure) from failure


def _nowhere() -> np.ndarray:
    """Return three candles that are none."""
    cell = np.zeros(3, CANDLE)
    for name in ("open", "high", "low", "close", "volume", "aux"):
        cell[name] = np.nan
    return cell


@cache
def _compiled(name: str, sha: str, module: str) -> ModuleType:
    key = key_of(_TEMPLATE, name, sha)
    return generated_module(key, _TEMPLATE.format(name=name, module=module, key=key[:16]))
