"""The yardstick of rows 3 and 4: MACD alone in one fused loop, as plain as numba can have it.

One pass a combination with its state in registers, fills at the next open with fee and slippage, and
five metrics online: total return, Sharpe, maximum drawdown, win rate, trades. No records, no user code.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(nogil=True, error_model="numpy")
def plain_macd(opens, closes, sets, fee, slippage, out):
    """Fill one row of five metrics a combination of (fast, slow, signal)."""
    n = closes.shape[0]
    enter, leave = (1.0 - fee) / (1.0 + slippage), (1.0 - fee) * (1.0 - slippage)
    for c in range(sets.shape[0]):
        fast, slow, signal = sets[c]
        a, b, s = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0)
        quick = sluggish = smooth = before = 0.0
        base, cash, cost = 0.0, 1.0, 1.0
        last = peak = worst = 1.0
        total = squares = 0.0
        trades = wins = want = 0
        for t in range(n):
            price = closes[t]
            if want > 0:
                cost, base, cash = cash, cash / opens[t] * enter, 0.0
            elif want < 0:
                base, cash = 0.0, base * opens[t] * leave
                trades += 1
                wins += cash > cost
            want = 0
            equity = cash + base * price
            change = equity / last - 1.0
            last = equity
            total += change
            squares += change * change
            if equity > peak:
                peak = equity
            elif equity < worst * peak:
                worst = equity / peak
            quick = _ema(quick, price, t + 1, fast, a)
            sluggish = _ema(sluggish, price, t + 1, slow, b)
            count = t + 2 - slow
            if count < 1:
                continue
            line = quick - sluggish
            smooth = _ema(smooth, line, count, signal, s)
            now = line - smooth
            if count > signal:
                if before <= 0.0 < now and base == 0.0:
                    want = 1
                elif before >= 0.0 > now and base > 0.0:
                    want = -1
            if count >= signal:
                before = now
        mean = total / n
        deviation = math.sqrt((squares - total * mean) / (n - 1))
        out[c, 0] = last - 1.0
        out[c, 1] = mean / deviation * math.sqrt(8_760.0)
        out[c, 2] = worst - 1.0
        out[c, 3] = wins / trades if trades else np.nan
        out[c, 4] = trades


@njit(nogil=True, forceinline=True)
def _ema(memory, value, count, period, weight):
    if count > period:
        return memory + weight * (value - memory)
    if count < period:
        return memory + value
    return (memory + value) / period
