"""Decisions replayed: one strategy over candles, with all that it wrote and kept noted at every close.

A check of bias asks for more than a backtest tells: not the target alone, but every level, the ladder and
the state at each close, in a few bytes that are quick to compare (`TRACE`). There is one loop, over
stretches of candles that each begin with a fresh state, and five ways to go:

    FOLLOW      an account of its own: each target is bought at the next open, for nothing
    AGAIN       at the positions that FOLLOW noted, the state digested at the last close of a stretch,
                where it depends on all that was kept before
    CLOSELY     the same, the state digested at every close
    ISOLATED    as CLOSELY, but each candle is copied alone between two others that never change. What
                decides by memory beyond its own candle (aux[8] is the next close) shows.
    SETTLE      flat, as every engine feeds a warm-up; then one decision at the position that was, which
                alone is noted, with all that is kept

The decision functions are handed in, as in `simulate`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.intents import want_nothing
from workbench.core.naming import named
from workbench.core.records import RUNG

TRACE = np.dtype(
    [
        ("target", "<f8"),
        ("stop", "<f8"),
        ("take_profit", "<f8"),
        ("trail", "<f8"),
        ("revision", "<i4"),
        ("n_ladder", "<i4"),
        ("ladder", "<u8"),  # a digest of the rungs
        ("state", "<u8"),  # a digest of all that it keeps, where it was asked for
    ],
    align=True,
)
FOLLOW, AGAIN, CLOSELY, ISOLATED, SETTLE = range(5)
RUNG_WORDS = RUNG.itemsize // 8
LADDER_AT = 5  # words of an intent before its rungs: four numbers, and two counts in one

_START = np.uint64(1469598103934665603)
_STEP = np.uint64(1099511628211)


@njit(nogil=True, forceinline=True)
def digest(words, begin, end):
    """Return 64 bits that depend on every word: Fowler, Noll & Vo's hash, a word at a time."""
    found = _START
    for i in range(begin, end):
        found = (found ^ np.uint64(words[i])) * _STEP
        found ^= found >> np.uint64(29)
    return found


@njit(nogil=True, forceinline=True)
def note(trace, intent, intent_words):
    """Write what an intent holds into a trace."""
    trace.target, trace.stop = intent.target, intent.stop
    trace.take_profit, trace.trail = intent.take_profit, intent.trail
    trace.revision, trace.n_ladder = intent.revision, intent.n_ladder
    rungs = min(max(intent.n_ladder, 0), 64)
    trace.ladder = digest(intent_words, LADDER_AT, LADDER_AT + rungs * RUNG_WORDS)


def make_replay(decide, prepare, name):
    """Return the loop around one strategy's compiled functions.

    It works on a book of scratch: one state, its words, one intent, its words, one position, and three
    candles of which the middle one is used.
    """

    @njit(nogil=True, error_model="numpy")
    @named(name)
    def replay(candles, begins, ends, how, first, params, flat, book, positions, traces, states):
        """Go through each stretch; notes go to the candle's place, those of SETTLE to the stretch's."""
        state, state_words, intent, intent_words, now, cell = book
        for i in range(begins.shape[0]):
            state_words[:] = 0
            prepare(state[0], params[0])
            now[0] = flat[0]
            waiting = last = np.nan
            for t in range(begins[i], ends[i]):
                is_last = t == ends[i] - 1
                if how == FOLLOW:
                    account(now[0], waiting, candles[t])
                    waiting, positions[t] = np.nan, now[0]
                elif how != SETTLE or is_last:
                    now[0] = positions[t]
                source, place = candles, t
                if how == ISOLATED:
                    cell[1] = candles[t]
                    source, place = cell, 1
                want_nothing(intent[0])
                decide(state[0], source[place], now[0], params[0], intent[0])
                target = intent[0].target
                if t >= first and 0.0 <= target <= 1.0 and target != last:
                    waiting = last = target
                if how != SETTLE:
                    note(traces[t], intent[0], intent_words)
                    if how in (CLOSELY, ISOLATED) or (how == AGAIN and is_last):
                        traces[t].state = digest(state_words, 0, state_words.shape[0])
                elif is_last:
                    note(traces[i], intent[0], intent_words)
                    states[i] = state[0]

    return replay


@njit(nogil=True, forceinline=True)
def account(now, waiting, candle):
    """Trade a target that waits, at the open and for nothing, and mark the position at the close."""
    if now.quantity > 0.0:
        now.bars_held += 1
    if not np.isnan(waiting):
        equity = now.cash + now.quantity * candle.open
        wanted = waiting * equity / candle.open
        if now.quantity == 0.0:
            now.bars_held = 0
            now.entry_price = candle.open
        now.cash, now.quantity = equity - wanted * candle.open, wanted
        if wanted == 0.0:
            now.bars_held = 0
            now.entry_price = 0.0
    now.equity = now.cash + now.quantity * candle.close
