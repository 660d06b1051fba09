"""Donchian breakout: buy a close above the channel's top, sell one below its bottom.

    top    = highest high of the `entry` candles before this one
    bottom = lowest low of the `exit` candles before this one

The candle itself is not in its own channel. A close *on* a bound breaks nothing. Both conditions at
once cannot be: the bottom is never above the top where the windows overlap, and they always do.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import highest_step
from workbench.strategies.spec import Parameter, Spec

LONGEST = 500

PARAMS = np.dtype([("entry", "<i8"), ("exit", "<i8")], align=True)
STATE = np.dtype(
    [
        ("count", "<i8"),
        ("top", "<f8"),
        ("turned_bottom", "<f8"),
        ("highs", "<f8", (LONGEST,)),
        ("turned_lows", "<f8", (LONGEST,)),
    ],
    align=True,
)


@njit(nogil=True)
def valid(params):
    return params.entry >= 1 and params.exit >= 1


@njit(nogil=True)
def prepare(state, params):
    state.count = 0


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    known, close = state.count, candle.close
    if known >= max(params.entry, params.exit):
        if close > state.top:
            intent.target = 1.0
        elif -close > state.turned_bottom:
            intent.target = 0.0
    state.count = known + 1
    state.top = highest_step(state.highs, state.top, candle.high, state.count, params.entry)
    state.turned_bottom = highest_step(
        state.turned_lows, state.turned_bottom, -candle.low, state.count, params.exit
    )


def first_value(params):
    return np.maximum(params["entry"], params["exit"]) + 1


def stable(params):
    return np.maximum(params["entry"], params["exit"])


SPEC = Spec(
    name="donchian",
    title="Donchian breakout, long only",
    source="Donchian, R. (1960), the four-week rule; Faith, C. (2007), Way of the Turtle, ch. 10",
    parameters=(
        Parameter("entry", "int", 1, LONGEST, 1, 20, "candles whose highest high is the top"),
        Parameter("exit", "int", 1, LONGEST, 1, 10, "candles whose lowest low is the bottom"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=stable,
)
