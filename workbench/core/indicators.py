"""Indicators as steps: one value in, one value out, all memory handed in by the caller.

An exponential average is seeded with the simple average of its first `period` values, as Wilder and
most charting packages do; until then the memory holds their sum.
"""

from __future__ import annotations

from numba import njit


@njit(nogil=True, forceinline=True)
def ema_weight(period):
    """Return the weight of the newest value in an exponential average: 2 / (period + 1)."""
    return 2.0 / (period + 1.0)


@njit(nogil=True, forceinline=True)
def ema_step(memory, value, count, period, weight):
    """Return the average after its `count`-th value (1-based); a sum while count < period."""
    if count > period:
        return memory + weight * (value - memory)
    if count < period:
        return memory + value
    return (memory + value) / period
