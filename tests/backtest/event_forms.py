"""The same sweep by the event form and by the plain kernel, and what they must have in common."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import ROOT
from workbench.backtest import sweep
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.market.candles import Candles
from workbench.strategies import load


def demand_both_forms_equal(candles: Candles, name: str, params: np.ndarray, costs: Costs) -> None:
    """Demand the same frame to 1e-9, counts and what is undefined exactly."""
    spec = load(name)
    event = sweep_params(candles, spec, params, costs=costs, trials=NOT_TRIALS).frame
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "has_event_form", lambda spec, costs: False)
        plain = sweep_params(candles, spec, params, costs=costs, trials=NOT_TRIALS).frame
    _demand_equal(event, plain)


def without_avx512(code: str, home: Path) -> str:
    """Return what Python code prints in a process that compiles for an older processor."""
    older = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}  # "": not the host's either
    env = {**os.environ, "PYTHONPATH": str(ROOT), "WORKBENCH_HOME": str(home), **older}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _demand_equal(event: pl.DataFrame, plain: pl.DataFrame) -> None:
    for one, other in zip(event, plain, strict=True):
        assert one.is_null().equals(other.is_null()), one.name
        if one.dtype.is_float():
            assert one.drop_nulls().to_list() == pytest.approx(
                other.drop_nulls().to_list(), rel=1e-9, abs=1e-12
            ), one.name
        else:
            assert one.equals(other), one.name
