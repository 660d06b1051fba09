"""CSCV and CPCV: hand cases, published values, a slow and obvious oracle, and skfolio's splits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.analysis import cross_validation as cv
from workbench.errors import UsageError


def naive_cscv(returns: np.ndarray, blocks: int) -> tuple[float, list[float], list[float]]:
    """Return PBO, and metric in and out of sample of each half's choice, from whole columns."""
    dropped = returns[len(returns) % blocks :]
    parts = np.split(dropped, blocks)
    below, inside, outside = 0, [], []
    for half in itertools.combinations(range(blocks), blocks // 2):
        chosen = np.concatenate([parts[b] for b in half])
        other = np.concatenate([parts[b] for b in range(blocks) if b not in half])
        first, second = (part.mean(axis=0) / part.std(axis=0, ddof=1) for part in (chosen, other))
        best = int(np.argmax(first))
        rank = stats.rankdata(second)[best] / (returns.shape[1] + 1)
        below += math.log(rank / (1 - rank)) <= 0
        inside.append(float(first[best]))
        outside.append(float(second[best]))
    return below / math.comb(blocks, blocks // 2), inside, outside


def test_two_columns_worked_by_hand() -> None:
    # A earns 3 in the first half and nothing after, B 1 throughout. Blocks of two samples: the halves
    # {1, 2} choose A and find it last, {3, 4} choose B and find it last, the four mixed ones choose A and
    # find it first: 2 of 6.
    returns = np.column_stack([[3.0] * 4 + [0.0] * 4, [1.0] * 8])
    found = cv.cscv(returns, blocks=4, metric=cv.mean_of_sums)
    assert found.halves == 6
    assert found.probability == pytest.approx(1 / 3)
    assert found.in_sample.tolist() == [3.0, 1.5, 1.5, 1.5, 1.5, 1.0]
    assert found.out_of_sample.tolist() == [0.0, 1.5, 1.5, 1.5, 1.5, 1.0]
    assert found.ranks == pytest.approx([1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 1 / 3])


def test_published_case_of_noise() -> None:
    returns = 0.01 * np.random.default_rng(0).standard_normal((1000, 20))
    found = cv.cscv(returns, blocks=8)
    assert found.halves == 70
    assert found.probability == pytest.approx(32 / 70)
    slope = np.polyfit(found.in_sample, found.out_of_sample, 1)[0]
    assert slope == pytest.approx(-0.162114, abs=5e-7)


def test_noise_gives_about_half_and_one_value_is_itself_noisy() -> None:
    found = [
        cv.cscv(0.01 * np.random.default_rng(seed).standard_normal((400, 20)), blocks=8).probability
        for seed in range(40)
    ]
    assert np.mean(found) == pytest.approx(0.58, abs=0.01)
    assert np.std(found) == pytest.approx(0.21, abs=0.01)


def test_a_column_with_skill_is_never_overfitted() -> None:
    returns = 0.01 * np.random.default_rng(0).standard_normal((1000, 20))
    skilled = np.column_stack([returns, returns[:, 0] + 0.003])
    found = cv.cscv(skilled, blocks=8)
    assert found.probability == 0.0
    # The artefact for which nobody may gate on the slope: in and out of sample sum to one constant.
    slope = np.polyfit(found.in_sample, found.out_of_sample, 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


def test_columns_without_their_means_are_always_overfitted_by_arithmetic() -> None:
    returns = 0.01 * np.random.default_rng(0).standard_normal((800, 20))
    centred = returns - returns.mean(axis=0)
    assert cv.cscv(centred, blocks=8, metric=cv.mean_of_sums).probability == 1.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(24, 90),
    sets=st.integers(2, 9),
    blocks=st.sampled_from([2, 4, 6, 8]),
)
def test_sums_of_blocks_say_what_whole_columns_say(
    seed: int, samples: int, sets: int, blocks: int
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0005, 0.02, (samples, sets))
    returns[:, -1] = returns[:, 0]  # ties share their ranks
    probability, inside, outside = naive_cscv(returns, blocks)
    found = cv.cscv(returns, blocks=blocks)
    assert found.probability == pytest.approx(probability)
    assert found.in_sample == pytest.approx(inside, rel=1e-9, abs=1e-12)
    assert found.out_of_sample == pytest.approx(outside, rel=1e-9, abs=1e-12)
    assert found.loss_probability == pytest.approx(np.mean(np.array(outside) < 0))


def test_sixteen_blocks_are_12870_halves_and_a_rank_in_the_middle_counts_as_overfitted() -> None:
    returns = np.repeat(np.random.default_rng(1).normal(0, 0.01, (160, 1)), 3, axis=1)
    found = cv.cscv(returns)
    assert found.halves == 12_870
    assert (found.logits == 0.0).all()  # three alike: rank 2 of 3, w = 2 / 4
    assert found.probability == 1.0


def test_a_set_that_never_trades_earned_nothing_and_is_no_nan() -> None:
    losing = np.random.default_rng(2).normal(-0.01, 0.01, (200, 3))
    found = cv.cscv(np.column_stack([losing, np.zeros(200)]), blocks=8)
    assert (found.in_sample == 0.0).all()  # all others lose in every half
    assert found.probability == 0.0


def test_too_little_for_a_choice_is_refused() -> None:
    with pytest.raises(UsageError, match="7 blocks cannot be halved"):
        cv.cscv(np.zeros((100, 5)), blocks=7)
    with pytest.raises(UsageError, match="20 samples of 5 sets make no 16 blocks"):
        cv.cscv(np.zeros((20, 5)))
    with pytest.raises(UsageError, match="1 sets make no 4 blocks"):
        cv.cscv(np.zeros((100, 1)), blocks=4)


@pytest.mark.parametrize(
    ("groups", "tests", "splits", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (10, 8, 45, 36)]
)
def test_number_of_splits_and_paths(groups: int, tests: int, splits: int, paths: int) -> None:
    assert len(list(cv.purged_splits(100, groups=groups, tests=tests))) == splits
    assert cv.path_count(groups, tests) == paths


def test_purged_and_embargoed_splits_worked_by_hand() -> None:
    splits = list(cv.purged_splits(60, groups=6, tests=2, purge=2, embargo=1))
    assert splits[0].tests == (0, 1)
    assert np.flatnonzero(splits[0].train).tolist() == list(range(23, 60))
    assert splits[4].tests == (0, 5)
    assert np.flatnonzero(splits[4].train).tolist() == list(range(13, 48))
    assert splits[9].tests == (2, 3)
    assert np.flatnonzero(splits[9].train).tolist() == [*range(18), *range(43, 60)]


@pytest.mark.parametrize(("groups", "tests", "purge", "embargo"), [(6, 2, 2, 1), (10, 2, 3, 4)])
def test_skfolio_splits_alike(groups: int, tests: int, purge: int, embargo: int) -> None:
    selection = pytest.importorskip("skfolio.model_selection", reason="skfolio is a peer")
    peer = selection.CombinatorialPurgedCV(
        n_folds=groups, n_test_folds=tests, purged_size=purge, embargo_size=embargo
    )
    ours = cv.purged_splits(120, groups=groups, tests=tests, purge=purge, embargo=embargo)
    edges = cv.group_edges(120, groups)
    for mine, (train, test) in zip(ours, peer.split(np.zeros((120, 1))), strict=True):
        assert np.flatnonzero(mine.train).tolist() == list(train)
        told = [list(range(edges[g], edges[g + 1])) for g in mine.tests]
        assert told == [list(one) for one in test]


def test_paths_hold_every_test_of_every_group_once() -> None:
    # Each column's return names its column, so that a path tells who was chosen where.
    samples, sets = 100, 45
    returns = np.random.default_rng(3).normal(0.0, 1.0, (samples, sets))
    found = cv.combinatorial_paths(returns, groups=10, tests=2, purge=1, embargo=1)
    edges = cv.group_edges(samples, 10)
    splits = list(cv.purged_splits(samples, groups=10, tests=2, purge=1, embargo=1))
    for group in range(10):
        inside = slice(edges[group], edges[group + 1])
        tested = [i for i, split in enumerate(splits) if group in split.tests]
        wanted = returns[inside][:, found.chosen[tested]]
        assert (found.returns[inside] == wanted).all()
    for i, split in enumerate(splits):
        train = returns[split.train]
        assert found.chosen[i] == np.argmax(train.mean(axis=0) / train.std(axis=0, ddof=1))


def test_skill_shows_on_every_path_and_noise_on_few() -> None:
    noise = np.random.default_rng(4).normal(0.0, 0.02, (365, 60))
    skilled = noise.copy()
    skilled[:, 17] += 0.004
    assert cv.combinatorial_paths(skilled, purge=2, embargo=4).positive == 9
    counts = [
        cv.combinatorial_paths(
            np.random.default_rng(s).normal(0.0, 0.02, (365, 60)), purge=2, embargo=4
        ).positive
        for s in range(20)
    ]
    assert np.mean(counts) < 6.0


def test_a_purge_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"purge=60 and embargo=0 leave 0 of 100 samples"):
        cv.combinatorial_paths(np.zeros((100, 2)), purge=60)
    with pytest.raises(UsageError, match="10 of 10 groups"):
        list(cv.purged_splits(100, groups=10, tests=10))
