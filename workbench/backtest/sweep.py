"""The sweep: one compiled kernel over many parameter sets, in slices on a thread pool.

The kernel runs without Python's lock, so threads use every core; a slice takes about 20 ms, so a
sweep shows its progress and stops at once when it is interrupted. Memory does not grow with the
number of combinations but for one row of results each.
"""

from __future__ import annotations

import os
import time

import numpy as np

from workbench.backtest.detail_columns import detail_columns
from workbench.backtest.event_form import EventForm, has_event_form
from workbench.backtest.exits import parted
from workbench.backtest.grids import valid_mask
from workbench.backtest.kernels import Run, kernel
from workbench.backtest.overlay import first_record, overlay_of
from workbench.backtest.recording import LEDGER, Recorder, batch_of_run
from workbench.backtest.results import SweepResult
from workbench.backtest.scorecard import Span
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import (
    Costs,
    demand_window,
    samples_a_year,
    trading_rules,
    window_days,
)
from workbench.backtest.slices import run_in_slices
from workbench.core.account import FILL
from workbench.core.statistics import METRICS
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument
from workbench.strategies.spec import Spec

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
    data_sha256: str | None = None,
    columns: tuple[str, ...] = (),
    trials: Recorder = LEDGER,
) -> SweepResult:
    """Run the given parameter records; those that are not `valid` are dropped and counted.

    Each is fed as many candles before the window as make it stable, or all that there are. `columns`
    are of DETAIL_COLUMNS, which cost a second run of each set by the plain kernel. A caller
    who knows `data_sha256` already hands it in: hashing a long series takes as long as hundreds of sets.
    Each set is a trial, on the ledger's disk before this returns, and those that were computed when it is
    interrupted too.
    """
    costs = costs or Costs()
    demand_window(candles)
    ok = valid_mask(spec, params)
    if not ok.any():
        raise UsageError(
            f"none of the {len(params):,} combinations is valid; {spec.name}: {spec.title}"
        )
    chosen = np.ascontiguousarray(params[ok])
    warm = warm_starts(candles, spec, chosen) * (not all_history)
    rules, notes = trading_rules(candles, costs)
    own, exits = parted(chosen, spec.params_dtype)
    run = run_of(candles, own, warm=warm, exits=exits, costs=costs, rules=rules)
    trials.ready()
    began = time.perf_counter()
    threads = threads or os.cpu_count() or 1
    try:
        _run(run, spec, costs, threads=threads, progress=progress)
    finally:
        uncounted = trials.record(lambda: batch_of_run(candles, spec, costs, run))
    more: dict[str, np.ndarray] = {}
    if columns:
        span = Span.of(candles)
        more = detail_columns(run, spec, span, columns, threads=threads, progress=progress)
    if data_sha256 is None:
        begin = first_record(candles, exits, costs.guards, int(warm.min()))
        data_sha256 = candles.used_sha256(begin)
    return SweepResult.build(
        spec=spec,
        candles=candles,
        costs=costs,
        params=chosen,
        rows=run.rows,
        more=more,
        invalid_combinations=int(len(params) - len(chosen)),
        data_sha256=data_sha256,
        seconds=time.perf_counter() - began,
        notes=notes,
        uncounted=uncounted,
    )


def _run(run: Run, spec: Spec, costs: Costs, *, threads: int, progress: bool) -> None:
    """Fill the rows of a run, by the event form where there is one, else by the plain kernel."""
    form = run.form
    if has_event_form(spec, costs):
        left = EventForm.of(spec, run).run(threads=threads, progress=progress)
        if len(left):
            again = run.only(left)
            _run_plain(again, spec, form, threads=threads, progress=False)
            run.rows[left] = again.rows
    else:
        _run_plain(run, spec, form, threads=threads, progress=progress)


def _run_plain(run: Run, spec: Spec, form: str, *, threads: int, progress: bool) -> None:
    compiled = kernel(spec)

    def run_slice(begin: int, end: int) -> None:
        compiled.run(run, begin, end, form)

    run_in_slices(run_slice, len(run.params), threads=threads, progress=progress)


def run_of(
    candles: Candles,
    params: np.ndarray,
    *,
    warm: np.ndarray,
    exits: np.ndarray,
    costs: Costs,
    rules: Instrument | None,
    fills: np.ndarray = NO_FILLS,
    equities: np.ndarray = NO_EQUITY,
) -> Run:
    """Return what a kernel reads and fills for these sets; fills and equities are of one set alone."""
    return Run(
        candles=candles.records,
        samples=candles.sample_ends,
        warm=warm,
        first=candles.first,
        params=params,
        exits=exits,
        overlay=overlay_of(candles, exits, costs.guards),
        costs=costs.record(rules),
        scale=(samples_a_year(candles.timeframe), window_days(candles)),
        rows=np.zeros(len(params), METRICS),
        fills=fills,
        equities=equities,
    )


def warm_starts(candles: Candles, spec: Spec, params: np.ndarray) -> np.ndarray:
    """Return, for each parameter set, the record from which it is fed: `stable` before the window."""
    stable = np.broadcast_to(np.asarray(spec.stable(params), np.int64), (len(params),))
    return np.maximum(0, candles.first - stable)
