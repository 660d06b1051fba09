"""Cost averaging (DCA): buy for the same amount every so many candles, until the cash is spent.

The amount is a share of the equity at the first candle. A purchase is a target: what the position is
worth at this close plus the amount, over the equity; it is never above 1. Counting begins at the
first candle that trades: nothing before it matters, so no warm-up is fed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.strategies.spec import Parameter, Spec, nothing_to_settle

PARAMS = np.dtype([("every", "<i8"), ("share", "<f8")], align=True)
STATE = np.dtype([("count", "<i8"), ("amount", "<f8")], align=True)


@njit(nogil=True)
def valid(params):
    return params.every >= 1 and 0.0 < params.share <= 1.0


@njit(nogil=True)
def prepare(state, params):
    state.count = 0


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    if state.count == 0:
        state.amount = params.share * position.equity
    due = state.count % params.every == 0
    state.count += 1
    if due and position.equity > 0.0 and position.cash > 0.0:
        wanted = position.quantity * candle.close + state.amount
        intent.target = min(1.0, wanted / position.equity)


def first_value(params):
    return nothing_to_settle(params) + 1


SPEC = Spec(
    name="dca",
    title="Cost averaging (DCA)",
    source="Graham, B. (1949), The Intelligent Investor, ch. 5; against it: Constantinides, G. (1979), "
    "A Note on the Suboptimality of Dollar-Cost Averaging, JFQA 14(2)",
    parameters=(
        Parameter("every", "int", 1, 100_000, 1, 24, "candles from one purchase to the next"),
        Parameter("share", "float", 0.001, 1, 0.001, 0.02, "share of the first equity a purchase"),
    ),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=first_value,
    stable=nothing_to_settle,
)
