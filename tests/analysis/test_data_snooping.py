"""SPA and StepM: they divide by each set's own deviation, keep their size, and find what is there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.analysis.bootstrap import stationary_draws
from workbench.analysis.data_snooping import snooping_tests


def one_quiet_winner_among_wild_sets() -> np.ndarray:
    rng = np.random.default_rng(7)
    winner = 0.003 + 0.01 * rng.standard_normal(500)
    return np.column_stack([winner, rng.normal(0, 0.2, (500, 5))])


def plain_p(excess: np.ndarray, drawn: np.ndarray) -> float:
    """Return the p-value of a test that does not divide by deviations, as some packages run it."""
    root = math.sqrt(len(excess))
    means = excess.mean(axis=0)
    best = [(root * (excess[rows].mean(axis=0) - means)).max() for rows in drawn]
    return float(np.mean(np.array(best) >= root * means.max()))


def naive_p(excess: np.ndarray, drawn: np.ndarray) -> float:
    """Return Hansen's p-value set by set and resample by resample."""
    samples, sets = excess.shape
    root = math.sqrt(samples)
    means = [float(excess[:, k].mean()) for k in range(sets)]
    resampled = np.array([[excess[rows, k].mean() for k in range(sets)] for rows in drawn])
    deviations = [root * float(np.std(resampled[:, k])) for k in range(sets)]
    observed = max(0.0, *(root * m / w for m, w in zip(means, deviations, strict=True)))
    reached = 0
    for row in resampled:
        scores = [0.0]
        for k in range(sets):
            bound = -math.sqrt(deviations[k] ** 2 / samples * 2 * math.log(math.log(samples)))
            centre = means[k] if means[k] >= bound else 0.0
            scores.append(root * (row[k] - centre) / deviations[k])
        reached += max(scores) >= observed
    return reached / len(drawn)


def test_a_quiet_winner_is_found_beside_wild_sets() -> None:
    excess = one_quiet_winner_among_wild_sets()
    drawn = stationary_draws(500, draws=1_000, block=22, rng=np.random.default_rng(1))
    found = snooping_tests(excess, drawn)
    assert found.p_value == 0.0
    assert found.winners.tolist() == [0]
    assert plain_p(excess, drawn) > 0.2  # the wild ones hide it from a test without deviations


def test_p_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(3)
    for shift in (-0.004, 0.0, 0.002):
        excess = rng.normal(0, 0.02, (120, 7)) + shift * np.arange(7) / 7
        excess[:, 2] -= 0.02  # clearly bad: not centred at its mean
        drawn = stationary_draws(120, draws=200, block=3, rng=rng)
        assert snooping_tests(excess, drawn).p_value == pytest.approx(naive_p(excess, drawn))


def test_deviations_are_those_of_the_closed_form() -> None:
    # Politis and Romano (1994): the bootstrap's variance of sqrt(T) m is a weighted sum of covariances.
    rng = np.random.default_rng(9)
    noise = rng.standard_normal(301)
    series = noise[1:] + 0.6 * noise[:-1]
    samples, restart = len(series), 1 / 6
    centred = series - series.mean()
    variance = float(centred @ centred) / samples
    for lag in range(1, samples):
        weight = (1 - lag / samples) * (1 - restart) ** lag
        weight += lag / samples * (1 - restart) ** (samples - lag)
        variance += 2 * weight * float(centred[lag:] @ centred[:-lag]) / samples
    drawn = stationary_draws(samples, draws=6_000, block=6, rng=rng)
    found = snooping_tests(series[:, None], drawn)
    own = math.sqrt(samples) * series.mean() / math.sqrt(variance)
    assert found.statistic == pytest.approx(max(0.0, own), rel=0.04)


def test_noise_is_called_skill_about_as_often_as_its_level_says() -> None:
    rng = np.random.default_rng(11)
    called = 0
    for _ in range(100):
        excess = rng.normal(0, 0.02, (200, 10)) * rng.uniform(0.5, 3, 10)
        drawn = stationary_draws(200, draws=200, block=2, rng=rng)
        found = snooping_tests(excess, drawn)
        called += found.p_value <= 0.05
    assert called / 100 < 0.12


def test_stepwise_finds_what_a_first_step_leaves() -> None:
    rng = np.random.default_rng(5)
    excess = rng.normal(0, 0.01, (400, 12))
    excess[:, :2] += 0.004
    excess[:, 2] += 0.0022
    drawn = stationary_draws(400, draws=1_000, block=2, rng=rng)
    assert snooping_tests(excess, drawn).winners.tolist() == [0, 1, 2]


def test_sets_that_are_the_benchmark_do_not_count() -> None:
    rng = np.random.default_rng(6)
    drawn = stationary_draws(100, draws=100, block=2, rng=rng)
    nothing = snooping_tests(np.zeros((100, 4)), drawn)
    assert math.isnan(nothing.p_value)
    assert nothing.sets == 0
    one = snooping_tests(np.column_stack([np.zeros(100), rng.normal(0.01, 0.01, 100)]), drawn)
    assert one.sets == 1
    assert one.winners.tolist() == [1]


def test_what_loses_has_no_case() -> None:
    losing = np.random.default_rng(8).normal(-0.01, 0.01, (150, 5))
    drawn = stationary_draws(150, draws=200, block=2, rng=np.random.default_rng(1))
    found = snooping_tests(losing, drawn)
    assert found.p_value == 1.0
    assert not len(found.winners)
