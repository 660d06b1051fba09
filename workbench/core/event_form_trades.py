"""Trades of one parameter set in one block of candles, from the bits of its signals.

The bits become the target at each close (`find_targets`), the target becomes what is held at each close
(`_edges`): an order waits for the next tradable open and dies with its target, so on a tradable candle
the target of the candle before is held, on any other nothing changes. Where the holding turns are
fills; between two fills the equity is cash, or a quantity times the close, so that highest, lowest and
deepest fall of a whole trade come from the block's table, and the equity at the ends of return
samples is written sixteen at a time (what comes later overwrites).

Money is counted as in `account`: all in, all out, the fee in the asset received. Where rounding alone
would decide (a round trip that earns nothing, an equity that hardly moves), the row is in doubt and
the plain kernel runs it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.event_form_ranges import BLOCK, extremes
from workbench.core.vectors import (
    LANES,
    at,
    bits_set,
    choose_above,
    load,
    spread,
    store,
    total,
    trailing_zeros,
)

TRADER = np.dtype(
    [
        ("cash", "<f8"),
        ("quantity", "<f8"),
        ("peak", "<f8"),
        ("worst", "<f8"),  # lowest equity / peak before it
        ("sampled", "<f8"),  # equity at the end of the last return sample
        ("total", "<f8"),
        ("squares", "<f8"),
        ("losses", "<f8"),
        ("spent", "<f8"),  # quote that the open trade cost
        ("paid", "<f8"),  # quote that all buys spent
        ("received", "<f8"),  # quote that all sales brought, after fees
        ("gained", "<f8"),
        ("lost", "<f8"),
        ("trades", "<i8"),
        ("wins", "<i8"),
        ("held", "<i8"),
        ("starts", "<i8"),  # first candle at whose close it may decide
        ("above", "<i1"),  # the signal's bit at the last candle before it starts
        ("waits", "<i1"),  # above since before it started: no crossing yet
        ("target", "<i1"),
        ("holds", "<i1"),
        ("doubt", "<i1"),
    ],
    align=True,
)

WORDS_A_BLOCK = BLOCK // 64
EDGES_SIZE = BLOCK + 64
EVEN = 1e-12  # a round trip that gains or loses less than this share is in doubt
ONE = np.uint64(1)
ALL = ~np.uint64(0)


@njit(nogil=True, forceinline=True)
def trade_block(
    trader, c, protection, market, begin, count, lane, above, below, table, targets, edges, levels
):
    """Trade the candles `begin` to `begin + count`; `targets`, `edges`, `levels` are scratch space.

    Signals alone make trades here: `protection` is for `event_form_exits`.
    """
    if trader.starts >= begin + count:
        trader.above = bit_of(above, lane, count - 1)
        return
    ties = find_targets(trader, begin, count, lane, above, below, targets)
    n = _edges(trader, market, begin, count, ties, targets, edges)
    _run_trades(trader, market, begin, count, n, table, edges, levels)
    samples = market.slots[begin + count] - market.slots[begin]
    if samples > 0:
        take_samples(trader, samples, levels)


@njit(nogil=True, forceinline=True)
def find_targets(trader, begin, count, lane, above, below, targets):
    """Write the target at each close, ties unresolved, and behind them the ties; return if any."""
    ties, words = np.uint64(0), (count + 63) // 64
    for word in range(words):
        targets[word] = above[word * LANES + lane]
        tied = ~(targets[word] | below[word * LANES + lane])
        if word == words - 1:
            tied &= ALL >> np.uint64(words * 64 - count)
        targets[WORDS_A_BLOCK + word] = tied
        ties |= tied
    if trader.starts >= begin:
        since = trader.starts - begin
        trader.waits = bit_of(above, lane, since - 1) if since > 0 else np.int64(trader.above)
        for word in range(since // 64):
            targets[word] = np.uint64(0)
        targets[since // 64] &= ALL << np.uint64(since % 64)
    if trader.waits:
        _skip_until_crossed(trader, begin, count, targets)
    return ties


@njit(nogil=True, forceinline=True)
def _skip_until_crossed(trader, begin, count, targets):
    """Clear the bits of a signal that was above before the first decision, until it is not."""
    since = max(0, trader.starts - begin)
    for word in range(since // 64, (count + 63) // 64):
        asked = ALL << np.uint64(since % 64) if word == since // 64 else ALL
        crossed = ~targets[word] & asked
        if crossed:
            targets[word] &= ALL << np.uint64(trailing_zeros(crossed))
            trader.waits = 0
            return
        targets[word] = np.uint64(0)


@njit(nogil=True, forceinline=True)
def _edges(trader, market, begin, count, ties, targets, edges):
    """Write the candles of the block at whose open something fills; return how many."""
    n = 0
    target, holds = np.uint64(trader.target), np.uint64(trader.holds)
    for word in range((count + 63) // 64):
        wanted = targets[word]
        if ties:
            wanted = keep_before(wanted, targets[WORDS_A_BLOCK + word], target)
        held = wanted << ONE | target
        untradable = market.untradable[begin // 64 + word]
        if untradable:
            held = keep_before(held, untradable, holds)
        turned = held ^ (held << ONE | holds)
        last = np.uint64(63)
        if word * 64 + 64 > count:
            last = np.uint64(count - 1 - word * 64)
            turned &= ALL >> (np.uint64(63) - last)
        target, holds = wanted >> last & ONE, held >> last & ONE
        found = bits_set(turned)
        while True:
            for i in range(8):
                edges[n + i] = word * 64 + trailing_zeros(turned)
                turned &= turned - ONE
            if found <= 8:
                break
            n, found = n + 8, found - 8
        n += found
    trader.target = target
    return n


@njit(nogil=True, forceinline=True)
def keep_before(word, where, before):
    """Return the word with each bit of `where` replaced by the one before it."""
    while where:
        place = np.uint64(trailing_zeros(where))
        kept = before if place == 0 else word >> (place - ONE) & ONE
        word = word & ~(ONE << place) | kept << place
        where &= where - ONE
    return word


@njit(nogil=True, forceinline=True, error_model="numpy")
def _run_trades(trader, market, begin, count, n, table, edges, levels):
    """Fill at every edge: bookkeeping, drawdown, and the equity at the ends of samples."""
    cash, quantity, spent = trader.cash, trader.quantity, trader.spent
    peak, worst = trader.peak, trader.worst
    paid, received, gained, lost = trader.paid, trader.received, trader.gained, trader.lost
    trades, wins, held, doubt = trader.trades, trader.wins, trader.held, trader.doubt
    slots, offset = market.slots, market.slots[begin]
    edges[n] = edges[n + 1] = count  # where nothing fills any more
    i, since, since_slot, holds = 0, 0, 0, trader.holds
    while True:
        if not holds:  # in cash from `since` to the next edge
            until = at(edges, i)
            slot = at(slots, begin + until) - offset
            write_equity(levels, since_slot, slot, spread(cash))
            if i == n:
                break
            i, since, since_slot, spent, holds = i + 1, until, slot, cash, 1
            paid += cash
            quantity = cash * at(market.enter, begin + until)
        until = at(edges, i)
        slot = at(slots, begin + until) - offset
        if until > since:
            high, low, fall = extremes(table, since, until - 1)
            worst = lower(worst, lower(fall, low * quantity / peak))
            peak = higher(peak, high * quantity)
            held += until - since
        write_marks(levels, since_slot, slot, market.marks, offset, quantity)
        if i == n:
            break
        i, since, since_slot, holds = i + 1, until, slot, 0
        cash = quantity * at(market.leave, begin + until)
        gain = cash - spent
        profit = gain if gain > 0.0 else 0.0
        received += cash
        gained += profit
        lost += profit - gain
        wins += int(gain > 0.0)
        trades += 1
        doubt |= int(abs(gain) < EVEN * spent)
        worst = lower(worst, cash / peak)
        peak = higher(peak, cash)
    trader.cash, trader.quantity, trader.spent, trader.holds = cash, quantity, spent, holds
    trader.peak, trader.worst = peak, worst
    trader.paid, trader.received, trader.gained, trader.lost = paid, received, gained, lost
    trader.trades, trader.wins, trader.held, trader.doubt = trades, wins, held, doubt


@njit(nogil=True, forceinline=True)
def write_equity(levels, first, stop, equity):
    """Write one equity from slot `first` to before `stop`, and over what follows: at least once."""
    store(levels, 1 + first, equity)
    while first + LANES < stop:
        first += LANES
        store(levels, 1 + first, equity)


@njit(nogil=True, forceinline=True)
def write_marks(levels, first, stop, marks, offset, quantity):
    """Write quantity times the closes that end samples, as `write_equity` does."""
    store(levels, 1 + first, quantity * load(marks, offset + first))
    while first + LANES < stop:
        first += LANES
        store(levels, 1 + first, quantity * load(marks, offset + first))


@njit(nogil=True, forceinline=True)
def take_samples(trader, samples, levels):
    """Add the returns between the equities in `levels` to the sums; the first is the one before."""
    levels[0] = trader.sampled
    trader.sampled = levels[samples]
    store(levels, 1 + samples, spread(trader.sampled))
    changes, squares, losses = spread(0.0), spread(0.0), spread(0.0)
    for slot in range(0, samples, LANES):
        change = load(levels, 1 + slot) / load(levels, slot) - 1.0
        loss = choose_above(spread(0.0), change, change, spread(0.0))
        changes, squares, losses = changes + change, squares + change * change, losses + loss * loss
    trader.total += total(changes)
    trader.squares += total(squares)
    trader.losses += total(losses)


@njit(nogil=True, forceinline=True)
def higher(one, other):
    return one if one > other else other


@njit(nogil=True, forceinline=True)
def lower(one, other):
    return one if one < other else other


@njit(nogil=True, forceinline=True)
def bit_of(words, lane, candle):
    return np.int64(words[candle // 64 * LANES + lane] >> np.uint64(candle % 64) & ONE)
