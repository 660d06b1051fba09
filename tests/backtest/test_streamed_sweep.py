"""Sweeps that stream to a file: the same rows, whatever ends them in between."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workbench as wb
from tests.backtest.recorded_market import begin, call, record_market, wait_for
from tests.candle_builders import martingale
from workbench.analysis.trial_check import check
from workbench.analysis.trials import home_ledger
from workbench.backtest.grids import Grid, spans
from workbench.backtest.parts import Parts
from workbench.backtest.setting import Costs
from workbench.backtest.streaming import sweep_to
from workbench.backtest.sweep import sweep_params
from workbench.errors import DataError, UsageError

MACD = wb.strategies.macd
AXES = {"fast": range(2, 12), "slow": range(6, 20, 2), "signal": (3, 5, 9)}
WALK = martingale(400, 11, substeps=10)
LONG = "fast=2:60,slow=10:120,signal=3:6"  # two parts of many seconds each


def _put_and_stop(parts: Parts, number: int, frame: pl.DataFrame) -> None:
    """Begin a run, finish one part, and be interrupted."""
    with contextlib.suppress(KeyboardInterrupt), parts.writing(resume=False) as left:
        assert left == list(range(parts.count))
        parts.put(number, frame)
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_market(tmp_path_factory.mktemp("market"))


def test_a_part_of_a_grid_is_the_same_as_the_grid_laid_out() -> None:
    grid, whole = Grid.of(MACD, AXES), MACD.grid(AXES)
    assert len(grid) == len(whole) == 210
    parts = [grid.part(begin, end) for begin, end in spans(len(grid), 37)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert grid.number((4, 2, 1)) == 4 * 21 + 2 * 3 + 1
    assert grid.take(np.array([91]))[0] == whole[91]


def test_a_streamed_sweep_has_the_rows_of_the_sweep_in_memory(tmp_path: Path) -> None:
    kept = sweep_params(WALK, MACD, MACD.grid(AXES))
    streamed = sweep_to(tmp_path / "rows.parquet", WALK, Grid.of(MACD, AXES), rows_a_part=37)
    assert_frame_equal(streamed.frame, kept.frame, check_exact=True)
    assert len(streamed) == len(kept) < 210
    assert streamed.invalid_combinations == kept.invalid_combinations == 210 - len(kept)
    assert streamed.data_sha256 == kept.data_sha256
    assert streamed.title == kept.title
    assert streamed.best("sharpe") == kept.best("sharpe")
    assert_frame_equal(streamed.top(7), kept.top(7), check_exact=True)
    assert [one.name for one in tmp_path.iterdir()] == ["rows.parquet"]


def test_the_face_streams_too_and_goes_on_with_it(tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    first = wb.sweep(WALK, MACD, **AXES, out=out, progress=False)
    before = out.stat().st_mtime_ns
    again = wb.sweep(WALK, MACD, **AXES, out=out, resume=True, progress=False)
    assert out.stat().st_mtime_ns == before, "a finished sweep is not run again"
    assert_frame_equal(first.frame, again.frame)
    assert "210" not in repr(first)
    with pytest.raises(UsageError, match="resume=True needs out="):
        wb.sweep(WALK, MACD, **AXES, resume=True)


def test_only_what_is_missing_is_run_again(tmp_path: Path) -> None:
    grid, out = Grid.of(MACD, AXES), tmp_path / "rows.parquet"
    whole = sweep_to(out, WALK, grid, rows_a_part=37).frame
    plan = pl.read_parquet_metadata(out)["workbench_plan"]
    out.unlink()
    marked = whole.head(5).with_columns(final_equity=pl.lit(-1.0))
    parts = Parts(out, plan, 6)
    _put_and_stop(parts, 2, marked)
    assert not out.exists()
    resumed = sweep_to(out, WALK, grid, rows_a_part=37, resume=True).frame
    assert resumed.filter(pl.col("final_equity") == -1.0).height == 5  # part 2 as it lay there
    anew = sweep_to(out, WALK, grid, rows_a_part=37).frame
    assert_frame_equal(anew, whole, check_exact=True)


@pytest.mark.parametrize(
    "other",
    [
        {"costs": Costs(fee_bps=11.0)},
        {"candles": martingale(400, 12, substeps=10)},
        {"grid": Grid.of(MACD, AXES | {"signal": (3, 5, 8)})},
        {"rows_a_part": 36},
    ],
)
def test_the_parts_of_another_sweep_are_never_taken_for_this_ones(
    tmp_path: Path, other: dict[str, object]
) -> None:
    out = tmp_path / "rows.parquet"
    sweep = {"candles": WALK, "grid": Grid.of(MACD, AXES), "rows_a_part": 37}
    sweep_to(out, **sweep)
    parts = Parts(out, pl.read_parquet_metadata(out)["workbench_plan"], 6)
    _put_and_stop(parts, 0, pl.DataFrame({"a": [1]}))
    with pytest.raises(UsageError, match=r"parts of another run .* run without --resume"):
        sweep_to(out, **(sweep | other), resume=True)


def test_a_run_that_was_killed_right_after_joining_is_whole(tmp_path: Path) -> None:
    grid, out = Grid.of(MACD, AXES), tmp_path / "rows.parquet"
    sweep_to(out, WALK, grid, rows_a_part=37)
    left_over = out.with_name("rows.parquet.parts")
    left_over.mkdir()
    (left_over / "part-000000.parquet").write_bytes(b"")
    sweep_to(out, WALK, grid, rows_a_part=37, resume=True)
    assert not left_over.exists()


def test_a_file_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    grid = Grid.of(MACD, AXES)
    with pytest.raises(UsageError, match=r"no folder 'nowhere' for rows\.parquet; make it first"):
        sweep_to(tmp_path / "nowhere" / "rows.parquet", WALK, grid)
    foreign = tmp_path / "rows.parquet.parts"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="files that are not the workbench's"):
        sweep_to(tmp_path / "rows.parquet", WALK, grid)
    assert (foreign / "thesis.txt").read_text() == "mine"
    parts = Parts(tmp_path / "other.parquet", "plan", 1)
    with pytest.raises(DataError, match=r"part 0 of other.parquet could not be written"):
        parts.put(0, pl.DataFrame({"a": [1]}))


def test_a_grid_of_a_trillion_is_refused_before_anything_is_laid_out(
    tmp_path: Path, market: Path
) -> None:
    axes = {"fast": range(1, 501), "slow": range(2, 1001), "signal": range(1, 501)}
    with pytest.raises(UsageError, match="249,750,000 combinations; at most 50,000,000"):
        wb.sweep(WALK, MACD, **axes)
    trillion = "low=0.5:0.9:0.0004,high=1.1:2:0.0009,lines=2:64,stop=0:0.4:0.001,quote=0:40"
    out = tmp_path / "rows.parquet"
    done = call(market, "sweep", "--strategy", "grid", "--symbol", "AAAUSDT",
                "--grid", trillion, "--out", str(out))  # fmt: skip
    assert done.returncode == 2
    assert f"{1_001 * 1_001 * 63 * 401 * 41:,} combinations; at most 50,000,000" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    done = call(market, "sweep", "--grid", "fast=1:1e12", "--symbol", "AAAUSDT")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "1,000,000,000,000 values; at most 1,000,000" in done.stderr


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [(signal.SIGKILL, -9, []), (signal.SIGINT, 130, ["goes on", "stopped"])],
)
def test_a_killed_or_interrupted_sweep_goes_on_where_it_was(
    tmp_path: Path, market: Path, how: signal.Signals, code: int, said: list[str]
) -> None:
    out = tmp_path / "rows.parquet"
    sweep = ("sweep", "--symbol", "AAAUSDT", "--grid", LONG, "--out", str(out))
    before = home_ledger().counts("macd").seen
    process = begin(market, *sweep)
    finished = out.with_name("rows.parquet.parts") / "part-000000.parquet"
    wait_for(finished.exists, process, seconds=60)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert [line.split("--resume ")[-1] for line in errors.splitlines()] == said
    assert not out.exists()
    row = pl.read_parquet(finished)
    there = sum(pl.read_parquet(one).height for one in finished.parent.glob("part-*.parquet"))
    counted = home_ledger().counts("macd").seen - before
    assert counted >= there > 0  # a part's trials are in the ledger before the part is there
    row.with_columns(final_equity=pl.lit(-1.0)).write_parquet(finished)  # told again below
    done = call(market, *sweep, "--resume", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["combinations"] == pl.scan_parquet(out).select(pl.len()).collect().item()
    kept = pl.scan_parquet(out).filter(pl.col("final_equity") == -1.0).collect()
    assert kept.height == row.height
    assert not finished.parent.exists()
    again = home_ledger().counts("macd").seen - before - counted
    assert again <= told["combinations"] - there  # what was finished was not run again
    assert check(home_ledger()).faults == ()


def test_another_grid_is_not_gone_on_with_from_the_command_line(
    tmp_path: Path, market: Path
) -> None:
    out = tmp_path / "rows.parquet"
    out.with_name("rows.parquet.parts").mkdir()
    (tmp_path / "rows.parquet.parts" / "plan.json").write_text('{"plan": "another"}')
    grid = ("sweep", "--symbol", "AAAUSDT", "--grid", "fast=2:4", "--out", str(out))
    done = call(market, *grid, "--resume")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: rows.parquet.parts holds parts of another run")
    done = call(market, *grid[:-2], "--resume")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--resume needs --out" in done.stderr
