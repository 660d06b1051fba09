"""The stationary bootstrap against its own definition, closed forms and published values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis import bootstrap
from workbench.errors import UsageError


def autoregressive(count: int, rho: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(count)
    series = np.zeros(count)
    for t in range(1, count):
        series[t] = rho * series[t - 1] + noise[t]
    return series


def test_blocks_go_on_around_the_end_and_have_their_mean_length() -> None:
    rng = np.random.default_rng(1)
    drawn = bootstrap.stationary_draws(50, draws=2_000, block=8.0, rng=rng)
    goes_on = (drawn[:, 1:] - drawn[:, :-1]) % 50 == 1
    # A new block begins with probability 1/8, and goes on by chance with probability 1/50 of that.
    assert goes_on.mean() == pytest.approx(1 - (1 / 8) * (49 / 50), abs=0.003)
    assert np.bincount(drawn.ravel(), minlength=50) / drawn.size == pytest.approx(0.02, abs=0.001)
    assert (drawn[:, :-1] == 49).any()
    assert ((drawn[:, :-1] == 49) & (drawn[:, 1:] == 0)).any()


def test_a_mean_block_of_one_draws_each_sample_alone() -> None:
    drawn = bootstrap.stationary_draws(50, draws=1_000, block=1.0, rng=np.random.default_rng(2))
    assert ((drawn[:, 1:] - drawn[:, :-1]) % 50 == 1).mean() == pytest.approx(1 / 50, abs=0.002)


def test_the_same_seed_draws_the_same() -> None:
    one, two = (
        bootstrap.stationary_draws(30, draws=9, block=4.0, rng=np.random.default_rng(7))
        for _ in range(2)
    )
    assert (one == two).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), samples=st.integers(1, 40), block=st.floats(1.0, 60.0))
def test_weights_are_the_means_of_the_resamples(seed: int, samples: int, block: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=samples)
    drawn = bootstrap.stationary_draws(samples, draws=6, block=block, rng=rng)
    assert bootstrap.weights_of(drawn) @ values == pytest.approx(values[drawn].mean(axis=1))


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.7])
def test_block_length_of_an_autoregression_is_that_of_its_closed_form(rho: float) -> None:
    # (2 g^2 / D)^(1/3) T^(1/3) with g / s^2 = 2 rho / (1 - rho^2) and D = 2 s^4.
    count = 8_000
    wanted = (2 * rho / (1 - rho**2)) ** (2 / 3) * count ** (1 / 3)
    found = [bootstrap.block_length(autoregressive(count, rho, seed)) for seed in range(4)]
    assert np.median(found) == pytest.approx(wanted, rel=0.12)


@pytest.mark.parametrize(
    ("series", "wanted", "digits"),
    [
        (np.random.default_rng(1).standard_normal(500), 3.189709, 1e-6),
        (np.random.default_rng(3).normal(0.001, 0.02, 730), 1.023639, 1e-6),
        # arch begins to look for small autocorrelations one lag earlier than the paper does
        (autoregressive(2_000, 0.5, 2), 10.794997, 0.03),
    ],
    ids=["noise", "returns", "autoregression"],
)
def test_block_length_is_that_of_arch(series: np.ndarray, wanted: float, digits: float) -> None:
    # `arch.bootstrap.optimal_block_length`, column "stationary", arch 8.0.0.
    assert bootstrap.block_length(series) == pytest.approx(wanted, rel=digits)


def test_what_never_varies_is_drawn_sample_by_sample() -> None:
    assert bootstrap.block_length(np.zeros(100)) == 1.0
    assert bootstrap.block_length(np.array([0.1, -0.1])) == 1.0


def test_drawdowns_of_resampled_days_are_the_published_ones() -> None:
    returns = np.random.default_rng(3).normal(0.001, 0.02, 730)
    curve = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    assert (curve / np.maximum.accumulate(curve) - 1).min() == pytest.approx(-0.195, abs=5e-4)
    drawn = bootstrap.stationary_draws(730, draws=4_000, block=5, rng=np.random.default_rng(42))
    pasts = bootstrap.resampled_pasts(returns, limit=0.30, draws=drawn, block=5)
    assert pasts.max_drawdown == pytest.approx((-0.410, -0.256, -0.172), abs=0.01)
    assert 0.2 < pasts.ruined < 0.35  # between the median and the severe tail
    assert pasts.draws == 4_000


def test_resamples_of_a_known_past_are_counted_out() -> None:
    # Three days drawn one by one: all 27 pasts are equally likely, and can be listed.
    returns = np.array([0.10, -0.20, 0.05])
    drawn = np.array(list(itertools.product(range(3), repeat=3)))
    pasts = bootstrap.resampled_pasts(returns, limit=0.36, draws=drawn)
    growths, falls, waits = [], [], []
    for days in drawn:
        level = peak = 1.0
        worst, wait, longest = 0.0, 0, 0
        for day in days:
            level *= 1.0 + returns[day]
            peak = max(peak, level)
            worst = min(worst, level / peak - 1.0)
            wait = wait + 1 if level < peak else 0
            longest = max(longest, wait)
        growths.append(level)
        falls.append(worst)
        waits.append(longest)
    at = [0.05, 0.5, 0.95]
    assert pasts.growth == pytest.approx(np.quantile(growths, at))
    assert pasts.max_drawdown == pytest.approx(np.quantile(falls, at))
    assert pasts.under_water == pytest.approx(np.quantile(waits, at))
    assert pasts.ruined == pytest.approx(np.mean(np.array(falls) <= -0.36))


def test_pasts_do_not_all_end_at_the_same_wealth() -> None:
    returns = np.random.default_rng(5).normal(0.001, 0.02, 200)
    drawn = bootstrap.stationary_draws(200, draws=500, block=5, rng=np.random.default_rng(1))
    low, _, high = bootstrap.resampled_pasts(returns, limit=0.2, draws=drawn).growth
    assert high > 1.3 * low


def test_bad_blocks_and_limits_are_refused() -> None:
    with pytest.raises(UsageError, match=r"blocks of 0\.5"):
        bootstrap.stationary_draws(10, draws=1, block=0.5, rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="limit=20 is no drawdown"):
        bootstrap.resampled_pasts(np.zeros(5), limit=20, draws=np.zeros((1, 5), np.int64))
