"""How a ladder's rungs fill in the kernel: along the path O-L-H-C of a candle, each at its own price.

At each price of the path the buys above it and the sales below it have been traded through; the
nearest fills first, and its opposite rests before the next one is looked at. A rung that is placed
at an open beyond its price takes at once what stands there, as any limit order does: it fills at
the worsened open, not at its own price. `costs.touch` lets a mere touch fill. Volume and the
exchange's queue are not asked: a rung that is passed is filled whole.

Where finer candles cover the whole range of a candle, the path is theirs, one after the other. A candle
(or a finer one) in which rungs fill on more than one of its legs is counted as ambiguous: another path
between the same prices would have filled others.

Protective exits lie on the same path (`protected`). A buy that rests above the stop fills on the way
to it; the stop then takes the whole ladder back and sells all that there is, at the stop, or where
the price stands when what was bought lies below it already; and so upwards with sales and the
take-profit. Each buy hangs the overlay's levels on the new average price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from workbench.core.account import (
    settle_bought,
    settle_lots_bought,
    settle_lots_sold,
    settle_sold,
)
from workbench.core.costs import (
    SCALE,
    buy_ticks,
    commission_e8,
    sell_ticks,
    worsened_buy,
    worsened_sell,
)
from workbench.core.exits import (
    REASON_STOP,
    REASON_TAKE_PROFIT,
    REASON_TIME,
    REFUSED,
    enter,
    sell_out,
    set_levels,
    stand_down,
)
from workbench.core.ladder import may_be_placed, order_side, rest, take_down, turn, withdraw
from workbench.core.naming import named
from workbench.core.orders import count_fill, tradable
from workbench.core.stack import nth_record

# Where on the path a price lies. At an open that reaches an exit the ladder is taken back, then a market
# order that waits for it fills, then the exit sells what is left.
WITHIN, AT_OPEN, BEFORE_ORDER = 0, 1, 2
_SAME = 1e-12  # a sale of all but this share of the base sells it all: what is left is rounding


class Trip(NamedTuple):
    """What fills are noted in and exits hang on; `range` is the average true range at the last close."""

    tally: np.void
    plan: np.void
    exits: np.void
    intent: np.void
    range: float


def make_ladder_walk(name, protected):
    """Return (at_the_open, in_the_candle): how a ladder meets a candle, with exits or without."""

    @njit(nogil=True)
    @named(name)
    def meet(ladder, trip, account, costs, level, where, t, fill, sheet):
        """Fill every rung that a price has passed, and sell out where it reaches an exit."""
        while buys_next(ladder, trip, account, costs, level):
            j = ladder.buys[ladder.n_buys - 1]
            fill_own(ladder, trip, j, account, costs, t, fill, sheet)
        if protected and account.is_open and level <= trip.plan.stop_now:
            reason, price = first_exit(ladder, trip.plan, costs, level, where)
            if where == BEFORE_ORDER:
                withdraw(ladder, account)
            else:
                _leave(ladder, trip, account, costs, reason, price, t, fill, sheet)
            return
        while sells_next(ladder, trip, account, costs, level):
            j = ladder.sells[ladder.n_sells - 1]
            fill_own(ladder, trip, j, account, costs, t, fill, sheet)
        if protected and account.is_open and _passed(level - trip.plan.take_profit_now, costs):
            price = trip.plan.take_profit_now
            if where == BEFORE_ORDER:
                withdraw(ladder, account)
            else:
                _leave(ladder, trip, account, costs, REASON_TAKE_PROFIT, price, t, fill, sheet)
        ladder.at = level

    @njit(nogil=True, forceinline=True)
    @named(name)
    def buys_next(ladder, trip, account, costs, level):
        """Return whether the nearest buy was passed, and before the stop of what is held."""
        if ladder.n_buys == 0 or not _passed(ladder.nearest_buy - level, costs):
            return False
        return not (protected and account.is_open and ladder.nearest_buy <= trip.plan.stop_now)

    @njit(nogil=True, forceinline=True)
    @named(name)
    def sells_next(ladder, trip, account, costs, level):
        """Return whether the nearest sale was passed, and not after the take-profit."""
        if ladder.n_sells == 0 or not _passed(level - ladder.nearest_sell, costs):
            return False
        return not (protected and ladder.nearest_sell > trip.plan.take_profit_now)

    @njit(nogil=True)
    @named(name)
    def at_the_open(ladder, trip, order, account, costs, opening, t, fill, sheet):
        """Fill what the open has passed; what a market order takes there no opposite may reserve."""
        if order.side > 0:
            ladder.spoken_quote, ladder.spoken_quote_e8 = order.quote, order.quote_e8
        elif order.side < 0:
            ladder.spoken_base, ladder.spoken_base_e8 = order.quantity, order.lots * costs.step_e8
        meet(ladder, trip, account, costs, opening, BEFORE_ORDER, t, fill, sheet)
        ladder.spoken_quote = ladder.spoken_base = 0.0
        ladder.spoken_quote_e8 = ladder.spoken_base_e8 = 0

    @njit(nogil=True)
    @named(name)
    def in_the_candle(ladder, trip, account, costs, candle, fine, begin, end, t, fill, sheet):
        """Place what waits at the open, then follow the candle to its close, as its finer ones tell it.

        Return 1 where the order of its fills is open, else 0.
        """
        ladder.at = candle.open
        if protected:
            if account.is_open and account.bars_held >= trip.plan.bars_now:
                _leave(ladder, trip, account, costs, REASON_TIME, candle.open, t, fill, sheet)
            if is_passed(ladder, trip.plan, candle.open):
                meet(ladder, trip, account, costs, candle.open, AT_OPEN, t, fill, sheet)
        if ladder.waiting > 0:
            place_waiting(ladder, trip, account, costs, candle.open, t, fill, sheet)
        if begin == end or not reach_as_far(fine, begin, end, candle):
            return follow(ladder, trip, account, costs, candle, t, fill, sheet)
        unclear = 0
        for i in range(begin, end):
            part = nth_record(fine, i)
            if tradable(part):
                if i > begin:
                    meet(ladder, trip, account, costs, part.open, AT_OPEN, t, fill, sheet)
                unclear |= follow(ladder, trip, account, costs, part, t, fill, sheet)
        return unclear

    @njit(nogil=True, forceinline=True)
    @named(name)
    def follow(ladder, trip, account, costs, candle, t, fill, sheet):
        """Go from low to high to close; return 1 where something filled on more than one way, else 0."""
        legs, before = 0, trip.tally.fills
        for level in (candle.low, candle.high, candle.close):
            come_to(ladder, trip, account, costs, level, t, fill, sheet)
            legs += trip.tally.fills > before
            before = trip.tally.fills
        return 1 if legs > 1 else 0

    @njit(nogil=True, forceinline=True)
    @named(name)
    def come_to(ladder, trip, account, costs, level, t, fill, sheet):
        """Go on to a price of the candle's path; most of the way nothing is passed."""
        if is_passed(ladder, trip.plan, level):
            meet(ladder, trip, account, costs, level, WITHIN, t, fill, sheet)
        else:
            ladder.at = level

    @njit(nogil=True)
    @named(name)
    def place_waiting(ladder, trip, account, costs, opening, t, fill, sheet):
        """Place every rung that waits, in the ladder's order, at this open."""
        ask = worsened_buy(opening, costs.slippage_bps)
        bid = worsened_sell(opening, costs.slippage_bps)
        ask_ticks = bid_ticks = 0
        if costs.exact:
            ask_ticks = buy_ticks(opening, costs.slippage_bps, costs.tick_e8)
            bid_ticks = sell_ticks(opening, costs.slippage_bps, costs.tick_e8)
            ask, bid = ask_ticks * costs.tick_e8 / SCALE, bid_ticks * costs.tick_e8 / SCALE
        for j in range(ladder.n):
            rung = ladder.rungs[j]
            if not may_be_placed(ladder, rung) or not rest(ladder, j, account, costs):
                continue
            if order_side(rung) > 0 and rung.limit >= ask:
                _fill(ladder, trip, j, account, costs, ask, ask_ticks, t, fill, sheet)
            elif order_side(rung) < 0 and rung.limit <= bid:
                _fill(ladder, trip, j, account, costs, bid, bid_ticks, t, fill, sheet)

    @njit(nogil=True, forceinline=True)
    @named(name)
    def fill_own(ladder, trip, j, account, costs, t, fill, sheet):
        rung = ladder.rungs[j]
        ladder.at = rung.limit
        _fill(ladder, trip, j, account, costs, rung.limit, rung.ticks, t, fill, sheet)

    @njit(nogil=True)
    @named(name)
    def _fill(ladder, trip, j, account, costs, price, ticks, t, fill, sheet):
        """Book rung j's order at a price, and rest its opposite."""
        rung = ladder.rungs[j]
        held, buys = account.quantity, order_side(rung) > 0
        take_down(ladder, j, account)
        if buys:
            _buy(rung, account, costs, price, ticks, fill)
        else:
            _sell(rung, account, costs, price, ticks, fill)
        fill.index, fill.signal_index = t, rung.signal_index
        count_fill(trip.tally, account, fill, sheet)
        turn(ladder, j, account, costs)
        if protected and buys:
            trip.tally.rung_buys += 1
            got = account.quantity - held
            enter(trip.plan, trip.exits, fill.price, got, held, trip.range, account.bars_held)
            set_levels(trip.plan, trip.intent, costs)
        elif protected and account.is_open == 0:
            stand_down(trip.plan)

    return at_the_open, in_the_candle


@njit(nogil=True, forceinline=True)
def next_orders(ladder):
    """Return the prices of the nearest buy and sale; while a rung waits, any candle may place it."""
    return np.inf if ladder.waiting > 0 else ladder.nearest_buy, ladder.nearest_sell


@njit(nogil=True, forceinline=True)
def is_passed(ladder, plan, level):
    """Return whether the nearest orders or the exits can act at a price, a touch included."""
    if level <= ladder.nearest_buy or level >= ladder.nearest_sell:
        return True
    return level <= plan.stop_now or level >= plan.take_profit_now


@njit(nogil=True, forceinline=True)
def is_reached(ladder, candle):
    """Return whether this candle can fill a rung, a touch included."""
    return candle.low <= ladder.nearest_buy or candle.high >= ladder.nearest_sell


@njit(nogil=True)
def reach_as_far(fine, begin, end, candle):
    """Return whether the finer candles, where there are any, go to both ends of a candle.

    `fine` is the first of all; those of the candle lie begin to end places after it.
    """
    low, high = np.inf, -np.inf
    for i in range(begin, end):
        part = nth_record(fine, i)
        if tradable(part):
            low, high = min(low, part.low), max(high, part.high)
    return low <= candle.low and high >= candle.high


@njit(nogil=True, forceinline=True)
def _passed(beyond, costs):
    return beyond > 0.0 or (costs.touch and beyond == 0.0)


@njit(nogil=True)
def first_exit(ladder, plan, costs, level, where):
    """Return (reason, price) of the exit that a falling price comes to first.

    The stop, at the open at most; but what was bought above a take-profit that lies below it, leaves there.
    """
    if where == AT_OPEN:
        return REASON_STOP, level
    if ladder.at > plan.stop_now and _passed(ladder.at - plan.take_profit_now, costs):
        return REASON_TAKE_PROFIT, plan.take_profit_now
    return REASON_STOP, min(plan.stop_now, ladder.at)


@njit(nogil=True)
def _leave(ladder, trip, account, costs, reason, price, t, fill, sheet):
    """Take the ladder back and sell the whole position."""
    withdraw(ladder, account)
    if sell_out(trip.plan, account, costs, reason, price, fill) == REFUSED:
        trip.tally.refused += 1
        return
    fill.index = fill.signal_index = t
    count_fill(trip.tally, account, fill, sheet)
    fill.reason = 0


@njit(nogil=True, forceinline=True)
def _buy(rung, account, costs, price, ticks, fill):
    if costs.exact:
        settle_lots_bought(account, costs, ticks, rung.lots, fill)
        bought_e8 = rung.lots * costs.step_e8
        rung.kept_e8 = bought_e8 - commission_e8(bought_e8, costs.rate_e8)
    else:
        settle_bought(account, costs, price, rung.quantity, rung.quantity * price, fill)
        rung.kept = fill.quantity - fill.fee


@njit(nogil=True, forceinline=True)
def _sell(rung, account, costs, price, ticks, fill):
    rung.kept, rung.kept_e8 = 0.0, 0
    if costs.exact:
        settle_lots_sold(account, costs, ticks, rung.lots, fill)
        return
    quantity = rung.quantity
    if account.quantity - quantity <= _SAME * quantity:
        quantity = account.quantity
    settle_sold(account, costs, price, quantity, fill)
