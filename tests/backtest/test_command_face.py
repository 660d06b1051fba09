"""The stable face of the shell: what each command prints, writes and answers, in columns and codes."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from tests.backtest.conftest import Shell

PROMISED = (
    "final_equity", "total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "trades",
    "open_trade", "win_rate", "profit_factor", "exposure", "fees", "bars",
)  # fmt: skip
BACKTEST = (
    "backtest", "--strategy", "macd", "--params", "fast=3,slow=7,signal=3", "--symbol", "AAAUSDT",
    "--interval", "1h", "--filters", "none",
)  # fmt: skip


def strict(text: str) -> dict[str, object]:
    """Return one JSON object; NaN and infinity are not JSON."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} in JSON")

    found: dict[str, object] = json.loads(text, parse_constant=refuse)
    return found


def test_a_backtest_prints_one_object_with_what_was_promised(shell: Shell) -> None:
    code, out, err = shell(*BACKTEST, "--json")
    assert (code, err) == (0, "")
    said = strict(out)
    assert set(PROMISED) | {"data_sha256", "reasons"} <= set(said)
    assert said["bars"] == 2_400
    assert -1.0 <= said["max_drawdown"] <= 0.0
    assert 0.0 <= said["win_rate"] <= 1.0
    assert len(said["data_sha256"]) == 64
    run = wb.backtest(wb.load("AAAUSDT", "1h"), wb.strategies.macd, fast=3, slow=7, signal=3,
                      filters="none")  # fmt: skip
    assert {name: said[name] for name in PROMISED} == {n: run.metrics[n] for n in PROMISED}


def test_what_cannot_be_computed_is_null_with_its_reason(shell: Shell) -> None:
    window = ("--start", "2025-02-01", "--end", "2025-02-03")
    _, out, _ = shell(*BACKTEST, *window, "--json")
    short = strict(out)
    assert (short["cagr"], short["calmar"]) == (None, None)
    assert "2.0 days; under 90" in short["reasons"]["cagr"]
    never = ("backtest", "--strategy", "dca", "--params", "every=100000", "--symbol", "AAAUSDT",
             "--filters", "none", "--json")  # fmt: skip
    idle = strict(shell(*never)[1])
    assert idle["trades"] == 0
    for name in ("win_rate", "profit_factor"):
        assert idle[name] is None
        assert idle["reasons"][name]
    for said in (short, idle):
        assert {name for name in PROMISED if said[name] is None} <= set(said["reasons"])


def test_trades_and_equity_are_written_as_parquet(shell: Shell, tmp_path: Path) -> None:
    trades, equity = tmp_path / "trades.parquet", tmp_path / "equity.parquet"
    code, out, _ = shell(
        *BACKTEST, "--trades-out", str(trades), "--equity-out", str(equity), "--json"
    )
    assert code == 0
    said, rows, curve = strict(out), pl.read_parquet(trades), pl.read_parquet(equity)
    closed = rows.filter(~pl.col("is_open"))
    assert closed.height == said["trades"]
    assert (closed["exit_time"] > closed["entry_time"]).all()
    assert curve.height == said["bars"]
    assert curve["equity"][-1] == pytest.approx(said["final_equity"], rel=1e-12)
    assert closed["pnl"].sum() == pytest.approx(
        said["final_equity"] - 10_000.0 - rows.filter("is_open")["pnl"].sum(), rel=1e-9, abs=1e-6
    )


@pytest.mark.parametrize("command", [
    (*BACKTEST, "--trades-out"), (*BACKTEST, "--equity-out"),
    ("sweep", "--symbol", "AAAUSDT", "--grid", "fast=2:4,slow=7|9,signal=3", "--out"),
    ("walk-forward", "--symbol", "AAAUSDT", "--grid", "fast=2:4,slow=7|9,signal=3", "--folds-out"),
])  # fmt: skip
def test_a_file_that_cannot_be_written_is_told_before_any_work(
    shell: Shell, tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it went to work")

    monkeypatch.setattr("workbench.load", never)
    for place in (tmp_path / "market" / "klines_1h.parquet" / "x", tmp_path):
        code, out, err = shell(*command, str(place), "--json")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "could not be written" in err
        assert "name a" in err


def test_a_sweeps_file_has_a_row_a_combination_and_the_same_columns(
    shell: Shell, tmp_path: Path
) -> None:
    out_file = tmp_path / "rows.parquet"
    code, out, _ = shell("sweep", "--symbol", "AAAUSDT", "--grid", "fast=2:4,slow=7|9,signal=3:7:2",
                         "--filters", "none", "--out", str(out_file), "--json")  # fmt: skip
    assert code == 0
    said, frame = strict(out), pl.read_parquet(out_file)
    assert frame.select("fast", "slow", "signal").rows() == [
        (fast, slow, signal) for fast in (2, 3, 4) for slow in (7, 9) for signal in (3, 5, 7)
    ]
    assert set(PROMISED) <= set(frame.columns)
    assert (said["combinations"], said["out"]) == (18, str(out_file))
    single = strict(shell(*BACKTEST, "--json")[1])
    row = frame.filter(fast=3, slow=7, signal=3).row(0, named=True)
    for name in PROMISED:
        assert row[name] == pytest.approx(single[name], rel=1e-9), name
    floats = frame.select(pl.col(pl.Float64))
    assert not floats.select(
        pl.any_horizontal(pl.all().is_nan() | pl.all().is_infinite()).any()
    ).item()


def test_a_study_prints_its_rankings(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'symbols = ["AAAUSDT"]\nintervals = ["1h", "4h"]\n[[strategies]]\nname = "macd"\n'
        "sets = [[3, 7, 3], [12, 26, 9]]\n"
    )
    said = strict(shell("study", str(file), "--json")[1])
    assert said["tests"] == 4
    assert {row["interval"] for row in said["by_interval"]} == {"1h", "4h"}
    assert said["best"]["total_return"] == max(row["highest"] for row in said["by_params"])
    code, out, _ = shell("study", str(file), "--by", "interval")
    assert code == 0
    assert "4 backtests = 1 symbols x 2 intervals x 1 windows x 2 sets" in out
    assert "read means, not peaks" in out


def test_nothing_else_is_public() -> None:
    assert {"load", "sweep", "backtest", "study", "strategies"} <= set(wb.__all__)
    with pytest.raises(AttributeError, match="workbench has no 'kernels'; public are"):
        wb.kernels  # noqa: B018
