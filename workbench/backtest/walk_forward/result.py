"""What a walk-forward hands back: its folds, the one curve that its test windows make, and how much lasted.

Nothing in `equity`, `trades` and `metrics` was seen when its parameters were chosen. Ratios are fractions,
money is in quote; what cannot be computed is null, and `reasons` says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.exits import parted
from workbench.backtest.frames import equity_frame, fills_frame, trades_frame
from workbench.backtest.results import BacktestResult, parameter_columns, reasons_for
from workbench.backtest.round_trips import profits_of
from workbench.backtest.scorecard import Metrics, Span, growth, score
from workbench.backtest.setting import Costs, holding_curve, window_days
from workbench.backtest.single import warm_up_notes
from workbench.backtest.walk_forward.fold_end import held_bars
from workbench.backtest.walk_forward.folds import Fold, span_of
from workbench.core.statistics import DAYS_A_YEAR, MIN_DAYS_TO_ANNUALISE
from workbench.data.times import iso
from workbench.execution.exits import said
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl

ENOUGH = 0.5  # WFE that Pardo asks for
HOLDING = ("total_return", "cagr", "sharpe", "calmar", "max_drawdown")


@dataclass(frozen=True, eq=False)
class FoldRun:
    """One fold: the set that its train window chose (`row` of those tried), and its test window's run.

    `value` is the metric that the choice went by, `neighbours` the median of its neighbours' where they
    were asked; the run ends flat.
    """

    fold: Fold
    row: int
    record: np.ndarray
    value: float
    neighbours: float
    train_return: float
    train_holding: float
    train_trades: int
    train_sha256: str
    test: BacktestResult

    @property
    def exits(self) -> str:
        """Return the chosen exits as a caller would write them, nothing where there are none."""
        return said(self.test.exits[0])


@dataclass(frozen=True, eq=False)
class WalkForwardResult:
    """A walk-forward: `folds`, `equity`, `trades`, `fills` and `metrics`, out of sample all of them.

    `in_sample` and `wfe` compare with what the chosen sets earned where they were chosen. `sets` were
    tried in every fold; `holding` is holding the symbol over the same dates.
    """

    spec: Spec
    candles: Candles
    costs: Costs
    metric: str
    choose: str
    anchored: bool
    axes: dict[str, np.ndarray]
    sets: int
    invalid_combinations: int
    runs: tuple[FoldRun, ...]
    metrics: Metrics
    reasons: dict[str, str]
    holding: dict[str, float | None]
    in_sample: float | None  # growth a year of the chosen sets over their train windows
    in_sample_holding: float | None  # of holding over the same windows
    wfe: float | None
    notes: tuple[str, ...]
    data_sha256: str
    seconds: float
    uncounted: str = ""  # why trials are missing from the ledger

    @classmethod
    def build(
        cls,
        *,
        spec: Spec,
        candles: Candles,
        costs: Costs,
        metric: str,
        choose: str,
        anchored: bool,
        axes: dict[str, np.ndarray],
        sets: int,
        invalid_combinations: int,
        runs: tuple[FoldRun, ...],
        uncounted: str,
        data_sha256: str,
        seconds: float,
    ) -> WalkForwardResult:
        """Lay the folds' runs end to end and measure the whole."""
        seen = span_of(candles, runs[0].fold.test_begin, runs[-1].fold.test_end)
        metrics = _measured(seen, costs, runs)
        grown = growth(Span.of(seen), costs.cash, holding_curve(seen, costs))
        days = sum(window_days(run.fold.train(candles)) for run in runs)
        in_sample = _growth_a_year([run.train_return for run in runs], days)
        held = _growth_a_year([run.train_holding for run in runs], days)
        wfe, why = _efficiency(metrics["cagr"], in_sample, window_days(seen))
        return cls(
            spec=spec,
            candles=candles,
            costs=costs,
            metric=metric,
            choose=choose,
            anchored=anchored,
            axes=axes,
            sets=sets,
            invalid_combinations=invalid_combinations,
            runs=runs,
            metrics=metrics,
            reasons=reasons_for(metrics, seen) | why,
            holding={n: None if math.isnan(grown[n]) else grown[n] for n in HOLDING},
            in_sample=None if math.isnan(in_sample) else in_sample,
            in_sample_holding=None if math.isnan(held) else held,
            wfe=wfe,
            notes=_notes(candles, runs) + ((uncounted,) if uncounted else ()),
            data_sha256=data_sha256,
            seconds=seconds,
            uncounted=uncounted,
        )

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def trials(self) -> int:
        """Return how many runs it took: every set on each train window, and the choice on its test window."""
        return (self.sets + 1) * len(self.runs)

    @property
    def positive_folds(self) -> float:
        """Return the share of folds that earned something out of sample."""
        return float(np.mean([run.test.metrics["total_return"] > 0 for run in self.runs]))  # type: ignore[operator]

    @cached_property
    def tested(self) -> Candles:
        """Return the candles of all test windows, as one window."""
        return span_of(self.candles, self.runs[0].fold.test_begin, self.runs[-1].fold.test_end)

    @cached_property
    def curve(self) -> np.ndarray:
        """Return the EQUITY records of all test windows, one a candle."""
        return np.concatenate([run.test.curve for run in self.runs])

    @cached_property
    def folds(self) -> pl.DataFrame:
        """Return one row a fold: its windows (ends exclusive), the set chosen, and what that earned."""
        import polars as pl

        records = np.concatenate([run.record for run in self.runs])
        columns = self._windows() | parameter_columns(self.spec, records) | self._earned()
        times = ("train_start", "train_end", "test_start", "test_end")
        return pl.DataFrame(columns).with_columns(
            pl.col(times).cast(pl.Datetime("ms", "UTC")), pl.selectors.float().fill_nan(None)
        )

    @cached_property
    def equity(self) -> pl.DataFrame:
        """Return one row a candle, as of a backtest, with the fold it lies in; the last of each is flat."""
        import polars as pl

        sizes = [len(run.test.curve) for run in self.runs]
        fold = np.repeat([run.fold.number for run in self.runs], sizes)
        frame = equity_frame(self.curve, self.tested, self.costs)
        return frame.with_columns(fold=pl.Series(fold, dtype=pl.Int64))

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Return one row a round trip with its fold; `fold_end` is the reason of one that a fold's end closed."""
        trips = np.concatenate([run.test.trip_records for run in self.runs])
        frame = trades_frame(trips, self.tested)
        return self._with_fold(frame, [len(run.test.trip_records) for run in self.runs])

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Return one row a fill with its fold."""
        fills = np.concatenate([run.test.fill_records for run in self.runs])
        frame = fills_frame(fills, self.tested)
        return self._with_fold(frame, [len(run.test.fill_records) for run in self.runs])

    @cached_property
    def stability(self) -> pl.DataFrame:
        """Return one row an axis: how far the choice moved from fold to fold, as a share of the axis.

        0 is a choice that never moved; `by_chance` is how far one would that is drawn anew from all sets.
        """
        import polars as pl

        rows = []
        for name, ranks in self.axes.items():
            chosen, steps = ranks[[run.row for run in self.runs]], int(ranks.max())
            moves = np.abs(np.diff(chosen)) / steps
            rows.append(
                {
                    "parameter": name,
                    "values": steps + 1,
                    "chosen": len(np.unique(chosen)),
                    "moved": float(moves.mean()) if len(moves) else None,
                    "by_chance": moved_by_chance(ranks) / steps,
                }
            )
        kinds = {"parameter": pl.String, "values": pl.Int64, "chosen": pl.Int64}
        return pl.DataFrame(
            rows, schema={**kinds, "moved": pl.Float64, "by_chance": pl.Float64}, orient="row"
        )

    @property
    def title(self) -> str:
        """Return what was walked, in one line."""
        mark = "SYNTHETIC " if self.candles.synthetic else ""
        way = "anchored" if self.anchored else "rolling"
        return (
            f"{mark}{self.spec.name} on {self.candles.symbol} {self.candles.timeframe}, walked forward: "
            f"{len(self)} {way} folds, {self.sets:,} sets by {self.choose} of {self.metric}"
        )

    @property
    def finding(self) -> str:
        """Return in a sentence how much of what was found in sample lasted outside it."""
        earned = sum(run.test.metrics["total_return"] > 0 for run in self.runs)  # type: ignore[operator]
        share = f"{earned} of {len(self)} folds earned something"
        if self.wfe is None:
            return f"Walk-forward efficiency: {self.reasons['wfe']}; {share}."
        verdict = "enough" if self.wfe >= ENOUGH else "too little"
        return (
            f"Walk-forward efficiency {self.wfe:.2f}, {verdict} where {ENOUGH:g} is asked: the chosen sets grew "
            f"{self.in_sample:+.1%} a year in sample (holding {self.in_sample_holding:+.1%}) and "
            f"{self.metrics['cagr']:+.1%} out of it (holding {self.holding['cagr']:+.1%}); {share}."
        )

    def to_dict(self) -> dict[str, object]:
        """Return what `workbench walk-forward --json` prints: plain values, times in ISO."""
        import polars as pl

        stamped = self.folds.with_columns(
            pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        return {
            **self.metrics,
            "reasons": self.reasons,
            "wfe": self.wfe,
            "in_sample_cagr": self.in_sample,
            "in_sample_holding_cagr": self.in_sample_holding,
            "positive_folds": self.positive_folds,
            "holding": self.holding,
            "folds": stamped.to_dicts(),
            "stability": self.stability.to_dicts(),
            "symbol": self.candles.symbol,
            "interval": str(self.candles.timeframe),
            "strategy": self.spec.name,
            "metric": self.metric,
            "choose": self.choose,
            "anchored": self.anchored,
            "filters": self.costs.filters,
            "sets": self.sets,
            "invalid_combinations": self.invalid_combinations,
            "trials": self.trials,
            "data_sha256": self.data_sha256,
            "source": self.candles.source,
            "finding": self.finding,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        wfe = "insufficient" if self.wfe is None else f"{self.wfe:.2f}"
        return (
            f"WalkForwardResult({self.title}: return {self.metrics['total_return']:+.2%}, "
            f"WFE {wfe}, {self.metrics['trades']} trades)"
        )

    def _windows(self) -> dict[str, object]:
        folds = [run.fold for run in self.runs]
        return {
            "fold": [one.number for one in folds],
            "train_start": [self._opens(one.train_begin) for one in folds],
            "train_end": [self._opens(one.test_begin) for one in folds],
            "test_start": [self._opens(one.test_begin) for one in folds],
            "test_end": [self._closes(one.test_end - 1) for one in folds],
            "train_candles": [one.test_begin - one.train_begin for one in folds],
            "test_candles": [one.test_end - one.test_begin for one in folds],
        }

    def _earned(self) -> dict[str, object]:
        tests = [run.test for run in self.runs]
        held = [holding_curve(one.candles, one.costs)[-1] / one.costs.cash - 1.0 for one in tests]
        return {
            f"train_{self.metric}": [run.value for run in self.runs],
            "train_neighbours": [run.neighbours for run in self.runs],
            "train_return": [run.train_return for run in self.runs],
            "train_holding": [run.train_holding for run in self.runs],
            "train_trades": [run.train_trades for run in self.runs],
            "test_return": [one.metrics["total_return"] for one in tests],
            "test_holding": held,
            "test_sharpe": [one.metrics["sharpe"] for one in tests],
            "test_drawdown": [one.metrics["max_drawdown"] for one in tests],
            "test_trades": [one.metrics["trades"] for one in tests],
        }

    def _opens(self, record: int) -> int:
        return int(self.candles.records["open_time"][record])

    def _closes(self, record: int) -> int:
        return self.candles.timeframe.next(self._opens(record))

    def _with_fold(self, frame: pl.DataFrame, counts: list[int]) -> pl.DataFrame:
        import polars as pl

        fold = np.repeat([run.fold.number for run in self.runs], counts)
        return frame.with_columns(fold=pl.Series(fold, dtype=pl.Int64))


def _measured(seen: Candles, costs: Costs, runs: tuple[FoldRun, ...]) -> Metrics:
    tests = [run.test for run in runs]
    return score(
        Span.of(seen),
        costs.cash,
        np.concatenate([one.curve for one in tests]),
        np.concatenate([profits_of(one.trip_records) for one in tests]),
        held=sum(held_bars(one) for one in tests),
        open_trade=False,
        fees=sum(float(one.metrics["fees"] or 0.0) for one in tests),
    )


def _growth_a_year(returns: list[float], days: float) -> float:
    """Return the mean growth a year of returns over so many days together; NaN under 90 days."""
    if days < MIN_DAYS_TO_ANNUALISE or min(returns) <= -1.0:
        return math.nan
    return math.expm1(sum(math.log1p(one) for one in returns) * DAYS_A_YEAR / days)


def _efficiency(
    outside: float | int | bool | None, inside: float, days: float
) -> tuple[float | None, dict[str, str]]:
    """Return WFE, or why it has no value."""
    short = f"under {MIN_DAYS_TO_ANNUALISE:g} nothing is annualised"
    if days < MIN_DAYS_TO_ANNUALISE:
        why = f"insufficient, {days:.1f} days out of sample; {short}"
    elif outside is None:
        why = "insufficient, everything was lost out of sample"
    elif math.isnan(inside):
        why = f"insufficient, too few days in sample; {short}"
    elif inside <= 0.0:
        why = f"insufficient, the chosen sets did not grow in sample ({inside:+.1%} a year)"
    else:
        return float(outside) / inside, {}
    return None, {"wfe": why}


def _notes(candles: Candles, runs: tuple[FoldRun, ...]) -> tuple[str, ...]:
    """Return what must be said: candles that no fold tests, and what the folds' runs say."""
    told = []
    left = len(candles.records) - runs[-1].fold.test_end
    if left:
        begins = iso(int(candles.records["open_time"][runs[-1].fold.test_end]))
        told.append(f"{left:,} candles from {begins} on fill no test window and are left out")
    first = runs[0]
    train = first.fold.train(candles)
    own, _ = parted(first.record, first.test.spec.params_dtype)
    told += [f"fold 1 in sample: {one}" for one in warm_up_notes(train, first.test.spec, own)]
    for run in runs:
        told += [note for note in run.test.notes if note not in told]
    return tuple(told)


def moved_by_chance(ranks: np.ndarray) -> float:
    """Return the mean distance of two ranks that are drawn from these, each on its own."""
    below = np.cumsum(np.bincount(ranks))[:-1] / len(ranks)
    return float(2.0 * np.sum(below * (1.0 - below)))
