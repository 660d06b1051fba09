"""The sweep: one compiled kernel over many parameter sets, in slices on a thread pool.

The kernel runs without Python's lock, so threads use every core; a slice takes about 20 ms, so a
sweep shows its progress and stops at once when it is interrupted. Memory does not grow with the
number of combinations but for one row of results each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np
from tqdm.auto import tqdm

from workbench.backtest.exits import parted
from workbench.backtest.grids import valid_mask
from workbench.backtest.kernels import Run, kernel
from workbench.backtest.overlay import first_record, overlay_of
from workbench.backtest.results import SweepResult
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import (
    Costs,
    demand_window,
    sample_ends,
    samples_a_year,
    trading_rules,
    window_days,
)
from workbench.core.account import FILL
from workbench.core.statistics import METRICS
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

SLICE_SECONDS = 0.02
NO_FILLS = np.zeros(0, FILL)
NO_EQUITY = np.zeros(0, EQUITY)


def sweep_params(
    candles: Candles,
    spec: Spec,
    params: np.ndarray,
    *,
    costs: Costs | None = None,
    progress: bool = False,
    threads: int | None = None,
    all_history: bool = False,
) -> SweepResult:
    """Run the given parameter records; those that are not `valid` are dropped and counted.

    Each is fed as many candles before the window as make it stable, or all that there are.
    """
    costs = costs or Costs()
    demand_window(candles)
    compiled = kernel(spec)
    ok = valid_mask(spec, params)
    if not ok.any():
        raise UsageError(
            f"none of the {len(params):,} combinations is valid; {spec.name}: {spec.title}"
        )
    chosen = np.ascontiguousarray(params[ok])
    warm = warm_starts(candles, spec, chosen) * (not all_history)
    rules, notes = trading_rules(candles, costs)
    rows = np.zeros(len(chosen), METRICS)
    own, exits = parted(chosen, spec.params_dtype)
    run = Run(
        candles=candles.records,
        samples=sample_ends(candles),
        warm=warm,
        first=candles.first,
        params=own,
        exits=exits,
        overlay=overlay_of(candles, exits, costs.guards),
        costs=costs.record(rules),
        scale=(samples_a_year(candles.timeframe), window_days(candles)),
        rows=rows,
        fills=NO_FILLS,
        equities=NO_EQUITY,
    )
    began = time.perf_counter()
    form = run.form

    def run_slice(begin: int, end: int) -> None:
        compiled.run(run, begin, end, form)

    _run_in_slices(run_slice, len(chosen), threads or os.cpu_count() or 1, progress)
    begin = first_record(candles, exits, costs.guards, int(warm.min()))
    return SweepResult.build(
        spec=spec,
        candles=candles,
        costs=costs,
        params=chosen,
        rows=rows,
        invalid_combinations=int(len(params) - len(chosen)),
        data_sha256=candles.used_sha256(begin),
        seconds=time.perf_counter() - began,
        notes=notes,
    )


def warm_starts(candles: Candles, spec: Spec, params: np.ndarray) -> np.ndarray:
    """Return, for each parameter set, the record from which it is fed: `stable` before the window."""
    stable = np.broadcast_to(np.asarray(spec.stable(params), np.int64), (len(params),))
    return np.maximum(0, candles.first - stable)


def _run_in_slices(
    run: Callable[[int, int], None], total: int, threads: int, progress: bool
) -> None:
    run(0, 1)  # compiles on a fresh machine, so that no thread measures a compilation
    began = time.perf_counter()
    probed = min(total, 2)
    run(1, probed)
    size = max(1, int(SLICE_SECONDS / max(1e-6, time.perf_counter() - began)))
    slices = ((b, min(b + size, total)) for b in range(probed, total, size))
    with ThreadPoolExecutor(threads) as pool, _bar(total, shown=progress) as bar:
        bar.update(probed)
        try:
            for begin, end in _as_done(pool, run, slices, ahead=threads * 4):
                bar.update(end - begin)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _as_done(
    pool: ThreadPoolExecutor,
    run: Callable[[int, int], None],
    slices: Iterator[tuple[int, int]],
    *,
    ahead: int,
) -> Iterator[tuple[int, int]]:
    running: dict[Future[None], tuple[int, int]] = {}
    for part in slices:
        running[pool.submit(run, *part)] = part
        if len(running) >= ahead:
            yield from _take_done(running)
    while running:
        yield from _take_done(running)


def _take_done(running: dict[Future[None], tuple[int, int]]) -> Iterator[tuple[int, int]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
        yield running.pop(future)


def _bar(total: int, *, shown: bool) -> tqdm:
    return tqdm(total=total, unit=" sets", desc="sweep", leave=False, disable=not shown)
