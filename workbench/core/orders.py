"""Orders of one instance in the loop: how a target becomes one, when it fills, and what is counted.

An order is sized at the close of its signal candle and waits for a tradable open. Every fill, of an
order, of an exit or of a ladder, is noted in the same way: in the list of fills, in the record that
`decide` sees and in the tally of round trips.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.core.account import (
    ROUNDING,
    base_to_sell,
    buy_is_too_small,
    fill_buy,
    fill_sell,
    is_there,
    lots_to_sell,
    quote_to_spend,
    quote_to_spend_e8,
    sell_is_refused,
    sell_is_too_small,
)
from workbench.core.stack import copy_record, nth_record

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

TALLY = np.dtype(
    [
        ("fills", "<i8"),
        ("room", "<i8"),  # how many of them are kept
        ("trades", "<i8"),  # closed round trips
        ("wins", "<i8"),
        ("gained", "<f8"),
        ("lost", "<f8"),
        ("refused", "<i8"),  # orders and exits below the exchange's minimum
        ("losses_in_a_row", "<i8"),
        ("last_exit", "<i8"),  # candle of the last round trip's end, -1 before the first
        ("rung_buys", "<i8"),  # of a ladder, where guards may count them
    ],
    align=True,
)


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
def close_row(positions, row, accounts, close):
    """Count a candle held and mark the account into one of many positions; return whether it is open."""
    account = accounts[0]
    if account.is_open != 0:
        account.bars_held += 1
    mark_position(positions[row], account, close)
    return account.is_open != 0


@njit(nogil=True)
def mark_row(positions, row, accounts, close):
    """Mark an account (shape (1,)) into one of many positions."""
    mark_position(positions[row], accounts[0], close)


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
        if order.quote > ROUNDING * equity:
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
    if order.quantity * close > ROUNDING * equity:
        order.side = -1
    return False


@njit(nogil=True)
def take_open(order, account, costs, candle, t, fill, tally, sheet):
    """Fill a waiting order at the open of candle t and note it; return the base that it bought or sold.

    It is 0 where the exchange refuses the order, and below 0 for a sale.
    """
    held, order_side = account.quantity, order.side
    order.side = 0
    if not fill_order(order, order_side, account, costs, candle.open, fill):
        tally.refused += 1
        return 0.0
    fill.index, fill.signal_index = t, order.signal_index
    count_fill(tally, account, fill, sheet)
    return account.quantity - held


@njit(nogil=True, forceinline=True)
def fill_order(order, side, account, costs, price, fill):
    """Fill a waiting order at the open; return False where the exchange refuses it."""
    if side > 0:
        return fill_buy(account, costs, price, order.quote, order.quote_e8, fill)
    if sell_is_refused(costs, price, order.lots):
        return False
    fill_sell(account, costs, price, order.quantity, order.lots, fill)
    return True


@njit(nogil=True, forceinline=True)
def count_fill(tally, account, fill, sheet):
    """Keep a fill where its sheet still has room for it, and count the round trip that it ends."""
    if tally.fills < tally.room:
        copy_record(nth_record(sheet, tally.fills), fill)
    tally.fills += 1
    if fill.side < 0 and account.is_open == 0:
        tally.trades += 1
        tally.last_exit = fill.index
        if account.trade_pnl > 0.0:
            tally.wins += 1
            tally.gained += account.trade_pnl
            tally.losses_in_a_row = 0
        else:
            tally.lost -= account.trade_pnl
            tally.losses_in_a_row += 1
