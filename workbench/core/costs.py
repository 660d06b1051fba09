"""Costs: the fee and the price that a market order really gets, compiled for the kernels.

A taker pays more than the printed price by `slippage_bps`, then the price goes to the next tick
against him. The commission is a share of the asset received, cut off (not rounded) at 1e-8. The
arithmetic stands in `core.money`.
"""

from __future__ import annotations

from numba import njit

from workbench.core import money

SCALE = money.SCALE
BPS = money.BPS
RATE_PER_BPS_E8 = 10_000

commission_e8 = njit(nogil=True)(money.commission_e8)
worsened_buy = njit(nogil=True)(money.worsened_buy)
worsened_sell = njit(nogil=True)(money.worsened_sell)
_ticks_above = njit(nogil=True)(money.ticks_above)
_ticks_below = njit(nogil=True)(money.ticks_below)


@njit(nogil=True)
def buy_ticks(price, slippage_bps, tick_e8):
    """Return the tick at which a market buy fills: the worsened price, rounded up."""
    return _ticks_above(worsened_buy(price, slippage_bps), tick_e8)


@njit(nogil=True)
def sell_ticks(price, slippage_bps, tick_e8):
    """Return the tick at which a market sell fills: the worsened price, rounded down."""
    return _ticks_below(worsened_sell(price, slippage_bps), tick_e8)
