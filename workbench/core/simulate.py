"""The simulation loop: one strategy, one parameter set, one pass over the candles.

What happens in a candle, in this order, here and in every other shell:

1. rungs of a ladder that the open has passed fill, if the candle is tradable (it has volume and is
   not the first after a gap), and their opposites rest (`ladder_fills`);
2. an order that waits fills at the open, worsened by slippage, if the candle is tradable; otherwise
   it goes on waiting; rungs that wait are placed;
3. on the way to low, high and close rungs fill, and a protective exit sells what is left, where the
   candle reaches its level (`exits`);
4. the account is marked at the close;
5. `decide` sees the candle and the marked position and may write a target, or another ladder;
6. a new ladder takes back at once what it does not want; what it adds waits for the next open;
7. a target that differs from the last one written becomes an order for the next open, sized now
   from what no rung has reserved; an order that still waits for another target dies; a guard may
   refuse a buy (`guards`).

Candles before `first` are warm-up: `decide` sees them, its targets and ladders are ignored. The
decision functions are handed in; called from compiled code they are inlined, so the loop costs what
the strategy costs. A loop comes in forms: without `protected` it has neither exits nor guards,
without `ladders` no ladders, and what it does not have costs nothing.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.account import open_account
from workbench.core.exits import (
    NEVER,
    PLAN,
    REFUSED,
    SOLD,
    enter,
    levels_now,
    needs_range,
    set_levels,
    stand_down,
    take_exit,
    within_reach,
)
from workbench.core.guards import GUARD_NONE, buy_guard, holds_back, sized
from workbench.core.intents import (
    ERROR_EXITS,
    ERROR_GUARDED,
    ERROR_LADDER,
    ERROR_NONE,
    ERROR_RANGE,
    ERROR_RUNGS,
    asks_for_exits,
    asks_for_ladder,
    intent_error,
)
from workbench.core.ladder import clear_ladder, ladder_error, lay
from workbench.core.ladder_fills import Trip, is_reached, make_ladder_walk
from workbench.core.naming import named
from workbench.core.orders import (
    TALLY,
    count_fill,
    fill_order,
    show_account,
    size_order,
    tradable,
)
from workbench.core.records import INTENT, POSITION
from workbench.core.stack import copy_record, first_record, local_record
from workbench.core.statistics import growth_a_year, sharpe_ratio, sortino_ratio


def make_simulate(decide, STATE, name, *, protected=False, ladders=False):
    """Return the compiled loop around one compiled `decide`.

    The function is bound here and not passed as an argument: numba caches no kernel that takes one.
    `name` is that of the kernel and its form (see `naming`).
    """
    at_the_open, in_the_candle = make_ladder_walk(name, protected)

    @njit(nogil=True, error_model="numpy")
    @named(name)
    def simulate(
        candles, samples, warm, first, params, prepared, exits, overlay, book, costs, scale, row,
        fills, equities,
    ):  # fmt: skip
        """Run one parameter set over `candles[warm:]`, trade from `first` on, and fill `row`.

        `samples[t]` is 1 where a return sample ends with candle t. `exits` is one EXITS record and
        `overlay` what they and the guards read (see `backtest.overlay`). `book` is one record with
        the fields account, order, fill and ladder: scratch space of the caller. `scale` is
        (samples a year, days of the window). `fills` and `equities` are filled where they are not
        empty; return the number of fills.
        """
        account, order, fill, ladder = book.account, book.order, book.fill, book.ladder
        state, position, intent = local_record(STATE), local_record(POSITION), local_record(INTENT)
        tally, plan = local_record(TALLY), local_record(PLAN)
        guards, all_ranges, volatility = overlay.guards[0], overlay.ranges, overlay.volatility
        sheet, scales = first_record(fills), volatility.shape[0] > 0
        copy_record(state, prepared)
        open_account(account, costs)
        position.cash = costs.cash
        order.side = 0
        fill.reason = 0
        tally.last_exit = -1
        tally.room = fills.shape[0]
        last_target = 0.0
        equity = cash = peak = last_sample = costs.cash
        quantity = 0.0
        worst = 1.0
        count = is_open = opened = revision = 0
        total = squares = losses = 0.0
        held = guarded = ambiguous = buys_today = 0
        error = ERROR_NONE
        keep_equity = equities.shape[0] > 0
        waits = moves = walks = False
        buy_at, sell_at = -np.inf, np.inf
        highest = stop = take_profit = keep = distance = stop_now = 0.0
        take_profit_now = np.inf
        due = NEVER
        ranges = -1
        if ladders:
            clear_ladder(ladder)
        if protected:
            stand_down(plan)
            if needs_range(exits):
                ranges = np.searchsorted(overlay.periods, exits.atr_period)

        for t in range(warm, candles.shape[0]):
            now = np.uint64(t)
            candle = candles[now]
            close = candle.close
            if t >= first:
                acts = waits
                if protected:
                    acts |= (candle.low <= stop_now) | (candle.high >= take_profit_now) | (t >= due)
                if ladders:
                    acts |= (candle.low <= buy_at) | (candle.high >= sell_at)
                if acts and tradable(candle):
                    account.bars_held = t - opened if is_open else 0
                    if protected and moves:
                        plan.highest = highest
                        set_levels(plan, intent, costs)
                    if ladders:
                        walks = ladder.waiting > 0 or is_reached(ladder, candle)
                        if protected and ladder.revision != 0:
                            walks = True  # before, exits have the path to themselves
                        if walks:
                            reach = all_ranges[ranges, t - 1] if ranges >= 0 and t > 0 else 0.0
                            trip = Trip(tally, plan, exits, intent, reach)
                            at_the_open(
                                ladder, trip, order, account, costs, candle.open, t, fill, sheet
                            )
                    if order.side != 0:
                        before = account.quantity
                        if fill_order(order, account, costs, candle.open, fill):
                            fill.index, fill.signal_index = t, order.signal_index
                            count_fill(tally, account, fill, sheet)
                            if protected and fill.side > 0:
                                buys_today += 1
                                range_ = (
                                    all_ranges[ranges, order.signal_index] if ranges >= 0 else 0.0
                                )
                                enter(
                                    plan,
                                    exits,
                                    fill.price,
                                    account.quantity - before,
                                    before,
                                    range_,
                                )
                                set_levels(plan, intent, costs)
                            elif protected and account.is_open == 0:
                                stand_down(plan)
                        else:
                            tally.refused += 1
                        order.side = 0
                        waits = False
                    begin = end = 0
                    if overlay.offsets.shape[0] > 0:
                        begin, end = overlay.offsets[t], overlay.offsets[t + 1]
                    if ladders and walks:
                        ambiguous += in_the_candle(
                            ladder, trip, account, costs, candle, overlay.fine, begin, end, t,
                            fill, sheet,
                        )  # fmt: skip
                        position.ladder_filled = ladder.filled
                    elif protected and within_reach(plan, candle, account.bars_held):
                        done, unclear = take_exit(
                            plan, account, costs, candle, overlay.fine, begin, end, fill
                        )
                        ambiguous += unclear
                        if done == SOLD:
                            fill.index = fill.signal_index = t
                            count_fill(tally, account, fill, sheet)
                            fill.reason = 0
                        elif done == REFUSED:
                            tally.refused += 1
                    show_account(position, account)
                    cash, quantity, is_open = account.cash, account.quantity, account.is_open
                    opened = t - account.bars_held
                    if protected:
                        moves = is_open and plan.spent == 0
                        highest, stop, take_profit = plan.highest, plan.stop, plan.take_profit
                        keep, distance = plan.keep, plan.distance
                        stop_now, take_profit_now = plan.stop_now, plan.take_profit_now
                        due = opened + plan.bars_now
                        position.exit_reason = plan.reason
                    if ladders:
                        buy_at = np.inf if ladder.waiting > 0 else ladder.nearest_buy
                        sell_at = ladder.nearest_sell
                held += is_open
                equity = cash + quantity * close
                if equity > peak:
                    peak = equity
                elif equity < worst * peak:
                    worst = equity / peak
                if samples[now]:
                    change = equity / last_sample - 1.0
                    last_sample = equity
                    buys_today = 0
                    count += 1
                    total += change
                    squares += change * change
                    if change < 0.0:
                        losses += change * change
            position.equity = equity
            position.bars_held = t + 1 - opened if is_open else 0
            intent.target = np.nan
            intent.stop = intent.take_profit = intent.trail = 0.0
            intent.revision = intent.n_ladder = 0
            decide(state, candle, position, params, intent)
            error = intent_error(intent)
            if not protected and asks_for_exits(intent):
                error = ERROR_EXITS
            if ladders and t >= first and intent.revision != revision:
                if ladder_error(intent):
                    error = ERROR_RUNGS
                elif protected and holds_back(guards):
                    error = ERROR_GUARDED
                elif protected and ranges >= 0 and np.isnan(all_ranges[ranges, t]):
                    error = ERROR_RANGE
                else:
                    lay(ladder, intent, account, t)
                    revision = ladder.revision
                    buy_at = np.inf if ladder.waiting > 0 else ladder.nearest_buy
                    sell_at = ladder.nearest_sell
                    position.ladder_filled = ladder.filled
            elif not ladders and asks_for_ladder(intent):
                error = ERROR_LADDER
            if error != ERROR_NONE:
                break
            if protected and moves:
                highest = max(highest, candle.high)
                stop_now, take_profit_now, _ = levels_now(
                    stop, take_profit, highest * keep - distance, highest, intent, costs
                )
            target = intent.target
            if t >= first:
                if keep_equity:
                    equities[t - first].equity = equity
                    equities[t - first].cash = cash
                    equities[t - first].quantity = quantity
                    equities[t - first].target = target
                if target < last_target or target > last_target:  # false for NaN: no opinion
                    last_target = target
                    order.signal_index = t
                    if protected and scales:
                        if np.isnan(volatility[t]) and target > 0.0:
                            error = ERROR_RANGE
                            break
                        target = sized(target, guards, volatility[t])
                    if size_order(order, account, costs, target, close):
                        tally.refused += 1
                    if protected and order.side > 0:
                        if ranges >= 0 and np.isnan(all_ranges[ranges, t]):
                            error = ERROR_RANGE
                            break
                        since = t - tally.last_exit if tally.last_exit >= 0 else -1
                        guard = buy_guard(
                            guards, equity, last_sample, peak, buys_today, since,
                            tally.losses_in_a_row,
                        )  # fmt: skip
                        if guard != GUARD_NONE:
                            guarded += 1
                            order.side = 0
                    waits = order.side != 0

        bars = candles.shape[0] - first
        final = account.cash + account.quantity * candles[candles.shape[0] - 1].close
        row.error = error
        row.final_equity = final
        row.total_return = final / costs.cash - 1.0
        row.cagr = growth_a_year(final / costs.cash, scale[1])
        row.sharpe = sharpe_ratio(count, total, squares, scale[0])
        row.sortino = sortino_ratio(count, total, losses, scale[0])
        row.max_drawdown = worst - 1.0
        row.calmar = row.cagr / (1.0 - worst) if worst < 1.0 else np.nan
        row.trades = tally.trades
        row.open_trade = account.is_open
        row.pending = 1 if order.side != 0 else 0
        row.win_rate = tally.wins / tally.trades if tally.trades > 0 else np.nan
        row.profit_factor = tally.gained / tally.lost if tally.lost > 0.0 else np.nan
        row.exposure = held / bars
        row.fees = account.fees
        row.bars = bars
        row.refused = tally.refused + ladder.refused if ladders else tally.refused
        row.guarded, row.ambiguous = guarded, ambiguous
        return tally.fills

    return simulate
