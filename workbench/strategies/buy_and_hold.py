"""Buy and hold: a share of the cash is put in once, at the first candle, and stays.

What every other strategy is measured against. The same target is written at every candle; it is acted
on once, so the share drifts with the price.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.strategies.spec import Parameter, Spec, nothing_to_settle

PARAMS = np.dtype([("share", "<f8")], align=True)
STATE = np.dtype([("count", "<i8")], align=True)


@njit(nogil=True)
def valid(params):
    return 0.0 < params.share <= 1.0


@njit(nogil=True)
def prepare(state, params):
    state.count = 0


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    state.count += 1
    intent.target = params.share


def first_value(params):
    return nothing_to_settle(params) + 1


SPEC = Spec(
    name="hold",
    title="Buy and hold",
    source="Malkiel, B. (1973), A Random Walk Down Wall Street",
    parameters=(Parameter("share", "float", 0.01, 1, 0.01, 1, "share of the equity to put in"),),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=nothing_to_settle,
)
