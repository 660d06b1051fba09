"""What notebooks call for verdicts: a sweep or a run in, what can be said of it after all that was tried."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.analysis.trials import home_ledger
from workbench.backtest.results import BacktestResult, SweepResult
from workbench.backtest.verdict.judge import KILL_LIMIT, METRIC, Terms, run_verdict, sweep_verdict
from workbench.backtest.verdict.result import VerdictResult

__all__ = ["KILL_LIMIT", "METRIC", "Verdict", "of_run", "of_sweep"]


class Verdict(VerdictResult):
    """A verdict that shows itself as a card."""

    def _repr_html_(self) -> str:
        from workbench.report.verdict_card import verdict_card

        return verdict_card(self)


def of_sweep(
    result: SweepResult,
    *,
    choose: Mapping[str, object] | None = None,
    metric: str = METRIC,
    kill_limit: float = KILL_LIMIT,
    seed: int = 0,
    progress: bool = True,
) -> Verdict:
    """Judge the row with the highest metric or the one with these parameters; N is the ledger's."""
    found = sweep_verdict(
        result,
        trials=home_ledger().counts(result.spec.name),
        choose=choose,
        metric=metric,
        terms=Terms(kill_limit=kill_limit, seed=seed),
        progress=progress,
    )
    return Verdict(**vars(found))


def of_run(
    run: BacktestResult,
    *,
    kill_limit: float = KILL_LIMIT,
    seed: int = 0,
    progress: bool = True,
) -> Verdict:
    """Judge one backtest, among all trials of its strategy that the ledger holds."""
    found = run_verdict(
        run,
        trials=home_ledger().counts(run.spec.name),
        terms=Terms(kill_limit=kill_limit, seed=seed),
        progress=progress,
    )
    return Verdict(**vars(found))
