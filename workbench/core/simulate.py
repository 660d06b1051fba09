"""The simulation loop: one strategy, one parameter set, one pass over the candles.

What happens in a candle, in this order, here and in every other shell:

1. an order that waits fills at the open, worsened by slippage, if the candle is tradable
   (it has volume and is not the first after a gap); otherwise it goes on waiting;
2. the account is marked at the close;
3. `decide` sees the candle and the marked position and may write a target;
4. a target that differs from the last one written becomes an order for the next open, sized now;
   an order that still waits for another target dies.

Candles before `first` are warm-up: `decide` sees them, its targets are ignored. The decision
functions are handed in; called from compiled code they are inlined, so the loop costs what the
strategy costs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.account import (
    base_to_sell,
    buy_is_too_small,
    fill_buy,
    fill_sell,
    is_there,
    lots_to_sell,
    open_account,
    quote_to_spend,
    quote_to_spend_e8,
    sell_is_refused,
    sell_is_too_small,
)
from workbench.core.records import INTENT, POSITION
from workbench.core.stack import copy_record, local_record
from workbench.core.statistics import growth_a_year, sharpe_ratio, sortino_ratio

ERROR_NONE = 0
ERROR_TARGET = 1  # a target outside 0..1, or infinite
ERROR_EXITS = 2  # an exit or a ladder in the intent, which this engine does not execute yet


@njit(nogil=True, forceinline=True)
def intent_error(intent):
    """Return ERROR_NONE, or why this intent cannot be executed."""
    target = intent.target
    if not (np.isnan(target) or 0.0 <= target <= 1.0):
        return ERROR_TARGET
    no_exits = intent.stop == 0.0 and intent.take_profit == 0.0 and intent.trail == 0.0
    if not no_exits or intent.revision != 0:
        return ERROR_EXITS
    return ERROR_NONE


@njit(nogil=True, forceinline=True)
def tradable(candle):
    """Return whether an order can fill at the open of this candle."""
    return candle.volume > 0.0 and candle.missing_before == 0


@njit(nogil=True, forceinline=True)
def show_account(position, account):
    """Write what a fill left into the record that `decide` sees; equity is marked at each close."""
    position.quantity = account.quantity
    position.entry_price = account.entry_price if account.is_open else 0.0
    position.cash = account.cash
    position.realised = account.realised


@njit(nogil=True)
def mark_position(position, account, close):
    """Write the account, marked at a close, into the record that `decide` sees."""
    show_account(position, account)
    position.equity = account.cash + account.quantity * close
    position.bars_held = account.bars_held


@njit(nogil=True)
def size_order(order, account, costs, target, close):
    """Size the order for a new target at the signal's close; side 0 where nothing is to be done.

    Return whether the exchange would refuse it as too small (only with exchange filters).
    """
    equity = account.cash + account.quantity * close
    value = account.quantity * close
    order.side = 0
    order.target = target
    if is_there(target, equity, value):
        return False
    if target * equity > value:
        order.quote = quote_to_spend(target, equity, value, account.cash - account.cash_locked)
        if costs.exact:
            free_e8 = account.cash_e8 - account.cash_locked_e8
            order.quote_e8 = quote_to_spend_e8(target, equity, value, free_e8)
            if buy_is_too_small(order.quote_e8, close, costs.min_qty_e8, costs.min_notional_e8):
                return True
        if order.quote > 0.0:
            order.side = 1
        return False
    if account.is_open == 0:
        return False
    order.quantity = base_to_sell(account.quantity, account.base_locked, target, equity, close)
    if costs.exact:
        order.lots = lots_to_sell(
            account.base_e8, account.base_locked_e8, target, equity, close, costs.step_e8
        )
        quantity_e8 = order.lots * costs.step_e8
        if sell_is_too_small(quantity_e8, close, costs.min_qty_e8, costs.min_notional_e8):
            return True
    if order.quantity > 0.0:
        order.side = -1
    return False


ORDER = np.dtype(
    [
        ("side", "<i1"),
        ("target", "<f8"),
        ("quote", "<f8"),
        ("quote_e8", "<i8"),
        ("quantity", "<f8"),
        ("lots", "<i8"),
        ("signal_index", "<i8"),
    ],
    align=True,
)


def make_simulate(decide, STATE):
    """Return the compiled loop around one compiled `decide`.

    The function is bound here and not passed as an argument: numba caches no kernel that takes one.
    """

    @njit(nogil=True, error_model="numpy")
    def simulate(
        candles, samples, warm, first, params, prepared, book, costs, scale, row, fills, equities
    ):
        """Run one parameter set over `candles[warm:]`, trade from `first` on, and fill `row`.

        `samples[t]` is 1 where a return sample ends with candle t. `book` is one record with the fields
        account, position, intent, order and fill: scratch space of the caller. `scale` is (samples a
        year, days of the window). `fills` and `equities` are filled where they are not empty; return
        the number of fills.
        """
        account, order, fill = book.account, book.order, book.fill
        state, position, intent = local_record(STATE), local_record(POSITION), local_record(INTENT)
        copy_record(state, prepared)
        open_account(account, costs)
        position.exit_reason = 0
        position.cash = costs.cash
        position.ladder_filled = 0
        intent.stop = intent.take_profit = intent.trail = 0.0
        intent.revision = intent.n_ladder = 0
        order.side = 0
        n_fills = 0
        last_target = 0.0
        peak = last_sample = costs.cash
        worst = 1.0
        count = 0
        total = squares = losses = 0.0
        trades = wins = held = refused = 0
        gained = lost = 0.0
        error = ERROR_NONE
        keep_fills = fills.shape[0] > 0
        keep_equity = equities.shape[0] > 0

        for t in range(warm, candles.shape[0]):
            candle = candles[t]
            close = candle.close
            if t >= first:
                if order.side != 0 and tradable(candle):
                    done = True
                    if order.side > 0:
                        done = fill_buy(
                            account, costs, candle.open, order.quote, order.quote_e8, fill
                        )
                    elif sell_is_refused(costs, candle.open, order.lots):
                        done = False
                    elif fill_sell(account, costs, candle.open, order.quantity, order.lots, fill):
                        trades += 1
                        if account.trade_pnl > 0.0:
                            wins += 1
                            gained += account.trade_pnl
                        else:
                            lost -= account.trade_pnl
                    order.side = 0
                    if not done:
                        refused += 1
                    elif keep_fills:
                        fill.index = t
                        fill.signal_index = order.signal_index
                        fills[n_fills] = fill
                    if done:
                        n_fills += 1
                        show_account(position, account)
                if account.is_open:
                    held += 1
                    account.bars_held += 1
                equity = account.cash + account.quantity * close
                if equity > peak:
                    peak = equity
                elif equity < worst * peak:
                    worst = equity / peak
                if samples[t]:
                    change = equity / last_sample - 1.0
                    last_sample = equity
                    count += 1
                    total += change
                    squares += change * change
                    if change < 0.0:
                        losses += change * change
                if keep_equity:
                    equities[t - first].equity = equity
                    equities[t - first].cash = account.cash
                    equities[t - first].quantity = account.quantity
            position.equity = account.cash + account.quantity * close
            position.bars_held = account.bars_held
            intent.target = np.nan
            decide(state, candle, position, params, intent)
            error = intent_error(intent)
            if error != ERROR_NONE:
                break
            target = intent.target
            if keep_equity and t >= first:
                equities[t - first].target = target
            if t >= first and target == target and target != last_target:
                last_target = target
                order.signal_index = t
                if size_order(order, account, costs, target, close):
                    refused += 1

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
        row.trades = trades
        row.open_trade = account.is_open
        row.pending = 1 if order.side != 0 else 0
        row.win_rate = wins / trades if trades > 0 else np.nan
        row.profit_factor = gained / lost if lost > 0.0 else np.nan
        row.exposure = held / bars
        row.fees = account.fees
        row.bars = bars
        row.refused = refused
        return n_fills

    return simulate
