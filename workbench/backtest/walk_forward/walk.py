"""Walk-forward: parameters chosen on a train window alone, run on the test window behind it, again and again.

A backtest of the best of many sets tells how well it fits what was. Here each set is chosen without a
candle of what it is then judged by, and the test windows, laid end to end, are one equity curve that
nobody has fitted. What lies before a window is fed as warm-up and not scored, as in any backtest; of what
lies behind it nothing is seen. At the end of a fold all that is held is sold (`fold_end`).

    WFE = growth a year out of sample / growth a year in sample of the sets that were chosen

Source: Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, ch. 11 and 12.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.columns import DETAIL_COLUMNS
from workbench.backtest.exits import parted
from workbench.backtest.grids import valid_mask
from workbench.backtest.overlay import first_record
from workbench.backtest.progress import progress_bar
from workbench.backtest.recording import LEDGER, Gathering, Recorder
from workbench.backtest.results import BacktestResult, SweepResult
from workbench.backtest.setting import Costs, holding_curve
from workbench.backtest.single import run_set
from workbench.backtest.sweep import sweep_params, warm_starts
from workbench.backtest.walk_forward.choosing import Chosen, axes_of, choose_row, demand_choice
from workbench.backtest.walk_forward.fold_end import closed_at_end
from workbench.backtest.walk_forward.folds import Fold, Length, lay_folds
from workbench.backtest.walk_forward.result import FoldRun, WalkForwardResult
from workbench.data.times import iso
from workbench.errors import UsageError
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, eq=False)
class _Search:
    """What every fold chooses from, and how."""

    spec: Spec
    params: np.ndarray
    axes: dict[str, np.ndarray]
    costs: Costs
    metric: str
    choose: str
    on: Client | None
    trials: Recorder


def walk_forward(
    candles: Candles,
    spec: Spec,
    params: np.ndarray,
    *,
    train: Length | None = None,
    test: Length | None = None,
    folds: int | None = None,
    anchored: bool = False,
    metric: str = "sharpe",
    choose: str = "peak",
    costs: Costs | None = None,
    on: Client | None = None,
    progress: bool = False,
    trials: Recorder = LEDGER,
) -> WalkForwardResult:
    """Choose among the parameter records on each fold's train window and run the choice on its test window.

    Each set on each train window is a trial, and each choice on its test window. Those that are not `valid`
    are dropped and counted; records may carry exits (`backtest.exits`). Raises
    UsageError for folds, a metric or a choice that cannot be, and where no set of a fold has the metric;
    DataError where the candles are too few.
    """
    demand_choice(metric, choose)
    costs, began = costs or Costs(), time.perf_counter()
    laid = lay_folds(candles, train=train, test=test, folds=folds, anchored=anchored)
    ok = valid_mask(spec, params)
    if not ok.any():
        raise UsageError(
            f"none of the {len(params):,} combinations is valid; {spec.name}: {spec.title}"
        )
    chosen = np.ascontiguousarray(params[ok])
    axes, runs, gathering = axes_of(chosen), list[FoldRun](), Gathering(trials)
    search = _Search(spec, chosen, axes, costs, metric, choose, on, gathering)
    total = len(chosen) * len(laid)
    with gathering, progress_bar(total, unit="sets", desc="walk-forward", shown=progress) as bar:
        for fold in laid:
            cash = runs[-1].test.curve["cash"][-1] if runs else costs.cash
            runs.append(_run_fold(candles, fold, search, float(cash), of=len(laid)))
            bar.update(len(chosen))
    return WalkForwardResult.build(
        spec=spec,
        candles=candles,
        costs=costs,
        metric=metric,
        choose=choose,
        anchored=anchored,
        axes=axes,
        sets=len(chosen),
        invalid_combinations=int(len(params) - len(chosen)),
        runs=tuple(runs),
        uncounted=gathering.uncounted,
        data_sha256=_used_sha256(candles, laid, search),
        seconds=time.perf_counter() - began,
    )


def _run_fold(candles: Candles, fold: Fold, search: _Search, cash: float, *, of: int) -> FoldRun:
    """Choose on the train window, then run the choice on the test window with the cash that there is."""
    swept = _sweep(fold.train(candles), search)
    values = swept.frame[search.metric].cast(float).fill_null(float("nan")).to_numpy()
    found = choose_row(values, search.axes, search.choose)
    if found is None:
        raise UsageError(_none_chosen(fold, of, swept, values, search))
    record = search.params[found.row : found.row + 1]
    own, exits = parted(record, search.spec.params_dtype)
    costs = replace(search.costs, cash=cash)
    try:
        run = run_set(
            fold.test(candles), search.spec, own, exits, costs=costs, trials=search.trials
        )
    except UsageError as error:
        raise UsageError(f"fold {fold.number} of {of}, out of sample: {error}") from None
    return _told(fold, found, record, swept, values, closed_at_end(run))


def _told(
    fold: Fold,
    found: Chosen,
    record: np.ndarray,
    swept: SweepResult,
    values: np.ndarray,
    test: BacktestResult,
) -> FoldRun:
    row = swept.frame.row(found.row, named=True)
    train, costs = swept.candles, swept.costs
    return FoldRun(
        fold=fold,
        row=found.row,
        record=record,
        value=float(values[found.row]),
        neighbours=found.neighbours,
        train_return=float(row["total_return"]),
        train_holding=float(holding_curve(train, costs)[-1] / costs.cash - 1.0),
        train_trades=int(row["trades"]),
        train_sha256=swept.data_sha256,
        test=test,
    )


def _sweep(train: Candles, search: _Search) -> SweepResult:
    columns = (search.metric,) if search.metric in DETAIL_COLUMNS else ()
    if search.on is None:
        return sweep_params(
            train,
            search.spec,
            search.params,
            costs=search.costs,
            columns=columns,
            trials=search.trials,
        )
    from workbench.backtest.streaming import sweep_on

    return sweep_on(
        search.on,
        train,
        search.spec,
        search.params,
        costs=search.costs,
        columns=columns,
        trials=search.trials,
    )


def _none_chosen(
    fold: Fold, of: int, swept: SweepResult, values: np.ndarray, search: _Search
) -> str:
    times = swept.candles.window["open_time"]
    where = f"fold {fold.number} of {of}, train window from {iso(int(times[0]))}, {len(times):,} candles"
    failed = "; ".join(f"{count:,}: {why}" for why, count in swept.errors().items())
    if failed:
        failed = f" ({failed})"
    if not np.isnan(values).all():
        return (
            f"{where}: no set with a {search.metric} has neighbours; sweep several values on an axis, or "
            "write choose='peak'"
        )
    return (
        f"{where}: none of the {len(values):,} sets has a {search.metric}{failed}; choose another metric, "
        "other values, or a longer train window"
    )


def _used_sha256(candles: Candles, laid: tuple[Fold, ...], search: _Search) -> str:
    """Return the hash of all candles that any fold used, warm-up included."""
    train = laid[0].train(candles)
    own, exits = parted(search.params, search.spec.params_dtype)
    warm = int(warm_starts(train, search.spec, own).min())
    begin = first_record(train, exits, search.costs.guards, warm)
    return laid[-1].test(candles).used_sha256(begin)
