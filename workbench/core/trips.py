"""Round trips: fills folded from flat to flat, each with what it earned after all fees.

Prices are averages before fees, `pnl` and `gain` are after them, in quote and as a fraction of the
quote paid. A position that is still open at the end is a trip without an exit, marked at the last close.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_EMPTY = 1e-12

TRIP = np.dtype(
    [
        ("entry_index", "<i8"),
        ("exit_index", "<i8"),  # -1 while it is open
        ("entry_price", "<f8"),
        ("exit_price", "<f8"),  # NaN where nothing was sold
        ("quantity", "<f8"),
        ("fees", "<f8"),  # in quote, base fees valued at the fill's price
        ("pnl", "<f8"),
        ("gain", "<f8"),
        ("reason", "<i1"),  # of the fill that closed it
    ],
    align=True,
)


@njit(nogil=True)
def fold_fills(fills, step, last_close, trips):
    """Write one TRIP a round trip, the open one last, and return how many there are.

    `step` is the smallest quantity that can be sold (0 without filters): a trip is closed when less
    than it is left. There are at most as many trips as fills.
    """
    count, opened = 0, False
    held = bought = paid = sold = got = charged = fees = pnl = 0.0
    entry_index = 0
    for i in range(fills.shape[0]):
        fill = fills[i]
        price, quantity, fee = fill.price, fill.quantity, fill.fee
        if fill.side > 0:
            if not opened:
                opened, entry_index = True, fill.index
                bought = paid = sold = got = charged = fees = pnl = 0.0
            bought += quantity
            paid += price * quantity
            fees += fee * price
            held += quantity - fee
            continue
        if not opened:  # the last crumbs of a closed trip: less than can be told from rounding
            continue
        sold += quantity
        got += price * quantity
        charged += fee
        fees += fee
        pnl += fill.realised
        held -= quantity
        if held < max(step, _EMPTY * bought):
            trip = trips[count]
            _write(trip, entry_index, bought, paid, sold, got, fees, pnl)
            trip.exit_index, trip.reason = fill.index, fill.reason
            count, opened = count + 1, False
    if opened:
        trip = trips[count]
        pnl = got - charged + held * last_close - paid
        _write(trip, entry_index, bought, paid, sold, got, fees, pnl)
        trip.exit_index, trip.reason = -1, 0
        count += 1
    return count


@njit(nogil=True)
def _write(trip, entry_index, bought, paid, sold, got, fees, pnl):
    trip.entry_index, trip.quantity = entry_index, bought
    trip.entry_price = paid / bought
    trip.exit_price = got / sold if sold != 0.0 else np.nan
    trip.fees, trip.pnl, trip.gain = fees, pnl, pnl / paid
