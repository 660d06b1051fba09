"""Random entry: the control. It knows nothing, buys by lot and sells after a fixed time.

Each candle draws a number from (seed, open time) alone, so a draw does not depend on where the data
begins, on the machine or on the shell. Out of the market it buys when the number is below `chance`;
it sells when `hold_bars` more candles have closed. Costs aside it earns what its exposure earns: what a
strategy makes beyond it, it owes to its rules.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import counter_hash
from workbench.strategies.spec import Parameter, Spec, nothing_to_settle

PARAMS = np.dtype([("seed", "<i8"), ("hold_bars", "<i8"), ("chance", "<f8")], align=True)
STATE = np.dtype([("left", "<i8")], align=True)


@njit(nogil=True)
def valid(params):
    return params.hold_bars >= 1


@njit(nogil=True)
def prepare(state, params):
    state.left = 0


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    if state.left > 0:
        state.left -= 1
        if state.left == 0:
            intent.target = 0.0
    elif counter_hash(params.seed, candle.open_time) < params.chance:
        state.left = params.hold_bars
        intent.target = 1.0


def first_value(params):
    return nothing_to_settle(params) + 1


SPEC = Spec(
    name="random_entry",
    title="Random entry, the control",
    source="Basso, T., in: Tharp, V. (1998), Trade Your Way to Financial Freedom, ch. 8",
    parameters=(
        Parameter("seed", "int", 0, 2**31 - 1, 1, 1, "which of the random sequences"),
        Parameter(
            "hold_bars", "int", 1, 100_000, 1, 24, "candles from entry signal to exit signal"
        ),
        Parameter("chance", "float", 0, 1, 0.01, 0.05, "chance of an entry at a candle"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=nothing_to_settle,
)
