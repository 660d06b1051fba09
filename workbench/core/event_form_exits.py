"""Protective exits in the event form: one block of candles of one parameter set.

A trade ends with its signal or with an exit, whichever comes first. Where the signal ends it, the bits
know; from its entry up to there lows and highs are looked through, sixteen candles at a time, for the
first that reaches a level. Levels and what a candle reaches are those of `exits`, called with the very
numbers that the plain kernel hands them: both find the same candle and the same price, to the last bit.

    fixed levels     stop and take-profit stand from entry to end: sixteen lows and highs are compared
                     at once
    trailing stop    hangs on the highest high before each candle: of sixteen at once too
    time stop        the first tradable candle from entry + `time_stop_bars` on

So a trade costs its candles / 16, not its candles, and nothing is kept a parameter set but `HOLDING`.

After an exit the target is spent: the next entry waits until the signal has once been the other way.
An order is wanted from the open after its signal on, and waits while candles are not tradable.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

from workbench.core.costs import worsened_buy, worsened_sell
from workbench.core.event_form_ranges import extremes
from workbench.core.event_form_trades import (
    ALL,
    EVEN,
    ONE,
    WORDS_A_BLOCK,
    bit_of,
    find_targets,
    higher,
    keep_before,
    lower,
    take_samples,
    write_equity,
    write_marks,
)
from workbench.core.exits import (
    NEVER,
    PLAN,
    REASON_NONE,
    REASON_TAKE_PROFIT,
    enter,
    first_reached,
    on_legs,
    stand_down,
)
from workbench.core.stack import first_record
from workbench.core.vectors import (
    LANES,
    at,
    bits_above,
    choose_above,
    highest_before,
    lane_of,
    load,
    pointer,
    spread,
    trailing_zeros,
)

HOLDING = np.dtype(
    [
        ("plan", PLAN),
        ("entered", "<i8"),  # candle of the entry
        ("asked", "<i8"),  # candle before whose open the order that waits was decided
        ("ranges", "<i8"),  # row of its average true range, -1 for none
        ("ambiguous", "<i8"),
        ("spent", "<i8"),  # an exit has ended the position that this target asked for
    ],
    align=True,
)

# what exits look at: the price that a buy pays at each open, opens, lows, highs, average true ranges row
# by row, finer candles and where those of each candle begin
Reach = namedtuple("Reach", "paid opens lows highs ranges fine offsets")

# the same by pointer and without the finer candles, with untradable candles as bits and `leave` of Market
Sight = namedtuple("Sight", "paid opens lows highs ranges untradable leave candles")

# a HOLDING and an EXITS record a parameter set, and what all of them share
Protection = namedtuple("Protection", "holdings exits costs sight fine offsets")

Bar = namedtuple("Bar", "open low high")

AS_IT_IS, TURNED = np.uint64(0), ALL
ANY, TRADABLE = np.uint64(0), ALL
EVERY_LANE = np.uint64((1 << LANES) - 1)


@njit(nogil=True)
def fill_reach(candles, costs, reach):
    """Write what every parameter set shares; its arrays are LANES longer than the candles."""
    count = candles.shape[0]
    for t in range(count):
        one = candles[t]
        reach.paid[t] = worsened_buy(one.open, costs.slippage_bps)
        reach.opens[t], reach.lows[t], reach.highs[t] = one.open, one.low, one.high


@njit(nogil=True)
def sight_of(reach, market):
    """Return the Sight of these arrays, which the caller keeps."""
    return Sight(
        pointer(reach.paid), pointer(reach.opens), pointer(reach.lows), pointer(reach.highs),
        pointer(reach.ranges), pointer(market.untradable),
        pointer(market.leave), market.slots.shape[0] - 1,
    )  # fmt: skip


@njit(nogil=True, forceinline=True)
def trade_protected_block(
    trader, c, protection, market, begin, count, lane, above, below, table, wanted, edges, levels
):
    """Trade the candles `begin` to `begin + count` as parameter set `c` of a Protection asks."""
    if trader.starts >= begin + count:
        trader.above = bit_of(above, lane, count - 1)
        return
    ties = find_targets(trader, begin, count, lane, above, below, wanted)
    _want_at_the_open(trader, count, ties, wanted)
    _run_protected(
        trader, protection.holdings[c], protection.exits[c], protection.costs, protection.sight,
        protection.fine, protection.offsets, market, begin, count, pointer(wanted), table, levels,
    )  # fmt: skip
    samples = market.slots[begin + count] - market.slots[begin]
    if samples > 0:
        take_samples(trader, samples, levels)


@njit(nogil=True, forceinline=True)
def _want_at_the_open(trader, count, ties, wanted):
    """Turn the targets at each close into what is wanted at each open: that of the close before."""
    target = np.uint64(trader.target)
    for word in range((count + 63) // 64):
        targets = wanted[word]
        if ties:
            targets = keep_before(targets, wanted[WORDS_A_BLOCK + word], target)
        wanted[word] = targets << ONE | target
        target = targets >> np.uint64(min(63, count - 1 - word * 64)) & ONE
    trader.target = target


@njit(nogil=True, forceinline=True, error_model="numpy")
def _run_protected(
    trader, holding, exits, costs, sight, fine, offsets, market, begin, count, wanted, table, levels
):
    """Enter and leave until the block ends: bookkeeping, drawdown, and the equity at samples' ends."""
    slots, offset = market.slots, market.slots[begin]
    base = begin // 64
    since, since_slot = 0, 0
    while True:
        if not trader.holds:  # in cash from `since` to the next entry
            until = _next_entry(holding, wanted, sight, base, since, count)
            slot = at(slots, begin + until) - offset
            write_equity(levels, since_slot, slot, spread(trader.cash))
            waits_from = _asked(wanted, sight, base, until)
            if waits_from > 0:
                holding.asked = begin + waits_from
            if until == count:
                return
            since, since_slot = until, slot
            _buy(trader, holding, exits, sight, at(market.enter, begin + until), begin + until)
        signal = _next(wanted, TURNED, sight, base, TRADABLE, since, count)
        until, left, unclear = _first_exit(holding, sight, costs, begin + since, begin + signal)
        until -= begin
        slot = at(slots, begin + until) - offset
        if until > since:
            high, low, fall = extremes(table, since, until - 1)
            trader.worst = lower(trader.worst, lower(fall, low * trader.quantity / trader.peak))
            trader.peak = higher(trader.peak, high * trader.quantity)
            trader.held += until - since
        write_marks(levels, since_slot, slot, market.marks, offset, trader.quantity)
        if until == count:
            return
        if until == signal:
            left = at(sight.leave, begin + until)
        elif unclear and offsets.shape[0] > 0:
            left, unclear = _look_closer(holding, sight, costs, fine, offsets, begin + until)
        since, since_slot = until, slot
        holding.spent = int(until < signal)
        holding.ambiguous += unclear
        _sell(trader, holding, left)


@njit(nogil=True, forceinline=True)
def _buy(trader, holding, exits, sight, kept, entry):
    """Buy for all cash; `kept` is the base that a unit of quote brings after the fee."""
    trader.spent = trader.cash
    trader.paid += trader.cash
    trader.quantity = trader.cash * kept
    trader.holds = 1
    range_ = 0.0
    if holding.ranges >= 0:
        range_ = at(sight.ranges, holding.ranges * sight.candles + holding.asked - 1)
    enter(holding.plan, exits, at(sight.paid, entry), 1.0, 0.0, range_, 0)
    holding.entered = entry


@njit(nogil=True, forceinline=True)
def _sell(trader, holding, left):
    """Sell everything for `left` a unit, after the fee."""
    stand_down(holding.plan)
    trader.cash = trader.quantity * left
    trader.holds = 0
    gain = trader.cash - trader.spent
    profit = gain if gain > 0.0 else 0.0
    trader.received += trader.cash
    trader.gained += profit
    trader.lost += profit - gain
    trader.wins += int(gain > 0.0)
    trader.trades += 1
    trader.doubt |= int(abs(gain) < EVEN * trader.spent)
    trader.worst = lower(trader.worst, trader.cash / trader.peak)
    trader.peak = higher(trader.peak, trader.cash)


@njit(nogil=True, forceinline=True)
def _next_entry(holding, wanted, sight, base, since, count):
    """Return the candle of the block at whose open the next position begins; `count` for none."""
    if holding.spent:
        since = _next(wanted, TURNED, sight, base, ANY, since, count)
        holding.spent = int(since == count)
    return _next(wanted, AS_IT_IS, sight, base, TRADABLE, since, count)


@njit(nogil=True, forceinline=True)
def _next(wanted, turned, sight, base, heeded, since, count):
    """Return the first candle from `since` on with its bit in `wanted`; `count` for none."""
    word = since // 64
    found = count
    if since < count:
        bits = _chosen(wanted, turned, sight, base, heeded, word) & ALL << np.uint64(since % 64)
        while not bits and word * 64 + 64 < count:
            word += 1
            bits = _chosen(wanted, turned, sight, base, heeded, word)
        found = word * 64 + trailing_zeros(bits)
    return found if found < count else count


@njit(nogil=True, forceinline=True)
def _chosen(wanted, turned, sight, base, heeded, word):
    return (at(wanted, word) ^ turned) & ~(at(sight.untradable, base + word) & heeded)


@njit(nogil=True, forceinline=True)
def _asked(wanted, sight, base, until):
    """Return the first open since which the order that could fill at `until` has waited; 0: not told.

    The candles that it waited through are wanted and untradable; 0 means since before the block.
    """
    first = until
    while first > 0:
        word, place = (first - 1) // 64, np.uint64((first - 1) % 64)
        if not (at(sight.untradable, base + word) & at(wanted, word)) >> place & ONE:
            break
        first -= 1
    return first


@njit(nogil=True, forceinline=True)
def _first_exit(holding, sight, costs, begin, stop):
    """Return (candle, what a unit brings after the fee, ambiguous) of the first exit; `stop` for none."""
    plan = holding.plan
    ends = stop
    if plan.bars_now != NEVER:
        ends = _tradable_from(sight, max(holding.entered + plan.bars_now, begin), stop)
    found, left, unclear = ends, 0.0, 0
    if plan.keep > 0.0:
        found, left, unclear = _reached_trailing(plan, sight, costs, begin, ends)
    elif plan.stop > 0.0 or plan.take_profit < np.inf:
        found, left, unclear = _reached_fixed(plan, sight, costs, begin, ends)
    if found == ends and ends < stop:
        left = at(sight.leave, ends)
    return found, left, unclear


@njit(nogil=True, forceinline=True)
def _tradable_from(sight, first, stop):
    """Return the first tradable candle from `first` on; `stop` where none lies before it."""
    while first < stop and _is_untradable(sight, first):
        first += 1
    return first if first < stop else stop


@njit(nogil=True, forceinline=True)
def _is_untradable(sight, t):
    return at(sight.untradable, t // 64) >> np.uint64(t % 64) & ONE


@njit(nogil=True, forceinline=True)
def _reached_fixed(plan, sight, costs, begin, ends):
    stop, take_profit = plan.stop, plan.take_profit
    for t in range(begin, ends, LANES):
        missed = bits_above(load(sight.lows, t), spread(stop))
        met = (missed & bits_above(spread(take_profit), load(sight.highs, t))) ^ EVERY_LANE
        while met:
            i = t + trailing_zeros(met)
            if i >= ends:
                break
            left, unclear = _sold(stop, take_profit, sight, costs, i)
            if left > 0.0:
                return i, left, unclear
            met &= met - ONE
    return ends, 0.0, 0


@njit(nogil=True, forceinline=True)
def _reached_trailing(plan, sight, costs, begin, ends):
    take_profit, highest = plan.take_profit, plan.highest
    fixed = spread(plan.stop)
    for t in range(begin, ends, LANES):
        highs = load(sight.highs, t)
        before = highest_before(highs, highest)
        trail = before * plan.keep - plan.distance
        stops = choose_above(trail, fixed, trail, fixed)
        missed = bits_above(load(sight.lows, t), stops) & bits_above(spread(take_profit), highs)
        met = missed ^ EVERY_LANE
        while met:
            lane = trailing_zeros(met)
            if t + lane >= ends:
                break
            left, unclear = _sold(lane_of(stops, lane), take_profit, sight, costs, t + lane)
            if left > 0.0:
                plan.highest = lane_of(before, lane)
                return t + lane, left, unclear
            met &= met - ONE
        last = min(ends - t, LANES) - 1
        highest = higher(lane_of(before, last), at(sight.highs, t + last))
    plan.highest = highest
    return ends, 0.0, 0


@njit(nogil=True, forceinline=True)
def _sold(stop, take_profit, sight, costs, t):
    """Return (what a unit brings after the fee, ambiguous) where a level is reached; 0 where not."""
    bar = Bar(at(sight.opens, t), at(sight.lows, t), at(sight.highs, t))
    reason, price, both = on_legs(stop, take_profit, costs.touch, bar)
    if reason == REASON_NONE or _is_untradable(sight, t):
        return 0.0, 0
    return _after_costs(reason, price, costs), 1 if both else 0


@njit(nogil=True)
def _look_closer(holding, sight, costs, fine, offsets, t):
    """Return the same of a candle in which both were reached, as its finer candles tell it."""
    plan = holding.plan
    stop = higher(plan.stop, plan.highest * plan.keep - plan.distance)
    bar = Bar(at(sight.opens, t), at(sight.lows, t), at(sight.highs, t))
    reason, price, unclear = first_reached(
        stop,
        plan.take_profit,
        costs.touch,
        bar,
        first_record(fine),
        offsets[t],
        offsets[t + 1],
    )
    return _after_costs(reason, price, costs), unclear


@njit(nogil=True, forceinline=True)
def _after_costs(reason, price, costs):
    if reason != REASON_TAKE_PROFIT:
        price = worsened_sell(price, costs.slippage_bps)
    return price * (1.0 - costs.fee)
