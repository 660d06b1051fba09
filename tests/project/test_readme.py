"""The README says what the code does: its code is the code, its numbers come out, its links lead on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import shared_path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_shown_strategy_is_the_shipped_one() -> None:
    source = (ROOT / "workbench/strategies/macd_crossover.py").read_text(encoding="utf-8")
    assert BLOCKS[0].strip() in source


def test_the_shown_result_comes_out_of_the_shown_lines() -> None:
    shared_path("data/klines_1d.parquet")
    names: dict[str, object] = {}
    exec(BLOCKS[1], names)  # the README's own lines
    run = names["run"]
    shown = re.search(r"\| MACD 30/60/15 \| \+(\S+) % \| −(\S+) % \| (\d+) \|", README)
    holding = re.search(r"\| holding \| \+(\S+) % \| −(\S+) %", README)
    assert shown
    assert holding
    metrics, equity = run.metrics, run.equity  # type: ignore[attr-defined]
    assert f"{100 * metrics['total_return']:.2f}" == shown[1]
    assert f"{-100 * metrics['max_drawdown']:.2f}" == shown[2]
    assert str(metrics["trades"]) == shown[3]
    held = equity["holding"]
    assert f"{100 * (held[-1] / 10_000 - 1):.2f}" == holding[1]
    assert f"{-100 * (held / held.cum_max() - 1).min():.2f}" == holding[2]


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_each_link_leads_to_a_file(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`make ([a-z]+)", README))))
def test_each_make_target_of_the_readme_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{name}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    ("program", "command"),
    sorted(set(re.findall(r"`(workbench|bridge) ([a-z][a-z-]*)", README))),
)
def test_each_command_of_the_readme_exists(program: str, command: str) -> None:
    import bridge.cli
    import workbench.cli

    table = {"workbench": workbench.cli.COMMANDS, "bridge": bridge.cli.COMMANDS}[program]
    module, _, attribute = table[command].target.partition(":")
    assert (ROOT / Path(*module.split(".")).with_suffix(".py")).exists()
    assert attribute
