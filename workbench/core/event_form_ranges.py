"""Extremes of any range of closes in a block, from a table: highest, lowest and deepest fall.

A disjoint sparse table (Fischer & Heun 2006 compare such tables): level k cuts the block at the odd
multiples of 2^k and keeps, for each candle, the extremes between it and the cut beside it. The
highest bit in which two ends differ names the level whose cut lies between them, so two entries
answer any range, whatever its length. A block's table stays in the processor's second cache.
"""

from __future__ import annotations

from numba import njit

from workbench.core.vectors import at, leading_zeros

BLOCK = 1_024  # candles
LEVELS = 10
_ENTRY = 4  # highest, lowest, deepest fall as a ratio, 1 / highest
TABLE_SIZE = LEVELS * BLOCK * _ENTRY


@njit(nogil=True)
def build_ranges(closes, inverses, begin, count, table):
    """Write the table of `count` closes from `begin` on; `inverses` are 1 / close."""
    for i in range(count):
        _put(table, 0, i, closes[begin + i], closes[begin + i], 1.0, inverses[begin + i])
    for level in range(1, LEVELS):
        half = 1 << level
        for cut in range(half, count, 2 * half):
            high, low, fall, inverse = 0.0, 1e308, 1.0, 1e308
            for i in range(cut - 1, cut - half - 1, -1):
                close = closes[begin + i]
                fall = _lower(fall, low * inverses[begin + i])
                high, low = _higher(high, close), _lower(low, close)
                inverse = _lower(inverse, inverses[begin + i])
                _put(table, level, i, high, low, fall, inverse)
            high, low, fall, inverse = 0.0, 1e308, 1.0, 1e308
            for i in range(cut, min(cut + half, count)):
                close = closes[begin + i]
                high, low = _higher(high, close), _lower(low, close)
                inverse = _lower(inverse, inverses[begin + i])
                fall = _lower(fall, close * inverse)
                _put(table, level, i, high, low, fall, inverse)


@njit(nogil=True, forceinline=True)
def extremes(table, first, last):
    """Return (highest, lowest, deepest fall as a ratio <= 1) of candles first to last of the block."""
    level = 63 - leading_zeros((first ^ last) | 1)
    a = (level * BLOCK + first) * _ENTRY
    b = (level * BLOCK + last) * _ENTRY
    low = at(table, b + 1)
    fall = _lower(_lower(at(table, a + 2), at(table, b + 2)), low * at(table, a + 3))
    return _higher(at(table, a), at(table, b)), _lower(at(table, a + 1), low), fall


@njit(nogil=True, forceinline=True)
def _put(table, level, i, high, low, fall, inverse):
    j = (level * BLOCK + i) * _ENTRY
    table[j], table[j + 1], table[j + 2], table[j + 3] = high, low, fall, inverse


@njit(nogil=True, forceinline=True)
def _higher(one, other):
    return one if one > other else other


@njit(nogil=True, forceinline=True)
def _lower(one, other):
    return one if one < other else other
