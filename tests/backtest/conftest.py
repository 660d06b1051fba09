"""Fixtures of the backtest tests: the command line on a small recorded market."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.backtest.recorded_market import record_market
from workbench.analysis.trials import TrialLedger, home_ledger
from workbench.cli import COMMANDS
from workbench.command_table import run as run_command

Shell: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decisions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the engine out of a bias check: its kernel takes seconds to compile for each strategy."""
    from workbench.analysis.bias import LOOK_AHEAD, Check, Outcome
    from workbench.backtest.bias import check as bias

    clean = Check(LOOK_AHEAD, "engine", Outcome.CLEAN, 0, 0, "left out")
    monkeypatch.setattr(bias, "_engine", lambda *_: clean)


@pytest.fixture
def ledger(tmp_path: Path, workbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> TrialLedger:
    """Return the empty ledger of a home of its own; the kernels that are compiled stay."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (workbench_home / "kernels").mkdir(exist_ok=True)
    (home / "kernels").symlink_to(workbench_home / "kernels")
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    return home_ledger()


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """Return the command line on a small recorded market, in process."""
    monkeypatch.setenv("WORKBENCH_DATA", str(record_market(tmp_path / "market")))

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run_command("workbench", COMMANDS, "", list(arguments))
        told = capsys.readouterr()
        return code, told.out, told.err

    return call
