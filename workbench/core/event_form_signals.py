"""Signals of sixteen parameter sets at once: for each candle one bit above, one bit below.

A bit of `above` says that the difference which the strategy watches is > 0 at that candle, a bit of
`below` that it is < 0; where both are 0 it is exactly 0. MACD and EMA cross run sixteen parameter
sets as lanes through the very steps that `decide` takes (`ema_next`), so their bits are those of
`decide`. SMA cross takes each average from running sums, sixteen candles at a time: correct but for
the last bits, so a candle whose difference lies close to the size that counts as equal (`TIE`) is
reported as a doubt.

`shape` holds what a group of sixteen is: candle it is fed from, and its periods; `memory` what it
remembers between two calls. A word covers 64 candles; words lie lane by lane: `word * LANES + lane`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.indicators import TIE, ema_next, ema_weight, sum_step
from workbench.core.vectors import (
    LANES,
    bits_above,
    choose_above,
    in_order,
    load,
    no_bits,
    push_sign,
    spread,
    store,
)

FED_FROM, FAST, SLOW, SIGNAL = 0, LANES, 2 * LANES, 3 * LANES
SHAPE_SIZE = 4 * LANES
MEMORY_SIZE = 3 * LANES
LONGEST_WINDOW = 1_024  # candles; zeros before the running sums, so that no index is negative
NEAR = 0.05  # the share of TIE within which two ways of summing may differ


@njit(nogil=True)
def macd_signals(market, begin, count, settled, shape, memory, above, below, doubts):
    """Write the bits of line - signal line for `count` candles; no lane is seeded after `settled`."""
    closes = market.closes
    fed_from, slow_period = load(shape, FED_FROM), load(shape, SLOW)
    fast_period, signal_period = load(shape, FAST), load(shape, SIGNAL)
    fast_weight, slow_weight = ema_weight(fast_period), ema_weight(slow_period)
    signal_weight = ema_weight(signal_period)
    fast, slow, signal = load(memory, 0), load(memory, LANES), load(memory, 2 * LANES)
    for word in range((count + 63) // 64):
        first = begin + word * 64
        last = min(first + 64, begin + count)
        up, down = no_bits(), no_bits()
        if first < settled:
            for t in range(first, last):
                seen = t + 1.0 - fed_from
                fast = _seeded(fast, spread(closes[t]), seen, fast_period, fast_weight)
                slow = _seeded(slow, spread(closes[t]), seen, slow_period, slow_weight)
                line, lines = fast - slow, seen - slow_period + 1.0
                signal = _seeded(signal, line, lines, signal_period, signal_weight)
                up, down = push_sign(up, signal - line), push_sign(down, line - signal)
        else:
            for t in range(first, last):
                fast = ema_next(fast, closes[t], fast_weight)
                slow = ema_next(slow, closes[t], slow_weight)
                line = fast - slow
                signal = ema_next(signal, line, signal_weight)
                up, down = push_sign(up, signal - line), push_sign(down, line - signal)
        store(above, word * LANES, in_order(up, last - first))
        store(below, word * LANES, in_order(down, last - first))
    store(memory, 0, fast)
    store(memory, LANES, slow)
    store(memory, 2 * LANES, signal)


@njit(nogil=True)
def ema_cross_signals(market, begin, count, settled, shape, memory, above, below, doubts):
    """Write the bits of fast - slow for `count` candles; equal within TIE, as `difference` says."""
    closes = market.closes
    fed_from, fast_period, slow_period = load(shape, FED_FROM), load(shape, FAST), load(shape, SLOW)
    fast_weight, slow_weight = ema_weight(fast_period), ema_weight(slow_period)
    fast, slow = load(memory, 0), load(memory, LANES)
    for word in range((count + 63) // 64):
        first = begin + word * 64
        last = min(first + 64, begin + count)
        up, down = no_bits(), no_bits()
        for t in range(first, last):
            if first < settled:
                seen = t + 1.0 - fed_from
                fast = _seeded(fast, spread(closes[t]), seen, fast_period, fast_weight)
                slow = _seeded(slow, spread(closes[t]), seen, slow_period, slow_weight)
            else:
                fast = ema_next(fast, closes[t], fast_weight)
                slow = ema_next(slow, closes[t], slow_weight)
            found, equal = fast - slow, TIE * closes[t]
            up, down = push_sign(up, equal - found), push_sign(down, equal + found)
        store(above, word * LANES, in_order(up, last - first))
        store(below, word * LANES, in_order(down, last - first))
    store(memory, 0, fast)
    store(memory, LANES, slow)


@njit(nogil=True)
def sma_cross_signals(market, begin, count, settled, shape, memory, above, below, doubts):
    """Write the bits of fast - slow for `count` candles; a doubt where a tie is not certain."""
    for lane in range(LANES):
        fast, slow = int(shape[FAST + lane]), int(shape[SLOW + lane])
        counts_from = int(shape[FED_FROM + lane]) + slow - 1
        for word in range((count + 63) // 64):
            up, down, close_by = np.uint64(0), np.uint64(0), np.uint64(0)
            for part in range(0, 64, LANES):
                t = begin + word * 64 + part
                found = _averages(market, t, fast) - _averages(market, t, slow)
                equal = TIE * load(market.closes, t)
                shift = np.uint64(part)
                up |= bits_above(found, (1.0 + NEAR) * equal) << shift
                down |= bits_above(-1.0 * found, (1.0 + NEAR) * equal) << shift
                close_by |= bits_above(found * found, (1.0 - NEAR) * equal * equal) << shift
            above[word * LANES + lane] = up
            below[word * LANES + lane] = down
            if close_by & ~(up | down) and begin + word * 64 + 63 >= counts_from:
                doubts[lane] = 1


@njit(nogil=True)
def running_sums(closes, sums, rests):
    """Write the sums of all closes before each candle, and what their additions rounded off."""
    total = rest = 0.0
    for t in range(closes.shape[0]):
        total, rest = sum_step(total, rest, closes[t])
        whole = total + rest
        total, rest = whole, rest - (whole - total)
        sums[LONGEST_WINDOW + t + 1], rests[LONGEST_WINDOW + t + 1] = total, rest


@njit(nogil=True, forceinline=True)
def _averages(market, t, period):
    end = LONGEST_WINDOW + t + 1
    whole = load(market.sums, end) - load(market.sums, end - period)
    return (whole + (load(market.rests, end) - load(market.rests, end - period))) / period


@njit(nogil=True, forceinline=True)
def _seeded(memory, value, count, period, weight):
    """Take `ema_step` in every lane, each with a count of its own; below 1 nothing happens yet."""
    summed = memory + choose_above(count, spread(0.0), value, spread(0.0))
    young = choose_above(period, count, summed, summed / period)
    return choose_above(count, period, ema_next(memory, value, weight), young)
