"""What notebooks call: candles in, results out, with every setting by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.backtest.detail_columns import detail_names
from workbench.backtest.engines import run_engine
from workbench.backtest.event.market_model import MarketModel, OrderKind
from workbench.backtest.grids import Grid
from workbench.backtest.results import BacktestResult, SweepResult
from workbench.backtest.setting import (
    DEFAULT_CASH,
    DEFAULT_FEE_BPS,
    DEFAULT_SLIPPAGE_BPS,
    KILL_LIMIT,
    Costs,
    Filters,
)
from workbench.backtest.study.plan import ParameterForm, StudyPlan, WindowForm
from workbench.backtest.study.result import StudyResult
from workbench.backtest.study.run import run_study
from workbench.backtest.sweep import sweep_params
from workbench.data import load
from workbench.errors import DataError, UsageError
from workbench.execution.exits import ExitsForm
from workbench.execution.guards import Guards, GuardsForm
from workbench.market.candles import Candles, opening_times, refuse_bad_records
from workbench.market.timeframes import DAY_MS, TIMEFRAMES, Timeframe, parse_timeframe
from workbench.strategies.spec import Axis, Number, Spec

if TYPE_CHECKING:
    from distributed import Client

    from workbench.face.verdicts import Verdict
    from workbench.report.charts import Chart
    from workbench.report.tearsheet import Tearsheet

__all__ = ["Run", "Study", "backtest", "candles_of", "load", "study", "sweep"]


class Run(BacktestResult):
    """A backtest that can draw itself."""

    def tearsheet(self) -> Tearsheet:
        """Return metrics, equity with drawdown and holding, and trades as one page."""
        from workbench.report.tearsheet import tearsheet

        return tearsheet(self)

    def verdict(
        self, *, kill_limit: float = KILL_LIMIT, seed: int = 0, progress: bool = True
    ) -> Verdict:
        """Judge it among all trials of its strategy in the ledger; what only rivals can tell stays open."""
        from workbench.face.verdicts import of_run

        return of_run(self, kill_limit=kill_limit, seed=seed, progress=progress)

    def _repr_html_(self) -> str:
        return self.tearsheet()._repr_html_()


class Sweep(SweepResult):
    """A sweep that can draw itself."""

    def plateau(self, metric: str = "total_return") -> pl.DataFrame:
        """Return the rows with the median and the lowest of their neighbours, best median first."""
        from workbench.report.cards import plateau

        return plateau(self, metric)

    def heat_map(self, x: str, y: str, *, metric: str = "total_return") -> Chart:
        """Draw the median of a metric over two parameters, with best cell and plateau marked."""
        from workbench.report.charts import heat_map

        chosen = self.scan().select(x, y, metric).collect()
        return heat_map(
            chosen,
            x,
            y,
            value=metric,
            title=self.title.partition(": ")[0],
            source=self.candles.source,
        )

    def verdict(
        self,
        *,
        metric: str = "sharpe",
        kill_limit: float = KILL_LIMIT,
        seed: int = 0,
        progress: bool = True,
        **choose: object,
    ) -> Verdict:
        """Judge its best row by `metric`, or the one with these parameters (fast=12, slow=26), by all gates.

        `kill_limit` is the drawdown that would stop an instance, where no guard has one. Raises UsageError
        where no such row is there.
        """
        from workbench.face.verdicts import of_sweep

        return of_sweep(
            self,
            choose=choose,
            metric=metric,
            kill_limit=kill_limit,
            seed=seed,
            progress=progress,
        )

    def _repr_html_(self) -> str:
        from workbench.report.cards import sweep_card

        return sweep_card(self)


class Study(StudyResult):
    """A study that can draw itself."""

    def heat_map(self, x: str, y: str, *, metric: str = "total_return", **where: object) -> Chart:
        """Draw the median of a metric over two parameters, of the rows where keys have these values.

        For instance `study.heat_map("fast", "slow", symbol="BTCUSDT", interval="1d")`.
        """
        from workbench.report.charts import heat_map

        chosen = self.scan().filter(**where).collect()
        said = ", ".join(str(one) for one in where.values())
        title = f"{self.plan.title}: {said}" if said else self.plan.title
        source = " + ".join(self.sources)
        return heat_map(chosen, x, y, value=metric, title=title, source=source)

    def _repr_html_(self) -> str:
        from workbench.report.cards import study_card

        return study_card(self)


def backtest(
    candles: Candles | pl.DataFrame,
    strategy: Spec,
    *,
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    cash: float = DEFAULT_CASH,
    filters: Filters | None = None,
    engine: str = "kernel",
    latency_ms: int = 0,
    volume_share: float | None = None,
    orders: OrderKind = "market",
    maker_fee_bps: float | None = None,
    exits: ExitsForm = None,
    guards: GuardsForm = None,
    fine: Candles | pl.DataFrame | None = None,
    **params: Number,
) -> Run:
    """Backtest one parameter set: signal at the close, fill at the next open, costs on.

    `engine` is "kernel" (compiled), "event" (the exchange's matching engine, order by order) or
    "backtrader" (for cross-checking). `filters` are the exchange's, and "none" for backtrader, which
    has none. The event engine alone knows orders that reach the market later (`latency_ms`), get at
    most a share of the volume (`volume_share`), or rest as "limit" orders and pay `maker_fee_bps`.
    `exits` protect the position, whatever the strategy: {"stop": "2%", "take_profit": "3atr",
    "time_stop": 48}; `guards` hold back buys or scale them: {"trades_a_day": 2, "drawdown": 0.2}; `fine`
    is a finer series that tells which of two exits came first in a candle.
    Raises UsageError for bad parameters, DataError for candles that cannot be traded.
    """
    filters = filters or ("none" if engine == "backtrader" else "exchange")
    costs = Costs(fee_bps, slippage_bps, cash, filters, Guards.of(guards))
    model = MarketModel(latency_ms, volume_share, orders, maker_fee_bps)
    series = candles_of(candles, fine)
    demand_strategy(strategy)
    result = run_engine(
        engine, series, strategy, costs=costs, params=params, model=model, exits=exits
    )
    return Run(**vars(result))


def sweep(
    candles: Candles | pl.DataFrame,
    strategy: Spec,
    *,
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    cash: float = DEFAULT_CASH,
    filters: Filters = "none",
    exits: ExitsForm = None,
    guards: GuardsForm = None,
    fine: Candles | pl.DataFrame | None = None,
    progress: bool = True,
    on: Client | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    search: str | None = None,
    trials: int = 100,
    search_seed: int = 0,
    search_metric: str = "total_return",
    columns: str | Iterable[str] = (),
    **axes: Axis,
) -> Sweep:
    """Run every combination of the axes on a thread pool; one row of metrics for each.

    With `out` the rows stream to that parquet file in parts, for grids larger than memory, and
    `resume` goes on with it after an interruption. `on` is a Dask client whose cluster runs them, with
    the same rows. `search` ("random", "lhs" or "optuna") tries `trials` combinations instead of all;
    every one of them stays in the result. `exits` are axes too: {"stop": ["1%", "2%"], "time_stop": 48};
    `guards` and `fine` are as in `backtest`. `columns` adds metrics that need a second run of each set:
    "all", or some of bar_sharpe, adjusted_sharpe, capital_exposure, expectancy, expectancy_r, sqn.
    Raises UsageError for a bad axis or where no combination is valid, DataError for bad candles.
    """
    costs = Costs(fee_bps, slippage_bps, cash, filters, Guards.of(guards))
    demand_strategy(strategy)
    series, grid = candles_of(candles, fine), Grid.of(strategy, axes, exits)
    more = detail_names(columns)
    result: SweepResult
    if search is not None:
        from workbench.backtest.search import search_params

        if on is not None or out is not None:
            raise UsageError("a search runs here and stays in memory; leave out on= and out=")
        result = search_params(
            series,
            grid,
            method=search,
            trials=trials,
            seed=search_seed,
            metric=search_metric,
            costs=costs,
            progress=progress,
            columns=more,
        )
    elif out is not None:
        from workbench.backtest.streaming import sweep_to

        result = sweep_to(
            Path(out),
            series,
            grid,
            costs=costs,
            resume=resume,
            on=on,
            progress=progress,
            columns=more,
        )
    elif resume:
        raise UsageError("resume=True needs out=, the file that an earlier sweep began")
    elif on is not None:
        from workbench.backtest.streaming import sweep_on

        result = sweep_on(
            on, series, strategy, grid.all(), costs=costs, progress=progress, columns=more
        )
    else:
        result = sweep_params(
            series, strategy, grid.all(), costs=costs, progress=progress, columns=more
        )
    return Sweep(**vars(result))


def study(
    *,
    symbols: Iterable[str],
    intervals: Iterable[str],
    strategy: Spec | Iterable[Spec],
    windows: Iterable[WindowForm] | None = None,
    params: ParameterForm | Mapping[str, ParameterForm] = None,
    fee_bps: float = DEFAULT_FEE_BPS,
    slippage_bps: float = DEFAULT_SLIPPAGE_BPS,
    cash: float = DEFAULT_CASH,
    filters: Filters = "none",
    exits: ExitsForm = None,
    guards: GuardsForm = None,
    columns: str | Iterable[str] = (),
    all_history: bool = False,
    title: str = "study",
    out: Path | str | None = None,
    resume: bool = False,
    on: Client | None = None,
    progress: bool = True,
) -> Study:
    """Run symbols x intervals x windows x strategies x parameter sets: one frame of backtests.

    A window is (start, end), or {"days": 365, "end": ...}; params are sets, or axes of a grid, and
    with several strategies a mapping from their names; every set runs with every combination of
    `exits`. `columns` adds metrics as in `sweep`, to rank by too. With `out` the rows stream to that
    parquet file, and `resume` goes on with it after an interruption, with the same columns. Raises
    UsageError or DataError before any backtest runs where something does not fit.
    """
    plan = StudyPlan.of(
        symbols=symbols,
        intervals=intervals,
        windows=windows,
        strategy=strategy,
        params=params,
        costs=Costs(fee_bps, slippage_bps, cash, filters, Guards.of(guards)),
        exits=exits,
        columns=columns,
        all_history=all_history,
        title=title,
    )
    path = None if out is None else Path(out)
    return Study(**vars(run_study(plan, out=path, resume=resume, on=on, progress=progress)))


def candles_of(
    candles: Candles | pl.DataFrame, fine: Candles | pl.DataFrame | None = None
) -> Candles:
    """Return a polars frame of one series, with the candle store's columns, as Candles.

    `fine` is put beside them, where it is given.

    Raises DataError where columns are missing, several symbols are mixed or the interval is none
    that is known.
    """
    if fine is not None:
        return replace(candles_of(candles), fine=candles_of(fine))
    if isinstance(candles, Candles):
        if not candles.is_sound:
            refuse_bad_records(candles.records, label=f"{candles.symbol} {candles.timeframe}")
        return candles
    if not isinstance(candles, pl.DataFrame):
        raise UsageError(
            f"candles are a {type(candles).__name__}; give what wb.load returns, or a polars frame"
        )
    if "open_time" not in candles.columns:
        raise DataError("the frame lacks open_time; it needs the columns of the candle store")
    return Candles.from_frame(candles, _interval(opening_times(candles)))


def demand_strategy(strategy: Spec) -> None:
    """Raise UsageError for what is no strategy."""
    if not isinstance(strategy, Spec):
        raise UsageError(
            f"strategy {strategy!r} is none; give wb.strategies.macd or wb.strategies.load(NAME)"
        )


def _interval(times: np.ndarray) -> Timeframe:
    if len(times) < 2:
        raise DataError(f"the frame holds {len(times)} candles; at least 2 are needed")
    steps = np.diff(times)
    if steps.min() <= 0:
        at = int(np.argmax(steps <= 0)) + 1
        what = "the time of the one before" if steps[at - 1] == 0 else "a time before that"
        raise DataError(f"candle {at} has {what}: times must rise; sort the frame, drop doubles")
    step = int(steps.min())
    for timeframe in TIMEFRAMES.values():
        if timeframe.fixed_ms == step:
            return timeframe
    if 28 * DAY_MS <= step <= 31 * DAY_MS:
        return parse_timeframe("1M")
    raise DataError(f"the shortest distance between candles is {step} ms: no known interval")
