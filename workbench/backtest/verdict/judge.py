"""The verdict: is the best set of a sweep, or one backtest, more than the luck of so many tries?

Of a sweep the row with the highest Sharpe ratio is judged, since that is the choice that the deflated
Sharpe ratio allows for, or the one that is asked for. Its rivals are run once more for their daily
returns, and the gates of `gates` are asked one after the other. A verdict adds no trial to the
ledger: it looks at what was tried. Chance is seeded, so the same sweep gets the same verdict.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from workbench.analysis.trials import TrialCounts
from workbench.backtest.exits import parted
from workbench.backtest.progress import Bar, progress_bar
from workbench.backtest.results import BacktestResult, SweepResult, demand_metric
from workbench.backtest.setting import KILL_LIMIT, plain, window_days
from workbench.backtest.verdict import evidence, figures, gates
from workbench.backtest.verdict import trials as verdict_trials
from workbench.backtest.verdict.chosen_row import is_search, neighbours_of, row_of
from workbench.backtest.verdict.evidence import Case, Rivals
from workbench.backtest.verdict.replayed import MOST_ROWS, Rows, daily_returns, rows_of
from workbench.backtest.verdict.result import Gate, VerdictResult
from workbench.backtest.verdict.stress import DELAYS, Chosen, at_costs, break_even, delayed
from workbench.backtest.verdict.trials import Tried
from workbench.errors import UsageError
from workbench.execution.exits import said

METRIC: Final = "sharpe"
STEPS: Final = 7
ALONE: Final = "one backtest has no rivals: sweep around it, and ask the sweep"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a verdict is asked under: the drawdown that would stop an instance, the seed of all chance, how
    many candles late orders are tried, and how many rows are run once more.
    """

    kill_limit: float = KILL_LIMIT
    seed: int = 0
    delays: tuple[int, ...] = DELAYS
    most_rows: int = MOST_ROWS

    def __post_init__(self) -> None:
        if not 0.0 < self.kill_limit <= 1.0:
            raise UsageError(
                f"kill_limit={self.kill_limit} is no drawdown; it takes a fraction, such as 0.3"
            )


def sweep_verdict(
    result: SweepResult,
    *,
    trials: TrialCounts | None = None,
    choose: Mapping[str, object] | None = None,
    metric: str = METRIC,
    terms: Terms | None = None,
    progress: bool = False,
) -> VerdictResult:
    """Judge the row with the highest metric, or the one with the parameters of `choose`.

    `trials` are what the ledger counts; never fewer than the sweep's own rows. Raises UsageError where no
    such row is there, or a drawdown limit is none.
    """
    demand_metric(metric, result.columns, "sweep")
    terms, began = terms or Terms(), time.perf_counter()
    rng = np.random.default_rng(terms.seed)
    with progress_bar(STEPS, unit="steps", desc="verdict", shown=progress) as bar:
        number = row_of(result, choose, metric)
        rows = rows_of(result, number, metric, rng=rng, most=terms.most_rows)
        own, exits = parted(rows.records[:1], result.spec.params_dtype)
        chosen = Chosen(result.candles, result.spec, own, exits, result.costs)
        bar.update(1)
        rivals = _rivals(result, rows, metric, progress=progress)
        bar.update(1)
        uncounted = rows.of if result.uncounted else 0
        tried = verdict_trials.tried(
            trials, rows.of, verdict_trials.sharpes(result), uncounted=uncounted
        )
        how = (
            f"highest {metric} of {rows.of:,} rows"
            if not choose
            else f"asked for among {rows.of:,} rows"
        )
        notes = _sample_notes(rows) + result.notes
        return _judged(chosen, rivals, tried, how, terms, rng, notes, bar, began)


def run_verdict(
    run: BacktestResult,
    *,
    trials: TrialCounts | None = None,
    terms: Terms | None = None,
    progress: bool = False,
) -> VerdictResult:
    """Judge one backtest: as `sweep_verdict`, but for what only rivals can tell."""
    terms, began = terms or Terms(), time.perf_counter()
    record = run.spec.params(**run.params).reshape(1)
    chosen = Chosen(run.candles, run.spec, record, run.exits, run.costs)
    tried = verdict_trials.tried(trials, 1, np.zeros(0), uncounted=bool(run.uncounted))
    rng = np.random.default_rng(terms.seed)
    with progress_bar(STEPS, unit="steps", desc="verdict", shown=progress) as bar:
        bar.update(2)
        return _judged(chosen, None, tried, "a single backtest", terms, rng, run.notes, bar, began)


def _judged(
    chosen: Chosen,
    rivals: Rivals | None,
    tried: Tried,
    how: str,
    terms: Terms,
    rng: np.random.Generator,
    notes: tuple[str, ...],
    bar: Bar,
    began: float,
) -> VerdictResult:
    case = Case.of(chosen, rivals, tried, rng)
    asked: list[Gate] = []
    numbers: figures.Figures = {"total_return": case.run.metrics["total_return"]}
    for ask in (_validity, _luck, _rivalry, _walked, _robustness):
        found = ask(case, terms)
        asked += found.gates
        numbers |= found.figures
        notes += found.notes
        bar.update(1)
    late, silent = delayed(chosen, terms.delays)
    filtered, difference = evidence.filtered(case)
    return VerdictResult(
        title=_title(chosen, rivals),
        source=chosen.candles.source,
        params=chosen.spec.values(chosen.record[0]),
        exits=said(chosen.exits[0]),
        chosen=how,
        gates=tuple(asked),
        figures=numbers | {"filtered_return": filtered},
        costs=at_costs(chosen),
        delays=late,
        quarters=case.quarters,
        notes=tuple(dict.fromkeys(one for one in (*notes, difference, silent) if one)),
        seconds=time.perf_counter() - began,
    )


@dataclass(slots=True)
class _Found:
    """What one group of questions found."""

    gates: list[Gate]
    figures: figures.Figures = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _validity(case: Case, terms: Terms) -> _Found:
    """Ask whether candles, decisions and costs are what they should be."""
    chosen = case.chosen
    assumed = (chosen.costs.fee_bps + chosen.costs.slippage_bps) / 1e4
    needed = break_even(chosen)
    found = [
        gates.data_gate(chosen.candles, evidence.data_errors(chosen.candles)),
        *evidence.bias_gates(chosen),
        gates.cost_gate(needed, assumed),
    ]
    return _Found(
        found, {"break_even_bps": evidence.known(needed * 1e4), "cost_bps": assumed * 1e4}
    )


def _luck(case: Case, terms: Terms) -> _Found:
    """Ask what the best of so many tries shows without any skill."""
    luck = case.luck
    gate = gates.deflated_gate(
        luck.dsr, luck.dsr_effective, trials=case.tried.count, worth=luck.worth
    )
    return _Found([gate], figures.of_luck(case), case.tried.notes)


def _rivalry(case: Case, terms: Terms) -> _Found:
    """Ask whether the choice holds on times it was not made on, and against benchmarks."""
    told = ALONE if case.rivals is None else ""
    halves, few = evidence.halves(case)
    paths, short = evidence.paths(case)
    over_holding, over_cash = evidence.snooped(case)
    found = [
        gates.overfitting_gate(halves, told or few),
        gates.paths_gate(paths, told or short),
        gates.snooping_gate("beats holding (SPA)", over_holding, told),
        gates.snooping_gate("beats cash (SPA)", over_cash, told),
    ]
    return _Found(found, figures.of_rivalry(halves, paths, over_holding, over_cash))


def _walked(case: Case, terms: Terms) -> _Found:
    """Ask how much of it lasts where it was not chosen, and whether there is enough to say anything."""
    walk, why = evidence.walked(case)
    told = ALONE if case.rivals is None else why
    trades = int((walk.metrics if walk else case.run.metrics)["trades"] or 0)
    if walk is not None:
        told = walk.reasons.get("wfe", "")
    found = [
        *gates.walk_forward_gates(
            walk.wfe if walk else None, walk.positive_folds if walk else None, told
        ),
        gates.trades_gate(trades, outside=walk is not None),
        gates.days_gate(window_days(case.chosen.candles)),
    ]
    numbers: figures.Figures = {
        "walk_forward_efficiency": walk.wfe if walk else None,
        "positive_folds": walk.positive_folds if walk else None,
        "trades": int(case.run.metrics["trades"] or 0),
        "trades_out_of_sample": trades if walk else None,
        "days": window_days(case.chosen.candles),
    }
    return _Found(found, numbers)


def _robustness(case: Case, terms: Terms) -> _Found:
    """Ask how deep it may fall, and whether it hangs on one set, a few trades or a rising market."""
    limit = case.chosen.costs.guards.drawdown or terms.kill_limit
    pasts = evidence.pasts(case, limit)
    share = evidence.best_trades(case)
    rivals = case.rivals
    own, around = (rivals.own, rivals.around) if rivals else (np.nan, np.zeros(0))
    held = evidence.held(case)
    found = [
        gates.drawdown_gate(pasts, limit),
        gates.plateau_gate(own, around, rivals.lonely if rivals else ALONE),
        gates.best_trades_gate(share),
        gates.holding_gate(case.run.metrics, held),
    ]
    return _Found(found, figures.of_robustness(pasts, share, own, around, held))


def _rivals(result: SweepResult, rows: Rows, metric: str, *, progress: bool) -> Rivals:
    returns = daily_returns(
        result.candles,
        result.spec,
        rows.records,
        costs=result.costs,
        threads=os.cpu_count() or 1,
        progress=progress,
    )
    row = rows.frame.row(0, named=True)
    lonely = "the trials of a search are no grid: sweep around its best" * is_search(result)
    around = np.zeros(0) if lonely else neighbours_of(result, row, metric)
    own = row[metric]
    return Rivals(
        returns=returns,
        records=rows.records,
        metric=metric,
        own=np.nan if own is None else float(own),
        around=around,
        lonely=lonely,
        of=rows.of,
    )


def _sample_notes(rows: Rows) -> tuple[str, ...]:
    if not rows.is_sample:
        return ()
    return (
        f"PBO, CPCV, SPA and walk-forward look at {rows.frame.height:,} of {rows.of:,} rows: the best ones and "
        "a seeded sample of the others",
    )


def _title(chosen: Chosen, rivals: Rivals | None) -> str:
    mark = "SYNTHETIC " if chosen.candles.synthetic else ""
    values = plain(chosen.spec.values(chosen.record[0]))
    of = f", of {rivals.of:,} set{'s' * (rivals.of != 1)}" if rivals else ""
    candles = chosen.candles
    return f"{mark}{chosen.spec.name}({values}) on {candles.symbol} {candles.timeframe}{of}"
