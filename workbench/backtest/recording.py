"""Which runs are trials, and how they get into the ledger.

Every shell takes `trials`, the recorder of what it runs, and its default is the ledger of WORKBENCH_HOME:
who forgets it has counted. NOT_TRIALS is for code that runs again what was counted (parity, a verdict,
a probe of a series, a worker whose caller counts); no face and no command offers it.

The ledger is asked before the work whether it can be written. Where it fails afterwards all the same,
the result is handed back, and says NOT COUNTED.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from workbench.analysis.trial_rows import TRIAL, Scope, TrialBatch, identities
from workbench.analysis.trials import home_ledger
from workbench.backtest.setting import Costs
from workbench.core.statistics import DAYS_A_YEAR
from workbench.errors import DataError
from workbench.execution.exits import LEVELS, ranged
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument
from workbench.market.timeframes import DAY_MS
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl

    from workbench.backtest.kernels import Run
    from workbench.backtest.results import BacktestResult

_NAMED = {"bars": "days"}  # counted in candles until the batch is made
ROWS_AT_ONCE = 20_000  # that a study in memory gathers for one entry of each of its series
Make = Callable[[], TrialBatch]


class Recorder(Protocol):
    """Where the trials of a run go."""

    def ready(self) -> None:
        """Raise DataError where it is known already that trials could not be kept."""

    def record(self, *batches: Make) -> str:
        """Keep these trials; return why they could not be, nothing where they are kept."""


class _Ledger:
    """Appends to the ledger of WORKBENCH_HOME, on the disk when it returns."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def ready(self) -> None:
        home_ledger().demand_writable()

    def record(self, *batches: Make) -> str:
        made = [batch for make in batches if len((batch := make()).rows)]
        if not made:
            return ""
        try:
            home_ledger().append(made, now_ms=int(self._clock() * 1000))
        except DataError as error:
            count = sum(len(one.rows) for one in made)
            return f"NOT COUNTED: {count:,} trials are missing from the ledger's N: {error}"
        return ""


class _NotTrials:
    """Keeps nothing: what runs has been counted before, or is counted by the caller."""

    def ready(self) -> None:
        pass

    def record(self, *batches: Make) -> str:
        return ""


LEDGER: Recorder = _Ledger()
NOT_TRIALS: Recorder = _NotTrials()


class Gathering:
    """Collects the trials of many batches and keeps them together, at the end or after an interruption.

    `uncounted` says afterwards why some could not be kept. With `most_rows=1` each batch is kept at once,
    for results that are on the disk before the run is at its end.
    """

    def __init__(self, to: Recorder, *, most_rows: int = ROWS_AT_ONCE) -> None:
        self._to, self._most_rows = to, most_rows
        self._batches: list[TrialBatch] = []
        self.uncounted = ""

    def ready(self) -> None:
        """Say nothing: the run has begun, and what it computes is handed back in any case."""

    def record(self, *batches: Make) -> str:
        """Take batches in; what is to be said about them is said at the end."""
        if self._to is not NOT_TRIALS:
            self._batches += [make() for make in batches]
        if sum(len(one.rows) for one in self._batches) >= self._most_rows:
            self._keep()
        return ""

    def __enter__(self) -> Gathering:
        self._to.ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._keep()

    def _keep(self) -> None:
        kept, self._batches = self._batches, []
        why = self._to.record(*(lambda one=one: one for one in kept))
        self.uncounted = why or self.uncounted


def counted(
    result: BacktestResult,
    trials: Recorder,
    *,
    rules: Instrument | None,
    warm: int,
    model: str = "",
) -> BacktestResult:
    """Record one backtest; return it, saying so where it could not be counted."""

    def make() -> TrialBatch:
        candles, spec = result.candles, result.spec
        rows = np.zeros(1, TRIAL)
        for name in ("sharpe", "total_return", "trades", "bars"):
            value = result.metrics[name]
            rows[_NAMED.get(name, name)] = np.nan if value is None else value
        rows["traded"] = bool(result.metrics["trades"] or result.metrics["open_trade"])
        scope = scope_of(candles, spec, result.costs, result.costs.record(rules), model=model)
        params = spec.params(**result.params).reshape(1)
        warmed = np.array([candles.first - warm])
        return _batch(scope, result.engine, candles, params, result.exits, warmed, rows)

    why = trials.record(make)
    return replace(result, uncounted=why, notes=(*result.notes, why)) if why else result


def batch_of_run(candles: Candles, spec: Spec, costs: Costs, run: Run) -> TrialBatch:
    """Return what a kernel has computed of a run; of an interrupted one that are not all of its rows."""
    done = (run.rows["bars"] > 0) | (run.rows["error"] != 0)
    computed = run.rows[done]
    rows = np.zeros(len(computed), TRIAL)
    for name in ("sharpe", "total_return", "trades", "error", "bars"):
        rows[_NAMED.get(name, name)] = computed[name]
    rows["traded"] = (computed["trades"] > 0) | (computed["open_trade"] != 0)
    scope = scope_of(candles, spec, costs, run.costs)
    warmed = candles.first - run.warm[done]
    return _batch(scope, "kernel", candles, run.params[done], run.exits[done], warmed, rows)


def batch_of_frame(
    candles: Candles,
    spec: Spec,
    costs: Costs,
    *,
    rules: Instrument | None,
    params: np.ndarray,
    exits: np.ndarray,
    warm: np.ndarray,
    frame: pl.DataFrame,
) -> TrialBatch:
    """Return the trials of a result's rows, one a parameter record."""
    scope = scope_of(candles, spec, costs, costs.record(rules))
    warmed = candles.first - warm
    return _batch(scope, "kernel", candles, params, exits, warmed, _rows_of(frame))


def _rows_of(frame: pl.DataFrame) -> np.ndarray:
    """Return TRIAL records of a result's rows, still without identities, with candles for days."""
    import polars as pl

    rows = np.zeros(frame.height, TRIAL)
    for name in ("sharpe", "total_return"):
        rows[name] = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    rows["trades"] = frame["trades"].fill_null(0).to_numpy()
    rows["days"] = frame["bars"].to_numpy()
    rows["traded"] = (rows["trades"] > 0) | frame["open_trade"].fill_null(False).to_numpy()
    rows["error"] = frame["error"].is_not_null().to_numpy()
    return rows


def scope_of(
    candles: Candles, spec: Spec, costs: Costs, record: np.ndarray, *, model: str = ""
) -> Scope:
    """Return what all trials of a strategy on a window have in common; `record` holds rules and costs."""
    priced = {
        name: record[0][name].item() for name in record.dtype.names or () if name != "rate_e8"
    }
    if costs.guards.is_any:
        guards = costs.guards.record()[0]
        priced |= {name: guards[name].item() for name in guards.dtype.names or ()}
    said = [f"{name}={value!r}" for name, value in priced.items() if value]
    times = candles.window["open_time"]
    return Scope(
        strategy=spec.name,
        strategy_sha=spec.sha,
        data_sha256=candles.used_sha256(candles.first),
        symbol=candles.symbol,
        interval=str(candles.timeframe),
        first_ms=int(times[0]),
        last_ms=int(times[-1]),
        costs=" ".join([*said, model] if model else said),
    )


def _batch(
    scope: Scope,
    engine: str,
    candles: Candles,
    params: np.ndarray,
    exits: np.ndarray,
    warmed: np.ndarray,
    rows: np.ndarray,
) -> TrialBatch:
    """Return a batch with identities, days, and Sharpes made per day.

    A Sharpe ratio is annualised by the samples a year: days, or 365 over the days of a longer candle, of
    which one has sqrt(days) times a day's ratio. Divided by sqrt(365) it is per day in both cases.
    """
    rows["identity"] = identities(scope, _columns(params, exits, warmed))
    rows["sharpe"] /= np.sqrt(DAYS_A_YEAR)
    rows["days"] *= candles.timeframe.mean_ms / DAY_MS
    return TrialBatch(scope, engine, rows)


def _columns(params: np.ndarray, exits: np.ndarray, warmed: np.ndarray) -> Sequence[np.ndarray]:
    """Return every number that tells one row of a scope from another."""
    columns = [column for name in params.dtype.names or () for column in _flat(params[name])]
    for name in LEVELS:
        columns += [exits[name]["value"], exits[name]["unit"]]
    periods = np.where(ranged(exits), exits["atr_period"], 0)  # of no account where no level asks
    return [*columns, periods, exits["time_stop_bars"], warmed]


def _flat(values: np.ndarray) -> Sequence[np.ndarray]:
    return list(values.reshape(len(values), math.prod(values.shape[1:])).T)
