"""Neighbours in a grid, against looking at every other row."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.plateaus import neighbour_medians
from workbench.errors import UsageError


def naive(places: list[tuple[int, ...]], values: list[float]) -> list[list[float]]:
    """Return the values of all rows that lie one step away at most on every axis."""
    found = []
    for own in places:
        near = [
            value
            for place, value in zip(places, values, strict=True)
            if place != own and max(abs(a - b) for a, b in zip(place, own, strict=True)) <= 1
        ]
        found.append([value for value in near if value == value])
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_medians_and_lowest_are_those_of_the_cube_around_each_row(
    data: st.DataObject, sizes: list[int]
) -> None:
    everywhere = list(itertools.product(*(range(size) for size in sizes)))
    places = data.draw(st.lists(st.sampled_from(everywhere), min_size=1, unique=True))
    number = st.one_of(st.just(float("nan")), st.floats(-10, 10))
    values = data.draw(st.lists(number, min_size=len(places), max_size=len(places)))
    medians, lowest = neighbour_medians(np.array(places), np.array(values))
    for near, median, low in zip(naive(places, values), medians, lowest, strict=True):
        if near:
            assert (median, low) == (pytest.approx(statistics.median(near)), min(near))
        else:
            assert np.isnan(median)
            assert np.isnan(low)


def test_a_lonely_peak_is_worth_what_lies_around_it() -> None:
    places = np.array(list(itertools.product(range(5), range(5))))
    values = np.ones(25)
    values[12] = 9.0  # the middle one
    medians, _ = neighbour_medians(places, values)
    assert medians[12] == 1.0
    assert (medians == 1.0).all()


def test_a_grid_that_is_too_large_or_has_too_many_axes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"2001 x 2001 .* at most 5 axes and 4,000,000 cells"):
        neighbour_medians(np.array([[2000, 2000]]), np.ones(1))
    with pytest.raises(UsageError, match="fix some parameters"):
        neighbour_medians(np.zeros((1, 6), np.int64), np.ones(1))
