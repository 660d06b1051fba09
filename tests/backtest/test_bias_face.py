"""`wb.bias` and `workbench bias`: what they take, show, print and answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.backtest import leaking
from tests.backtest.conftest import Shell
from tests.candle_builders import martingale, to_cents
from workbench.errors import UsageError
from workbench.report.bias_card import bias_card

WALK = to_cents(martingale(400, 31, substeps=4))
MACD = wb.strategies.macd
QUICK = {"fast": 3, "slow": 7, "signal": 3}


@pytest.mark.usefixtures("decisions_alone")
def test_the_command_answers_0_when_clean_and_1_when_bias_is_found(
    shell: Shell, tmp_path: Path
) -> None:
    code, out, err = shell(
        "bias", "--params", "fast=3,slow=7,signal=3", "--interval", "1h", "--json"
    )
    told = json.loads(out)
    assert (code, err, told["passed"]) == (0, "", True)
    assert told["gates"] == {"look-ahead": "clean", "warm-up": "clean"}
    assert {"check", "outcome", "looked_at", "differ", "first_time", "value", "other"} <= set(
        told["checks"][0]
    )
    file = tmp_path / "forgetful.py"
    file.write_text(leaking.AVERAGE)
    few = ("bias", "--file", str(file), "--interval", "1h", "--params", "period=60,warm=3")
    code, out, _ = shell(*few, "--json")
    told = json.loads(out)
    assert (code, told["passed"], told["gates"]["warm-up"]) == (1, False, "biased")
    failed = next(one for one in told["checks"] if one["outcome"] == "biased")
    assert (failed["check"], failed["differ"] > 0, failed["what"]) == ("warm-up", True, "target")
    assert failed["first_time"] in told["verdict"]
    code, out, _ = shell("bias", "--strategy", "forgetful", *few[3:])  # registered by its file
    assert code == 1
    assert "BIASED (warm-up)" in out
    assert "the start weighs" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--strategy", "macd", "--file", "x.py"), "are two strategies; give one"),
        (("--file", "x.txt"), "is no Python file; name it NAME.py"),
        (("--file", "x.py"), "strategy file x.py cannot be read"),
        (("--params", "fast=50,slow=7"), "is not a valid parameter set"),
        (("--strategy", "none_such"), "unknown strategy 'none_such'"),
    ],
)
def test_a_bad_call_is_one_line_and_2(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = shell("bias", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.usefixtures("decisions_alone")
def test_a_strategy_from_a_cell_and_a_frame_are_taken_as_everywhere() -> None:
    spec = wb.strategies.register("an_average", leaking.AVERAGE)
    assert wb.bias(WALK, wb.strategies.an_average, period=5, warm=80).passed
    assert not wb.bias(WALK.frame(), spec, period=60, warm=3).passed


def test_a_function_is_checked_with_its_parameters_and_with_other_series() -> None:
    def rises(frame: pl.DataFrame, by: int) -> pl.Series:
        return frame["close"].shift(by) < frame["close"]

    def day(frame: pl.DataFrame, days: pl.DataFrame) -> pl.Series:
        return frame.join_asof(days, on="open_time", suffix="_day")["close_day"]

    assert wb.bias(WALK, rises, by=2).passed
    leak = wb.bias(WALK, rises, by=-2)
    assert not leak.passed
    assert repr(leak).startswith("BiasReport(rises on BTCUSDT 1h, 400 candles: BIASED")
    days = WALK.frame().group_by_dynamic("open_time", every="1d").agg(
        pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
        pl.col("volume").sum(),
    )  # fmt: skip
    assert not wb.bias(WALK, day, inputs={"days": days}).passed  # a day is not over when it opens


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UsageError, match="inputs= and warm_up= are for functions"):
        wb.bias(WALK, MACD, warm_up=20)
    with pytest.raises(UsageError, match="exits= and guards= are for strategies"):
        wb.bias(WALK, lambda frame: frame["close"], exits="stop=2%")
    with pytest.raises(UsageError, match="is no strategy and no function"):
        wb.bias(WALK, "macd")  # type: ignore[arg-type]


def test_a_card_shows_verdict_checks_and_warm_up_as_text() -> None:
    clean = wb.bias(WALK, MACD, **QUICK)
    page = clean._repr_html_()
    assert page == bias_card(clean)
    assert "no bias found in 9 checks" in page
    assert "wb-green" in page
    assert page.count("<tr>") == 2 + len(clean.checks) + len(clean.warm_up)
    leak = wb.bias(WALK, lambda frame: frame["close"].shift(-1))
    page = leak._repr_html_()
    assert "BIASED" in page
    assert "&lt;lambda&gt; on BTCUSDT 1h" in page
    assert "2025-01-01T00:00Z" in page
    assert "What the start still weighs" not in page


def test_a_report_that_could_compare_nothing_or_little_says_so() -> None:
    rng = np.random.default_rng(1)
    chance = wb.bias(WALK, lambda frame: rng.random(frame.height))
    assert not chance.passed
    assert "wb-amber" in chance._repr_html_()
    assert "<b>UNDECIDED</b>" in chance._repr_html_()
    few = wb.bias(WALK.frame().head(150), MACD, **QUICK)
    assert few.notes[0] == "150 candles show little: a clean report wants 200 or more"
