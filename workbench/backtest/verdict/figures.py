"""The numbers behind a verdict's gates, by name, for JSON and for whoever sets other thresholds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workbench.analysis import overfitting
from workbench.analysis.bootstrap import Pasts
from workbench.analysis.cross_validation import Cscv, Paths
from workbench.analysis.data_snooping import Snooping
from workbench.backtest.setting import window_days
from workbench.backtest.verdict.evidence import Case, known
from workbench.core.statistics import DAYS_A_YEAR

Floats = NDArray[np.float64]
Figures = dict[str, float | int | None]


def of_luck(case: Case) -> Figures:
    """Return the numbers behind the deflated Sharpe ratio; Sharpe ratios are annual."""
    luck, root = case.luck, math.sqrt(case.a_year)
    annual = case.moments.sharpe * root
    return {
        "trials": case.tried.count,
        "trials_in_ledger": case.tried.whole,
        "effective_trials": known(luck.worth),
        "correlation": known(luck.correlation),
        "sharpe": known(annual),
        "lucky_sharpe": known(luck.lucky * root),
        "psr": known(overfitting.probabilistic_sharpe(case.moments)),
        "dsr": known(luck.dsr),
        "dsr_effective": known(luck.dsr_effective),
        "dsr_here": known(luck.dsr_here),
        "sharpe_variance": known(case.tried.variance),
        "sharpe_variance_here": known(case.tried.own_variance),
        "skew": known(case.moments.skew),
        "kurtosis": known(case.moments.kurtosis),
        "years": window_days(case.chosen.candles) / DAYS_A_YEAR,
        "min_track_record_years": known(overfitting.min_track_record(case.moments) / case.a_year),
        "min_backtest_years": known(overfitting.min_backtest_years(case.tried.count, annual)),
    }


def of_rivalry(
    halves: Cscv | None,
    paths: Paths | None,
    over_holding: Snooping | None,
    over_cash: Snooping | None,
) -> Figures:
    """Return the numbers behind the gates that ask rivals."""
    return {
        "pbo": halves.probability if halves else None,
        "pbo_halves": halves.halves if halves else None,
        "pbo_loss": halves.loss_probability if halves else None,
        "paths_above_0": paths.positive if paths else None,
        "paths": paths.returns.shape[1] if paths else None,
        "p_holding": known(over_holding.p_value) if over_holding else None,
        "p_cash": known(over_cash.p_value) if over_cash else None,
        "sets_above_holding": len(over_holding.winners) if over_holding else None,
        "sets_above_cash": len(over_cash.winners) if over_cash else None,
    }


def of_robustness(
    pasts: Pasts | None, share: float, own: float, around: Floats, held: dict[str, float | None]
) -> Figures:
    """Return the numbers behind the gates of robustness."""
    found: Figures = {
        "best_trades_share": known(share),
        "plateau": known(float(np.median(around)) / own) if len(around) and own > 0.0 else None,
        "lowest_neighbour": float(around.min()) if len(around) else None,
        "neighbours": len(around),
        "ruin": pasts.ruined if pasts else None,
        "block": known(pasts.block) if pasts else None,
        **{f"holding_{name}": held[name] for name in ("total_return", "sharpe", "calmar")},
    }
    for at, name in enumerate(("p05", "p50", "p95")):
        found[f"drawdown_{name}"] = pasts.max_drawdown[at] if pasts else None
        found[f"growth_{name}"] = pasts.growth[at] - 1.0 if pasts else None
        found[f"under_water_{name}"] = pasts.under_water[at] if pasts else None
    return found
