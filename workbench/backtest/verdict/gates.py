"""The gates of a verdict: each takes what was found and says how it came out, with value and threshold.

Thresholds are those of the literature where it has any (deflated Sharpe 0.95, p 0.05, walk-forward
efficiency 0.5); the others are proposals that a reader can move. A gate that could not be asked is
undecided and says why: it is never passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from workbench.analysis.bootstrap import Pasts
from workbench.analysis.cross_validation import Cscv, Paths
from workbench.analysis.data_snooping import Snooping
from workbench.backtest.verdict.result import Gate, Outcome
from workbench.market.candles import Candles

LEAST_TRADES: Final = 30
LEAST_DAYS: Final = 90
LEAST_USED: Final = 0.99  # of the candles between the first and the last
LEAST_DSR: Final = 0.95
MOST_P: Final = 0.05
GOOD_PBO, WORST_PBO = 0.2, 0.5
LEAST_WFE: Final = 0.5
LEAST_FOLDS: Final = 0.6
LEAST_PATHS: Final = 8 / 9
LEAST_PLATEAU: Final = 0.7
MOST_BEST_TRADES: Final = 0.5
LEAST_COST_RATIO: Final = 2.0


def data_gate(candles: Candles, errors: tuple[str, ...]) -> Gate:
    """Judge the candles: no error, and nearly all that there should be; gaps are named."""
    gaps = candles.window["missing_before"][1:]
    missing = int(gaps.sum())
    used = len(candles) / (len(candles) + missing)
    asked = f"no error, {LEAST_USED:.0%} of the candles"
    told = (
        f"{int((gaps > 0).sum())} gaps, {missing:,} candles missing"
        if missing
        else "no gap in the window"
    )
    if errors:
        return Gate("data", errors[0], asked, Outcome.FAILED, used, told)
    outcome = Outcome.PASSED if used >= LEAST_USED else Outcome.FAILED
    return Gate("data", f"{used:.2%} there", asked, outcome, used, told)


def bias_gate(name: str, outcome: str | None, told: str) -> Gate:
    """Judge what a bias check found: "clean", "open" or "biased"; None where none was made."""
    asked = "nothing differs"
    if outcome is None:
        return _undecided(name, asked, told)
    if outcome == "biased":
        return Gate(name, "differs", asked, Outcome.FAILED, told=told)
    if outcome == "open":
        return Gate(name, "open", asked, Outcome.UNDECIDED, told=told)
    return Gate(name, "nothing differs", asked, Outcome.PASSED, told=told)


def cost_gate(break_even: float, assumed: float) -> Gate:
    """Judge the cost a side at which nothing would be left, both as fractions."""
    asked = f"{LEAST_COST_RATIO:g} times the {assumed * 1e4:.4g} bps assumed"
    if assumed <= 0.0:
        return Gate(
            "break-even cost", "costs are off", asked, Outcome.FAILED, told="run with costs"
        )
    if math.isnan(break_even):
        return _undecided("break-even cost", asked, "nothing was traded")
    passed = break_even >= LEAST_COST_RATIO * assumed
    found = f"{break_even * 1e4:,.1f} bps"
    return Gate("break-even cost", found, asked, _veto(passed), break_even * 1e4)


def deflated_gate(dsr: float, effective: float, *, trials: int, worth: float) -> Gate:
    """Judge the deflated Sharpe ratio at the count of the ledger; at the effective one it is told."""
    asked = f"{LEAST_DSR:g} or more"
    if math.isnan(dsr):
        return _undecided("deflated Sharpe", asked, "the equity never moved")
    told = f"{trials:,} trials; as {worth:,.1f} independent ones it is {effective:.3f}"
    return Gate("deflated Sharpe", f"{dsr:.3f}", asked, _veto(dsr >= LEAST_DSR), dsr, told)


def overfitting_gate(found: Cscv | None, told: str) -> Gate:
    """Judge the probability of backtest overfitting."""
    name, asked = "overfitting (PBO)", f"{GOOD_PBO:g} or less; above {WORST_PBO:g} fails"
    if found is None:
        return _undecided(name, asked, told)
    value = found.probability
    outcome = Outcome.FAILED if value > WORST_PBO else _wish(value <= GOOD_PBO)
    told = (
        f"{found.halves:,} halves of {found.sets:,} sets; {found.loss_probability:.0%} lose outside"
    )
    return Gate(name, f"{value:.3f}", asked, outcome, value, told)


def paths_gate(found: Paths | None, told: str) -> Gate:
    """Judge the paths of combinatorial cross-validation."""
    name = "paths (CPCV)"
    if found is None:
        return _undecided(name, "8 of 9 above 0", told)
    count = found.returns.shape[1]
    needed = math.ceil(LEAST_PATHS * count)
    told = f"{len(np.unique(found.chosen))} different sets chosen in {len(found.chosen)} splits"
    passed = found.positive >= needed
    value = f"{found.positive} of {count}"
    return Gate(name, value, f"{needed} of {count} above 0", _wish(passed), found.positive, told)


def snooping_gate(name: str, found: Snooping | None, told: str) -> Gate:
    """Judge whether the best of all sets beats a benchmark."""
    asked = f"p {MOST_P:g} or less"
    if found is None or math.isnan(found.p_value):
        return _undecided(name, asked, told or "no set differs from it")
    told = f"{len(found.winners):,} of {found.sets:,} sets beat it after all that was tried (StepM)"
    passed = found.p_value <= MOST_P
    return Gate(name, f"p {found.p_value:.3f}", asked, _wish(passed), found.p_value, told)


def walk_forward_gates(
    efficiency: float | None, positive: float | None, told: str
) -> Iterator[Gate]:
    """Judge how much lasted where it had not been chosen; None where that is unknown."""
    name, asked = "walk-forward efficiency", f"{LEAST_WFE:g} or more"
    if efficiency is None:
        yield _undecided(name, asked, told)
    else:
        passed = efficiency >= LEAST_WFE
        yield Gate(name, f"{efficiency:.2f}", asked, _wish(passed), efficiency, told)
    name, asked = "folds that earned", f"{LEAST_FOLDS:.0%} or more"
    if positive is None:
        yield _undecided(name, asked, told)
    else:
        yield Gate(name, f"{positive:.0%}", asked, _wish(positive >= LEAST_FOLDS), positive)


def trades_gate(trades: int, *, outside: bool) -> Gate:
    """Judge whether there are trades enough, out of sample where a walk-forward was made."""
    where = "out of sample" if outside else "in sample"
    outcome = Outcome.PASSED if trades >= LEAST_TRADES else Outcome.TOO_LITTLE
    return Gate("trades", f"{trades:,}", f"{LEAST_TRADES} or more", outcome, trades, where)


def days_gate(days: float) -> Gate:
    """Judge whether the window is long enough to say anything."""
    outcome = Outcome.PASSED if days >= LEAST_DAYS else Outcome.TOO_LITTLE
    return Gate("days", f"{days:,.0f}", f"{LEAST_DAYS} or more", outcome, days)


def drawdown_gate(pasts: Pasts | None, limit: float) -> Gate:
    """Judge the severe tail of resampled drawdowns."""
    asked = f"not below -{limit:.0%}"
    if pasts is None:
        return _undecided("resampled drawdown", asked, "the equity never moved")
    severe = pasts.max_drawdown[0]
    told = f"5 % of {pasts.draws:,} resamples fall as deep; {pasts.ruined:.1%} reach the limit"
    return Gate("resampled drawdown", f"{severe:.1%}", asked, _wish(severe >= -limit), severe, told)


def plateau_gate(own: float, around: np.ndarray, told: str) -> Gate:
    """Judge what the neighbours of the chosen set earn, by the metric that it was chosen by."""
    asked = f"{LEAST_PLATEAU:g} of its own, none below 0"
    if math.isnan(own) or not len(around):
        return _undecided("plateau", asked, told or "it has no neighbours: sweep several values")
    if own <= 0.0:
        return Gate("plateau", "its own is below 0", asked, Outcome.MISSED, math.nan)
    ratio, worst = float(np.median(around)) / own, float(around.min())
    told = f"{len(around)} neighbours, the lowest {worst:.2f}"
    passed = ratio >= LEAST_PLATEAU and worst > 0.0
    return Gate("plateau", f"{ratio:.2f}", asked, _wish(passed), ratio, told)


def best_trades_gate(share: float) -> Gate:
    """Judge how much of the profit five trades made."""
    asked = f"{MOST_BEST_TRADES:.0%} or less"
    if math.isnan(share):
        return Gate("best five trades", "no profit", asked, Outcome.MISSED)
    passed = share <= MOST_BEST_TRADES
    found = f"{share:.0%} of profit" if share <= 1.0 else "more than all profit"
    return Gate("best five trades", found, asked, _wish(passed), share)


def holding_gate(own: dict[str, float | None], held: dict[str, float | None]) -> Gate:
    """Judge Sharpe and Calmar beside holding's, over the same dates at the same costs."""
    asked = "a higher Sharpe or Calmar"
    pairs = {name: (own[name], held[name]) for name in ("sharpe", "calmar")}
    told = ", ".join(
        f"{name.capitalize()} {_said(a)} against {_said(b)}" for name, (a, b) in pairs.items()
    )
    known = [(a, b) for a, b in pairs.values() if a is not None and b is not None]
    if not known:
        return _undecided("beside holding", asked, told)
    better = any(a > b for a, b in known)
    return Gate("beside holding", "higher" if better else "lower", asked, _wish(better), told=told)


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _undecided(name: str, asked: str, told: str) -> Gate:
    return Gate(name, "undecided", asked, Outcome.UNDECIDED, told=told)


def _veto(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.FAILED


def _wish(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.MISSED
