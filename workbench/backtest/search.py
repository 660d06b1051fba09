"""Search beyond grids: random, Latin hypercube, and optuna with pruning. No trial is ever dropped.

All three draw from the values of a grid's axes, so a parameter never leaves what was asked for.

    random   combinations of the grid, each at most once
    lhs      a Latin hypercube: each axis is covered evenly, however many there are (scipy's qmc)
    optuna   a tree-structured Parzen estimator that learns from the trials before; a trial runs on a
             growing part of the window and is pruned where it lies below the median of the others

The result is a sweep's, with four columns more: `trial` (in order), `state` (complete, pruned,
invalid, error), `stages` (how many parts of the window it ran) and `value` (the metric where it stopped). A
search that forgets its failures would make its best look better than it is: the ledger counts the pruned
too, with the Sharpe ratio of the part of the window that they ran.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.analysis.trial_rows import TrialBatch
from workbench.backtest.columns import DETAIL_COLUMNS, METRIC_COLUMNS
from workbench.backtest.exits import parted
from workbench.backtest.grids import Grid, valid_mask
from workbench.backtest.progress import progress_bar
from workbench.backtest.recording import LEDGER, NOT_TRIALS, Recorder, batch_of_frame
from workbench.backtest.results import SweepResult, parameter_columns
from workbench.backtest.setting import Costs, trading_rules
from workbench.backtest.sweep import sweep_params, warm_starts
from workbench.errors import UsageError
from workbench.market.candles import Candles

if TYPE_CHECKING:
    import polars as pl
    from optuna.trial import TrialState

Method = Literal["random", "lhs", "optuna"]
METHODS = ("random", "lhs", "optuna")
STAGES = (0.25, 0.5, 0.75, 1.0)  # the parts of the window at which optuna may prune
TOGETHER = 8  # trials that optuna asks for at once: they run as one sweep on every core
MOST_TRIALS = 1_000_000


@dataclass(slots=True)
class _Trial:
    """One trial of optuna: where its combination lies on each axis, and how far it came."""

    asked: object
    places: tuple[int, ...]
    state: str = "complete"
    stages: int = 0
    value: float | None = None
    row: pl.DataFrame | None = None  # of the last stage that it ran


def search_params(
    candles: Candles,
    grid: Grid,
    *,
    method: str,
    trials: int = 100,
    seed: int = 0,
    metric: str = "total_return",
    costs: Costs | None = None,
    progress: bool = False,
    columns: tuple[str, ...] = (),
    counter: Recorder = LEDGER,
) -> SweepResult:
    """Try `trials` combinations of a grid; the same seed tries the same ones.

    `metric` is what optuna raises. Raises UsageError for an unknown method or metric, trials below 1,
    or where no combination that was tried is valid.
    """
    if method not in METHODS:
        raise UsageError(f"unknown search {method!r}; use one of {', '.join(METHODS)}")
    known = (*METRIC_COLUMNS, *columns)
    if metric not in known:
        raise UsageError(f"unknown metric {metric!r}; known are {', '.join(known)}")
    if not 1 <= trials <= MOST_TRIALS:
        raise UsageError(f"trials={trials} is out of range; it takes 1 to {MOST_TRIALS:,}")
    costs, began = costs or Costs(), time.perf_counter()
    if method == "optuna":
        result = _optuna(candles, grid, trials, seed, metric, costs, progress, columns, counter)
    else:
        draw = _random if method == "random" else _latin_hypercube
        params = grid.take(draw(grid, trials, seed))
        result = _sampled(candles, grid, params, metric, costs, progress, columns, counter)
    return replace(result, seconds=time.perf_counter() - began)


def _random(grid: Grid, trials: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(len(grid), min(trials, len(grid)), replace=False)


def _latin_hypercube(grid: Grid, trials: int, seed: int) -> np.ndarray:
    from scipy.stats import qmc

    sizes = np.array([len(one) for one in grid.values.values()])
    cube = qmc.LatinHypercube(d=len(sizes), rng=np.random.default_rng(seed))
    places = np.minimum((cube.random(trials) * sizes).astype(np.int64), sizes - 1)
    return np.array([grid.number(row) for row in places])


def _sampled(
    candles: Candles,
    grid: Grid,
    params: np.ndarray,
    metric: str,
    costs: Costs,
    progress: bool,
    columns: tuple[str, ...],
    counter: Recorder,
) -> SweepResult:
    ok = valid_mask(grid.spec, params)
    result = sweep_params(
        candles,
        grid.spec,
        params,
        costs=costs,
        progress=progress,
        columns=columns,
        trials=counter,
    )
    states = np.where(ok, "complete", "invalid").tolist()
    return _with_all_trials(result, params, ok, states, [int(one) for one in ok], metric)


def _optuna(
    candles: Candles,
    grid: Grid,
    trials: int,
    seed: int,
    metric: str,
    costs: Costs,
    progress: bool,
    columns: tuple[str, ...],
    counter: Recorder,
) -> SweepResult:
    import optuna

    counter.ready()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, trials)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    axes: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.IntDistribution(0, len(values) - 1)
        for name, values in grid.values.items()
    }
    done: list[_Trial] = []
    try:
        with progress_bar(trials, unit="trials", desc="search", shown=progress) as bar:
            while len(done) < trials:
                asked = [study.ask(axes) for _ in range(min(TOGETHER, trials - len(done)))]
                batch = [_Trial(one, tuple(one.params[name] for name in axes)) for one in asked]
                done += batch
                _run_stages(candles, grid, batch, metric, costs)
                for one, trial in zip(asked, batch, strict=True):
                    study.tell(one, *_verdict(trial))
                bar.update(len(batch))
    finally:  # what was tried is counted, however the search ends
        ran = [one for one in done if one.row is not None]
        made = [lambda: _batch_of(candles, grid, costs, ran)] if ran else []
        uncounted = counter.record(*made)
    params = grid.take(np.array([grid.number(one.places) for one in done]))
    ok = np.array([one.state == "complete" for one in done])
    if not ok.any():
        raise UsageError(
            f"none of the {trials} trials was valid and ran to the end; allow more trials"
        )
    result = sweep_params(
        candles, grid.spec, params[ok], costs=costs, columns=columns, trials=NOT_TRIALS
    ).noting(uncounted)
    states, stages = [one.state for one in done], [one.stages for one in done]
    result = _with_all_trials(result, params, ok, states, stages, metric)
    return _with_values(result, [one.value for one in done])


def _verdict(trial: _Trial) -> tuple[float | None, TrialState]:
    """Return what optuna is told of a trial that has run."""
    from optuna.trial import TrialState

    states = {"invalid": TrialState.FAIL, "pruned": TrialState.PRUNED}
    if trial.state in states:
        return None, states[trial.state]
    if trial.value is None:
        return None, TrialState.FAIL  # it ran, but has no such metric
    return trial.value, TrialState.COMPLETE


def _batch_of(candles: Candles, grid: Grid, costs: Costs, ran: list[_Trial]) -> TrialBatch:
    """Return the trials of a search that ran, as the whole window's."""
    import polars as pl

    numbers = np.array([grid.number(one.places) for one in ran], np.int64)
    params, exits = parted(grid.take(numbers), grid.spec.params_dtype)
    return batch_of_frame(
        candles,
        grid.spec,
        costs,
        rules=trading_rules(candles, costs)[0],
        params=params,
        exits=exits,
        warm=warm_starts(candles, grid.spec, params),
        frame=pl.concat([one.row for one in ran if one.row is not None]),
    )


def _run_stages(
    candles: Candles, grid: Grid, batch: list[_Trial], metric: str, costs: Costs
) -> None:
    params = grid.take(np.array([grid.number(one.places) for one in batch]))
    for one, ok in zip(batch, valid_mask(grid.spec, params), strict=True):
        one.state = "complete" if ok else "invalid"
    for stage, share in enumerate(STAGES, start=1):
        left = [i for i, one in enumerate(batch) if one.state == "complete"]
        if not left:
            return
        columns = (metric,) if metric in DETAIL_COLUMNS else ()
        rows = sweep_params(
            _share(candles, share),
            grid.spec,
            params[left],
            costs=costs,
            columns=columns,
            data_sha256="",
            trials=NOT_TRIALS,
        ).frame
        for at, (i, value) in enumerate(zip(left, rows[metric], strict=True)):
            one = batch[i]
            one.row = rows[at]
            one.stages, one.value = stage, None if value is None else float(value)
            if one.value is not None and stage < len(STAGES):
                _report(one, stage)


def _report(trial: _Trial, stage: int) -> None:
    from optuna import Trial

    assert isinstance(trial.asked, Trial)
    assert trial.value is not None
    trial.asked.report(trial.value, stage)
    if trial.asked.should_prune():
        trial.state = "pruned"


def _share(candles: Candles, share: float) -> Candles:
    """Return the first part of the window, its warm-up before it."""
    if share >= 1.0:
        return candles
    ends = candles.first + max(2, int(len(candles) * share))
    return replace(candles, records=candles.records[:ends])


def _with_all_trials(
    result: SweepResult,
    params: np.ndarray,
    ran: np.ndarray,
    states: Sequence[str],
    stages: Sequence[int],
    metric: str,
) -> SweepResult:
    """Return the result with a row for every trial, in order; metrics are null where it did not run."""
    import polars as pl

    own = parameter_columns(result.spec, params)
    trial = pl.DataFrame({"trial": np.arange(len(params), dtype=np.int64)})
    tried = trial.with_columns(
        *(pl.Series(name, values) for name, values in own.items()),
        pl.Series("state", list(states), pl.String),
        pl.Series("stages", list(stages), pl.Int64),
    )
    ran_rows = result.frame.drop(list(own)).with_columns(pl.Series("trial", np.flatnonzero(ran)))
    frame = tried.join(ran_rows, on="trial", how="left", maintain_order="left")
    failed = pl.col("error").is_not_null()
    frame = frame.with_columns(
        value=pl.col(metric).cast(pl.Float64),
        state=pl.when(failed).then(pl.lit("error")).otherwise(pl.col("state")),
    )
    return replace(result, rows=frame, invalid_combinations=sum(one == "invalid" for one in states))


def _with_values(result: SweepResult, values: Sequence[float | None]) -> SweepResult:
    import polars as pl

    column: pl.Series = pl.Series("value", list(values), pl.Float64)
    return replace(result, rows=result.frame.with_columns(column))
