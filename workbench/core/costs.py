"""Costs: the fee and the price that a market order really gets, in one place for every shell.

A taker pays more than the printed price by `slippage_bps`, then the price goes to the next tick
against him. The commission is a share of the asset received, cut off (not rounded) at 1e-8.
"""

from __future__ import annotations

import math

from numba import njit

SCALE = 100_000_000
BPS = 10_000.0
RATE_PER_BPS_E8 = 10_000
_SNAP = 1e-9  # a price within this share of a tick counts as on it


@njit(nogil=True)
def commission_e8(amount_e8, rate_e8):
    """Return floor(amount x rate) with both at 1e-8, without overflow up to 9e10 whole units."""
    whole = amount_e8 // SCALE
    rest = amount_e8 - whole * SCALE
    return whole * rate_e8 + rest * rate_e8 // SCALE


@njit(nogil=True)
def worsened_buy(price, slippage_bps):
    """Return the price that a market buy pays, before ticks."""
    return price * (1.0 + slippage_bps / BPS)


@njit(nogil=True)
def worsened_sell(price, slippage_bps):
    """Return the price that a market sell gets, before ticks."""
    return price * (1.0 - slippage_bps / BPS)


@njit(nogil=True)
def buy_ticks(price, slippage_bps, tick_e8):
    """Return the tick at which a market buy fills: the worsened price, rounded up."""
    return int(math.ceil(worsened_buy(price, slippage_bps) * SCALE / tick_e8 - _SNAP))


@njit(nogil=True)
def sell_ticks(price, slippage_bps, tick_e8):
    """Return the tick at which a market sell fills: the worsened price, rounded down."""
    return int(math.floor(worsened_sell(price, slippage_bps) * SCALE / tick_e8 + _SNAP))
