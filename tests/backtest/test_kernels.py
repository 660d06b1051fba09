"""A kernel's cache can never return an old number."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.candle_builders import candles_of, martingale
from tests.conftest import ROOT
from workbench.backtest.kernels import kernel_key
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.backtest.sweep import sweep_params
from workbench.errors import DataError, UsageError
from workbench.strategies import load

MACD = load("macd")
SCRIPT = """
from tests.candle_builders import martingale, to_cents
from workbench.backtest.sweep import sweep_params
from workbench.backtest.setting import Costs
from workbench.strategies import load
one, macd = to_cents(martingale(300, 1)), load("macd")
params = macd.params(fast=3, slow=7, signal=3).reshape(1)
print(repr(sweep_params(one, macd, params, costs=Costs(filters="exchange")).frame["final_equity"][0]))
"""


def _number(tree: Path) -> float:
    env = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tree,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_editing_a_function_that_the_kernel_calls_gives_a_new_number(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for part in ("workbench", "tests"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    before = _number(tree)
    assert _number(tree) == before  # from the cache
    leaf = tree / "workbench" / "core" / "money.py"
    text = leaf.read_text()
    assert "price * (1.0 + slippage_bps / BPS)" in text
    leaf.write_text(text.replace("price * (1.0 + slippage_bps / BPS)", "price * (1.5)"))
    assert _number(tree) < before / 2


def test_the_key_depends_on_the_processor_numba_compiles_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = kernel_key(MACD)
    monkeypatch.setenv("NUMBA_CPU_NAME", "x86-64-v3")
    assert kernel_key(MACD) != before


def test_threads_and_slices_change_no_number() -> None:
    candles = martingale(500, 4)
    grid = MACD.grid({"fast": range(2, 12), "slow": range(8, 40, 3), "signal": (3, 5, 9)})
    one = sweep_params(candles, MACD, grid, threads=1)
    four = sweep_params(candles, MACD, grid, threads=4)
    assert one.frame.equals(four.frame)
    assert one.invalid_combinations == four.invalid_combinations
    fast = np.arange(2, 12)[:, None] >= np.arange(8, 40, 3)[None, :]
    assert one.invalid_combinations == 3 * int(fast.sum()) > 0
    assert len(one) == len(grid) - one.invalid_combinations


def test_bad_input_is_one_clear_error() -> None:
    candles = martingale(50, 1)
    with pytest.raises(UsageError, match="none of the 1 combinations is valid"):
        sweep_params(candles, MACD, MACD.grid({"fast": 30, "slow": 20}))
    with pytest.raises(UsageError, match="fee_bps=-1"):
        Costs(fee_bps=-1)
    with pytest.raises(UsageError, match="not a valid parameter set"):
        backtest(candles, MACD, fast=30, slow=20)
    with pytest.raises(UsageError, match=r"at most 50,000,000"):
        MACD.grid({"fast": range(1, 500), "slow": range(2, 1000), "signal": range(1, 500)})
    with pytest.raises(UsageError, match="no parameter 'fats'"):
        MACD.grid({"fats": 3})
    with pytest.raises(DataError, match="1 candles in the window"):
        backtest(candles_of([1.0], [1.0]), MACD)
    with pytest.raises(DataError, match="must be finite and above 0"):
        candles_of([1.0, float("nan")], [1.0, 1.0])


STOPPED = """
import sys
from tests.candle_builders import martingale
from workbench.backtest.single import backtest
from workbench.backtest.setting import Costs
from workbench.strategies import load
for stop in sys.argv[1:]:
    exits = {"stop": float(stop)} if float(stop) else None
    chosen = dict(period=4, oversold=40, overbought=60)
    run = backtest(martingale(600, 3), load("rsi"), costs=Costs(), exits=exits, **chosen)
    print(repr(run.metrics["final_equity"]))
"""


def test_forms_that_two_processes_compiled_are_not_mixed_up_in_a_third(tmp_path: Path) -> None:
    env = {**os.environ, "WORKBENCH_HOME": str(tmp_path / "home")}

    def both(*runs: tuple[str, ...]) -> list[list[str]]:
        """Return what two processes print that run at the same time."""
        started = [
            subprocess.Popen(
                [sys.executable, "-c", STOPPED, *stops],
                cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for stops in runs
        ]  # fmt: skip
        said = [one.communicate(timeout=120) for one in started]
        assert [one.returncode for one in started] == [0, 0], said
        return [out.split() for out, _ in said]

    (free,), (stopped,) = both(("0",), ("0.5",))
    assert free != stopped
    assert both(("0", "0.5"), ("0.5", "0")) == [[free, stopped], [stopped, free]]


RENAMED = """
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.strategies import own
from tests.candle_builders import martingale
TEXT = '''
from numba import njit

WARM_UP = 1


@njit
def decide(state, candle, position, params, intent):
    intent.target = 1.0
'''
print(repr(backtest(martingale(50, 1), own.build(NAME, TEXT), costs=Costs()).metrics["final_equity"]))
"""


def test_a_strategy_under_another_name_finds_no_kernel_that_imports_the_old_one() -> None:
    ends = [
        subprocess.run(
            [sys.executable, "-c", f"NAME = {name!r}\n{RENAMED}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for name in ("as_it_was_called", "as_it_is_called")
    ]
    assert ends[0] == ends[1] != ""
