"""SMA cross: long while a fast simple average of the closes is above a slow one.

Buy when SMA(close, fast) - SMA(close, slow) turns from <= 0 to > 0 between two candles that both have
a value, sell when it turns from >= 0 to < 0.

Equal are averages closer than 1e-13 of the price (`difference`): closes of 0.1, 0.2, 0.3 have the
average of the middle one. The sums do not drift (`sum_step`), so a decision depends on the last
`slow` + 1 closes alone.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import difference, ring_back, ring_put, sum_less, sum_step
from workbench.strategies.spec import Parameter, Spec

LONGEST = 500

PARAMS = np.dtype([("fast", "<i8"), ("slow", "<i8")], align=True)
STATE = np.dtype(
    [
        ("count", "<i8"),
        ("slot", "<i8"),  # of the ring of closes, where the next one goes
        ("fast", "<f8"),
        ("fast_rest", "<f8"),
        ("slow", "<f8"),
        ("slow_rest", "<f8"),
        ("difference", "<f8"),
        ("fast_period", "<f8"),  # as the divisions want them
        ("slow_period", "<f8"),
        ("closes", "<f8", (LONGEST,)),
    ],
    align=True,
)


@njit(nogil=True)
def valid(params):
    return params.fast < params.slow


@njit(nogil=True)
def prepare(state, params):
    state.fast_period, state.slow_period = params.fast, params.slow


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    state.count += 1
    count, close = state.count, candle.close
    from_fast = ring_back(state.closes, state.slot, params.fast, params.slow)
    from_slow = ring_back(state.closes, state.slot, params.slow, params.slow)
    state.slot = ring_put(state.closes, state.slot, close, params.slow)
    state.fast, state.fast_rest = sum_step(state.fast, state.fast_rest, close)
    state.fast, state.fast_rest = sum_less(state.fast, state.fast_rest, from_fast)
    state.slow, state.slow_rest = sum_step(state.slow, state.slow_rest, close)
    state.slow, state.slow_rest = sum_less(state.slow, state.slow_rest, from_slow)
    if count < params.slow:
        return
    fast = (state.fast + state.fast_rest) / state.fast_period
    slow = (state.slow + state.slow_rest) / state.slow_period
    before, now = state.difference, difference(fast, slow, close)
    state.difference = now
    if count == params.slow:
        return
    if before <= 0.0 < now:
        intent.target = 1.0
    elif before >= 0.0 > now:
        intent.target = 0.0


def first_value(params):
    return params["slow"]


def stable(params):
    return params["slow"] + 1


SPEC = Spec(
    name="sma_cross",
    title="SMA cross, long only; fast must be below slow",
    source="Brock, W., Lakonishok, J., LeBaron, B. (1992), Simple Technical Trading Rules and the "
    "Stochastic Properties of Stock Returns, Journal of Finance 47(5)",
    parameters=(
        Parameter("fast", "int", 1, LONGEST - 1, 1, 20, "candles of the fast average"),
        Parameter("slow", "int", 2, LONGEST, 1, 50, "candles of the slow average"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=stable,
)
