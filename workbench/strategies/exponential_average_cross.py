"""EMA cross: long while a fast exponential average of the closes is above a slow one.

Buy when EMA(close, fast) - EMA(close, slow) turns from <= 0 to > 0 between two candles that both have
a value, sell when it turns from >= 0 to < 0: equality is neither, and a crossing may start
from it. Equal are averages closer than 1e-13 of the price (`difference`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import difference, ema_step, ema_weight
from workbench.strategies.spec import Parameter, Spec, ema_stable

PARAMS = np.dtype([("fast", "<i8"), ("slow", "<i8")], align=True)
STATE = np.dtype(
    [
        ("count", "<i8"),
        ("fast", "<f8"),
        ("slow", "<f8"),
        ("difference", "<f8"),
        ("fast_weight", "<f8"),
        ("slow_weight", "<f8"),
    ],
    align=True,
)


@njit(nogil=True)
def valid(params):
    return params.fast < params.slow


@njit(nogil=True)
def prepare(state, params):
    state.fast_weight = ema_weight(params.fast)
    state.slow_weight = ema_weight(params.slow)


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    state.count += 1
    count, close = state.count, candle.close
    state.fast = ema_step(state.fast, close, count, params.fast, state.fast_weight)
    state.slow = ema_step(state.slow, close, count, params.slow, state.slow_weight)
    if count < params.slow:
        return
    before, now = state.difference, difference(state.fast, state.slow, close)
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
    return params["slow"] + ema_stable(params["slow"])  # the seed is whole after `slow` candles


SPEC = Spec(
    name="ema_cross",
    title="EMA cross, long only; fast must be below slow",
    source="Appel, G. (2005), Technical Analysis: Power Tools for Active Investors, ch. 6",
    parameters=(
        Parameter("fast", "int", 1, 500, 1, 20, "periods of the fast average"),
        Parameter("slow", "int", 2, 1000, 1, 50, "periods of the slow average"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=stable,
)
