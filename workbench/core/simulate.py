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
6. a new ladder takes back at once what it does not want; what it adds waits for the next open; while
   a guard holds, the buys of a ladder are taken back and wait (`guards`);
7. a target that differs from the last one written becomes an order for the next open, sized now
   from what no rung has reserved; an order that still waits for another target dies; a guard may
   refuse a buy (`guards`).

Candles before `first` are warm-up: `decide` sees them, its targets and ladders are ignored. The
decision functions are handed in; called from compiled code they are inlined, so the loop costs what
the strategy costs. Most candles bring nothing: what asks for that takes few branches, and those that
are for something are marked as seldom taken (`hints`). A loop comes in forms: without `protected`
it has neither exits nor guards, without `ladders` no ladders, and what it does not have costs nothing.
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
    needs_range,
    set_levels,
    stand_down,
    take_exit,
    within_reach,
)
from workbench.core.guards import GUARD_NONE, buy_guard, holds_back, sized
from workbench.core.hints import seldom
from workbench.core.intents import (
    ERROR_EXITS,
    ERROR_LADDER,
    ERROR_NONE,
    ERROR_OUTGROWN,
    ERROR_RANGE,
    ERROR_RUNGS,
    LARGEST,
    asks_for_exits,
    asks_for_ladder,
    levels_error,
    target_error,
)
from workbench.core.ladder import clear_ladder, hold_buys, ladder_error, lay
from workbench.core.ladder_fills import (
    Trip,
    is_passed,
    is_reached,
    make_ladder_walk,
    next_orders,
)
from workbench.core.naming import named
from workbench.core.orders import (
    TALLY,
    count_fill,
    show_account,
    size_order,
    take_open,
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

        `samples[t]` is not 0 where a return sample ends with candle t, 2 where none can tell at its
        close (`Candles.sample_ends`). `exits` is one EXITS record and `overlay` what they
        and the guards read (see `backtest.overlay`). `book` is one record with the fields account,
        order, fill and ladder: scratch space of the caller. `scale` is (samples a year, days of the
        window). `fills` and `equities` are filled where they are not empty; return the number of fills.
        """
        account, order, fill, ladder = book.account, book.order, book.fill, book.ladder
        state, position, intent = local_record(STATE), local_record(POSITION), local_record(INTENT)
        tally, plan = local_record(TALLY), local_record(PLAN)
        guards, all_ranges, volatility = overlay.guards[0], overlay.ranges, overlay.volatility
        offsets, scales = overlay.offsets, volatility.shape[0] > 0
        fine, sheet = first_record(overlay.fine), first_record(fills)
        copy_record(state, prepared)
        open_account(account, costs)
        position.cash = costs.cash
        order.side = 0
        fill.reason = 0
        tally.last_exit = -1
        tally.room = fills.shape[0]
        last_target = -LARGEST  # none was written yet: 0 differs too, and sells what rungs bought
        equity = cash = peak = last_sample = yesterday = costs.cash
        quantity = 0.0
        worst = 1.0
        count = is_open = opened = since = revision = 0
        total = squares = losses = highest = 0.0
        open_bars = guarded = ambiguous = buys_today = bought = 0
        error = ERROR_NONE
        keep_from = first if equities.shape[0] > 0 else candles.shape[0]
        waits = moves = follows = trails = walks = False
        was_stop = was_take_profit = was_trail = 0.0
        down = buy_at = -np.inf  # a candle that stays between `down` and `up` reaches nothing;
        up = sell_at = np.inf  # an order that waits is reached by any
        due = NEVER
        ranges = refused_at = -1
        stand_down(plan)
        judges = protected and holds_back(guards)
        if ladders:
            clear_ladder(ladder)
        if protected and needs_range(exits):
            ranges = np.searchsorted(overlay.periods, exits.atr_period)

        for t in range(warm, candles.shape[0]):
            now = np.uint64(t)
            candle = candles[now]
            close = candle.close
            if (
                seldom(candle.low <= down)
                or ((protected or ladders) and seldom(candle.high >= up))
                or (protected and seldom(t >= due))
            ) and tradable(candle):
                if protected:
                    plan.highest = highest
                if is_open:
                    open_bars += t - since
                account.bars_held = t - opened if is_open else 0
                if ladders:
                    walks = ladder.waiting > 0 or is_reached(ladder, candle)
                    if protected and ladder.revision != 0:
                        walks = True  # before, exits have the path to themselves
                    reach = all_ranges[ranges, t - 1] if ranges >= 0 and t > 0 else 0.0
                    trip = Trip(tally, plan, exits, intent, reach)
                    if walks and is_passed(ladder, plan, candle.open):
                        at_the_open(
                            ladder, trip, order, account, costs, candle.open, t, fill, sheet
                        )
                if waits:
                    waits = False
                    held = account.quantity
                    got = take_open(order, account, costs, candle, t, fill, tally, sheet)
                    if protected and got > 0.0:
                        buys_today += 1
                        reach = all_ranges[ranges, order.signal_index] if ranges >= 0 else 0.0
                        enter(plan, exits, fill.price, got, held, reach, account.bars_held)
                        set_levels(plan, intent, costs)
                    elif protected and account.is_open == 0:
                        stand_down(plan)
                begin = end = 0
                if offsets.shape[0] > 0:
                    begin, end = offsets[t], offsets[t + 1]
                if ladders and walks:
                    ambiguous += in_the_candle(
                        ladder, trip, account, costs, candle, fine, begin, end, t, fill, sheet
                    )
                    position.ladder_filled = ladder.filled
                    if protected:
                        buys_today += tally.rung_buys
                        tally.rung_buys = 0
                elif protected and within_reach(plan, candle, account.bars_held):
                    done, unclear = take_exit(plan, account, costs, candle, fine, begin, end, fill)
                    ambiguous += unclear
                    if done == SOLD:
                        fill.index = fill.signal_index = t
                        count_fill(tally, account, fill, sheet)
                        fill.reason = 0
                    elif done == REFUSED:
                        tally.refused += 1
                show_account(position, account)
                cash, quantity, is_open = account.cash, account.quantity, account.is_open
                opened, since = t - account.bars_held, t
                if protected:
                    moves = is_open and plan.spent == 0
                    follows = plan.keep != 0.0 or plan.distance != 0.0
                    trails = moves and (follows or was_trail != 0.0)
                    highest = plan.highest
                    due = opened + plan.bars_now
                    position.exit_reason = plan.reason
                if ladders:
                    buy_at, sell_at = next_orders(ladder)
                down, up = max(plan.stop_now, buy_at), min(plan.take_profit_now, sell_at)

            equity = cash + quantity * close
            peak = max(peak, equity)
            if equity < worst * peak:
                worst = equity / peak
            if seldom(samples[now] != 0) and t >= first:
                change = equity / last_sample - 1.0
                yesterday, bought = last_sample, buys_today
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
            target = intent.target
            novel = target < last_target or target > last_target
            # one sum, one branch: 0 where every level is as before, NaN where one is none
            moved = abs(intent.stop - was_stop) + abs(intent.take_profit - was_take_profit)
            moved += abs(intent.trail - was_trail)
            if protected:
                highest = max(highest, candle.high)
            if seldom(novel) or seldom(not moved <= 0.0) or seldom(intent.revision != revision):
                changed = not moved <= 0.0
                error = ERROR_NONE if np.isnan(target) else target_error(target)
                if changed and error == ERROR_NONE:
                    error = levels_error(intent)
                if not protected and asks_for_exits(intent):
                    error = ERROR_EXITS
                if ladders and intent.revision != revision and t >= first:
                    if ladder_error(intent):
                        error = ERROR_RUNGS
                    elif protected and ranges >= 0 and np.isnan(all_ranges[ranges, t]):
                        error = ERROR_RANGE
                    else:
                        lay(ladder, intent, account, t)
                        revision = ladder.revision
                        buy_at, sell_at = next_orders(ladder)
                        up = min(plan.take_profit_now, sell_at)
                        position.ladder_filled = ladder.filled
                elif not ladders and asks_for_ladder(intent):
                    error = ERROR_LADDER
                if error != ERROR_NONE:
                    break
                was_stop, was_take_profit = intent.stop, intent.take_profit
                was_trail = intent.trail
                if novel and t >= first:
                    last_target = size = target
                    order.signal_index = t
                    if protected and scales:
                        if np.isnan(volatility[t]) and target > 0.0:
                            error = ERROR_RANGE
                            break
                        size = sized(target, guards, volatility[t])
                    if size_order(order, account, costs, size, close):
                        tally.refused += 1
                    if protected and order.side > 0:
                        if ranges >= 0 and np.isnan(all_ranges[ranges, t]):
                            error = ERROR_RANGE
                            break
                        if samples[now] != 2:
                            yesterday, bought = last_sample, buys_today
                        flat_for = t - tally.last_exit if tally.last_exit >= 0 else -1
                        guard = buy_guard(
                            guards, equity, yesterday, peak, bought, flat_for, tally.losses_in_a_row
                        )
                        if guard != GUARD_NONE:
                            guarded += 1
                            refused_at = t
                            order.side = 0
                    waits = order.side != 0
                if protected and moves and changed:
                    trails = follows or intent.trail != 0.0
                    plan.highest = highest
                    set_levels(plan, intent, costs)
                    up = min(plan.take_profit_now, sell_at)
                down = np.inf if waits else max(plan.stop_now, buy_at)
            if ladders and protected and judges and ladder.revision != 0:
                if samples[now] != 2:
                    yesterday, bought = last_sample, buys_today
                flat_for = t - tally.last_exit if tally.last_exit >= 0 else -1
                guard = buy_guard(
                    guards, equity, yesterday, peak, bought, flat_for, tally.losses_in_a_row
                )
                ladder.held = 0
                if guard != GUARD_NONE:
                    if ladder.n_buys > 0 and refused_at != t:
                        guarded += 1
                    hold_buys(ladder, account)
                buy_at, sell_at = next_orders(ladder)
                down = np.inf if waits else max(plan.stop_now, buy_at)
                up = min(plan.take_profit_now, sell_at)
            if protected and trails:
                plan.highest = highest
                set_levels(plan, intent, costs)
                down = np.inf if waits else max(plan.stop_now, buy_at)
                up = min(plan.take_profit_now, sell_at)
            if seldom(t >= keep_from):
                equities[t - first].equity = equity
                equities[t - first].cash = cash
                equities[t - first].quantity = quantity
                equities[t - first].target = target

        bars = candles.shape[0] - first
        if is_open:
            open_bars += candles.shape[0] - since
        final = account.cash + account.quantity * candles[candles.shape[0] - 1].close
        row.error = ERROR_OUTGROWN if account.outgrown and error == ERROR_NONE else error
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
        row.exposure = open_bars / bars
        row.fees = account.fees
        row.bars = bars
        row.refused = tally.refused + ladder.refused if ladders else tally.refused
        row.guarded, row.ambiguous = guarded, ambiguous
        return tally.fills

    return simulate
