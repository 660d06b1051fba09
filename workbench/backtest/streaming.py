"""Sweeps in parts: larger than memory, on a cluster, or interrupted and resumed.

`sweep_to` streams a grid into one parquet file and never holds more than a part of it;
`sweep_on` runs a sweep on a cluster and hands back what the sweep at home hands back.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from workbench.backtest.batches import Batch, Done, Work, run_some
from workbench.backtest.grids import Grid, spans, valid_mask
from workbench.backtest.kernels import kernel
from workbench.backtest.parts import Parts
from workbench.backtest.results import METRIC_COLUMNS, SweepResult
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl
    from distributed import Client

ROWS_A_PART = 20_000
PARTS_A_CORE = 4


@dataclass(frozen=True, slots=True)
class StreamedSweep:
    """A sweep whose rows are in a file: how many, how many sets were invalid, and on which data."""

    path: Path
    title: str
    rows: int
    invalid_combinations: int
    data_sha256: str
    source: str
    seconds: float
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.rows

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame: one a combination, the columns of a sweep's frame."""
        import polars as pl

        return pl.scan_parquet(self.path)

    def top(self, count: int = 10, metric: str = "total_return") -> pl.DataFrame:
        """Return the rows with the highest value of a metric."""
        if metric not in METRIC_COLUMNS:
            raise UsageError(f"unknown metric {metric!r}; known are {', '.join(METRIC_COLUMNS)}")
        return self.scan().sort(metric, descending=True, nulls_last=True).head(count).collect()

    def __repr__(self) -> str:
        return f"StreamedSweep({self.title}: {self.rows:,} rows in {self.path.name})"


def sweep_to(
    out: Path,
    candles: Candles,
    grid: Grid,
    *,
    costs: Costs | None = None,
    resume: bool = False,
    on: Client | None = None,
    progress: bool = False,
    rows_a_part: int = ROWS_A_PART,
) -> StreamedSweep:
    """Run a grid and stream its rows into a parquet file; memory does not grow with the grid.

    Parts that an earlier call finished are not run again with `resume`, however it ended. Raises
    UsageError where no combination is valid or the parts are those of another sweep.
    """
    costs, began = costs or Costs(), time.perf_counter()
    spec = grid.spec
    valid, longest = _survey(grid)
    probe = sweep_params(candles, spec, grid.take(np.array([longest])), costs=costs)
    plan = _plan_of(grid, probe.data_sha256, costs, rows_a_part)
    ends = list(spans(len(grid), rows_a_part))
    if not (resume and Parts.is_done(out, plan)):
        parts = Parts.open(out, plan, resume=resume)

        def work(number: int) -> Work:
            return candles, Batch(spec, grid.part(*ends[number]), costs)

        left = [number for number in range(len(ends)) if not parts.has(number)]
        empty = probe.frame.clear()
        _run(left, work, on, ends, progress, lambda n, done: parts.put(n, _rows(done, empty)))
        parts.join(len(ends))
    return StreamedSweep(
        path=out,
        title=replace(probe, invalid_combinations=0).title.replace(
            "1 combinations", f"{valid:,} combinations"
        ),
        rows=valid,
        invalid_combinations=len(grid) - valid,
        data_sha256=probe.data_sha256,
        source=candles.source,
        seconds=time.perf_counter() - began,
        notes=probe.notes,
    )


def sweep_on(
    client: Client,
    candles: Candles,
    spec: Spec,
    params: np.ndarray,
    *,
    costs: Costs | None = None,
    progress: bool = False,
) -> SweepResult:
    """Run parameter records on a cluster; the frame is that of `sweep_params`, bit for bit."""
    import polars as pl

    costs, began = costs or Costs(), time.perf_counter()
    ok = valid_mask(spec, params)
    if not ok.any():
        raise UsageError(f"none of the {len(params):,} combinations is valid; {spec.title}")
    chosen = np.ascontiguousarray(params[ok])
    longest = int(np.argmax(np.broadcast_to(spec.stable(chosen), (len(chosen),))))
    probe = sweep_params(candles, spec, chosen[longest : longest + 1], costs=costs)
    cores = max(1, sum(client.ncores().values()))
    ends = list(spans(len(chosen), max(1, -(-len(chosen) // (cores * PARTS_A_CORE)))))
    frames: dict[int, pl.DataFrame] = {}

    def work(number: int) -> Work:
        begin, end = ends[number]
        return candles, Batch(spec, chosen[begin:end], costs)

    def keep(number: int, done: Done) -> None:
        frames[number] = _rows(done, probe.frame)

    _run(list(range(len(ends))), work, client, ends, progress, keep)
    return replace(
        probe,
        frame=pl.concat([frames[number] for number in range(len(ends))]),
        invalid_combinations=int(len(params) - len(chosen)),
        seconds=time.perf_counter() - began,
    )


def _run(
    numbers: list[int],
    work: Callable[[int], Work],
    on: Client | None,
    ends: list[tuple[int, int]],
    progress: bool,
    keep: Callable[[int, Done], None],
) -> None:
    total = sum(ends[n][1] - ends[n][0] for n in numbers)
    with (
        tqdm(total=total, unit=" sets", desc="sweep", leave=False, disable=not progress) as bar,
        closing(run_some(numbers, work, on=on)) as finished,
    ):
        for number, done in finished:
            keep(number, done)
            bar.update(ends[number][1] - ends[number][0])


def _rows(done: Done, empty: pl.DataFrame) -> pl.DataFrame:
    return empty.clear() if done.frame is None else done.frame


def _survey(grid: Grid) -> tuple[int, int]:
    """Return how many combinations are valid and the number of one that needs most history."""
    valid, longest, needed = 0, -1, -1
    for begin, end in spans(len(grid), 1_000_000):
        params = grid.part(begin, end)
        ok = valid_mask(grid.spec, params)
        valid += int(ok.sum())
        stable = np.where(ok, np.broadcast_to(grid.spec.stable(params), (len(params),)), -1)
        if stable.max() > needed:
            needed, longest = int(stable.max()), begin + int(stable.argmax())
    if not valid:
        raise UsageError(f"none of the {len(grid):,} combinations is valid; {grid.spec.title}")
    return valid, longest


def _plan_of(grid: Grid, data_sha256: str, costs: Costs, rows_a_part: int) -> str:
    digest = hashlib.sha256()
    for name, values in grid.values.items():
        digest.update(name.encode() + values.tobytes())
    for text in (kernel(grid.spec).key, data_sha256, repr(costs), str(rows_a_part)):
        digest.update(text.encode())
    return digest.hexdigest()
