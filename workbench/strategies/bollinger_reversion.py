"""Bollinger reversion: buy a close below the lower band, sell at the middle.

    middle = SMA(close, period)        lower = middle - width x deviation

The deviation is that of the population, as Bollinger's. A close *on* the lower band is not below it; a
close *on* the middle has reached it; on is whatever lies closer than 1e-13 of the price. In a flat
window the close is the middle. The opinion stands for
as long as its condition does: a position that a stop has closed is not opened again until a close
has reached the middle.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import deviation_of, difference, ring_step
from workbench.strategies.spec import Parameter, Spec

LONGEST = 500

PARAMS = np.dtype([("period", "<i8"), ("width", "<f8")], align=True)
STATE = np.dtype([("count", "<i8"), ("closes", "<f8", (LONGEST,))], align=True)


@njit(nogil=True)
def valid(params):
    return params.period >= 2


@njit(nogil=True)
def prepare(state, params):
    state.count = 0


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    state.count += 1
    count, close = state.count, candle.close
    ring_step(state.closes, close, count, params.period)
    if count < params.period:
        return
    middle, deviation = deviation_of(state.closes, close, count, params.period)
    if difference(middle, 0.0, close) <= 0.0:  # the middle, counted from the close
        intent.target = 0.0
    elif difference(middle, params.width * deviation, close) > 0.0:
        intent.target = 1.0


def first_value(params):
    return params["period"]


def stable(params):
    return params["period"]


SPEC = Spec(
    name="bollinger",
    title="Bollinger reversion, long only",
    source="Bollinger, J. (2001), Bollinger on Bollinger Bands, ch. 7 and 19",
    parameters=(
        Parameter("period", "int", 2, LONGEST, 1, 20, "candles of average and deviation"),
        Parameter("width", "float", 0, 10, 0.25, 2, "deviations from the middle to the band"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=stable,
)
