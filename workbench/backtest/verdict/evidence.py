"""What a verdict's gates are asked about: the chosen set's returns, its rivals', and what was tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.analysis import overfitting
from workbench.analysis.bias import GATES
from workbench.analysis.bootstrap import (
    DRAWS,
    Indices,
    Pasts,
    block_length,
    resampled_pasts,
    stationary_draws,
)
from workbench.analysis.cross_validation import Cscv, Paths, combinatorial_paths, cscv
from workbench.analysis.data_snooping import Snooping, snooping_tests
from workbench.analysis.overfitting import Moments
from workbench.analysis.robustness import best_trades_share, quarter_returns
from workbench.backtest.bias.check import check_bias
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.results import BacktestResult
from workbench.backtest.scorecard import Span, growth
from workbench.backtest.setting import holding_curve, samples_a_year
from workbench.backtest.verdict.gates import bias_gate
from workbench.backtest.verdict.replayed import returns_of_curve
from workbench.backtest.verdict.result import Gate
from workbench.backtest.verdict.stress import Chosen, exits_form, through_filters
from workbench.backtest.verdict.trials import Tried
from workbench.backtest.walk_forward.result import WalkForwardResult
from workbench.backtest.walk_forward.walk import walk_forward
from workbench.core.statistics import DAYS_A_YEAR
from workbench.data.quality import check
from workbench.errors import WorkbenchError
from workbench.market.candles import Candles
from workbench.market.timeframes import DAY_MS

Floats = NDArray[np.float64]

LEAST_A_BLOCK: Final = 10  # return samples of a block of CSCV
BLOCKS: Final = (16, 8)
GROUPS: Final = (10, 2)
LEAST_A_GROUP: Final = 5  # return samples of a group of CPCV
EMBARGO: Final = 0.01  # of all samples


@dataclass(frozen=True, slots=True)
class Rivals:
    """All rows that were run once more: returns (samples, sets), the chosen one's first."""

    returns: Floats
    records: np.ndarray
    metric: str
    own: float  # the chosen one's metric
    around: Floats  # its neighbours'
    lonely: str  # why it has none
    of: int

    @property
    def moving(self) -> Floats:
        """Return the returns of the sets that ever moved: the others are cash."""
        still = (self.returns == 0.0).all(axis=0)
        return self.returns[:, ~still] if still.any() else self.returns


@dataclass(frozen=True, slots=True)
class Luck:
    """The deflated Sharpe ratio at all trials, and at what they are worth as independent ones."""

    dsr: float
    dsr_effective: float
    dsr_here: (
        float  # with the variance of the rows at hand: the ledger's may hold much shorter windows
    )
    worth: float
    correlation: float
    lucky: float  # Sharpe ratio a sample that the best shows without skill


@dataclass(frozen=True)
class Case:
    """The chosen set, what it earned, and what it is seen beside."""

    chosen: Chosen
    run: BacktestResult
    rivals: Rivals | None
    tried: Tried
    returns: Floats
    block: float
    draws: Indices

    @classmethod
    def of(
        cls, chosen: Chosen, rivals: Rivals | None, tried: Tried, rng: np.random.Generator
    ) -> Case:
        """Run the chosen set, and draw the resamples that every test shares."""
        run = chosen.run()
        cash = chosen.costs.cash
        returns = returns_of_curve(chosen.candles, cash, run.curve["equity"])
        held = returns_of_curve(chosen.candles, cash, holding_curve(chosen.candles, chosen.costs))
        block = max(block_length(returns), block_length(returns - held))
        draws = stationary_draws(len(returns), draws=DRAWS, block=block, rng=rng)
        return cls(chosen, run, rivals, tried, returns, block, draws)

    @property
    def a_year(self) -> float:
        """Return how many return samples a year has."""
        return samples_a_year(self.chosen.candles.timeframe)

    @cached_property
    def moments(self) -> Moments:
        """Return the moments of the chosen set's returns."""
        return Moments.of(self.returns)

    @cached_property
    def held(self) -> Floats:
        """Return holding's returns."""
        candles, costs = self.chosen.candles, self.chosen.costs
        return returns_of_curve(candles, costs.cash, holding_curve(candles, costs))

    @cached_property
    def quarters(self) -> dict[str, float]:
        """Return the return of each quarter of the calendar."""
        times = self.chosen.candles.window["open_time"]
        return quarter_returns(self.chosen.costs.cash, self.run.curve["equity"], times)

    @cached_property
    def luck(self) -> Luck:
        """Return what the trials make of the chosen set's Sharpe ratio, all of it a sample."""
        count, variance = self.tried.count, self._of_samples(self.tried.variance)
        alike = overfitting.mean_correlation(self.rivals.moving) if self.rivals else math.nan
        worth = overfitting.effective_trials(count, alike)

        def deflated(trials: float, spread: float) -> float:
            return overfitting.deflated_sharpe(self.moments, trials=trials, variance=spread)

        return Luck(
            dsr=deflated(count, variance),
            dsr_effective=deflated(max(1.0, worth), variance),
            dsr_here=deflated(count, self._of_samples(self.tried.own_variance)),
            worth=worth,
            correlation=alike,
            lucky=overfitting.lucky_sharpe(count, variance),
        )

    def _of_samples(self, variance: float) -> float:
        """Return a variance of Sharpe ratios a day as one a sample; where it is NaN, that of no edge."""
        if math.isnan(variance):
            return 1.0 / max(1, self.moments.count - 1)
        return variance * (DAYS_A_YEAR / self.a_year)


def data_errors(candles: Candles) -> tuple[str, ...]:
    """Return what makes the candles impossible, as `workbench data check` finds it."""
    return tuple(one.message for one in check(candles.frame(), candles.timeframe).errors)


def bias_gates(chosen: Chosen) -> tuple[Gate, ...]:
    """Return the gates of look-ahead and warm-up, as `workbench bias` finds them."""
    try:
        report = check_bias(
            chosen.candles,
            chosen.spec,
            chosen.record,
            costs=chosen.costs,
            exits=exits_form(chosen.exits[0]),
        )
    except WorkbenchError as error:
        return tuple(bias_gate(name, None, str(error)) for name in GATES)
    return tuple(bias_gate(name, report.outcome(name).value, report.told(name)) for name in GATES)


def halves(case: Case) -> tuple[Cscv | None, str]:
    """Return what halves of the time say of a choice on the others, or why nothing can be said."""
    if case.rivals is None:
        return None, ""
    returns = case.rivals.moving
    for blocks in BLOCKS:
        if len(returns) >= blocks * LEAST_A_BLOCK and returns.shape[1] > 1:
            return cscv(returns, blocks=blocks), ""
    return None, f"{returns.shape[1]:,} sets over {len(returns):,} samples are too few to halve"


def paths(case: Case) -> tuple[Paths | None, str]:
    """Return the paths of choices on other times, or why there are none.

    Purged on either side is the median holding time, and at least a sample.
    """
    if case.rivals is None:
        return None, ""
    returns, (groups, tests) = case.rivals.moving, GROUPS
    if len(returns) < groups * LEAST_A_GROUP or returns.shape[1] < 2:
        return None, f"{returns.shape[1]:,} sets over {len(returns):,} samples are too few to part"
    embargo = math.ceil(EMBARGO * len(returns))
    purge = min(_usual_hold(case), len(returns) // (2 * groups))
    return combinatorial_paths(
        returns, groups=groups, tests=tests, purge=purge, embargo=embargo
    ), ""


def _usual_hold(case: Case) -> int:
    """Return the median holding time of the chosen set's trades, in samples, rounded up."""
    trips = case.run.trip_records
    closed = trips[trips["exit_index"] >= 0]
    if not len(closed):
        return 1
    bars = float(np.median(closed["exit_index"] - closed["entry_index"]))
    length = case.chosen.candles.timeframe.mean_ms
    return max(1, math.ceil(bars * length / max(length, DAY_MS)))


def snooped(case: Case) -> tuple[Snooping | None, Snooping | None]:
    """Return whether the best of all sets beats holding, and cash."""
    if case.rivals is None:
        return None, None
    returns = case.rivals.returns
    over_holding = snooping_tests(returns - case.held[:, None], case.draws)
    return over_holding, snooping_tests(returns, case.draws)


def walked(case: Case) -> tuple[WalkForwardResult | None, str]:
    """Return the walk-forward of all rows that were run once more, or why there is none."""
    if case.rivals is None or len(case.rivals.records) < 2:
        return None, "a walk-forward has nothing to choose among"
    chosen = case.chosen
    try:
        found = walk_forward(
            chosen.candles,
            chosen.spec,
            case.rivals.records,
            metric=case.rivals.metric,
            costs=chosen.costs,
            trials=NOT_TRIALS,
        )
    except WorkbenchError as error:
        return None, str(error)
    return found, ""


def pasts(case: Case, limit: float) -> Pasts | None:
    """Return what resamples of the chosen set's returns come to; None where they never move."""
    if not case.returns.any():
        return None
    return resampled_pasts(case.returns, limit=limit, draws=case.draws, block=case.block)


def best_trades(case: Case) -> float:
    """Return the share of the profit that the best five trades made."""
    trips = case.run.trip_records
    return best_trades_share(trips["gain"][trips["exit_index"] >= 0])


def held(case: Case) -> dict[str, float | None]:
    """Return growth, ratios and drawdown of holding over the same dates at the same costs."""
    candles, costs = case.chosen.candles, case.chosen.costs
    found = growth(Span.of(candles), costs.cash, holding_curve(candles, costs))
    return {name: known(value) for name, value in found.items()}


def filtered(case: Case) -> tuple[float | None, str]:
    """Return the total return with the exchange's filters, and in a line what they change."""
    if case.chosen.costs.filters == "exchange":
        return float(case.run.metrics["total_return"] or 0.0), ""
    run, why = through_filters(case.chosen)
    if run is None:
        return None, why
    with_filters, without = (float(one.metrics["total_return"] or 0.0) for one in (run, case.run))
    return with_filters, (
        f"with the exchange's filters the return is {with_filters:+.2%} instead of {without:+.2%} (final "
        f"equity {(1.0 + with_filters) / (1.0 + without) - 1.0:+.3%}), in {run.metrics['trades']:,} trades "
        f"instead of {case.run.metrics['trades']:,}"
    )


def known(value: float) -> float | None:
    """Return a number, None where it is none."""
    return value if math.isfinite(value) else None
