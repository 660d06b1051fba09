"""What a fresh process costs: importing, the first sweep, and the memory of a large one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.workloads import SLACK, machine
from tests.conftest import ROOT

IMPORT_GOAL = 1.2
PEAK_GOAL_MB = 300.0
FIRST_SWEEP = """
import workbench as wb
from tests.benchmarks.workloads import GRID, year_of_hours
wb.sweep(year_of_hours(), wb.strategies.load("macd"), progress=False, **GRID)
"""
LARGE_SWEEP = """
import workbench as wb
from tests.benchmarks.workloads import GRID, peak_mb, seconds, {candles}
candles, macd = {candles}(), wb.strategies.load("macd")
before = peak_mb()
took = seconds(lambda: wb.sweep(candles, macd, progress=False, **GRID))
print(before, peak_mb(), took)
"""


def run(code: str, **environment: str) -> tuple[float, str]:
    """Return how long a fresh process takes for a piece of code, and what it prints.

    It may keep compiled modules, as a user's does: without them every import compiles again.
    """
    kept = {**os.environ, **environment}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT, env=kept, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - began, done.stdout


def test_importing_costs_about_as_much_as_polars() -> None:
    rounds = []
    for _ in range(11):
        rounds.append([run(f"import {name}")[0] for name in ("workbench", "polars")])
    ours, theirs = (median(column) * 1e3 for column in zip(*rounds, strict=True))
    ratio = median(one / other for one, other in rounds)
    print(f"\nimport workbench {ours:.0f} ms, import polars {theirs:.0f} ms, ratio {ratio:.2f}")
    assert ratio <= IMPORT_GOAL * (1 + SLACK)


def test_the_first_sweep_of_a_fresh_process(tmp_path: Path) -> None:
    home = {"WORKBENCH_HOME": str(tmp_path / "home")}
    cold, _ = run(FIRST_SWEEP, **home)
    warm = [run(FIRST_SWEEP, **home)[0] for _ in range(5)]
    print(f"\nfresh process to the first sweep's result: cold {cold:.1f} s, warm {median(warm):.2f} s "
          f"({machine()})")  # fmt: skip
    assert median(warm) < cold  # the cache is used; absolute goals are printed, not asserted


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's VmHWM")
def test_memory_of_a_sweep_over_a_year_of_minutes() -> None:
    run(LARGE_SWEEP.format(candles="year_of_hours"))  # compiles
    _, small = run(LARGE_SWEEP.format(candles="year_of_hours"))
    _, large = run(LARGE_SWEEP.format(candles="year_of_minutes"))
    before, peak, took = (float(number) for number in large.split())
    rate = 2_400 * 525_600 / took / 1e9
    print(f"\nsweep of 2,400 x 525,600: peak {peak:.0f} MB ({before:.0f} MB with the candles made and "
          f"nothing swept; 2,400 x 8,760 peaks at {float(small.split()[1]):.0f} MB), {took:.2f} s, "
          f"{rate:.2f} G bar x set a second")  # fmt: skip
    assert peak <= PEAK_GOAL_MB * (1 + SLACK)
