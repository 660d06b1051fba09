"""Sharpe errors, deflated ratios and trial counts give the values of the papers and their public code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.analysis import overfitting
from workbench.analysis.overfitting import Moments
from workbench.errors import UsageError

DAYS = 250.0  # a year, in the papers' examples
PAPER = Moments(1250, 2.5 / math.sqrt(DAYS), skew=-3.0, kurtosis=10.0)
PAPER_VARIANCE = 0.5 / DAYS


def test_moments_are_those_of_scipy() -> None:
    returns = np.random.default_rng(4).standard_t(4, 700) * 0.01 + 0.0005
    of = Moments.of(returns)
    assert of.count == 700
    assert of.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert of.skew == pytest.approx(stats.skew(returns), rel=1e-10)
    assert of.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-10)


@pytest.mark.parametrize("returns", [[], [0.1], [0.0] * 9, [0.01] * 9])
def test_returns_that_never_vary_have_no_sharpe_ratio(returns: list[float]) -> None:
    of = Moments.of(np.array(returns))
    assert math.isnan(of.sharpe)
    assert math.isnan(overfitting.probabilistic_sharpe(of))
    assert math.isnan(overfitting.min_track_record(of))


@pytest.mark.parametrize(
    ("of", "wanted"),
    [
        (Moments(134, 0.7079, -0.2250, 2.9570), 0.1028),
        (Moments(134, 0.8183, -1.4455, 7.0497), 0.1550),
    ],
)
def test_error_of_a_sharpe_ratio(of: Moments, wanted: float) -> None:
    assert overfitting.sharpe_error(of) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.parametrize(
    ("of", "wanted", "digits"),
    [
        (Moments(24, 0.458), 0.98167, 5e-6),
        (Moments(24, 0.458, -2.448, 10.164), 0.91336, 5e-6),
        (Moments(24, 1.585 / math.sqrt(12), -2.448, 10.164), 0.913234306884860, 1e-12),
    ],
)
def test_probabilistic_sharpe(of: Moments, wanted: float, digits: float) -> None:
    assert overfitting.probabilistic_sharpe(of) == pytest.approx(wanted, abs=digits)


@pytest.mark.parametrize(
    ("of", "above", "a_year", "years"),
    [
        (Moments(134, 0.7079, -0.2250, 2.9570), 0.0, 12, 0.7152),
        (Moments(134, 0.8183, -1.4455, 7.0497), 0.0, 12, 1.1593),
        (Moments(9, 2 / math.sqrt(250)), 1 / math.sqrt(250), 250, 2.731188),
        (Moments(9, 2 / math.sqrt(52)), 1 / math.sqrt(52), 52, 2.828834),
        (Moments(9, 3 / math.sqrt(12), -0.72, 5.78), 2.5 / math.sqrt(12), 12, 27.352920),
    ],
)
def test_min_track_record(of: Moments, above: float, a_year: int, years: float) -> None:
    digits = 5e-5 if above == 0.0 else 5e-7
    assert overfitting.min_track_record(of, above) / a_year == pytest.approx(years, abs=digits)


@pytest.mark.parametrize(
    ("annual", "years"), [(1.0, 2.71), (2.0, 0.68), (3.0, 0.31)], ids=["1", "2", "3"]
)
def test_years_of_days_that_prove_a_sharpe_ratio(annual: float, years: float) -> None:
    found = overfitting.min_track_record(Moments(9, annual / math.sqrt(365)))
    assert found / 365 == pytest.approx(years, abs=0.006)


def test_a_track_record_at_its_minimum_passes_at_its_level() -> None:
    for skew, kurtosis in ((0.0, 3.0), (-0.5, 10.0)):
        needed = overfitting.min_track_record(Moments(9, 0.05, skew, kurtosis), 0.01)
        at_last = Moments(math.ceil(needed), 0.05, skew, kurtosis)
        before = Moments(math.ceil(needed) - 1, 0.05, skew, kurtosis)
        assert overfitting.probabilistic_sharpe(at_last, 0.01) >= 0.95
        assert overfitting.probabilistic_sharpe(before, 0.01) < 0.95
    assert math.isnan(overfitting.min_track_record(Moments(100, 0.01), 0.01))


@pytest.mark.parametrize(
    ("trials", "wanted"), [(1, 0.0), (10, 1.574598), (45, 2.235640), (100, 2.530603), (2400, 3.496293)]
)  # fmt: skip
def test_expected_maximum_of_trials(trials: int, wanted: float) -> None:
    assert overfitting.expected_max(trials) == pytest.approx(wanted, abs=5e-7)


def test_expected_maximum_is_near_that_of_draws() -> None:
    draws = np.random.default_rng(1).standard_normal((4_000, 100)).max(axis=1).mean()
    assert overfitting.expected_max(100) == pytest.approx(draws, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(trials=st.floats(1.0, 1e7), more=st.floats(0.0, 1e4))
def test_more_trials_never_expect_less(trials: float, more: float) -> None:
    assert 0.0 <= overfitting.expected_max(trials) <= overfitting.expected_max(trials + more)


def test_deflated_sharpe_of_the_paper() -> None:
    lucky = overfitting.lucky_sharpe(100, PAPER_VARIANCE)
    assert lucky == pytest.approx(0.113172, abs=5e-7)
    assert lucky * math.sqrt(DAYS) == pytest.approx(1.789406, abs=5e-6)
    found = overfitting.deflated_sharpe(PAPER, trials=100, variance=PAPER_VARIANCE)
    assert found == pytest.approx(0.900396834449390, abs=1e-12)


def test_deflated_sharpes_that_just_pass() -> None:
    found = overfitting.deflated_sharpe(PAPER, trials=46, variance=PAPER_VARIANCE)
    assert found == pytest.approx(0.950502, abs=5e-7)
    normal = Moments(PAPER.count, PAPER.sharpe)
    found = overfitting.deflated_sharpe(normal, trials=88, variance=PAPER_VARIANCE)
    assert found == pytest.approx(0.950491, abs=5e-7)


@pytest.mark.parametrize(
    ("trials", "wanted"), [(100, (0.297, 0.678, 0.926)), (2400, (0.067, 0.309, 0.689))]
)
def test_a_year_of_days_passes_for_no_sharpe_ratio_up_to_four(
    trials: int, wanted: tuple[float, ...]
) -> None:
    # Trials without any edge: over T samples their ratios vary by 1 / (T - 1).
    found = [
        overfitting.deflated_sharpe(
            Moments(365, annual / math.sqrt(365)), trials=trials, variance=1 / 364
        )
        for annual in (2.0, 3.0, 4.0)
    ]
    assert found == pytest.approx(wanted, abs=6e-4)


def test_one_trial_is_deflated_by_nothing() -> None:
    plain = overfitting.probabilistic_sharpe(PAPER)
    for variance in (0.0, 0.3, math.nan):
        assert overfitting.deflated_sharpe(PAPER, trials=1, variance=variance) == plain


def test_an_annual_ratio_beside_a_daily_variance_would_pass_anything() -> None:
    # The trap that the names warn of: the same trials, once in daily units, once mixed up.
    poor = Moments(1250, 1.0 / math.sqrt(DAYS))
    mixed = Moments(1250, 1.0)
    assert overfitting.deflated_sharpe(poor, trials=100, variance=PAPER_VARIANCE) < 0.05
    assert overfitting.deflated_sharpe(mixed, trials=100, variance=PAPER_VARIANCE) == 1.0


@pytest.mark.parametrize(("trials", "years"), [(45, 4.998087004443404), (7, 1.923), (2400, 12.224)])
def test_min_backtest_length(trials: int, years: float) -> None:
    found = overfitting.min_backtest_years(trials)
    assert found == pytest.approx(years, abs=1e-9 if trials == 45 else 5e-4)
    assert found < 2.0 * math.log(trials)  # the paper's upper bound: 7.613 for 45
    assert overfitting.min_backtest_years(trials, 2.0) == pytest.approx(found / 4.0)


def test_mean_correlation_is_that_of_the_whole_table() -> None:
    rng = np.random.default_rng(8)
    returns = rng.normal(0, 0.02, (300, 1)) * rng.uniform(0, 2, 12) + rng.normal(0, 0.01, (300, 12))
    table = np.corrcoef(returns.T)
    wanted = table[~np.eye(12, dtype=bool)].mean()
    assert overfitting.mean_correlation(returns) == pytest.approx(wanted, rel=1e-10)
    flat = np.column_stack([returns, np.zeros((300, 3)), np.full((300, 2), 0.001)])
    assert overfitting.mean_correlation(flat) == pytest.approx(wanted, rel=1e-10)
    assert math.isnan(overfitting.mean_correlation(flat[:, 12:]))


def test_effective_trials_lie_between_one_and_all() -> None:
    assert overfitting.effective_trials(100, 1.0) == pytest.approx(1.0)
    assert overfitting.effective_trials(100, 0.0) == 100
    assert overfitting.effective_trials(100, 0.6) == pytest.approx(40.6)
    assert overfitting.effective_trials(100, -0.005) == 100
    assert overfitting.effective_trials(100, math.nan) == 100


def test_skfolio_agrees_on_probabilistic_and_deflated_sharpe() -> None:
    measures = pytest.importorskip("skfolio.measures", reason="skfolio is a peer")
    rng = np.random.default_rng(6)
    for returns in (rng.normal(0.001, 0.02, 400), rng.standard_t(4, 900) * 0.01 + 0.0004):
        of = Moments.of(returns)
        assert overfitting.probabilistic_sharpe(of) == pytest.approx(
            measures.probabilistic_sharpe_ratio(returns), rel=1e-9
        )
        tried = rng.normal(0.0, 0.04, 250)
        found = overfitting.deflated_sharpe(of, trials=250, variance=float(np.var(tried, ddof=1)))
        assert found == pytest.approx(measures.deflated_sharpe_ratio(returns, tried), rel=1e-9)


def test_no_trials_and_no_variance_are_refused_with_the_mend() -> None:
    with pytest.raises(UsageError, match="0 trials: there is at least one"):
        overfitting.expected_max(0)
    with pytest.raises(UsageError, match=r"variance of nan .* 0 or more"):
        overfitting.lucky_sharpe(5, math.nan)
