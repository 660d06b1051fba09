"""MACD crossover: long while the MACD line has crossed above its signal line.

    line   = EMA(close, fast) - EMA(close, slow)
    signal = EMA(line, signal)

Buy when line - signal turns from <= 0 to > 0 between two candles that both have a value, sell when
it turns from >= 0 to < 0.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import ema_step, ema_weight
from workbench.strategies.spec import Parameter, Spec, ema_stable

PARAMS = np.dtype([("fast", "<i8"), ("slow", "<i8"), ("signal", "<i8")], align=True)
STATE = np.dtype(
    [
        ("count", "<i8"),
        ("fast", "<f8"),
        ("slow", "<f8"),
        ("signal", "<f8"),
        ("difference", "<f8"),
        ("fast_weight", "<f8"),
        ("slow_weight", "<f8"),
        ("signal_weight", "<f8"),
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
    state.signal_weight = ema_weight(params.signal)


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    state.count += 1
    count, close = state.count, candle.close
    state.fast = ema_step(state.fast, close, count, params.fast, state.fast_weight)
    state.slow = ema_step(state.slow, close, count, params.slow, state.slow_weight)
    lines = count - params.slow + 1
    if lines < 1:
        return
    line = state.fast - state.slow
    state.signal = ema_step(state.signal, line, lines, params.signal, state.signal_weight)
    if lines < params.signal:
        return
    before, now = state.difference, line - state.signal
    state.difference = now
    if lines == params.signal:
        return
    if before <= 0.0 < now:
        intent.target = 1.0
    elif before >= 0.0 > now:
        intent.target = 0.0


def first_value(params):
    return params["slow"] + params["signal"] - 1


def stable(params):
    slow = ema_stable(params["slow"])  # counted from a seed that is whole after `slow` candles
    return np.maximum(slow + ema_stable(params["signal"]), slow + params["slow"])


SPEC = Spec(
    name="macd",
    title="MACD crossover, long only; fast must be below slow",
    source="Appel, G. (2005), Technical Analysis: Power Tools for Active Investors, ch. 8",
    parameters=(
        Parameter("fast", "int", 1, 500, 1, 12, "periods of the fast average"),
        Parameter("slow", "int", 2, 1000, 1, 26, "periods of the slow average"),
        Parameter("signal", "int", 1, 500, 1, 9, "periods of the signal line"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=stable,
)
