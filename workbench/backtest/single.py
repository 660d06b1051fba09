"""One backtest with everything a reader asks for: metrics, trades, fills, equity at every close."""

from __future__ import annotations

import numpy as np

from workbench.backtest.kernels import kernel
from workbench.backtest.overlay import first_record
from workbench.backtest.recording import LEDGER, Recorder, batch_of_run
from workbench.backtest.results import (
    ERRORS,
    BacktestResult,
    metrics_of,
    reasons_for,
)
from workbench.backtest.round_trips import profits_of, round_trips
from workbench.backtest.scorecard import Span, details
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import Costs, demand_window, trading_rules
from workbench.backtest.sweep import run_of, warm_starts
from workbench.core.costs import SCALE
from workbench.core.intents import ERROR_NONE, ERROR_OUTGROWN, ERROR_RANGE
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm, exits_of
from workbench.market.candles import Candles
from workbench.strategies.spec import SEED_WEIGHT, Number, Spec


def backtest(
    candles: Candles,
    spec: Spec,
    *,
    costs: Costs | None = None,
    exits: ExitsForm = None,
    trials: Recorder = LEDGER,
    **params: Number,
) -> BacktestResult:
    """Run one parameter set with the compiled kernel; exchange filters are on by default.

    Raises UsageError for bad parameters or a strategy that writes an impossible intent, DataError
    for candles that cannot be traded.
    """
    costs = costs or Costs(filters="exchange")
    record = spec.params(**params).reshape(1)
    return run_set(candles, spec, record, exits_of(exits), costs=costs, trials=trials)


def run_set(
    candles: Candles,
    spec: Spec,
    record: np.ndarray,
    levels: np.ndarray,
    *,
    costs: Costs,
    trials: Recorder = LEDGER,
) -> BacktestResult:
    """Run one parameter record with one EXITS record, both of shape (1,), as `backtest` does."""
    demand_window(candles)
    rules, notes = trading_rules(candles, costs)
    curve = np.zeros(len(candles), EQUITY)
    warm = warm_starts(candles, spec, record)
    run = run_of(
        candles,
        record,
        warm=warm,
        exits=levels,
        costs=costs,
        rules=rules,
        equities=curve,
    )
    trials.ready()
    fills = kernel(spec).run_whole(run)
    uncounted = trials.record(lambda: batch_of_run(candles, spec, costs, run))
    error = int(run.rows["error"][0])
    if error != ERROR_NONE:
        mend = "" if error in (ERROR_RANGE, ERROR_OUTGROWN) else "; mend its decide"
        raise UsageError(f"{spec.name} wrote {ERRORS[error]}{mend}")
    trades = round_trips(
        fills,
        step=rules.step_e8 / SCALE if rules else 0.0,
        last_close=float(candles.window["close"][-1]),
    )
    about = details(Span.of(candles), costs.cash, curve, profits_of(trades))
    metrics = metrics_of(run.rows[0]) | about
    return BacktestResult(
        spec=spec,
        params=spec.values(record[0]),
        candles=candles,
        costs=costs,
        engine="kernel",
        metrics=metrics,
        reasons=reasons_for(metrics, candles),
        fill_records=fills,
        trip_records=trades,
        curve=curve,
        pending=bool(run.rows["pending"][0]),
        data_sha256=candles.used_sha256(first_record(candles, levels, costs.guards, int(warm[0]))),
        notes=notes + warm_up_notes(candles, spec, record) + ((uncounted,) if uncounted else ()),
        exits=levels,
        ambiguous=int(run.rows["ambiguous"][0]),
        guarded=int(run.rows["guarded"][0]),
        uncounted=uncounted,
    )


def warm_up_notes(candles: Candles, spec: Spec, record: np.ndarray) -> tuple[str, ...]:
    """Say so where fewer candles lie before the window than the strategy needs to be stable."""
    needed = int(np.max(spec.stable(record)))
    if candles.first >= needed:
        return ()
    valued = int(np.max(spec.first_value(record)))
    return (
        f"{candles.first} candles before the window, {needed} would make {spec.name} independent of "
        f"where its data begins: {_left_of_the_seed(candles.first + 1, valued, needed)}",
    )


def _left_of_the_seed(known: int, valued: int, stable: int) -> str:
    """Say what the beginning still weighs when so many candles are known.

    A seed's weight falls by the same factor with every candle, from all of it at the first value to
    SEED_WEIGHT where the strategy is stable; of a window nothing falls, it is whole or it is not.
    """
    if known < valued:
        return f"it has no value before the window's {_ordinal(valued - known + 1)} candle"
    if stable - valued <= 1:
        return "its first decision needs one candle more"
    left = SEED_WEIGHT ** ((known - valued) / (stable - valued))
    return f"about {left:.1%} of the seed's weight is left at its first decision"


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    is_teen = 10 <= number % 100 <= 20
    return f"{number}{'th' if is_teen else endings.get(number % 10, 'th')}"
