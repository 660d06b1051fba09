"""The account of one instance: how large an order is, and what a fill does to cash and base.

Two books of the same rules. The plain book (`filters=none`) is real numbers: nothing is rounded.
The exact book (`filters=exchange`) is whole numbers at 1e-8, as the exchange keeps them; its floats
are those integers divided, so that a decision sees the same values in the sweep, in the
event-driven backtest and live.

    buy   spend quote q at p:   base += q/p (1 - f)       (fee in base, the asset received)
    sell  base b at p:          cash += b p (1 - f)       (fee in quote)

An order is sized at the close of the signal candle and filled at the next tradable open.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.core.costs import (
    SCALE,
    buy_ticks,
    commission_e8,
    sell_ticks,
    worsened_buy,
    worsened_sell,
)

MOST_E8 = 9_000_000_000_000_000_000  # of an asset that an exact account can hold: below 2^63
ROUNDING = 1e-12  # of the equity: an order below it would trade the last digit of a float

ACCOUNT = np.dtype(
    [
        ("cash", "<f8"),
        ("quantity", "<f8"),
        ("cash_e8", "<i8"),
        ("base_e8", "<i8"),
        ("cash_locked", "<f8"),  # of the cash, what resting buys of a ladder have reserved
        ("base_locked", "<f8"),  # of the base, what its resting sells have reserved
        ("cash_locked_e8", "<i8"),
        ("base_locked_e8", "<i8"),
        ("entry_price", "<f8"),  # average quote paid per unit of base held, fee included
        ("realised", "<f8"),
        ("fees", "<f8"),  # in quote, base fees valued at the fill's price
        ("trade_pnl", "<f8"),
        ("bars_held", "<i4"),
        ("is_open", "<i1"),
        ("outgrown", "<i1"),  # 1 once a fill left more of an asset than whole numbers can count
    ],
    align=True,
)

COSTS = np.dtype(
    [
        ("fee", "<f8"),
        ("slippage_bps", "<f8"),
        ("cash", "<f8"),
        ("exact", "<i1"),
        ("rate_e8", "<i8"),
        ("tick_e8", "<i8"),
        ("step_e8", "<i8"),
        ("unit_e8", "<i8"),
        ("min_qty_e8", "<i8"),
        ("max_qty_e8", "<i8"),
        ("min_notional_e8", "<i8"),
        ("touch", "<i1"),  # 1: a limit order fills when its price is touched, 0: traded through
    ],
    align=True,
)

FILL = np.dtype(
    [
        ("index", "<i8"),  # candle in which the order filled
        ("signal_index", "<i8"),  # candle at whose close it was decided, of a rung: its ladder
        ("side", "<i1"),  # +1 buy, -1 sell
        ("price", "<f8"),
        ("quantity", "<f8"),  # base that changed hands, before fees
        ("fee", "<f8"),  # in the asset received
        ("ticks", "<i8"),  # exact book only, else 0
        ("lots", "<i8"),
        ("realised", "<f8"),  # profit or loss that this fill realised, in quote
        ("reason", "<i1"),  # which exit sold, 0 for a signal
    ],
    align=True,
)


@njit(nogil=True)
def lots_for_quote(quote_e8, ticks, unit_e8):
    """Return how many lots an amount of quote buys at a price in ticks: rounded down."""
    return quote_e8 // (ticks * unit_e8)


@njit(nogil=True)
def is_there(target, equity, position_value):
    """Return whether a position already is what a target asks for, up to the rounding of floats."""
    return abs(target * equity - position_value) <= ROUNDING * equity


@njit(nogil=True)
def quote_to_spend(target, equity, position_value, cash):
    """Return the quote that a buy towards `target` spends: never more than the cash."""
    return min(target * equity - position_value, cash)


@njit(nogil=True)
def quote_to_spend_e8(target, equity, position_value, cash_e8):
    """Return `quote_to_spend` as a whole number at 1e-8; the whole cash to the last digit."""
    wanted = target * equity - position_value
    if wanted * SCALE >= cash_e8:
        return cash_e8
    return int(math.floor(wanted * SCALE + 1e-6))


@njit(nogil=True)
def base_to_sell(quantity, locked, target, equity, close):
    """Return the base that a sale towards `target` sells, before lots: never what is locked."""
    if target == 0.0:
        return quantity - locked
    return min(quantity - locked, quantity - target * equity / close)


@njit(nogil=True)
def lots_to_sell(base_e8, locked_e8, target, equity, close, step_e8):
    """Return how many lots a sale towards `target` sells; target 0 sells every whole free lot."""
    free_lots = (base_e8 - locked_e8) // step_e8
    if target == 0.0:
        return free_lots
    wanted = base_to_sell(base_e8 / SCALE, locked_e8 / SCALE, target, equity, close)
    lots = int(math.floor(wanted * SCALE / step_e8 + 1e-9))
    return max(0, min(lots, free_lots))


@njit(nogil=True)
def buy_is_too_small(quote_e8, close, min_qty_e8, min_notional_e8):
    """Return whether the exchange would refuse a market buy of that much quote."""
    return quote_e8 < min_notional_e8 or quote_e8 < min_qty_e8 * close


@njit(nogil=True)
def sell_is_too_small(quantity_e8, close, min_qty_e8, min_notional_e8):
    """Return whether the exchange would refuse a market sale of that much base."""
    return quantity_e8 <= 0 or quantity_e8 < min_qty_e8 or quantity_e8 * close < min_notional_e8


@njit(nogil=True, forceinline=True)
def sell_is_refused(costs, price, lots):
    """Return whether the exchange refuses a market sale at this open: too little, or too many lots."""
    if not costs.exact:
        return False
    return is_out_of_range(costs, lots, sell_ticks(price, costs.slippage_bps, costs.tick_e8))


@njit(nogil=True)
def limit_sell_is_refused(costs, price, lots):
    """Return whether the exchange refuses a limit sale at its own price: too little, or too many lots."""
    return costs.exact and is_out_of_range(costs, lots, limit_ticks(costs, price))


@njit(nogil=True)
def is_out_of_range(costs, lots, ticks):
    """Return whether an order is below the minimum notional or has more lots than the exchange takes.

    The minimum is counted in lots, as their value could run over.
    """
    if ticks <= 0 or lots > costs.max_qty_e8 // costs.step_e8:
        return True
    one_e8 = ticks * costs.unit_e8
    return lots < (costs.min_notional_e8 + one_e8 - 1) // one_e8


@njit(nogil=True)
def limit_ticks(costs, price):
    """Return a price that lies on a tick as a whole number of them."""
    return int(math.floor(price * SCALE / costs.tick_e8 + 0.5))


@njit(nogil=True)
def open_account(account, costs):
    """Reset the account to its starting cash."""
    account.cash_e8 = int(math.floor(costs.cash * SCALE + 0.5))
    account.base_e8 = 0
    account.cash_locked = account.base_locked = 0.0
    account.cash_locked_e8 = account.base_locked_e8 = 0
    account.cash = costs.cash
    account.quantity = 0.0
    account.entry_price = 0.0
    account.realised = 0.0
    account.fees = 0.0
    account.trade_pnl = 0.0
    account.bars_held = 0
    account.is_open = account.outgrown = 0


@njit(nogil=True, forceinline=True)
def fill_buy(account, costs, price, quote, quote_e8, fill):
    """Buy for an amount of quote at the worsened price; return whether anything was bought."""
    if costs.exact:
        ticks = buy_ticks(price, costs.slippage_bps, costs.tick_e8)
        lots = lots_for_quote(quote_e8, ticks, costs.unit_e8)
        if lots <= 0 or lots > costs.max_qty_e8 // costs.step_e8:
            return False
        settle_lots_bought(account, costs, ticks, lots, fill)
    else:
        paid = worsened_buy(price, costs.slippage_bps)
        settle_bought(account, costs, paid, quote / paid, quote, fill)
    return True


@njit(nogil=True, forceinline=True)
def fill_sell(account, costs, price, quantity, lots, fill):
    """Sell base at the worsened price; return whether the position is closed (dust may remain)."""
    if costs.exact:
        ticks = sell_ticks(price, costs.slippage_bps, costs.tick_e8)
        return settle_lots_sold(account, costs, ticks, lots, fill)
    got = worsened_sell(price, costs.slippage_bps)
    return settle_sold(account, costs, got, quantity, fill)


@njit(nogil=True)
def fill_sell_limit(account, costs, price, quantity, lots, fill):
    """Sell base as a maker, at the order's own price; return whether the position is closed."""
    if costs.exact:
        return settle_lots_sold(account, costs, limit_ticks(costs, price), lots, fill)
    return settle_sold(account, costs, price, quantity, fill)


@njit(nogil=True)
def settle_lots_bought(account, costs, ticks, lots, fill):
    """Book a buy of lots at a price in ticks (exact book)."""
    if lots > (MOST_E8 - account.base_e8) // costs.step_e8:
        account.outgrown = 1
    value_e8 = lots * ticks * costs.unit_e8
    bought_e8 = lots * costs.step_e8
    fee_e8 = commission_e8(bought_e8, costs.rate_e8)
    book_buy(account, value_e8, bought_e8, fee_e8)
    fill.ticks, fill.lots = ticks, lots
    fill.price = ticks * costs.tick_e8 / SCALE
    fill.quantity, fill.fee = bought_e8 / SCALE, fee_e8 / SCALE
    fill.side, fill.realised = 1, 0.0


@njit(nogil=True, forceinline=True)
def settle_bought(account, costs, paid, quantity, quote, fill):
    """Book a buy of a quantity at a price, for that much quote (plain book)."""
    fee = quantity * costs.fee
    _blend_entry(account, quote, quantity - fee)
    account.quantity += quantity - fee
    account.cash = 0.0 if quote == account.cash else account.cash - quote
    account.fees += fee * paid
    fill.price, fill.quantity, fill.fee = paid, quantity, fee
    fill.side, fill.realised = 1, 0.0


@njit(nogil=True)
def settle_lots_sold(account, costs, ticks, lots, fill):
    """Book a sale of lots at a price in ticks; return whether the position is closed (dust may remain)."""
    if lots > (MOST_E8 - account.cash_e8) // (ticks * costs.unit_e8):
        account.outgrown = 1
    value_e8 = lots * ticks * costs.unit_e8
    fee_e8 = commission_e8(value_e8, costs.rate_e8)
    fill.realised = book_sell(account, value_e8, lots * costs.step_e8, fee_e8)
    fill.ticks, fill.lots = ticks, lots
    fill.price = ticks * costs.tick_e8 / SCALE
    fill.quantity, fill.fee = lots * costs.step_e8 / SCALE, fee_e8 / SCALE
    return _end_sale(account, account.base_e8 < costs.step_e8, fill)


@njit(nogil=True, forceinline=True)
def settle_sold(account, costs, got, quantity, fill):
    """Book a sale of a quantity at a price; return whether the position is closed (plain book)."""
    value = quantity * got
    fee = value * costs.fee
    fill.realised = _realise(account, value - fee, quantity)
    closed = quantity >= account.quantity
    account.quantity = 0.0 if closed else account.quantity - quantity
    account.cash += value - fee
    account.fees += fee
    fill.price, fill.quantity, fill.fee = got, quantity, fee
    return _end_sale(account, closed, fill)


@njit(nogil=True, forceinline=True)
def _end_sale(account, closed, fill):
    fill.side = -1
    if closed:
        account.is_open = 0
        account.bars_held = 0
    return closed


@njit(nogil=True)
def book_buy(account, value_e8, bought_e8, fee_e8):
    """Book an exact buy: quote paid, base received, fee taken from that base."""
    kept_e8 = bought_e8 - fee_e8
    _blend_entry(account, value_e8 / SCALE, kept_e8 / SCALE)
    account.cash_e8 -= value_e8
    account.base_e8 += kept_e8
    account.cash = account.cash_e8 / SCALE
    account.quantity = account.base_e8 / SCALE
    account.fees += fee_e8 / SCALE * (value_e8 / bought_e8)


@njit(nogil=True)
def book_sell(account, value_e8, sold_e8, fee_e8):
    """Book an exact sale: base given, quote received less its fee; return what it realised."""
    realised = _realise(account, (value_e8 - fee_e8) / SCALE, sold_e8 / SCALE)
    account.cash_e8 += value_e8 - fee_e8
    account.base_e8 -= sold_e8
    account.cash = account.cash_e8 / SCALE
    account.quantity = account.base_e8 / SCALE
    account.fees += fee_e8 / SCALE
    return realised


@njit(nogil=True, forceinline=True)
def _blend_entry(account, quote, kept):
    held = account.quantity
    account.entry_price = (account.entry_price * held + quote) / (held + kept)
    if account.is_open == 0:
        account.is_open = 1
        account.trade_pnl = 0.0
        account.bars_held = 0


@njit(nogil=True, forceinline=True)
def _realise(account, received, quantity):
    realised = received - account.entry_price * quantity
    account.realised += realised
    account.trade_pnl += realised
    return realised
