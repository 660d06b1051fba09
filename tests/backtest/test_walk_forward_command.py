"""`workbench walk-forward`: what it prints and writes, what it refuses, and that Ctrl-C leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workbench as wb
from tests.backtest.conftest import Shell
from workbench.backtest.sweep import sweep_params
from workbench.backtest.walk_forward import walk as walk_forward

WALK = (
    "walk-forward", "--symbol", "AAAUSDT", "--interval", "1h", "--grid", "fast=3|5,slow=12:20:4,signal=3",
    "--train", "800", "--test", "200",
)  # fmt: skip


def test_it_prints_one_object_and_writes_what_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    outs = {name: tmp_path / f"{name}.parquet" for name in ("trades", "equity", "folds")}
    files = [part for name, path in outs.items() for part in (f"--{name}-out", str(path))]
    code, out, err = shell(
        *WALK, "--choose", "plateau", "--metric", "total_return", *files, "--json"
    )
    assert (code, err) == (0, "")
    said = json.loads(out, parse_constant=pytest.fail)
    walk = wb.walk_forward(
        wb.load("AAAUSDT", "1h"), wb.strategies.macd, train=800, test=200, metric="total_return",
        choose="plateau", progress=False, fast=(3, 5), slow=(12, 16, 20), signal=3,
    )  # fmt: skip
    assert said == json.loads(json.dumps(walk.to_dict()))
    assert {
        "final_equity",
        "sharpe",
        "wfe",
        "positive_folds",
        "trades",
        "trials",
        "holding",
    } <= set(said)
    for name, path in outs.items():
        assert_frame_equal(pl.read_parquet(path), getattr(walk, name))


def test_a_reader_gets_the_folds_the_whole_and_the_finding(shell: Shell) -> None:
    code, out, err = shell(*WALK)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert sum(line.split()[:1] in ([str(n)] for n in range(1, 9)) for line in lines) == 8
    assert "Walk-forward efficiency" in out
    assert "56 trials" in out
    assert "Out of sample, all folds" in out
    _, out, _ = shell(*WALK, "--exits", "stop=2%|4%")
    assert sum("stop=2%" in line or "stop=4%" in line for line in out.splitlines()) == 8


def test_days_and_an_anchor_are_taken_as_written(shell: Shell) -> None:
    code, out, _ = shell(
        "walk-forward", "--symbol", "AAAUSDT", "--interval", "4h", "--grid", "fast=3,slow=12",
        "--train", "40d", "--test", "12.5d", "--anchored", "--json",
    )  # fmt: skip
    assert code == 0
    folds = json.loads(out)["folds"]
    assert {fold["train_start"] for fold in folds} == {"2025-01-01T00:00:00Z"}
    assert [fold["test_candles"] for fold in folds] == [75] * 4
    assert [fold["train_candles"] for fold in folds] == [240, 315, 390, 465]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--choose", "best"), "--choose 'best' is unknown; use peak or plateau"),
        (("--metric", "luck"), "metric 'luck' ranks no set; use one of"),
        (("--folds", "3"), "leave out folds, or the lengths"),
        (("--test", "4000"), "need 4,800 candles, the window has 2,400"),
    ],
)
def test_a_bad_call_is_one_line_and_code_two(
    shell: Shell, more: tuple[str, ...], said: str
) -> None:
    code, out, err = shell(*WALK, *more)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_ctrl_c_in_the_midst_leaves_nothing_half_written(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []

    def interrupted(*given: object, **asked: object) -> object:
        if len(swept) == 2:
            raise KeyboardInterrupt
        swept.append(sweep_params(*given, **asked))  # type: ignore[arg-type]
        return swept[-1]

    monkeypatch.setattr(walk_forward, "sweep_params", interrupted)
    outs = tmp_path / "outs"
    outs.mkdir()
    code, out, err = shell(
        *WALK,
        "--folds-out",
        str(outs / "folds.parquet"),
        "--equity-out",
        str(outs / "equity.parquet"),
    )
    assert (code, out, err) == (130, "", "stopped\n")
    assert list(outs.iterdir()) == []
