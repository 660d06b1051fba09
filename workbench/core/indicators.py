"""Indicators as steps: one value in, one value out, all memory handed in by the caller.

An exponential average is seeded with the simple average of its first `period` values, as Wilder and
most charting packages do; until then the memory holds their sum.

Windows are rings: arrays in the caller's state that hold the last `period` values, the `count`-th
(1-based) at `(count - 1) % period`. Nothing that rolls may drift: a rolling sum carries the part that
each addition rounds off (Knuth's two-sum, so its error stays below one unit in the last place however
long the series), an extreme is one of the window's own values, a deviation is computed anew from the
whole window.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

TIE = 1e-13


@njit(nogil=True, forceinline=True)
def ema_weight(period):
    """Return the weight of the newest value in an exponential average: 2 / (period + 1)."""
    return 2.0 / (period + 1.0)


@njit(nogil=True, forceinline=True)
def ema_next(memory, value, weight):
    """Return the average after one more value; memory, value and weight may be lanes (`vectors`)."""
    return memory + weight * (value - memory)


@njit(nogil=True, forceinline=True)
def ema_step(memory, value, count, period, weight):
    """Return the average after its `count`-th value (1-based); a sum while count < period."""
    if count > period:
        return ema_next(memory, value, weight)
    if count < period:
        return memory + value
    return (memory + value) / period


@njit(nogil=True, forceinline=True)
def difference(one, other, size):
    """Return one - other, and 0 where they are closer than 1e-13 of `size`: then they are equal.

    Prices are decimals, floats are not: the averages of 0.1, 0.3 and of 0.2, 0.2 differ by rounding
    alone. The smallest true difference of two averages, one tick over two windows, is larger.
    """
    found = one - other
    return found if abs(found) > TIE * size else 0.0


@njit(nogil=True, forceinline=True)
def wilder_weight(period):
    """Return the weight of the newest value in Wilder's average: 1 / period."""
    return 1.0 / period


@njit(nogil=True, forceinline=True)
def rsi_value(gain, loss):
    """Return the relative strength index from average gain and loss; 50 where nothing moved."""
    moved = gain + loss
    return 100.0 * gain / moved if moved > 0.0 else 50.0


@njit(nogil=True, forceinline=True)
def ring_step(ring, value, count, period):
    """Put the `count`-th value into the ring and return the one it replaces, 0 while it fills."""
    slot = np.uint64(count - 1) % np.uint64(period)  # no sign to be looked at
    leaving = ring[slot] if count > period else 0.0
    ring[slot] = value
    return leaving


@njit(nogil=True, forceinline=True)
def ring_back(ring, slot, back, period):
    """Return the value that was put `back` places before `slot`, 1 to `period`; 0 where none was."""
    place = slot - back if slot >= back else slot - back + period
    return ring[np.uint64(place)]


@njit(nogil=True, forceinline=True)
def ring_put(ring, slot, value, period):
    """Put a value into a slot and return the next one: a division less than `ring_step`, at every value."""
    ring[np.uint64(slot)] = value
    return slot + 1 if slot + 1 < period else 0


@njit(nogil=True, forceinline=True)
def sum_step(total, rest, value):
    """Return (total, rest) with a value added; what the addition rounds off goes into the rest.

    Knuth (1997), The Art of Computer Programming 2, 4.2.2, theorem B.
    """
    new = total + value
    part = new - total
    return new, rest + ((total - (new - part)) + (value - part))


@njit(nogil=True, forceinline=True)
def sum_less(total, rest, value):
    """Return (total, rest) without a value that is one of those that the total holds, none negative.

    Dekker (1971), Numerische Mathematik 18: what a subtraction from the larger number rounds off.
    """
    new = total - value
    return new, rest + ((total - new) - value)


@njit(nogil=True, forceinline=True)
def highest_step(ring, highest, value, count, period):
    """Put a value into the ring and return the highest in it; it is searched when the old one leaves.

    For the lowest, hand in values with their sign turned.
    """
    leaving = ring_step(ring, value, count, period)
    if count == 1 or value >= highest:
        return value
    if count <= period or leaving < highest:
        return highest
    highest = ring[0]
    for i in range(1, period):
        highest = max(highest, ring[i])
    return highest


@njit(nogil=True, forceinline=True)
def deviation_of(ring, newest, count, period):
    """Return mean - newest and the standard deviation (of the population) of a full ring.

    Taken from the newest value and oldest first: a flat window gives exactly (0, 0), and the result
    depends on the window alone, not on where the series began.
    """
    oldest = count % period
    total = 0.0
    for i in range(period):
        total += ring[(oldest + i) % period] - newest
    mean = total / period
    squares = 0.0
    for i in range(period):
        part = ring[(oldest + i) % period] - newest - mean
        squares += part * part
    return mean, math.sqrt(squares / period)


@njit(nogil=True, forceinline=True)
def counter_hash(seed, counter):
    """Return a number in 0..1 (1 excluded) that depends on seed and counter alone.

    Two rounds of the splitmix64 finaliser: Steele, Lea & Flood (2014), OOPSLA, "Fast splittable
    pseudorandom number generators".
    """
    return (_mix(_mix(np.uint64(seed)) ^ np.uint64(counter)) >> np.uint64(11)) * 2.0**-53


@njit(nogil=True, forceinline=True)
def _mix(number):
    number = number + np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))
