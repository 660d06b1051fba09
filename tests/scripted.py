"""A strategy that reads its intent from the candle: hand-worked examples say what is wanted and when.

`aux` holds (target, stop, take-profit, trail) of each candle; a target of NaN is no opinion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numba import njit

from workbench.market.candles import Candles
from workbench.strategies.spec import Parameter, Spec, nothing_to_settle

PARAMS = np.dtype([("unused", "<i8")], align=True)
STATE = np.dtype([("count", "<i8")], align=True)


@njit(nogil=True)
def valid(params):
    return True


@njit(nogil=True)
def prepare(state, params):
    state.count = 0


@njit(nogil=True, forceinline=True)
def decide(state, candle, position, params, intent):
    state.count += 1
    intent.target = candle.aux[0]
    intent.stop = candle.aux[1]
    intent.take_profit = candle.aux[2]
    intent.trail = candle.aux[3]


SCRIPTED = Spec(
    name="scripted",
    title="What the test wrote into the candles",
    source="the test that uses it",
    parameters=(Parameter("unused", "int", 0, 1_000_000, 1, 0, "nothing"),),
    params_dtype=PARAMS,
    state_dtype=STATE,
    valid=valid,
    prepare=prepare,
    decide=decide,
    first_value=nothing_to_settle,
    stable=nothing_to_settle,
)


def scripted(candles: Candles, targets: Sequence[float | None]) -> Candles:
    """Return the candles with a target written at each close, None for no opinion."""
    if len(targets) != len(candles.records):
        raise ValueError(f"{len(targets)} targets for {len(candles.records)} candles")
    records = candles.records.copy()
    records["aux"] = 0.0
    records["aux"][:, 0] = [np.nan if one is None else one for one in targets]
    return replace(candles, records=records)
