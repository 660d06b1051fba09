"""How many trials a verdict deflates by: what the ledger counts, never fewer than the rows at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.analysis import overfitting
from workbench.analysis.trials import TrialCounts
from workbench.backtest.results import SweepResult
from workbench.core.statistics import DAYS_A_YEAR

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tried:
    """How many trials there were and the variance of their Sharpe ratios a day, and where that is from."""

    count: int
    variance: float
    own_variance: float  # of the rows at hand alone
    whole: int
    notes: tuple[str, ...]


def tried(trials: TrialCounts | None, rows: int, sharpes: Floats, *, uncounted: int = 0) -> Tried:
    """Return what the ledger counts, at least the rows at hand; their own variance where it has none.

    Rows that could not be written to the ledger come on top of what it holds: some of them it may know.
    """
    own = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else math.nan
    held = 0 if trials is None else trials.n
    if trials is None or held + uncounted < rows:
        note = f"trials counted from the {rows:,} rows at hand: the ledger holds {held:,} of this strategy"
        whole = 0 if trials is None else trials.ledger_n
        return Tried(rows, own, own, whole, _weak(rows, note))
    variance = own if math.isnan(trials.sharpe_variance) else trials.sharpe_variance
    note = (
        f"{held:,} distinct trials of this strategy in the ledger ({trials.seen:,} with re-runs), "
        f"{trials.ledger_n:,} in the whole of it{f', head {trials.head[:12]}' if trials.head else ''}"
    )
    if uncounted:
        note += f"; {uncounted:,} that it could not be given are added"
    count = held + uncounted
    return Tried(count, variance, own, trials.ledger_n, _weak(count, note))


def _weak(count: int, note: str) -> tuple[str, ...]:
    if 1 < count < overfitting.FEW_TRIALS:
        return (
            note,
            f"the luck of {count} trials is a rough guess: the formula is weak below {overfitting.FEW_TRIALS}",
        )
    return (note,)


def sharpes(result: SweepResult) -> Floats:
    """Return the Sharpe ratios a day of a sweep's rows that have one."""
    found = result.scan().select("sharpe").collect()["sharpe"].drop_nulls().to_numpy()
    return found / math.sqrt(DAYS_A_YEAR)
