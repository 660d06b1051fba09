"""The unit of work of studies, streamed sweeps and clusters: one series, one run of parameters.

A batch is everything that a process needs to run it, and pickles small: the strategy goes as its
name and hash and is refused where the other side has another version. Where it runs, here or on a
cluster, it gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench import strategies
from workbench.backtest.grids import valid_mask
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl
    from distributed import Client


@dataclass(frozen=True, slots=True)
class SpecName:
    """A strategy by name and hash, as it travels between processes."""

    name: str
    sha: str

    @classmethod
    def of(cls, spec: Spec) -> SpecName:
        """Return the name of a strategy that the other side can load.

        Raises UsageError for one that is not shipped: only its author's process knows it.
        """
        if spec.name not in strategies.names():
            raise UsageError(
                f"{spec.name} is not a shipped strategy, so other processes cannot load it; run it "
                "without a cluster"
            )
        return cls(spec.name, spec.sha)

    def load(self) -> Spec:
        """Return the strategy; UsageError where this process has another version of it."""
        spec = strategies.load(self.name)
        if spec.sha != self.sha:
            raise UsageError(
                f"{self.name} is version {spec.sha[:12]} here and {self.sha[:12]} at the caller's; "
                "bring both to the same version and restart the workers"
            )
        return spec


@dataclass(frozen=True, slots=True)
class Batch:
    """Parameter records of one strategy on one series, and what it is run under."""

    spec: Spec
    params: np.ndarray
    costs: Costs
    all_history: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What a batch gave: the rows of the valid sets, in order, and how many were not valid."""

    frame: pl.DataFrame | None
    invalid: int
    notes: tuple[str, ...]


def run_batch(
    candles: Candles, batch: Batch, *, threads: int | None = None, progress: bool = False
) -> Done:
    """Run the valid sets of a batch; a batch without any is empty, not an error."""
    ok = valid_mask(batch.spec, batch.params)
    if not ok.any():
        return Done(None, len(batch.params), ())
    result = sweep_params(
        candles,
        batch.spec,
        batch.params[ok],
        costs=batch.costs,
        threads=threads,
        progress=progress,
        all_history=batch.all_history,
    )
    return Done(result.frame, int((~ok).sum()), result.notes)


Work = tuple[Candles, Batch]


def run_all(
    count: int, work: Callable[[int], Work], *, on: Client | None = None
) -> Generator[tuple[int, Done]]:
    """Run batches 0 to count - 1, here or on a cluster, and yield (number, done) as they finish."""
    return run_some(range(count), work, on=on)


def run_some(
    numbers: Sequence[int], work: Callable[[int], Work], *, on: Client | None = None
) -> Generator[tuple[int, Done]]:
    """Run the batches of these numbers; `work(number)` hands each out when its turn comes."""
    if on is None:
        for number in numbers:
            yield number, run_batch(*work(number))
        return
    from workbench.backtest.distributed import run_on

    yield from run_on(on, numbers, work)
