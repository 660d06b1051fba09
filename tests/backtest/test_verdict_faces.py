"""The verdict in the shell and in notebooks: an answer with its reasons, and one line where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import workbench as wb
from tests.backtest.conftest import Shell
from tests.candle_builders import martingale
from workbench.analysis.trials import home_ledger
from workbench.backtest.verdict.result import Gate, Outcome, VerdictResult
from workbench.face.verdicts import Verdict
from workbench.report.verdict_card import verdict_card

GRID = ("--strategy", "ema_cross", "--symbol", "AAAUSDT", "--interval", "4h")
AXES = ("--grid", "fast=3:7:2,slow=16:24:4")


def test_a_grid_is_judged_and_the_answer_is_no_failure(shell: Shell) -> None:
    code, out, _ = shell("verdict", *GRID, *AXES, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["verdict"] in ("red", "insufficient", "amber")
    assert told["figures"]["trials"] >= 9
    assert set(told["params"]) == {"fast", "slow"}
    assert {"gate", "value", "found", "threshold", "outcome", "told"} == set(told["gates"][0])
    code, out, _ = shell("verdict", *GRID, *AXES, "--require", "green")
    assert code == 1
    assert told["verdict"].upper() in out
    assert told["why"].split(" (")[0] in out


def test_rows_of_an_earlier_sweep_are_judged_alike(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    assert shell("sweep", *GRID, *AXES, "--out", str(file))[0] == 0
    asked = ("--choose", "fast=5,slow=20", "--json")
    from_file, from_grid = (
        json.loads(shell("verdict", *source, *GRID, *asked)[1]) for source in ((str(file),), AXES)
    )
    assert from_file["gates"] == from_grid["gates"]
    assert from_file["params"] == {"fast": 5, "slow": 20}
    assert from_file["chosen"] == "asked for among 9 rows"


def test_rows_that_were_made_otherwise_are_refused(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    shell("sweep", *GRID, *AXES, "--out", str(file))
    code, _, said = shell("verdict", str(file), *GRID, "--fee-bps", "0")
    assert (code, "rows.parquet was made otherwise: fast=3, slow=16 ends with" in said) == (2, True)
    _, _, said = shell("verdict", str(file), *GRID, "--end", "2025-03-01")
    assert "was made over 600 candles, these are 354" in said
    _, _, said = shell("verdict", str(file), "--strategy", "macd", *GRID[2:])
    assert "rows.parquet lacks signal; name a sweep of macd" in said
    (tmp_path / "none.parquet").write_bytes(b"nothing")
    for name in ("none.parquet", "nowhere.parquet"):
        code, _, said = shell("verdict", str(tmp_path / name), *GRID)
        assert (code, "cannot be read as the rows of a sweep" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --grid, or the file"),
        ((*AXES, "--require", "blue"), "--require 'blue' is unknown; it takes green"),
        ((*AXES, "--metric", "luck"), "unknown metric 'luck'"),
        ((*AXES, "--kill-limit", "30"), "kill_limit=30.0 is no drawdown"),
        ((*AXES, "--choose", "fast=4,slow=16"), "no combination of the sweep has fast=4 & slow=16"),
        ((*AXES, "--choose", "fast"), "'fast' is not name=value"),
    ],
)
def test_bad_calls_are_one_line(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    code, out, error = shell("verdict", *GRID, *arguments)
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1


def test_notebooks_get_a_card_with_every_gate() -> None:
    sweep = wb.sweep(
        martingale(1_200, 5, interval="4h", substeps=20),
        wb.strategies.ema_cross,
        fast=(3, 5, 7),
        slow=(16, 20),
        progress=False,
    )
    verdict = sweep.verdict(fast=5, slow=20, progress=False)
    assert isinstance(verdict, Verdict)
    card = verdict._repr_html_()
    for gate in verdict.gates:
        assert f"<td>{gate.name}" in card
    assert f"<b>{verdict.colour.value.upper()}</b>" in card
    assert verdict.why.split(" (")[0] in card
    told = repr(verdict)
    assert told.startswith(f"{verdict.colour.value.upper()}: ema_cross(fast=5, slow=20)")
    assert all(gate.name in told for gate in verdict.gates)


def test_a_run_is_judged_among_all_trials_of_its_strategy() -> None:
    candles = martingale(1_200, 6, interval="4h", substeps=20)
    run = wb.backtest(candles, wb.strategies.ema_cross, filters="none", fast=5, slow=20)
    verdict = run.verdict(progress=False)
    assert verdict.figures["trials"] == max(1, home_ledger().counts("ema_cross").n)
    assert "sweep around it" in verdict._repr_html_()


def test_a_verdict_counts_the_trials_of_its_sweep_and_adds_none() -> None:
    candles = martingale(1_000, 77, interval="4h", substeps=20)
    before = home_ledger().counts("ema_cross").n
    sweep = wb.sweep(
        candles, wb.strategies.ema_cross, fast=(3, 5, 7), slow=(16, 20), progress=False
    )
    counted = home_ledger().counts("ema_cross")
    assert counted.n == before + 6
    verdict = sweep.verdict(progress=False)
    assert home_ledger().counts("ema_cross") == counted
    assert verdict.figures["trials"] == counted.n
    assert any(f"{counted.n:,} distinct trials" in note for note in verdict.notes)


def test_what_is_written_on_a_card_is_text() -> None:
    gate = Gate("<b>gate", "<i>1", "<u>2", Outcome.MISSED, told="<s>3")
    told = VerdictResult("<t>, of 2 sets", "<src>", {}, "", "<c>", (gate,), {}, notes=("<n>",))
    card = verdict_card(told)
    body = card.partition("</style>")[2]
    for text in ("<b>gate", "<i>1", "<u>2", "<s>3", "<t>", "<src>", "<c>", "<n>"):
        assert text not in body
        assert text.replace("<", "&lt;").replace(">", "&gt;") in body


def test_quarters_are_told_year_by_year_with_gaps_where_nothing_was_traded() -> None:
    gate = Gate("data", "all", "no error", Outcome.PASSED)
    past = {"2023Q4": 0.1, "2024Q1": -0.2, "2024Q2": 0.0, "2024Q3": 0.05}
    told = VerdictResult("t", "s", {}, "", "c", (gate,), {}, quarters=past)
    assert told.years == {"2023": [None, None, None, 0.1], "2024": [-0.2, 0.0, 0.05, None]}
    assert "<td>2023</td>" in verdict_card(told)
    assert "−20.0 %" in verdict_card(told)
