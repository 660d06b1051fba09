"""Sweeps in batches: larger than memory, on a cluster, or interrupted and resumed.

`sweep_to` streams a grid into one parquet file and never holds more than a part of it;
`sweep_on` runs a sweep on a cluster and hands back what the sweep at home hands back.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.batches import Batch, Work
from workbench.backtest.distributed import cores_of, run_batches
from workbench.backtest.grids import Grid, spans, valid_mask
from workbench.backtest.kernels import kernel
from workbench.backtest.parts import Parts
from workbench.backtest.progress import progress_bar
from workbench.backtest.recording import LEDGER, NOT_TRIALS, Gathering, Recorder
from workbench.backtest.results import SweepResult
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl
    from distributed import Client

MOST_ROWS_A_PART = 20_000
STEPS_A_PART = 2_000_000_000  # candles x combinations: some ten seconds, the most that a kill loses
PARTS_A_CORE = 4  # more balance better, but each part computes its averages anew
Spans = list[tuple[int, int]]


def sweep_to(
    out: Path,
    candles: Candles,
    grid: Grid,
    *,
    costs: Costs | None = None,
    resume: bool = False,
    on: Client | None = None,
    progress: bool = False,
    rows_a_part: int | None = None,
    columns: tuple[str, ...] = (),
    trials: Recorder = LEDGER,
) -> SweepResult:
    """Run a grid and stream its rows into a parquet file; memory does not grow with the grid.

    Parts that an earlier call finished are not run again with `resume`, however it ended; the trials of a
    part are on the ledger's disk before the part is. Raises
    UsageError where no combination is valid or the parts are those of another sweep.
    """
    costs, began, spec = costs or Costs(), time.perf_counter(), grid.spec
    size = rows_a_part or part_rows(len(candles.records))
    valid, longest = _survey(grid)
    probe = sweep_params(
        candles,
        spec,
        grid.take(np.array([longest])),
        costs=costs,
        columns=columns,
        trials=NOT_TRIALS,
    )
    ends = list(spans(len(grid), size))
    plan = _plan_of(grid, probe.data_sha256, costs, size, columns)
    parts = Parts(out, plan, len(ends), columns)

    def work(number: int) -> Work:
        return candles, Batch(spec, grid.part(*ends[number]), costs, columns=columns)

    def keep(number: int, rows: pl.DataFrame | None) -> None:
        parts.put(number, probe.frame.clear() if rows is None else rows)

    gathering = Gathering(trials, most_rows=1)
    with gathering, parts.writing(resume=resume) as left:
        _run(left, work, on, ends, progress, keep, gathering)
    return replace(
        probe.noting(gathering.uncounted),
        rows=None,
        path=out,
        streamed=valid,
        invalid_combinations=len(grid) - valid,
        seconds=time.perf_counter() - began,
    )


def part_rows(candles: int) -> int:
    """Return how many combinations make a part, by how many candles each of them runs over."""
    return min(MOST_ROWS_A_PART, max(100, STEPS_A_PART // max(1, candles)))


def sweep_on(
    client: Client,
    candles: Candles,
    spec: Spec,
    params: np.ndarray,
    *,
    costs: Costs | None = None,
    progress: bool = False,
    columns: tuple[str, ...] = (),
    trials: Recorder = LEDGER,
) -> SweepResult:
    """Run parameter records on a cluster; the frame is that of `sweep_params`, bit for bit."""
    import polars as pl

    costs, began, cores = costs or Costs(), time.perf_counter(), cores_of(client)
    ok = valid_mask(spec, params)
    if not ok.any():
        raise UsageError(f"none of the {len(params):,} combinations is valid; {spec.title}")
    chosen = np.ascontiguousarray(params[ok])
    longest = int(np.argmax(np.broadcast_to(spec.stable(chosen), (len(chosen),))))
    one = chosen[longest : longest + 1]
    probe = sweep_params(candles, spec, one, costs=costs, columns=columns, trials=NOT_TRIALS)
    size = -(-len(chosen) // (cores * PARTS_A_CORE))
    ends = list(spans(len(chosen), min(size, part_rows(len(candles.records)))))
    frames: dict[int, pl.DataFrame] = {}

    def work(number: int) -> Work:
        begin, end = ends[number]
        return candles, Batch(spec, chosen[begin:end], costs, columns=columns)

    def keep(number: int, rows: pl.DataFrame | None) -> None:
        assert rows is not None  # all of them are valid
        frames[number] = rows

    with Gathering(trials) as gathering:
        _run(list(range(len(ends))), work, client, ends, progress, keep, gathering)
    return replace(
        probe.noting(gathering.uncounted),
        rows=pl.concat([frames[number] for number in range(len(ends))]),
        invalid_combinations=int(len(params) - len(chosen)),
        seconds=time.perf_counter() - began,
    )


def _run(
    numbers: list[int],
    work: Callable[[int], Work],
    on: Client | None,
    ends: Spans,
    progress: bool,
    keep: Callable[[int, pl.DataFrame | None], None],
    trials: Recorder,
) -> None:
    total = sum(ends[n][1] - ends[n][0] for n in numbers)
    with (
        progress_bar(total, unit="sets", desc="sweep", shown=progress) as bar,
        closing(run_batches(numbers, work, trials=trials, on=on)) as finished,
    ):
        for number, rows in finished:
            keep(number, rows)
            bar.update(ends[number][1] - ends[number][0])


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


def _plan_of(
    grid: Grid, data_sha256: str, costs: Costs, rows_a_part: int, columns: tuple[str, ...]
) -> str:
    digest = hashlib.sha256()
    for name, values in grid.values.items():
        digest.update(f"{name} {len(values)}".encode() + values.tobytes())
    rest = (kernel(grid.spec).key, data_sha256, repr(costs), str(rows_a_part), *columns)
    for text in rest:
        digest.update(text.encode())
    return digest.hexdigest()
