"""Columns that a study shows on request: those of the backtest, streamed, resumed and ranked by."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workbench as wb
from tests.backtest.recorded_market import SYMBOLS, record_market
from workbench.backtest.columns import DETAIL_COLUMNS
from workbench.cli import COMMANDS
from workbench.cli.study import read_study
from workbench.command_table import run as command
from workbench.errors import UsageError
from workbench.face.research import Study

MACD, CROSS = wb.strategies.macd, wb.strategies.sma_cross
ASKED = {
    "symbols": SYMBOLS, "intervals": ["4h"], "progress": False, "strategy": [MACD, CROSS],
    "windows": [{"name": "early", "end": "2025-02-20"}, {"name": "late", "days": 30, "end": "2025-04-01"}],
    "params": {"macd": [(3, 7, 3), (5, 13, 3)], "sma_cross": [(3, 9), (5, 20)]},
}  # fmt: skip


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def on_the_market(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(market))


@pytest.fixture(scope="module")
def whole(market: Path) -> Study:
    """Return a study that was asked for every column."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", str(market))
        return wb.study(**ASKED, columns="all")


def test_each_is_that_of_the_backtest(whole: Study) -> None:
    for row in whole.frame.iter_rows(named=True):
        start, end = (
            (None, "2025-02-20") if row["window"] == "early" else ("2025-03-02", "2025-04-01")
        )
        candles = wb.load(row["symbol"], "4h", start=start, end=end)
        spec = wb.strategies.load(row["strategy"])
        params = {one.name: row[one.name] for one in spec.parameters}
        run = wb.backtest(candles, spec, filters="none", **params)
        for name in DETAIL_COLUMNS:
            assert row[name] == run.metrics[name], (name, row["symbol"], row["window"])
        won = run.trades.filter(~pl.col("is_open"))["pnl"].to_list()
        assert row["expectancy"] == pytest.approx(statistics.fmean(won), rel=1e-9)
        r = [one / -statistics.fmean([w for w in won if w < 0]) for one in won]
        sqn = math.sqrt(min(100, len(r))) * statistics.fmean(r) / statistics.stdev(r)
        assert row["sqn"] == pytest.approx(sqn, rel=1e-9)


def test_they_stand_behind_the_metrics_and_change_none_of_them(whole: Study) -> None:
    usual = wb.study(**ASKED)
    assert not {*DETAIL_COLUMNS} & {*usual.frame.columns}
    some = wb.study(**ASKED, columns=["sqn", "expectancy"])
    *before, holding = usual.frame.columns
    assert some.frame.columns == [*before, "expectancy", "sqn", holding]
    assert_frame_equal(some.frame.select(usual.frame.columns), usual.frame, check_exact=True)
    assert_frame_equal(whole.frame.select(some.frame.columns), some.frame, check_exact=True)


def test_any_of_them_ranks(whole: Study) -> None:
    rows = whole.frame.to_dicts()
    for metric in ("sqn", "expectancy", "bar_sharpe"):
        (first, *_), ranked = whole.top(1, metric).to_dicts(), whole.ranking("symbol", metric)
        assert first[metric] == whole.best(metric)[metric] == max(row[metric] for row in rows)
        means = {
            symbol: statistics.fmean(row[metric] for row in rows if row["symbol"] == symbol)
            for symbol in SYMBOLS
        }
        assert ranked["symbol"].to_list() == sorted(SYMBOLS, key=lambda one: -means[one])
        assert ranked["mean"].to_list() == pytest.approx(sorted(means.values(), reverse=True))
        table = whole.pivot("symbol", "interval", metric)
        assert table["4h"].to_list() == pytest.approx([means[one] for one in table["symbol"]])
    usual = wb.study(**ASKED)
    for ask in (usual.top, usual.best, lambda metric: usual.ranking("symbol", metric)):
        with pytest.raises(
            UsageError, match=r"unknown metric 'sqn'; .*for sqn study with columns='sqn'"
        ):
            ask(metric="sqn")


def test_streamed_and_resumed_with_the_same_columns_they_are_the_same(
    whole: Study, tmp_path: Path
) -> None:
    out = tmp_path / "rows.parquet"
    streamed = wb.study(**ASKED, columns="all", out=out)
    assert_frame_equal(pl.read_parquet(out), whole.frame, check_exact=True)
    assert streamed.best("sqn") == whole.best("sqn")
    before = out.stat().st_mtime_ns
    wb.study(**ASKED, columns=DETAIL_COLUMNS[::-1], out=out, resume=True)  # in whatever order
    assert out.stat().st_mtime_ns == before, "a finished study is not run again"


@pytest.mark.parametrize("begun", ["finished", "killed"])
def test_a_resume_with_other_columns_says_both_and_changes_nothing(
    tmp_path: Path, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.parquet"
    if begun == "killed":
        monkeypatch.setattr("workbench.backtest.parts.Parts._join", _stop)
        with pytest.raises(KeyboardInterrupt):
            wb.study(**ASKED, columns="sqn", out=out)
        monkeypatch.undo()
        monkeypatch.setenv("WORKBENCH_DATA", str(record_market(tmp_path / "market")))
    else:
        wb.study(**ASKED, columns="sqn", out=out)
    there = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet*") if path.is_file()}
    for asked, said in (((), "''"), ("all", repr(",".join(DETAIL_COLUMNS)))):
        says = (
            f"of another run (with columns='sqn', this one asks for {said}); run without --resume"
        )
        with pytest.raises(UsageError) as told:
            wb.study(**ASKED, columns=asked, out=out, resume=True)
        assert says in str(told.value)
    assert there == {p: p.read_bytes() for p in tmp_path.rglob("*.parquet*") if p.is_file()}
    gone_on = wb.study(**ASKED, columns="sqn", out=out, resume=True)
    assert gone_on.frame["sqn"].null_count() == 0


def test_so_says_a_sweep(tmp_path: Path) -> None:
    candles, out = wb.load("AAAUSDT", "4h"), tmp_path / "rows.parquet"
    wb.sweep(candles, MACD, fast=(3, 5), columns="sqn", out=out, progress=False)
    with pytest.raises(UsageError, match="with columns='sqn', this one asks for ''"):
        wb.sweep(candles, MACD, fast=(3, 5), out=out, resume=True, progress=False)


FILE = """
symbols = ["AAAUSDT", "BBBUSDT"]
intervals = ["4h"]
columns = ["sqn"]

[[strategies]]
name = "macd"
sets = [[3, 7, 3], [5, 13, 3]]
"""


def test_the_command_line_takes_them_from_the_file_or_instead_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "study.toml", tmp_path / "rows.parquet"
    file.write_text(FILE)

    def study(*arguments: str) -> tuple[int, str, str]:
        code = command("workbench", COMMANDS, "", ["study", str(file), *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    code, said, _ = study("--metric", "sqn", "--json", "--out", str(out))
    told, rows = json.loads(said), pl.read_parquet(out)
    assert code == 0
    assert (
        told["best"]["sqn"] == rows["sqn"].max() == max(one["highest"] for one in told["by_symbol"])
    )
    assert not {"expectancy"} & {*rows.columns}
    code, said, _ = study("--columns", "expectancy", "--metric", "expectancy", "--by", "symbol")
    assert code == 0
    asked = read_study(file) | {"columns": "expectancy", "progress": False}
    for mean in wb.study(**asked).ranking("symbol", "expectancy")["mean"]:
        assert f" {mean:,.2f} " in said
    for wrong, says in (
        (("--metric", "expectancy"), "for expectancy study with columns='expectancy'"),
        (("--columns", "luck"), "cannot add 'luck'"),
        (("--columns", "all", "--out", str(out), "--resume"), "with columns='sqn', this one asks"),
    ):
        code, said, error = study(*wrong)
        assert (code, said, len(error.splitlines())) == (2, "", 1)
        assert says in error
    file.write_text(FILE.replace('["sqn"]', "5"))
    assert study()[::2] == (2, 'error: columns=5 is no list of names; write columns = ["sqn"]\n')


def _stop(_: object) -> None:
    raise KeyboardInterrupt
