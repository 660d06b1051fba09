"""The row of a sweep that is judged, and its neighbours: found without laying out the whole sweep."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench.backtest.exits import UNITS
from workbench.backtest.results import SweepResult
from workbench.errors import UsageError

SEARCHED = ("trial", "state", "stages", "value")  # columns that a search adds before the metrics
_UNIT_NUMBERS = {name: number for number, name in UNITS.items()}
_LEVELS = ("exit_stop", "exit_take_profit", "exit_trail")


def parameter_names(result: SweepResult) -> list[str]:
    """Return the columns of parameters, exits included."""
    names = list(result.scan().collect_schema())
    return [name for name in names[: names.index("final_equity")] if name not in SEARCHED]


def is_search(result: SweepResult) -> bool:
    """Return whether the rows are trials of a search, which are no grid."""
    return "trial" in result.scan().collect_schema()


def row_of(result: SweepResult, choose: Mapping[str, object] | None, metric: str) -> int:
    """Return the number of the row with these parameters, or of the one with the highest metric.

    Raises UsageError where no row has them, several do, or none has the metric.
    """
    import polars as pl

    values = result.scan().select(pl.col(metric).cast(pl.Float64), pl.col("error").is_null())
    if not choose:
        found = values.collect()
        numbers = np.where(found["error"], found[metric].fill_null(np.nan), np.nan)
        if np.isnan(numbers).all():
            raise UsageError(f"no combination has a {metric}; choose another metric")
        return int(np.nanargmax(numbers))
    known = parameter_names(result)
    for name in choose:
        if name not in known:
            raise UsageError(f"the sweep has no parameter {name!r}; it has {', '.join(known)}")
    asked = " & ".join(f"{name}={value}" for name, value in choose.items())
    rows = result.scan().with_row_index("row").filter(**choose).select("row", "error").collect()
    if not rows.height:
        raise UsageError(f"no combination of the sweep has {asked}; choose one that it ran")
    if rows.height > 1:
        raise UsageError(
            f"{rows.height:,} combinations of the sweep have {asked}; name more of {', '.join(known)}"
        )
    if rows["error"][0] is not None:
        raise UsageError(f"{asked} has no metrics: {rows['error'][0]}; choose another")
    return int(rows["row"][0])


def neighbours_of(result: SweepResult, row: Mapping[str, object], metric: str) -> np.ndarray:
    """Return the metric of the rows at most one step away on every axis, without those that have none.

    Values of an axis are in their order, an exit's by unit (none first) and then by size.
    """
    import polars as pl

    scan = result.scan()
    near = pl.lit(True)
    for axis in _axes(parameter_names(result)):
        steps = sorted(scan.select(axis).unique().collect().rows(), key=_order)
        at = steps.index(tuple(row[name] for name in axis))
        around = steps[max(0, at - 1) : at + 2]
        alike = (
            pl.all_horizontal(pl.col(name) == value for name, value in zip(axis, one, strict=True))
            for one in around
        )
        near = near & pl.any_horizontal(*alike)
    own = pl.all_horizontal(pl.col(name) == row[name] for name in parameter_names(result))
    found = scan.filter(near & ~own).select(pl.col(metric).cast(pl.Float64)).collect()
    return found[metric].drop_nulls().to_numpy()


def _order(step: tuple[object, ...]) -> tuple[object, ...]:
    """Return what puts the steps of an axis in order: units by their number, before the values."""
    value, *unit = step
    return (*(_UNIT_NUMBERS[str(one)] for one in unit), value)


def _axes(names: list[str]) -> list[tuple[str, ...]]:
    """Return the columns that make an axis each: an exit's level goes with its unit."""
    units = {f"{name}_unit" for name in _LEVELS}
    return [
        (name, f"{name}_unit") if name in _LEVELS else (name,)
        for name in names
        if name not in units
    ]
