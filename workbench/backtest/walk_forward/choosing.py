"""Which row of a sweep is chosen: the one that is best itself, or the one among the best neighbours.

Rows whose values differ by rounding alone are equal, and the first of them in the grid is taken: so the
choice does not hang on which form of the kernel ran, or on how many threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.analysis.plateaus import neighbour_medians
from workbench.backtest.columns import DETAIL_COLUMNS, METRIC_COLUMNS
from workbench.backtest.setting import ROUNDED
from workbench.core.exits import LEVEL
from workbench.errors import UsageError

Choose = Literal["peak", "plateau"]
CHOICES = ("peak", "plateau")
NO_MERIT = ("trades", "open_trade", "exposure", "fees", "bars", "capital_exposure")
MERITS = tuple(name for name in (*METRIC_COLUMNS, *DETAIL_COLUMNS) if name not in NO_MERIT)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The number of the row that was chosen, and the median of its neighbours (NaN for a peak)."""

    row: int
    neighbours: float


def demand_choice(metric: str, choose: str) -> None:
    """Raise UsageError for a metric that ranks nothing, or a way to choose that is unknown."""
    if metric not in MERITS:
        raise UsageError(f"metric {metric!r} ranks no set; use one of {', '.join(MERITS)}")
    if choose not in CHOICES:
        raise UsageError(f"choose={choose!r} is unknown; use one of {', '.join(CHOICES)}")


def choose_row(values: np.ndarray, axes: Mapping[str, np.ndarray], choose: str) -> Chosen | None:
    """Return the row with the highest value, or with the highest median of its neighbours' values.

    `values` are NaN where a row has none. A row without a value of its own is not chosen. None where
    no row can be.
    """
    if choose == "peak":
        return None if np.isnan(values).all() else Chosen(_first_of_the_highest(values), np.nan)
    if not axes:
        return None
    medians, lowest = neighbour_medians(np.column_stack(list(axes.values())), values)
    medians[np.isnan(values)] = np.nan
    if np.isnan(medians).all():
        return None
    level = np.where(_are_highest(medians), lowest, np.nan)  # then the best of the worst neighbours
    row = _first_of_the_highest(level)
    return Chosen(row, float(medians[row]))


def axes_of(params: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for every axis that has several values, where each record lies on it, by size.

    An exit's level is one axis: none first, then unit by unit.
    """
    return {name: ranks for name, ranks in _ranks(params) if ranks.max(initial=0) > 0}


def _ranks(records: np.ndarray, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name in records.dtype.names or ():
        field = records[name]
        if field.dtype == LEVEL:
            field = np.column_stack([field["unit"], field["value"]])
        if field.dtype.names is None:
            _, ranks = np.unique(field, axis=0, return_inverse=True)
            yield prefix + name, ranks.reshape(len(records)).astype(np.int64)
        else:
            yield from _ranks(field, "exit_")


def _first_of_the_highest(values: np.ndarray) -> int:
    return int(np.argmax(_are_highest(values)))


def _are_highest(values: np.ndarray) -> np.ndarray:
    """Return which values equal the highest, up to rounding."""
    highest = float(np.nanmax(values))
    with np.errstate(invalid="ignore"):
        return values >= highest - ROUNDED * abs(highest)
