"""Costs, best trades and quarters, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.analysis import robustness


def test_break_even_cost_is_what_one_round_trip_can_pay() -> None:
    # Bought for 1,000, sold for 1,030 before costs: 30 are gone where 2,030 of trades cost 1.478 %.
    found = robustness.break_even_cost(30.0, 2_030.0)
    assert found == pytest.approx(0.0147783, abs=1e-7)
    assert robustness.break_even_cost(-30.0, 2_000.0) == pytest.approx(-0.015)
    assert math.isnan(robustness.break_even_cost(0.0, 0.0))


def test_share_of_the_best_trades() -> None:
    gains = np.array([10.0, -5.0, 20.0, 5.0, 1.0, 2.0, -3.0, 30.0])
    assert robustness.best_trades_share(gains) == pytest.approx(67 / 60)
    assert robustness.best_trades_share(gains, 1) == pytest.approx(0.5)
    assert robustness.best_trades_share(np.array([4.0, 4.0])) == 1.0
    assert math.isnan(robustness.best_trades_share(np.array([4.0, -5.0])))
    assert math.isnan(robustness.best_trades_share(np.zeros(0)))


def test_quarters_are_those_of_the_calendar() -> None:
    times = np.array(
        ["2024-12-31T23", "2025-01-01T00", "2025-03-31T23", "2025-04-01T00", "2025-12-01T00"],
        "datetime64[ms]",
    ).astype(np.int64)
    equity = np.array([110.0, 99.0, 121.0, 130.0, 117.0])
    found = robustness.quarter_returns(100.0, equity, times)
    assert found == pytest.approx(
        {"2024Q4": 0.10, "2025Q1": 0.10, "2025Q2": 130 / 121 - 1, "2025Q4": -0.10}
    )
