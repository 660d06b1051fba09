"""Metrics give the published golden values, and those of empyrical where conventions coincide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.candle_builders import martingale, to_cents
from workbench.analysis import metrics
from workbench.backtest.kernels import curve_kernel
from workbench.core import curve, statistics

G = np.array([-0.05, 0.02, 0.0, 0.03, -0.01, 0.04, 0.0, -0.06, 0.05, 0.01])  # daily returns
CASH = 10_000.0
EQUITY = CASH * np.cumprod(1.0 + G)
DAYS = 365.0


def test_the_golden_series_has_its_golden_ratios() -> None:
    assert EQUITY[-1] / CASH - 1.0 == pytest.approx(0.02439644, abs=5e-9)
    assert metrics.sharpe(G, DAYS) == pytest.approx(1.595779, abs=5e-7)
    assert metrics.sortino(G, DAYS) == pytest.approx(2.301823, abs=5e-7)
    assert metrics.max_drawdown(CASH, EQUITY) == pytest.approx(-0.06, abs=1e-12)


def test_growth_and_calmar_are_annualised_from_ninety_days_on() -> None:
    # The golden factor, repeated ten times: 100 days with the same yearly growth as ten days have.
    growth = metrics.cagr(float(EQUITY[-1] / CASH) ** 10, 100.0)
    assert growth == pytest.approx(1.410373, abs=5e-7)
    assert metrics.calmar(growth, -0.06) == pytest.approx(23.506218, abs=5e-6)
    assert math.isnan(metrics.cagr(float(EQUITY[-1] / CASH), 10.0))
    assert math.isnan(metrics.calmar(growth, 0.0))


def test_returns_of_the_curve_are_the_series_again_and_count_the_first_loss() -> None:
    assert metrics.returns_of(CASH, EQUITY) == pytest.approx(G, abs=1e-15)
    assert metrics.max_drawdown(1.0, np.array([0.8, 0.88, 0.968])) == pytest.approx(-0.2)


def test_profit_factor_and_win_rate_are_those_of_the_golden_trades() -> None:
    profits = np.array([-31.0, 60.25, -6.0])
    assert metrics.profit_factor(profits) == pytest.approx(1.628378, abs=5e-7)
    assert metrics.win_rate(np.array([1.0, 0.0, -1.0, 2.0])) == 0.5  # zero is not won
    assert math.isnan(metrics.profit_factor(np.array([1.0])))
    assert metrics.expectancy(profits) == pytest.approx(23.25 / 3)


def test_empyrical_agrees_where_the_conventions_coincide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "NINF", -math.inf, raising=False)  # it was written for numpy 1
    empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is a peer")
    rng = np.random.default_rng(3)
    for returns in (G, rng.normal(0.001, 0.02, 400), rng.standard_t(3, 900) * 0.01):
        curve = CASH * np.cumprod(1.0 + returns)
        assert metrics.sharpe(returns, DAYS) == pytest.approx(
            empyrical.sharpe_ratio(returns, annualization=365), rel=1e-12
        )
        assert metrics.sortino(returns, DAYS) == pytest.approx(
            empyrical.sortino_ratio(returns, annualization=365), rel=1e-12
        )
        assert metrics.max_drawdown(CASH, curve) == pytest.approx(
            empyrical.max_drawdown(returns), rel=1e-12
        )
        if len(returns) >= metrics.MIN_DAYS_TO_ANNUALISE:
            growth = metrics.cagr(float(curve[-1] / CASH), len(returns))
            expected = empyrical.annual_return(returns, annualization=365)
            assert growth == pytest.approx(expected, rel=1e-12)
            assert metrics.calmar(growth, metrics.max_drawdown(CASH, curve)) == pytest.approx(
                empyrical.calmar_ratio(returns, annualization=365), rel=1e-12
            )


def test_the_kernels_sums_give_the_same_ratios() -> None:
    rng = np.random.default_rng(4)
    for returns in (G, rng.normal(0.0, 0.02, 2_000)):
        losses = np.minimum(returns, 0.0)
        sums = len(returns), returns.sum(), (returns**2).sum(), (losses**2).sum()
        sharpe = statistics.sharpe_ratio(*sums[:3], DAYS)
        sortino = statistics.sortino_ratio(sums[0], sums[1], sums[3], DAYS)
        assert sharpe == pytest.approx(metrics.sharpe(returns, DAYS), rel=1e-10)
        assert sortino == pytest.approx(metrics.sortino(returns, DAYS), rel=1e-10)
    factor = 1.02439644**10
    assert statistics.growth_a_year(factor, 100.0) == pytest.approx(
        metrics.cagr(factor, 100.0), rel=1e-14
    )


@pytest.mark.parametrize(
    ("rho", "samples", "golden"),
    [(0.1, 12, 3.160111), (0.1, 365, 17.285883), (-0.1, 365, 21.115500), (0.0, 12, 3.464102)],
)
def test_annualisation_with_autocorrelation_is_los(rho: float, samples: int, golden: float) -> None:
    correlations = rho ** np.arange(1, samples)
    assert metrics.annualising_factor(samples, correlations) == pytest.approx(golden, abs=5e-7)


def test_independent_returns_are_annualised_by_the_square_root() -> None:
    assert metrics.annualising_factor(365, np.zeros(0)) == pytest.approx(math.sqrt(365))
    noise = np.random.default_rng(5).normal(0.001, 0.01, 100_000)
    adjusted = metrics.adjusted_sharpe(noise, 365, 5)
    assert adjusted == pytest.approx(metrics.sharpe(noise, DAYS), rel=0.02)


def test_autocorrelations_of_a_trending_series_are_found() -> None:
    rng = np.random.default_rng(6)
    series = np.zeros(50_000)
    for t in range(1, len(series)):
        series[t] = 0.3 * series[t - 1] + rng.normal()
    assert metrics.autocorrelations(series, 3) == pytest.approx([0.3, 0.09, 0.027], abs=0.02)
    assert metrics.adjusted_sharpe(series + 1, 365, 3) < metrics.sharpe(series + 1, DAYS)
    assert metrics.autocorrelations(np.ones(4), 2).tolist() == pytest.approx(
        [math.nan] * 2, nan_ok=True
    )


def test_the_system_quality_number_counts_a_hundred_trades_at_most() -> None:
    profits = np.array([1.0, -1.0, 2.0, 0.5])
    mean, deviation = 0.625, math.sqrt(4.6875 / 3)
    assert metrics.sqn(profits) == pytest.approx(2.0 * mean / deviation, rel=1e-12)
    many = np.tile(profits, 100)
    assert metrics.sqn(many) == pytest.approx(10.0 * mean / float(np.std(many, ddof=1)), rel=1e-12)
    assert math.isnan(metrics.sqn(np.array([1.0])))


def test_exposure_weighs_each_bar_by_the_capital_at_work() -> None:
    equity, value = np.array([100.0, 100.0, 200.0, 200.0]), np.array([0.0, 50.0, 200.0, 0.0])
    assert metrics.capital_exposure(equity, value) == pytest.approx(0.375)


def test_the_ratio_per_bar_uses_every_bar() -> None:
    hourly = metrics.bar_sharpe(CASH, EQUITY, 8_760.0)
    assert hourly == pytest.approx(1.595779 * math.sqrt(24.0), abs=5e-6)


def test_what_never_moved_has_no_ratio() -> None:
    flat = np.zeros(30)
    assert math.isnan(metrics.sharpe(flat, DAYS))
    assert math.isnan(metrics.sortino(flat, DAYS))
    assert math.isnan(metrics.sharpe(np.full(30, 0.001), DAYS))
    assert math.isnan(metrics.expectancy(np.zeros(0)))


def described(
    cash: float,
    equity: np.ndarray,
    cash_left: np.ndarray,
    ends: np.ndarray,
    profits: list[float],
    scale: tuple[float, float] = (DAYS, 8_760.0),
) -> dict[str, float]:
    out = np.zeros(1, curve.CURVE)
    curve_kernel()(cash, equity, cash_left, ends, np.array(profits, float), scale, out)
    return {name: float(out[name][0]) for name in curve.CURVE.names or ()}


def test_the_compiled_curve_has_the_golden_ratios() -> None:
    every_bar = np.ones(len(G), np.int8)
    found = described(CASH, EQUITY, EQUITY / 4, every_bar, [-31.0, 60.25, -6.0], (DAYS, DAYS))
    assert found["bar_sharpe"] == pytest.approx(1.595779, abs=5e-7)
    assert found["capital_exposure"] == pytest.approx(0.75)
    assert found["expectancy"] == pytest.approx(23.25 / 3)
    assert found["expectancy_r"] == pytest.approx(23.25 / 3 / 18.5)  # the average loss is 18.50
    assert math.isnan(found["adjusted_sharpe"])  # ten samples say nothing about correlation


@pytest.mark.parametrize(
    ("rho", "samples", "golden"),
    [(0.1, 12, 3.160111), (0.1, 365, 17.285883), (-0.1, 365, 21.115500), (0.0, 12, 3.464102)],
)
def test_the_compiled_factor_is_los_too(rho: float, samples: int, golden: float) -> None:
    correlations = rho ** np.arange(1, samples)
    assert curve.annualising_factor(samples, correlations) == pytest.approx(golden, abs=5e-7)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(2, 90), trades=st.integers(0, 150))
def test_the_compiled_curve_equals_the_readable_definitions(
    seed: int, days: int, trades: int
) -> None:
    rng = np.random.default_rng(seed)
    equity = CASH * np.cumprod(1.0 + rng.normal(0.0, 0.01, days * 24))
    value = equity * rng.uniform(0.0, 1.0, len(equity)) * rng.integers(0, 2, len(equity))
    ends = np.zeros(len(equity), np.int8)
    ends[23::24] = 1
    profits = rng.normal(1.0, 20.0, trades)
    found = described(CASH, equity, equity - value, ends, profits.tolist())
    returns = metrics.returns_of(CASH, equity[23::24])
    lags = int(4 * (days / 100) ** (2 / 9))
    losses = profits[profits < 0.0]
    expected = {
        "bar_sharpe": metrics.bar_sharpe(CASH, equity, 8_760.0),
        "adjusted_sharpe": metrics.adjusted_sharpe(returns, 365, lags) if days >= 30 else math.nan,
        "capital_exposure": metrics.capital_exposure(equity, value),
        "expectancy": metrics.expectancy(profits),
        "expectancy_r": metrics.expectancy(profits) / -losses.mean() if len(losses) else math.nan,
        "sqn": metrics.sqn(profits),
    }
    assert found == {
        name: pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True)
        for name, value in expected.items()
    }


def test_every_metrics_table_shows_them_all_and_says_why_one_is_missing() -> None:
    import workbench as wb

    run = wb.backtest(to_cents(martingale(1_200, 7)), wb.strategies.macd, fast=3, slow=7, signal=3)
    page, sheet = run._repr_html_(), run.tearsheet().table()
    for name in ("bar_sharpe", "adjusted_sharpe", "capital_exposure", "expectancy", "sqn"):
        assert run.metrics[name] is not None
    shown = {"SQN", "Sharpe per bar", "Sharpe after Lo", "expectancy in R"}
    assert shown <= set(sheet["metric"])
    assert all(name in page for name in shown)
    short = wb.backtest(to_cents(martingale(100, 7)), wb.strategies.macd)
    assert short.metrics["adjusted_sharpe"] is None
    assert "30" in short.reasons["adjusted_sharpe"]
