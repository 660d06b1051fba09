"""What an intent may hold, and what it asks of the loop that executes it.

`decide` gets an empty intent at every candle: NaN target (no opinion), no levels, no ladder. What it
writes holds until the next close: a level that shall stay is written at every candle.

    stop, take_profit   prices in quote; 0 for none; they win over the exits overlay
    trail               distance in quote below the highest high since entry; 0 for none
    revision            counts the changes of the ladder; 0 for no ladder; written at every candle,
                        the rungs with a new one only

A target outside 0..1, or a level that is negative, infinite or NaN, cannot be executed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ASKS_TARGET = 1  # bits of what an intent asks for
ASKS_LEVELS = 2
ASKS_LADDER = 4
CANNOT_BE = 8  # it cannot be executed; `intent_error` says why

LARGEST = float(np.finfo(np.float64).max)  # compared with infinity, LLVM takes the bits apart

ERROR_NONE = 0
ERROR_TARGET = 1
ERROR_EXITS = 2  # a form of the loop without exits met a level
ERROR_LADDER = 3  # a form of the loop without ladders met a ladder
ERROR_LEVEL = 4
ERROR_RANGE = 5  # an entry before the average true range, or the volatility, has a value
ERROR_RUNGS = 6  # a ladder that no loop can carry out
ERROR_OUTGROWN = 8  # not the intent's fault: the account's whole numbers at 1e-8 would run over

REASONS = {
    ERROR_TARGET: "a target outside 0..1 or infinite",
    ERROR_EXITS: "a stop, take-profit or trail, which this engine does not execute yet",
    ERROR_LADDER: "a ladder, which this engine does not execute yet",
    ERROR_LEVEL: "a stop, take-profit or trail that is below 0, infinite or not a number",
    ERROR_RANGE: "an entry before its exits' average true range, or the volatility that scales it, "
    "has a value; load candles before the window or shorten the period",
    ERROR_RUNGS: "a ladder that cannot be carried out: it has at most 64 rungs, each with an id of "
    "its own, side 1 or -1, price and quote above 0, and pair_price 0 or on the other side of its price",
    ERROR_OUTGROWN: "orders after which it held more than 9e10 of an asset, which whole numbers at 1e-8 "
    "cannot count; start with less cash, or use filters=none",
}


@njit(nogil=True, forceinline=True)
def intent_error(intent):
    """Return ERROR_NONE, or why no loop can execute this intent."""
    target = intent.target
    error = ERROR_NONE if np.isnan(target) else target_error(target)
    return error if error != ERROR_NONE else levels_error(intent)


@njit(nogil=True, forceinline=True)
def target_error(target):
    """Return ERROR_NONE, or ERROR_TARGET for a target that is none."""
    return ERROR_NONE if 0.0 <= target <= 1.0 else ERROR_TARGET


@njit(nogil=True, forceinline=True)
def levels_error(intent):
    """Return ERROR_NONE, or ERROR_LEVEL where a level is none."""
    if not (level_is_fine(intent.stop) and level_is_fine(intent.take_profit)):
        return ERROR_LEVEL
    return ERROR_NONE if level_is_fine(intent.trail) else ERROR_LEVEL


@njit(nogil=True, forceinline=True)
def level_is_fine(level):
    """Return whether a level is 0 (none) or a positive number; NaN is not."""
    return 0.0 <= level <= LARGEST


@njit(nogil=True, forceinline=True)
def want_nothing(intent):
    """Empty an intent for the next candle; rungs beyond `n_ladder` are never read, so they may stay."""
    intent.target = np.nan
    intent.stop = intent.take_profit = intent.trail = 0.0
    intent.revision = intent.n_ladder = 0


@njit(nogil=True)
def asks(intent):
    """Return what an intent asks for as bits, 0 for nothing: a target, levels, a ladder."""
    found = 0 if np.isnan(intent.target) else ASKS_TARGET
    if asks_for_exits(intent):
        found |= ASKS_LEVELS
    if asks_for_ladder(intent):
        found |= ASKS_LADDER
    return found if intent_error(intent) == ERROR_NONE else found | CANNOT_BE


@njit(nogil=True, forceinline=True)
def asks_for_exits(intent):
    """Return whether the intent holds a level."""
    return intent.stop != 0.0 or intent.take_profit != 0.0 or intent.trail != 0.0


@njit(nogil=True, forceinline=True)
def asks_for_ladder(intent):
    """Return whether the intent holds a ladder, or held one before."""
    return intent.revision != 0
