"""Plateaus: what the neighbours of a parameter set earn, one step away on every axis of a grid.

A set that is good among bad neighbours is luck, or a rounding of the data. So a grid is ranked by the
median of each set's neighbourhood (the full cube of one step on each axis, the set itself left out),
not by its own value; plateau = that median over the set's own value, which should be 0.7 or more.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError

MOST_CELLS = 4_000_000
MOST_AXES = 5

Floats = NDArray[np.float64]


def neighbour_medians(places: NDArray[np.int64], values: Floats) -> tuple[Floats, Floats]:
    """Return, for each row, median and minimum of its neighbours' values; NaN where it has none.

    `places` (rows, axes) says where each row lies on every axis, by number; no two lie at one place.
    Neighbours whose value is NaN, or that are not there, do not count. Raises UsageError for a grid of
    more than four million cells or five axes.
    """
    shape = tuple(int(n) + 1 for n in places.max(axis=0))
    if len(shape) > MOST_AXES or np.prod([float(n) for n in shape]) > MOST_CELLS:
        raise UsageError(
            f"neighbours of a grid of {' x '.join(map(str, shape))} are not looked for; at most "
            f"{MOST_AXES} axes and {MOST_CELLS:,} cells: fix some parameters"
        )
    grid = np.full([n + 2 for n in shape], np.nan)  # a rim, so that every cell has all neighbours
    inner = tuple(places.T + 1)
    grid[inner] = values
    steps = [one for one in itertools.product((-1, 0, 1), repeat=len(shape)) if any(one)]
    medians, lowest = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for begin in range(0, len(values), 50_000):
        part = slice(begin, begin + 50_000)
        around = np.stack(
            [grid[tuple(at[part] + by for at, by in zip(inner, one, strict=True))] for one in steps]
        )
        some = ~np.isnan(around).all(axis=0)
        medians[part][some] = np.nanmedian(around[:, some], axis=0)
        lowest[part][some] = np.nanmin(around[:, some], axis=0)
    return medians, lowest
