"""A grid of parameters that is never laid out whole: any part of it, by number.

A grid of 50 million combinations would take gigabytes; a part of it takes its own rows. Numbers
count as in `Spec.grid`: the last parameter turns fastest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.backtest.exits import joined, parted, set_exit
from workbench.backtest.kernels import kernel
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm, exit_axes, no_exits
from workbench.strategies.spec import MAX_COMBINATIONS, Axis, Spec

EXIT = "exits."  # before the name of an axis that belongs to the exits


@dataclass(frozen=True, eq=False)
class Grid:
    """Every combination of the axes; a parameter without an axis keeps its default.

    Exits are axes like any other, after the strategy's own: then the records carry `exits` too.
    """

    spec: Spec
    values: dict[str, np.ndarray]

    @classmethod
    def of(cls, spec: Spec, axes: Mapping[str, Axis], exits: ExitsForm = None) -> Grid:
        """Check every axis; UsageError where one is wrong or the grid is too large."""
        values = {name: spec.grid({})[name] for name in spec.defaults}
        for name, axis in axes.items():
            values[name] = spec.grid({name: axis})[name]  # checks it, and gives it the dtype
        values |= {f"{EXIT}{name}": axis for name, axis in exit_axes(exits).items()}
        grid = cls(spec, values)
        if len(grid) > MAX_COMBINATIONS:
            raise UsageError(
                f"the grid has {len(grid):,} combinations; at most {MAX_COMBINATIONS:,}: "
                "make an axis coarser or split the sweep"
            )
        return grid

    def __len__(self) -> int:
        return math.prod(len(one) for one in self.values.values())

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return the combinations of these numbers as parameter records."""
        records = np.zeros(len(numbers), self.spec.params_dtype)
        if any(name.startswith(EXIT) for name in self.values):
            records = joined(records, no_exits())
        rest = np.asarray(numbers, np.int64)
        for name, values in reversed(self.values.items()):
            rest, at = np.divmod(rest, len(values))
            if name.startswith(EXIT):
                set_exit(records, name.removeprefix(EXIT), values[at])
            else:
                records[name] = values[at]
        return records

    def number(self, places: Sequence[int] | np.ndarray) -> int:
        """Return the number of the combination at these places, one an axis."""
        number = 0
        for place, values in zip(places, self.values.values(), strict=True):
            number = number * len(values) + int(place)
        return number

    def part(self, begin: int, end: int) -> np.ndarray:
        """Return the combinations numbered begin to end (not included)."""
        return self.take(np.arange(begin, min(end, len(self))))

    def all(self) -> np.ndarray:
        """Return every combination."""
        return self.part(0, len(self))


def spans(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of consecutive parts of at most `size`."""
    for begin in range(0, total, size):
        yield begin, min(begin + size, total)


def valid_mask(spec: Spec, params: np.ndarray) -> np.ndarray:
    """Return which parameter records the strategy calls valid."""
    plain, _ = parted(params, spec.params_dtype)
    ok = np.zeros(len(params), np.bool_)
    kernel(spec).mark_valid(plain, ok)
    return ok
