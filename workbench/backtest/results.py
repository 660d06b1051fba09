"""Results: what a sweep and a single backtest hand back, as polars frames and plain numbers.

Ratios are fractions, money is in quote, times are UTC. A metric that cannot be computed is null,
and `reasons` says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.columns import DETAIL_COLUMNS, METRIC_COLUMNS
from workbench.backtest.exits import columns_of
from workbench.backtest.frames import equity_frame, fills_frame, trades_frame
from workbench.backtest.setting import Costs, plain, window_days
from workbench.core.curve import MIN_SAMPLES_TO_CORRELATE
from workbench.core.intents import ERROR_NONE, REASONS
from workbench.core.statistics import MIN_DAYS_TO_ANNUALISE
from workbench.errors import UsageError
from workbench.execution.exits import no_exits, said
from workbench.market.candles import Candles
from workbench.strategies.spec import Number, Spec

if TYPE_CHECKING:
    import polars as pl

_FLAGS = ("open_trade", "pending")
ERRORS = {ERROR_NONE: None} | REASONS


@dataclass(frozen=True)
class SweepResult:
    """One row a combination: parameters, then metrics; `error` names rows that have no metrics.

    The rows are in memory or, of a sweep that was streamed, in the parquet file `path`.
    """

    spec: Spec
    candles: Candles
    costs: Costs
    rows: pl.DataFrame | None
    invalid_combinations: int
    data_sha256: str
    seconds: float
    notes: tuple[str, ...]
    path: Path | None = None
    streamed: int = 0
    columns: tuple[str, ...] = ()  # those of DETAIL_COLUMNS that were asked for
    uncounted: str = ""  # why trials are missing from the ledger; no verdict may rely on its N then

    @classmethod
    def build(
        cls,
        *,
        spec: Spec,
        candles: Candles,
        costs: Costs,
        params: np.ndarray,
        rows: np.ndarray,
        more: dict[str, np.ndarray],
        invalid_combinations: int,
        data_sha256: str,
        seconds: float,
        notes: tuple[str, ...],
        uncounted: str,
    ) -> SweepResult:
        """Turn kernel records into a frame: NaN becomes null, flags become booleans."""
        import polars as pl

        columns = {
            **parameter_columns(spec, params),
            **{name: rows[name] for name in rows.dtype.names or ()},
            **more,
        }
        frame = pl.DataFrame([_column(name, values) for name, values in columns.items()])
        if (rows["error"] != ERROR_NONE).any():
            frame = frame.with_columns(_of_failed(name) for name in columns)
        frame = frame.with_columns(_reasons(rows["error"]))
        return cls(
            spec,
            candles,
            costs,
            frame,
            invalid_combinations,
            data_sha256,
            seconds,
            notes,
            columns=tuple(more),
        ).noting(uncounted)

    def noting(self, uncounted: str) -> SweepResult:
        """Return the result saying why trials of it are not in the ledger; itself where all are."""
        if not uncounted:
            return self
        return replace(self, uncounted=uncounted, notes=(*self.notes, uncounted))

    def __len__(self) -> int:
        return self.streamed if self.rows is None else self.rows.height

    @property
    def frame(self) -> pl.DataFrame:
        """Return one row a combination; of a streamed sweep they are read from its file."""
        return self.scan().collect() if self.rows is None else self.rows

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame, for sweeps that are larger than memory."""
        import polars as pl

        if self.rows is not None:
            return self.rows.lazy()
        assert self.path is not None
        return pl.scan_parquet(self.path)

    def top(self, count: int = 10, metric: str = "total_return") -> pl.DataFrame:
        """Return the rows with the highest value of a metric, those without one last."""
        demand_metric(metric, self.columns, "sweep")
        return self.scan().sort(metric, descending=True, nulls_last=True).head(count).collect()

    def best(self, metric: str = "total_return") -> dict[str, object]:
        """Return the row with the highest value of a metric; UsageError where none has one."""
        ranked = self.top(1, metric).drop_nulls(metric)
        if not ranked.height:
            raise UsageError(f"no combination has a {metric}; choose another metric")
        return ranked.row(0, named=True)

    def rows_per_second(self) -> float:
        """Return combinations a second, compilation of a first call included."""
        return len(self) / self.seconds

    def errors(self) -> dict[str, int]:
        """Return how many combinations have no metrics, by the reason."""
        import polars as pl

        failed = self.scan().drop_nulls("error").group_by("error").agg(pl.len())
        return dict(failed.sort("error").collect().iter_rows())

    @property
    def title(self) -> str:
        """Return what was swept, in one line."""
        mark = "SYNTHETIC " if self.candles.synthetic else ""
        return (
            f"{mark}{self.spec.name} on {self.candles.symbol} {self.candles.timeframe}: "
            f"{len(self):,} combinations, {len(self.candles):,} candles, "
            f"{self.costs.fee_bps:g} bps fee, {self.costs.slippage_bps:g} bps slippage"
        )

    def __repr__(self) -> str:
        dropped = self.invalid_combinations
        tail = f", {dropped:,} invalid dropped" if dropped else ""
        return f"SweepResult({self.title}{tail}, {self.seconds:.2f} s)"


@dataclass(frozen=True)
class BacktestResult:
    """One backtest: metrics, round trips, fills and the equity at every close.

    It holds records (FILL, TRIP and EQUITY); their frames are made when they are first asked for.
    """

    spec: Spec
    params: dict[str, Number]
    candles: Candles
    costs: Costs
    engine: str
    metrics: dict[str, float | int | bool | None]
    reasons: dict[str, str]
    fill_records: np.ndarray
    trip_records: np.ndarray
    curve: np.ndarray
    pending: bool
    data_sha256: str
    notes: tuple[str, ...] = field(default=())
    exits: np.ndarray = field(default_factory=no_exits)
    ambiguous: int = 0
    guarded: int = 0
    uncounted: str = ""  # why this trial is missing from the ledger

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Return one row a fill."""
        return fills_frame(self.fill_records, self.candles)

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Return one row a round trip, the open one last with null exits, marked at the last close.

        Prices are averages before fees, `pnl` and `return` after them, in quote and as a fraction of the
        quote paid; `exit_reason` is the one of the fill that closed it.
        """
        return trades_frame(self.trip_records, self.candles)

    @cached_property
    def equity(self) -> pl.DataFrame:
        """Return one row a candle: equity, cash, base, target written, and holding beside them."""
        return equity_frame(self.curve, self.candles, self.costs)

    def benchmarks(self) -> pl.DataFrame:
        """Return the strategy beside cash, holding, bitcoin and a basket; see `backtest.benchmarks`."""
        from workbench.backtest.benchmarks import benchmarks

        return benchmarks(self.candles, self.costs, self.curve["equity"])

    @property
    def title(self) -> str:
        """Return what was run, in one line."""
        mark = "SYNTHETIC " if self.candles.synthetic else ""
        exits = said(self.exits[0])
        return (
            f"{mark}{self.spec.name}({plain(self.params)}) on {self.candles.symbol} "
            f"{self.candles.timeframe}, {len(self.candles):,} candles"
            f"{f', exits {exits}' if exits else ''}"
        )

    def summary(self) -> dict[str, object]:
        """Return what `workbench backtest --json` prints."""
        return {
            **self.metrics,
            "pending": self.pending,
            "data_sha256": self.data_sha256,
            "reasons": self.reasons,
            "symbol": self.candles.symbol,
            "interval": str(self.candles.timeframe),
            "strategy": self.spec.name,
            "params": self.params,
            "engine": self.engine,
            "filters": self.costs.filters,
            "exits": said(self.exits[0]),
            "ambiguous": self.ambiguous,
            "guarded": self.guarded,
            "source": self.candles.source,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        total = self.metrics["total_return"]
        return f"BacktestResult({self.title}: return {total:+.2%}, {self.metrics['trades']} trades)"


def _column(name: str, values: np.ndarray | list[str]) -> pl.Series:
    """Return a column of the kernel's rows: NaN becomes null, flags become booleans."""
    import polars as pl

    if isinstance(values, list):
        return pl.Series(name, values)
    values = values != 0 if name in _FLAGS else np.ascontiguousarray(values)
    return pl.Series(name, values, nan_to_null=values.dtype.kind == "f")


def _of_failed(name: str) -> pl.Expr:
    """Return a column without the metrics of rows that failed."""
    import polars as pl

    column = pl.col(name)
    if name in METRIC_COLUMNS and name != "bars":
        return pl.when(pl.col("error") == ERROR_NONE).then(column).alias(name)
    return column


def _reasons(errors: np.ndarray) -> pl.Series:
    """Return in words why each row has no metrics, null where it has."""
    import polars as pl

    if not errors.any():
        return pl.Series("error", [None], pl.String).new_from_index(0, len(errors))
    return pl.Series("error", [ERRORS[one] for one in errors.tolist()], pl.String)


def demand_metric(metric: str, columns: tuple[str, ...], run: str) -> None:
    """Raise UsageError for a metric that no row of this run ("sweep", "study") has, columns asked for added."""
    known = (*METRIC_COLUMNS, *columns)
    if metric not in known:
        mend = f"; for {metric} {run} with columns={metric!r}" * (metric in DETAIL_COLUMNS)
        raise UsageError(f"unknown metric {metric!r}; known are {', '.join(known)}{mend}")


_PERCENT = {"total_return", "cagr", "max_drawdown", "win_rate", "exposure", "capital_exposure"}


def shown(name: str, value: object) -> str:
    """Return one metric as a reader wants it: percent, money, ratio, or a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if name in _PERCENT:
        return f"{value:+.2%}" if name in {"total_return", "cagr"} else f"{value:.2%}"
    return f"{value:,.2f}"


def parameter_columns(spec: Spec, params: np.ndarray) -> dict[str, np.ndarray | list[str]]:
    """Return a frame's columns of parameter records: the strategy's own, then those of exits."""
    return {one.name: params[one.name] for one in spec.parameters} | columns_of(params)


def metrics_of(row: np.ndarray) -> dict[str, float | int | bool | None]:
    """Return one METRICS record as plain numbers, NaN as None."""
    values: dict[str, float | int | bool | None] = {}
    plain_row = dict(zip(row.dtype.names or (), row.item(), strict=True))
    for name in METRIC_COLUMNS:
        value = plain_row[name]
        if name in _FLAGS:
            values[name] = bool(value)
        elif isinstance(value, float) and not np.isfinite(value):
            values[name] = None
        else:
            values[name] = value
    return values


def reasons_for(metrics: dict[str, float | int | bool | None], candles: Candles) -> dict[str, str]:
    """Return, for every metric of a window that is null, why it is."""
    return reasons_of(metrics, window_days(candles))


def reasons_of(metrics: dict[str, float | int | bool | None], days: float) -> dict[str, str]:
    """Return, for every metric over so many days that is null, why it is."""
    short = f"the window has {days:.1f} days; under {MIN_DAYS_TO_ANNUALISE:g} nothing is annualised"
    texts = {
        "cagr": short if days < MIN_DAYS_TO_ANNUALISE else "everything was lost",
        "calmar": short if days < MIN_DAYS_TO_ANNUALISE else "there was no drawdown",
        "sharpe": "the equity never moved, or there are fewer than two samples",
        "sortino": "no sample lost, or there are fewer than two samples",
        "win_rate": "no round trip was closed",
        "bar_sharpe": "the equity never moved",
        "adjusted_sharpe": f"fewer than {MIN_SAMPLES_TO_CORRELATE} return samples, or they never moved",
        "expectancy": "no round trip was closed",
        "expectancy_r": "no closed round trip lost, so there is no average loss to measure by",
        "sqn": "fewer than two closed round trips, or all earned the same",
        "profit_factor": "no closed round trip lost"
        if metrics["trades"]
        else "no round trip was closed",
    }
    return {name: texts[name] for name, value in metrics.items() if value is None}
