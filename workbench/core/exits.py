"""Protective exits: where stop, take-profit and trailing stop stand, and which a candle reaches.

Levels hang on the price that the entry really paid, P (the average where it bought more than once):

    none     no level
    offset   P - x,        P + x            x in quote
    pct      P (1 - x),    P (1 + x)        x a fraction
    atr      P - x ATR,    P + x ATR        Wilder's average true range at the signal candle, frozen

The trailing stop hangs on the highest high of the closed candles since entry, P at first; it moves
when a candle closes, never within one. A level in the intent wins over the overlay's.

A stop is a taker: reached at a touch, filled at min(stop, open of the leg) less slippage. A
take-profit is a maker's limit: it must be traded through and fills at its own price, also over a gap.
A candle is walked open, low, high, close. So the open decides alone where it lies beyond a level;
else, where both are reached, finer candles say which came first, and without them the worse did.

A position held for `time_stop_bars` closed candles is sold at the next open. All exits wait for a
tradable candle. An exit spends the target: the position returns with a different one only.

An exit that the exchange refuses, as too small, is not tried again; another buy begins anew with levels
of its own, for all that is held.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.core.account import (
    fill_sell,
    fill_sell_limit,
    limit_sell_is_refused,
    sell_is_refused,
)
from workbench.core.costs import SCALE
from workbench.core.indicators import wilder_weight
from workbench.core.stack import nth_record

NOTHING, SOLD, REFUSED = 0, 1, 2
UNIT_NONE, UNIT_OFFSET, UNIT_PCT, UNIT_ATR = 0, 1, 2, 3
REASON_NONE, REASON_STOP, REASON_TAKE_PROFIT, REASON_TRAIL, REASON_TIME = 0, 1, 2, 3, 4
NEVER = 2**31 - 1
TIE = 1e-12  # levels that differ by rounding alone are equal, and the fixed stop gives its name
_SNAP = 1e-9

LEVEL = np.dtype([("value", "<f8"), ("unit", "<i8")])
EXITS = np.dtype(
    [
        ("stop", LEVEL),
        ("take_profit", LEVEL),
        ("trail", LEVEL),
        ("atr_period", "<i4"),
        ("time_stop_bars", "<i4"),  # 0 for none
    ],
    align=True,
)

PLAN = np.dtype(
    [
        ("price", "<f8"),  # what the position paid a unit, before fees; 0 while flat
        ("range", "<f8"),  # the average true range at the signal
        ("highest", "<f8"),
        ("stop", "<f8"),  # the overlay's levels; 0 and infinity for none
        ("take_profit", "<f8"),
        ("keep", "<f8"),  # the trailing stop is highest x keep - distance
        ("distance", "<f8"),
        ("stop_now", "<f8"),  # the levels in force in the next candle
        ("take_profit_now", "<f8"),
        ("bars_now", "<i4"),
        ("trails", "<i1"),  # whether stop_now is the trailing one
        ("spent", "<i1"),  # an exit that the exchange refused is not tried again before another buy
        ("reason", "<i1"),  # of the last exit, until the next entry
    ],
    align=True,
)


@njit(nogil=True)
def average_true_range(candles, begin, period, out):
    """Write Wilder's average true range at every close from `begin` on; NaN before it has a value.

    Wilder (1978), New Concepts in Technical Trading Systems, ch. III: seeded with the plain average
    of the first `period` true ranges; the first candle's is its high - low.
    """
    memory = 0.0
    for t in range(candles.shape[0]):
        out[t] = np.nan
        if t < begin:
            continue
        one = candles[t]
        last = candles[t - 1].close if t > begin else np.nan
        count = t - begin + 1
        memory = next_range(memory, count, period, one.high, one.low, last)
        if count >= period:
            out[t] = memory


@njit(nogil=True, forceinline=True)
def next_range(memory, count, period, high, low, last_close):
    """Return the sum (up to `period` candles), then the average, with one more; the first has no last close."""
    reach = high - low
    if count > 1:
        reach = max(reach, abs(high - last_close), abs(low - last_close))
    if count > period:
        return memory + wilder_weight(period) * (reach - memory)
    return memory + reach / period


@njit(nogil=True, forceinline=True)
def stand_down(plan):
    """Take all levels away: there is no position."""
    plan.price = 0.0
    plan.stop_now, plan.take_profit_now, plan.bars_now = 0.0, np.inf, NEVER


@njit(nogil=True)
def needs_range(exits):
    """Return whether an exit is measured in average true ranges."""
    stop, take_profit, trail = exits.stop.unit, exits.take_profit.unit, exits.trail.unit
    return stop == UNIT_ATR or take_profit == UNIT_ATR or trail == UNIT_ATR


@njit(nogil=True)
def level_distance(level, price, range_):
    """Return how far from `price` a level lies, in quote; 0 for none."""
    if level.unit == UNIT_OFFSET:
        return level.value
    if level.unit == UNIT_PCT:
        return level.value * price
    if level.unit == UNIT_ATR:
        return level.value * range_
    return 0.0


@njit(nogil=True)
def enter(plan, exits, price, bought, held, range_, bars_held):
    """Hang the levels on a buy of `bought` at `price`, `held` being what was there before it.

    Where no levels stand they begin with this buy: the position was flat, or the exchange has refused
    its exit. In the second case the buy makes for all of it what an entry makes, and its time counts
    from here, `bars_held` closes after that of the first buy: the old levels, mostly passed by now,
    would sell at once what is just bought.
    """
    if plan.price == 0.0:
        plan.price = plan.highest = price
        plan.range = range_
        plan.reason = REASON_NONE
        plan.spent = 0
        plan.bars_now = bars_held + exits.time_stop_bars if exits.time_stop_bars > 0 else NEVER
    else:
        plan.price = (plan.price * held + price * bought) / (held + bought)
    price = plan.price
    stop = level_distance(exits.stop, price, plan.range)
    plan.stop = max(price - stop, 0.0) if exits.stop.unit != UNIT_NONE else 0.0
    take_profit = level_distance(exits.take_profit, price, plan.range)
    plan.take_profit = price + take_profit if exits.take_profit.unit != UNIT_NONE else np.inf
    plan.keep, plan.distance = 0.0, 0.0
    if exits.trail.unit == UNIT_PCT:
        plan.keep = 1.0 - exits.trail.value
    elif exits.trail.unit != UNIT_NONE:
        plan.keep = 1.0
        plan.distance = level_distance(exits.trail, price, plan.range)


@njit(nogil=True, forceinline=True)
def set_levels(plan, intent, costs):
    """Put in force what the overlay and the intent say; on the tick where the exchange wants it."""
    fixed = intent.stop if intent.stop > 0.0 else plan.stop
    trail = plan.highest * plan.keep - plan.distance
    if intent.trail > 0.0:
        trail = plan.highest - intent.trail
    take_profit = intent.take_profit if intent.take_profit > 0.0 else plan.take_profit
    stop = max(fixed, trail)
    if costs.exact:
        stop = floor_to_tick(stop, costs.tick_e8)
        take_profit = ceil_to_tick(take_profit, costs.tick_e8)
    plan.stop_now, plan.take_profit_now = stop, take_profit
    plan.trails = trail > fixed * (1.0 + TIE)


@njit(nogil=True)
def floor_to_tick(price, tick_e8):
    """Return a price rounded down to its tick."""
    return math.floor(price * SCALE / tick_e8 + _SNAP) * tick_e8 / SCALE


@njit(nogil=True)
def ceil_to_tick(price, tick_e8):
    """Return a price rounded up to its tick; infinity stays."""
    if price == np.inf:
        return price
    return math.ceil(price * SCALE / tick_e8 - _SNAP) * tick_e8 / SCALE


@njit(nogil=True, forceinline=True)
def within_reach(plan, candle, bars_held):
    """Return whether any exit can act in this candle; false while flat."""
    down, up = candle.low <= plan.stop_now, candle.high >= plan.take_profit_now
    return down | up | (bars_held >= plan.bars_now)


@njit(nogil=True)
def take_exit(plan, account, costs, candle, fine, begin, end, fill):
    """Sell the whole position where an exit is due; return (NOTHING, SOLD or REFUSED, ambiguous)."""
    reason, price, unclear = REASON_TIME, candle.open, 0
    if account.bars_held < plan.bars_now:
        reason, price, unclear = first_reached(
            plan.stop_now, plan.take_profit_now, costs.touch, candle, fine, begin, end
        )
    if reason == REASON_NONE:
        return NOTHING, 0
    done = sell_out(plan, account, costs, reason, price, fill)
    return done, unclear if done == SOLD else 0


@njit(nogil=True)
def sell_out(plan, account, costs, reason, price, fill):
    """Sell the whole position for a reason, at a price before slippage; return SOLD or REFUSED."""
    lots = account.base_e8 // costs.step_e8 if costs.exact else 0
    if reason == REASON_TAKE_PROFIT:
        refused = limit_sell_is_refused(costs, price, lots)
    else:
        refused = sell_is_refused(costs, price, lots)
    if refused:
        stand_down(plan)
        plan.spent = 1
        return REFUSED
    if reason == REASON_TAKE_PROFIT:
        fill_sell_limit(account, costs, price, account.quantity, lots, fill)
    else:
        fill_sell(account, costs, price, account.quantity, lots, fill)
    if reason == REASON_STOP and plan.trails:
        reason = REASON_TRAIL
    plan.reason = fill.reason = reason
    stand_down(plan)
    return SOLD


@njit(nogil=True)
def first_reached(stop, take_profit, touch, candle, fine, begin, end):
    """Return (reason, price, ambiguous) of what the candle reaches first; REASON_NONE for nothing.

    `touch` lets a take-profit fill where it is only touched. `fine` is the first of all finer candles;
    those of the candle lie begin to end places after it. The price of a stop is before slippage.
    """
    reason, price, both = on_legs(stop, take_profit, touch, candle)
    if not both:
        return reason, price, 0
    for i in range(begin, end):
        part = nth_record(fine, i)
        if part.volume > 0.0 and part.missing_before == 0:
            found, at, unclear = on_legs(stop, take_profit, touch, part)
            if found != REASON_NONE:
                return found, at, 1 if unclear else 0
    return reason, price, 1


@njit(nogil=True)
def on_legs(stop, take_profit, touch, candle):
    """Return (reason, price, whether both were reached) on the legs open, low, high, close."""
    if candle.open <= stop:
        return REASON_STOP, candle.open, False
    if _passed(candle.open - take_profit, touch):
        return REASON_TAKE_PROFIT, take_profit, False
    up = _passed(candle.high - take_profit, touch)
    if candle.low <= stop:
        return REASON_STOP, stop, up
    if up:
        return REASON_TAKE_PROFIT, take_profit, False
    return REASON_NONE, 0.0, False


@njit(nogil=True)
def _passed(beyond, touch):
    return beyond > 0.0 or (touch != 0 and beyond == 0.0)
