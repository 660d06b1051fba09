"""Strategies that know too much, each with its honest twin, as texts; none is checked before it is built."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from workbench.strategies.own import build
from workbench.strategies.spec import Spec

HEAD = """
from numba import njit

PARAMS = {"unused": (0, 0, 9)}
"""
PEEKS = """
STATE = {"count": int}
WARM_UP = 1

@njit
def decide(state, candle, position, params, intent):
    intent.target = 1.0 if candle.aux[8] > candle.close else 0.0  # beyond its end: the next close
"""
FOLLOWS = """
STATE = {"count": int, "before": float}
WARM_UP = 1

@njit
def decide(state, candle, position, params, intent):
    if state.count > 0:
        intent.target = 1.0 if candle.close > state.before else 0.0
    state.before = candle.close
    state.count += 1
"""
BY_COUNT = """
STATE = {"count": int}
WARM_UP = 0

@njit
def decide(state, candle, position, params, intent):
    if state.count < len(ANSWERS):
        intent.target = ANSWERS[state.count]
    state.count += 1
"""
BY_TIME = """
STATE = {"count": int}
WARM_UP = 0

@njit
def decide(state, candle, position, params, intent):
    for one in TIMES:
        if candle.open_time == one:
            intent.target = 1.0
            return
    intent.target = 0.0
"""
BY_HOUR = """
STATE = {"count": int}
WARM_UP = 0

@njit
def decide(state, candle, position, params, intent):
    hour = candle.open_time // 3_600_000 % 24
    intent.target = 1.0 if 8 <= hour < 20 else 0.0
"""
ABOVE_LEVEL = """
STATE = {"count": int}
WARM_UP = 0

@njit
def decide(state, candle, position, params, intent):
    intent.target = 1.0 if candle.close > LEVEL else 0.0
"""
AVERAGE = """
from numba import njit

PARAMS = {"period": (12, 1, 500), "warm": (90, 0, 5000)}
STATE = {"count": int, "average": float}


@njit
def decide(state, candle, position, params, intent):
    if state.count == 0:
        state.average = candle.close
    state.average += 2.0 / (params.period + 1.0) * (candle.close - state.average)
    state.count += 1
    if state.count > 1:
        intent.target = 1.0 if candle.close > state.average else 0.0


def first_value(params):
    return params["period"]


def stable(params):
    return params["warm"]
"""


def made(name: str, body: str, **constants: object) -> Spec:
    """Return a strategy of this text, with constants written at its top."""
    lines = [f"{key} = {value!r}" for key, value in constants.items()]
    return build(name, HEAD + "\n".join(lines) + body)


def answers(records: np.ndarray) -> tuple[float, ...]:
    """Return 1 for each candle after which an order at the next open earns, else 0."""
    opens = records["open"]
    rises = [float(b > a) for a, b in pairwise(opens[1:])]
    return (*rises, 0.0, 0.0)
