"""Fees and ticks as plain arithmetic: the matching engine runs it as it is, the kernels compile it.

Written once, so that no shell can round otherwise than another; without the compiler, so that an
exchange starts at once and its first order waits for no compilation.
"""

from __future__ import annotations

import math

SCALE = 100_000_000
BPS = 10_000.0
_SNAP = 1e-9  # a price within this share of a tick counts as on it


def commission_e8(amount_e8, rate_e8):
    """Return floor(amount x rate) with both at 1e-8, without overflow up to 9e10 whole units."""
    whole = amount_e8 // SCALE
    rest = amount_e8 - whole * SCALE
    return whole * rate_e8 + rest * rate_e8 // SCALE


def worsened_buy(price, slippage_bps):
    """Return the price that a market buy pays, before ticks."""
    return price * (1.0 + slippage_bps / BPS)


def worsened_sell(price, slippage_bps):
    """Return the price that a market sell gets, before ticks."""
    return price * (1.0 - slippage_bps / BPS)


def ticks_above(price, tick_e8):
    """Return the first tick that is not below a price."""
    return int(math.ceil(price * SCALE / tick_e8 - _SNAP))


def ticks_below(price, tick_e8):
    """Return the last tick that is not above a price."""
    return int(math.floor(price * SCALE / tick_e8 + _SNAP))
