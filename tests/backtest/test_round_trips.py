"""Round trips: what fills fold into, against a fold that is written as one would say it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest.round_trips import profits_of, round_trips
from workbench.core.account import FILL

FEE = 0.001
Trade = tuple[int, float, float]  # side, price, share of what is held (a sale) or quantity (a buy)


def fills_of(trades: list[Trade]) -> np.ndarray:
    """Return fills whose buys pay their fee in base; what a sale realises is one quote a fill."""
    fills, held = np.zeros(len(trades), FILL), 0.0
    for i, (side, price, size) in enumerate(trades):
        quantity = size if side > 0 else held * size
        fee = quantity * FEE if side > 0 else quantity * price * FEE
        held += quantity - fee if side > 0 else -quantity
        fills[i] = (i, i, side, price, quantity, fee, 0, 0, 0.0 if side > 0 else 1.0, 0)
    return fills


def naive(fills: np.ndarray, last_close: float) -> list[tuple[float, ...]]:
    """Return (entry, exit, entry price, quantity, fees, profit) of trips, cut where nothing is held."""
    trips, trip, held = [], [], 0.0
    for fill in fills.tolist():
        side, quantity, fee = fill[2], fill[4], fill[5]
        if side < 0 and not trip:
            continue
        trip.append(fill)
        held += quantity - fee if side > 0 else -quantity
        if side < 0 and held < 1e-12 * sum(one[4] for one in trip if one[2] > 0):
            trips.append((trip, None))
            trip = []
    if trip:
        trips.append((trip, held * last_close))
    return [_told(trip, value) for trip, value in trips]


def _told(trip: list[tuple[float, ...]], open_value: float | None) -> tuple[float, ...]:
    buys, sells = ([one for one in trip if one[2] * side > 0] for side in (1, -1))
    paid = sum(one[3] * one[4] for one in buys)
    bought = sum(one[4] for one in buys)
    fees = sum(one[5] * one[3] for one in buys) + sum(one[5] for one in sells)
    profit = sum(one[8] for one in sells)
    if open_value is not None:
        profit = sum(one[3] * one[4] - one[5] for one in sells) + open_value - paid
    leaves = -1 if open_value is not None else trip[-1][0]
    return trip[0][0], leaves, paid / bought, bought, fees, profit


trades = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.floats(1.0, 9.0), st.sampled_from([0.25, 0.5, 1.0])),
    max_size=24,
)


@settings(max_examples=60, deadline=None)
@given(trades)
def test_trips_are_those_of_a_fold_by_hand(made: list[Trade]) -> None:
    fills = fills_of(made)
    trips = round_trips(fills, step=0.0, last_close=3.0)
    names = ["entry_index", "exit_index", "entry_price", "quantity", "fees", "pnl"]
    told = [tuple(float(one[name]) for name in names) for one in trips]
    assert told == [pytest.approx(one, rel=1e-12) for one in naive(fills, 3.0)]
    closed = [one[-1] for one in naive(fills, 3.0) if one[1] >= 0]
    assert profits_of(trips).tolist() == pytest.approx(closed)


def test_a_trip_ends_when_less_than_a_lot_is_left_and_its_crumbs_open_none() -> None:
    fills = fills_of([(1, 2.0, 10.0), (-1, 3.0, 0.9), (-1, 3.0, 1.0), (1, 2.0, 4.0)])
    whole = round_trips(fills, step=0.0, last_close=5.0)
    assert whole["exit_index"].tolist() == [2, -1]
    lots = round_trips(fills, step=1.0, last_close=5.0)
    # 9.99 bought after the fee, nine tenths sold: 0.999 is less than a lot, the next sale its crumbs.
    assert lots["exit_index"].tolist() == [1, -1]
    assert lots["entry_index"].tolist() == [0, 3]
    assert lots["exit_price"][0] == 3.0
    assert np.isnan(lots["exit_price"][1])
