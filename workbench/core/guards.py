"""Guards of one instance: when it may not buy, and how large it may be. Exits are never held back.

    trades_a_day      at most so many buys a UTC day, by the day of the fill
    daily_loss        no buy while the equity is this fraction below the last one of yesterday
    drawdown          no buy while it is this fraction below its highest close
    cooldown_bars     no buy at the first so many closes from the end of a round trip on
    loss_streak       no buy after so many round trips in a row that were not won: for `streak_pause_bars`
                      closes after the last of them, for good where that is 0. One that ends with a
                      profit of exactly 0 is not won, as in the win rate

0 switches a guard off. A buy that is refused spends its target, as the exchange's refusal does. While a
ladder stands it is judged at every close: its buys are taken back there and wait until a close at which
nothing holds them back, its sales stay; a rung's buy is a buy of its day. The
day is the market's: it ends with the candle that closes at midnight UTC.

Volatility-scaled size: target x min(1, volatility / realised), where the realised volatility is the
standard deviation (ddof 1) of the last `volatility_bars` returns, close to close, a year.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GUARDS = np.dtype(
    [
        ("trades_a_day", "<i4"),
        ("daily_loss", "<f8"),
        ("drawdown", "<f8"),
        ("cooldown_bars", "<i4"),
        ("loss_streak", "<i4"),
        ("streak_pause_bars", "<i4"),
        ("volatility", "<f8"),
        ("volatility_bars", "<i4"),
    ],
    align=True,
)

GUARD_NONE, GUARD_TRADES, GUARD_DAILY_LOSS, GUARD_DRAWDOWN, GUARD_COOLDOWN, GUARD_STREAK = range(6)


@njit(nogil=True)
def buy_guard(guards, equity, day_equity, peak, buys_today, bars_since_exit, losses_in_a_row):
    """Return which guard refuses a buy decided at this close, GUARD_NONE where none does.

    `day_equity` is the equity at the last close of the day before, `peak` the highest at any close,
    both at first the cash; `bars_since_exit` is negative before the first round trip has ended.
    """
    if 0 < guards.trades_a_day <= buys_today:
        return GUARD_TRADES
    if guards.daily_loss > 0.0 and equity <= day_equity * (1.0 - guards.daily_loss):
        return GUARD_DAILY_LOSS
    if guards.drawdown > 0.0 and equity <= peak * (1.0 - guards.drawdown):
        return GUARD_DRAWDOWN
    if 0 <= bars_since_exit < guards.cooldown_bars:
        return GUARD_COOLDOWN
    if 0 < guards.loss_streak <= losses_in_a_row:
        pause = guards.streak_pause_bars
        if pause == 0 or bars_since_exit < pause:
            return GUARD_STREAK
    return GUARD_NONE


@njit(nogil=True)
def holds_back(guards):
    """Return whether any guard could ever refuse a buy."""
    of_fills = guards.trades_a_day > 0 or guards.cooldown_bars > 0 or guards.loss_streak > 0
    return of_fills or guards.daily_loss > 0.0 or guards.drawdown > 0.0


@njit(nogil=True)
def sized(target, guards, realised):
    """Return the target scaled down where the realised volatility is above the wanted one."""
    if guards.volatility <= 0.0 or realised <= guards.volatility:
        return target
    return target * (guards.volatility / realised)


@njit(nogil=True)
def realised_volatility(candles, bars, bars_a_year, out):
    """Write the volatility a year of the last `bars` returns at every close; NaN before there are."""
    for t in range(candles.shape[0]):
        out[t] = np.nan
        if t < bars:
            continue
        total = 0.0
        for i in range(t - bars + 1, t + 1):
            total += candles[i].close / candles[i - 1].close - 1.0
        mean = total / bars
        squares = 0.0
        for i in range(t - bars + 1, t + 1):
            part = candles[i].close / candles[i - 1].close - 1.0 - mean
            squares += part * part
        out[t] = math.sqrt(squares / (bars - 1)) * math.sqrt(bars_a_year)
