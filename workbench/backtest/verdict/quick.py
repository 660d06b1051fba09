"""The quick verdict that every sweep and study shows: is its best Sharpe above what luck alone would give?

It needs the columns, the ledger's counts and one more run of the best row, for skew and kurtosis; a
study's best row is taken as normal, since its candles are no longer at hand. All other gates, and the
colour, are `.verdict()`'s. Sharpe ratios here are annual, as in the columns.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import polars as pl

from workbench.analysis import overfitting
from workbench.analysis.overfitting import Moments
from workbench.analysis.trials import TrialCounts, home_ledger
from workbench.backtest.exits import parted
from workbench.backtest.results import SweepResult
from workbench.backtest.setting import plain, samples_a_year, window_days
from workbench.backtest.study.result import StudyResult
from workbench.backtest.verdict.chosen_row import is_search, neighbours_of, row_of
from workbench.backtest.verdict.gates import LEAST_DSR, LEAST_TRADES
from workbench.backtest.verdict.replayed import records_of, returns_of_curve
from workbench.backtest.verdict.stress import Chosen
from workbench.backtest.verdict.trials import Tried, tried
from workbench.core.statistics import DAYS_A_YEAR
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import DAY_MS, parse_timeframe

METRIC = "sharpe"
NORMAL = "a study's best row is not run again: its daily returns count as normal here; sweep its series for more"


@dataclass(frozen=True, slots=True)
class QuickVerdict:
    """What luck makes of the row with the highest Sharpe; None for what cannot be computed.

    `expected_max` is in standard deviations of the trials' Sharpe ratios, `lucky_sharpe` in a year's.
    """

    chosen: str
    trials: int
    ledger_trials: int
    sharpe: float
    expected_max: float
    lucky_sharpe: float
    dsr: float | None
    min_backtest_years: float | None
    years: float
    trades: int
    plateau: float | None
    notes: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Return whether the best is above luck; the full verdict asks more."""
        return self.dsr is not None and self.dsr >= LEAST_DSR and self.trades >= LEAST_TRADES

    def said(self) -> str:
        """Return the whole of it in one sentence."""
        above = "above luck so far" if self.is_enough else "no better than luck"
        few = f", under {LEAST_TRADES}" * (self.trades < LEAST_TRADES)
        needed = "–" if self.min_backtest_years is None else f"{self.min_backtest_years:.1f}"
        dsr = "–" if self.dsr is None else f"{self.dsr:.3f}"
        flat = "" if self.plateau is None else f"; plateau {self.plateau:.2f}"
        return (
            f"{above}: best Sharpe {self.sharpe:.2f} of {self.trials:,} trials, luck alone gives "
            f"{self.lucky_sharpe:.2f}; deflated Sharpe {dsr} ({LEAST_DSR} is asked); {self.years:.1f} years, luck "
            f"reaches it below {needed}; {self.trades:,} trades{few}{flat}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return it as the command line prints it with --json."""
        return asdict(self) | {"notes": list(self.notes), "is_enough": self.is_enough}


def of_sweep(result: SweepResult, trials: TrialCounts | None = None) -> QuickVerdict | None:
    """Judge the row with the highest Sharpe; None where no row has one."""
    try:
        number = row_of(result, None, METRIC)
    except UsageError:
        return None
    frame = result.scan().slice(number, 1).collect()
    own, exits = parted(records_of(result.spec, frame), result.spec.params_dtype)
    candles, row = result.candles, frame.row(0, named=True)
    run = Chosen(candles, result.spec, own, exits, result.costs).run()
    returns = returns_of_curve(candles, result.costs.cash, run.curve["equity"])
    around = np.zeros(0) if is_search(result) else neighbours_of(result, row, METRIC)
    counts, why = (trials, "") if trials else _counts(result.spec.name)
    return _judged(
        plain(run.params),
        Moments.of(returns),
        _tried(counts, len(result), result.scan(), why, result.uncounted),
        a_year=samples_a_year(candles.timeframe),
        years=window_days(candles) / DAYS_A_YEAR,
        trades=int(row["trades"]),
        plateau=_plateau(float(row[METRIC]), around),
    )


def of_study(result: StudyResult, trials: TrialCounts | None = None) -> QuickVerdict | None:
    """Judge the row with the highest Sharpe of all series; None where no row has one."""
    top = result.top(1, METRIC).drop_nulls(METRIC)
    if not top.height:
        return None
    row = top.row(0, named=True)
    timeframe = parse_timeframe(row["interval"])
    days, a_year = row["bars"] * timeframe.mean_ms / DAY_MS, samples_a_year(timeframe)
    counts, why = (trials, "") if trials else _counts(*(one.spec.name for one in result.plan.sets))
    names = ("strategy", "params", "symbol", "interval", "window")
    samples = int(days / DAYS_A_YEAR * a_year)
    found = _judged(
        " ".join(str(row[name]) for name in names),
        Moments(samples, float(row[METRIC]) / math.sqrt(a_year)),
        _tried(counts, len(result), result.scan(), why, result.uncounted),
        a_year=a_year,
        years=days / DAYS_A_YEAR,
        trades=int(row["trades"]),
        plateau=None,
    )
    return replace(found, notes=(*found.notes, NORMAL))


def _judged(
    chosen: str,
    moments: Moments,
    known: Tried,
    *,
    a_year: float,
    years: float,
    trades: int,
    plateau: float | None,
) -> QuickVerdict:
    variance = known.variance * (DAYS_A_YEAR / a_year)
    if math.isnan(variance):  # of trials without any edge, whose ratios vary by this
        variance = 1.0 / max(1, moments.count - 1)
    sharpe = moments.sharpe * math.sqrt(a_year)
    return QuickVerdict(
        chosen=chosen,
        trials=known.count,
        ledger_trials=known.whole,
        sharpe=sharpe,
        expected_max=overfitting.expected_max(known.count),
        lucky_sharpe=overfitting.lucky_sharpe(known.count, variance) * math.sqrt(a_year),
        dsr=_finite(overfitting.deflated_sharpe(moments, trials=known.count, variance=variance)),
        min_backtest_years=_finite(overfitting.min_backtest_years(known.count, sharpe)),
        years=years,
        trades=trades,
        plateau=plateau,
        notes=known.notes,
    )


def _counts(*strategies: str) -> tuple[TrialCounts | None, str]:
    """Return what the ledger counts, and why where it cannot be read: a card is shown all the same."""
    try:
        return home_ledger().counts(*strategies), ""
    except DataError as error:
        return None, str(error)


def _tried(
    counts: TrialCounts | None, rows: int, scan: pl.LazyFrame, why: str, uncounted: str
) -> Tried:
    found = scan.select(pl.col(METRIC).cast(pl.Float64)).collect()[METRIC].drop_nulls()
    known = tried(counts, rows, found.to_numpy() / math.sqrt(DAYS_A_YEAR))
    said = tuple(one for one in (uncounted, why, *known.notes) if one)
    return replace(known, notes=said)


def _plateau(own: float, around: np.ndarray) -> float | None:
    """Return the neighbours' median over the row's own Sharpe."""
    return float(np.median(around)) / own if len(around) and own > 0.0 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
