"""RSI swing: buy when Wilder's RSI rises out of oversold, sell when it falls out of overbought.

    RSI = 100 G / (G + L)        G, L = Wilder's averages of the gains and losses of the closes

Buy when RSI - oversold turns from <= 0 to > 0 between two candles that both have a value, sell when
RSI - overbought turns from >= 0 to < 0. An RSI closer than 1e-6 to a bound is on it: prices are decimals
and floats are not, so gains and losses that are equal differ by rounding. Where no close has moved
RSI is 50. Between the two bounds a position is kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import ema_step, rsi_value, wilder_weight
from workbench.strategies.spec import Parameter, Spec, wilder_stable

TIE = 1e-6

PARAMS = np.dtype([("period", "<i8"), ("oversold", "<f8"), ("overbought", "<f8")], align=True)
STATE = np.dtype(
    [
        ("count", "<i8"),
        ("close", "<f8"),
        ("gain", "<f8"),
        ("loss", "<f8"),
        ("rsi", "<f8"),
        ("weight", "<f8"),
    ],
    align=True,
)


@njit(nogil=True)
def valid(params):
    return params.oversold < params.overbought


@njit(nogil=True)
def prepare(state, params):
    state.weight = wilder_weight(params.period)


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    changes, change = state.count, candle.close - state.close
    state.count += 1
    state.close = candle.close
    if changes == 0:
        return
    state.gain = ema_step(state.gain, max(change, 0.0), changes, params.period, state.weight)
    state.loss = ema_step(state.loss, max(-change, 0.0), changes, params.period, state.weight)
    if changes < params.period:
        return
    before, now = state.rsi, rsi_value(state.gain, state.loss)
    state.rsi = now
    if changes == params.period:
        return
    rise, fall = params.oversold + TIE, params.overbought - TIE
    if before <= rise < now:
        intent.target = 1.0
    elif before >= fall > now:
        intent.target = 0.0


def first_value(params):
    return params["period"] + 1


def stable(params):
    return params["period"] + wilder_stable(params["period"])  # the seed is whole after `period`


SPEC = Spec(
    name="rsi",
    title="RSI swing (Wilder), long only; oversold must be below overbought",
    source="Wilder, J. W. (1978), New Concepts in Technical Trading Systems, section VI",
    parameters=(
        Parameter("period", "int", 1, 500, 1, 14, "periods of Wilder's averages"),
        Parameter("oversold", "float", 0, 100, 1, 30, "buy when RSI rises above it"),
        Parameter("overbought", "float", 0, 100, 1, 70, "sell when RSI falls below it"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=stable,
)
