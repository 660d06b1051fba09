"""Studies: every row is one backtest, and what is said about all of them is plain counting."""

from __future__ import annotations

import json
import signal
import statistics
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workbench as wb
from tests.backtest.recorded_market import (
    HOURS,
    SYMBOLS,
    begin,
    call,
    environment,
    record_market,
    wait_for,
)
from tests.candle_builders import START_MS
from workbench.backtest.study.plan import Window
from workbench.cli.study import read_study
from workbench.errors import DataError, UsageError
from workbench.face.research import Study

DAY_MS = 86_400_000
MACD, CROSS = wb.strategies.macd, wb.strategies.sma_cross
SETS = [(3, 7, 3), (5, 13, 3), (12, 26, 9)]
WINDOWS = [{"name": "early", "start": "2025-01-11", "end": "2025-02-01T00:30"},
           {"name": "late", "days": 20, "end": "2025-04-11"}]  # fmt: skip
SPREAD = {"symbols": SYMBOLS, "intervals": ("1h", "4h"), "windows": WINDOWS, "progress": False}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def on_the_market(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", environment(market)["WORKBENCH_DATA"])


@pytest.fixture(scope="module")
def both(market: Path) -> Study:
    """Return two strategies on two symbols, two intervals and two windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", str(market))
        params = {"macd": SETS, "sma_cross": {"fast": (3, 9), "slow": (5, 20)}}
        return wb.study(**SPREAD, strategy=[MACD, CROSS], params=params)


def test_there_is_a_row_for_every_backtest_in_the_order_they_were_asked_for(both: Study) -> None:
    frame = both.frame
    assert len(both) == frame.height == 2 * 2 * 2 * (3 + 3)
    assert both.invalid_combinations == 8  # fast 9 is not below slow 5, in eight windows
    keys = ("symbol", "interval", "window", "strategy", "params")
    assert frame.columns[:5] == list(keys)
    assert frame.row(0)[:5] == ("AAAUSDT", "1h", "early", "macd", "fast=3, slow=7, signal=3")
    assert frame.row(-1)[:5] == ("BBBUSDT", "4h", "late", "sma_cross", "fast=9, slow=20")
    assert frame.select(keys).is_unique().all()
    assert frame.filter(strategy="sma_cross")["signal"].is_null().all()
    assert frame["fast"].dtype == pl.Int64


@pytest.mark.parametrize("at", [0, 5, 11, 17, 26, 35, 47])
def test_a_row_is_the_backtest_of_that_window_alone(both: Study, at: int) -> None:
    row = both.frame.row(at, named=True)
    window = Window.of(next(one for one in WINDOWS if one["name"] == row["window"]))
    hours = int(row["interval"][0])
    end = window.end_ms - window.end_ms % (hours * 3_600_000)  # the last candle has closed by then
    candles = wb.load(row["symbol"], row["interval"], start=window.start_ms, end=end)
    spec = wb.strategies.load(row["strategy"])
    params = {one.name: row[one.name] for one in spec.parameters}
    run = wb.backtest(candles, spec, filters="none", **params)
    for name in ("final_equity", "sharpe", "max_drawdown", "trades", "fees", "bars", "win_rate"):
        assert row[name] == pytest.approx(run.metrics[name], rel=1e-9), name
    opened, closed = candles.window["open"][1], candles.window["close"][-1]
    assert row["holding"] == pytest.approx(0.999 * closed / (opened * 1.0001) - 1.0, rel=1e-12)
    begins = max(window.start_ms, START_MS)
    assert row["bars"] == (end - begins) // (hours * 3_600_000)


def test_a_ranking_is_what_counting_by_hand_gives(both: Study) -> None:
    rows = both.frame.to_dicts()
    for key in ("symbol", "interval", "window", "strategy"):
        ranked = both.ranking(key).to_dicts()
        assert [one["mean"] for one in ranked] == sorted(
            (one["mean"] for one in ranked), reverse=True
        )
        for one in ranked:
            of = [row for row in rows if row[key] == one[key]]
            returns = [row["total_return"] for row in of]
            entered = [row for row in of if row["trades"] or row["open_trade"]]
            beat = sum(row["total_return"] > row["holding"] for row in entered)
            assert one["tests"] == len(of)
            assert one["mean"] == pytest.approx(statistics.fmean(returns), rel=1e-12)
            assert one["median"] == pytest.approx(statistics.median(returns), rel=1e-12)
            assert (one["lowest"], one["highest"]) == (min(returns), max(returns))
            assert one["earned"] == pytest.approx(sum(r > 0 for r in returns) / len(returns))
            assert one["beat_holding"] == pytest.approx(beat / len(entered))
    sets = both.ranking("params", "sharpe")
    assert sets.height == 6
    assert set(sets["strategy"]) == {"macd", "sma_cross"}


def test_benchmarks_are_cash_an_equal_basket_and_bitcoin(both: Study) -> None:
    told = both.benchmarks()
    assert told.select("interval", "window").rows() == [
        ("1h", "early"), ("1h", "late"), ("4h", "early"), ("4h", "late")
    ]  # fmt: skip
    row = told.filter(interval="4h", window="late").row(0, named=True)
    window, ends = Window.of(WINDOWS[1]), []
    for symbol in SYMBOLS:  # the same 5,000 into each, held to the end
        candles = wb.load(symbol, "4h", start=window.start_ms, end=window.end_ms).window
        base = 5_000.0 / (candles["open"][1] * 1.0001) * 0.999
        ends.append(base * candles["close"][-1])
    assert row["basket"] == pytest.approx(sum(ends) / 10_000.0 - 1.0, rel=1e-12)
    rows = both.frame.filter(interval="4h", window="late").to_dicts()
    entered = [one["total_return"] for one in rows if one["trades"] or one["open_trade"]]
    assert row["tests"] == len(rows) == 12
    assert row["mean"] == pytest.approx(statistics.fmean(one["total_return"] for one in rows))
    assert (row["cash"], row["beat_cash"]) == (0.0, sum(r > 0 for r in entered) / len(entered))
    assert row["beat_basket"] == sum(r > row["basket"] for r in entered) / len(entered)
    assert row["bitcoin"] is row["beat_bitcoin"] is None  # it is none of the study's symbols
    assert both.summary()["benchmarks"] == told.to_dicts()
    assert "Beside what asks no skill" in both._repr_html_()


def test_bitcoin_is_a_benchmark_where_it_is_studied(both: Study) -> None:
    frame = both.frame.with_columns(pl.col("symbol").replace("BBBUSDT", "BTCUSDT"))
    told = Study.kept(both.plan, frame).benchmarks()
    held = frame.filter(symbol="BTCUSDT", interval="1h", window="late")["holding"]
    row = told.filter(interval="1h", window="late").row(0, named=True)
    assert row["bitcoin"] == held[0] != row["basket"]
    rows = frame.filter(interval="1h", window="late").to_dicts()
    entered = [one["total_return"] for one in rows if one["trades"] or one["open_trade"]]
    assert row["beat_bitcoin"] == sum(r > held[0] for r in entered) / len(entered)


def test_a_pivot_holds_the_mean_of_every_pair(both: Study) -> None:
    table = both.pivot("symbol", "interval", "sharpe")
    assert table.columns == ["symbol", "1h", "4h"]
    rows = [r for r in both.frame.to_dicts() if (r["symbol"], r["interval"]) == ("BBBUSDT", "4h")]
    wanted = statistics.fmean(row["sharpe"] for row in rows)
    assert table.filter(symbol="BBBUSDT")["4h"].item() == pytest.approx(wanted, rel=1e-12)
    by_set = both.pivot("fast", "window")
    assert by_set["fast"].to_list() == [3, 5, 12, 9]
    with pytest.raises(UsageError, match="rows and columns are both 'symbol'"):
        both.pivot("symbol", "symbol")
    with pytest.raises(UsageError, match="unknown key 'colour'; known are symbol"):
        both.ranking("colour")
    with pytest.raises(UsageError, match="unknown metric 'luck'"):
        both.top(3, "luck")


def test_the_best_row_is_the_highest_and_a_heat_map_is_drawn(both: Study) -> None:
    assert both.best()["total_return"] == both.frame["total_return"].max()
    picture = both.heat_map("fast", "slow", strategy="macd", symbol="AAAUSDT").png()
    assert picture.startswith(b"\x89PNG")


def test_a_streamed_study_has_the_same_rows(both: Study, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    params = {"macd": SETS, "sma_cross": {"fast": (3, 9), "slow": (5, 20)}}
    streamed = wb.study(**SPREAD, strategy=[MACD, CROSS], params=params, out=out)
    assert_frame_equal(pl.read_parquet(out), both.frame, check_exact=True)
    assert_frame_equal(streamed.ranking("params"), both.ranking("params"), check_exact=True)
    assert streamed.summary()["out"] == str(out)
    again = wb.study(**SPREAD, strategy=[MACD, CROSS], params=params, out=out, resume=True)
    assert again.sources == both.sources == ("recorded Binance candles, WORKBENCH_DATA",)


TOML = """
title = "a small study"
symbols = ["AAAUSDT", "BBBUSDT"]
intervals = ["1h", "4h"]
windows = [{ days = 60, end = "2025-04-01" }, { start = "2025-01-05" }]

[costs]
fee_bps = 5

[[strategies]]
name = "macd"
grid = { fast = "2:20", slow = "22:60:2", signal = "3:14" }

[[strategies]]
name = "hold"
"""


def test_a_study_file_killed_at_an_instant_goes_on_where_it_was(
    market: Path, tmp_path: Path
) -> None:
    file, out = tmp_path / "study.toml", tmp_path / "rows.parquet"
    file.write_text(TOML)
    parts = tmp_path / "rows.parquet.parts"
    process = begin(market, "study", str(file), "--out", str(out))
    wait_for((parts / "part-000000.parquet").exists, process, seconds=60)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -9
    assert not out.exists()
    done = sorted(parts.glob("*.parquet"))
    told = pl.read_parquet(done[0])
    told.with_columns(fees=pl.lit(-1.0)).write_parquet(done[0])  # to be recognised by
    again = call(market, "study", str(file), "--out", str(out), "--resume", "--json")
    assert again.returncode == 0, again.stderr
    said = json.loads(again.stdout)
    frame = pl.read_parquet(out)
    assert said["tests"] == frame.height == 2 * 2 * 2 * (19 * 20 * 12 + 1)
    assert frame.filter(pl.col("fees") == -1.0).height == told.height
    assert not parts.exists()
    whole = wb.study(**read_study(file), progress=False).frame
    assert_frame_equal(frame.drop("fees"), whole.drop("fees"), check_exact=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("symbols", "simbols"), "has an unknown key 'simbols'; known are "),
        (('["1h", "4h"]', '["1h", "5x"]'), "'5x'"),
        (('"macd"', '"mcad"'), "unknown strategy 'mcad'"),
        (("fee_bps = 5", "fee_bps = -5"), "fee_bps=-5 is out of range; it takes 0 to"),
        (("fee_bps = 5", "fee = 5"), "[costs] has an unknown key 'fee'"),
        (('"2:20"', '"2:20:0"'), "the step must be above 0"),
        (('signal = "3:14"', 'wobble = "3:14"'), "macd has no parameter 'wobble'"),
        (("days = 60", "days = -1"), "needs days above 0"),
        (("days = 60", "dayz = 60"), "a window has no 'dayz'"),
        (('"AAAUSDT", ', '"AAAUSDT", "NONEUSDT", '), "NONEUSDT"),
        (('start = "2025-01-05"', 'start = "2025-04-10T23:00"'), ""),
        (('name = "hold"', 'name = "macd"'), "a strategy is in the study twice"),
        (('{ start = "2025-01-05" }', '{ days = 60, end = "2025-04-01" }'), "twice: 60d, 60d"),
        (("[costs]", "[costs"), "is no TOML file"),
        (('slow = "22:60:2"', 'slow = "2:2"'), "none of the 228 sets of macd is valid"),
    ],
)
def test_a_study_file_with_a_mistake_is_one_line_that_says_which(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    change: tuple[str, str], says: str,
) -> None:  # fmt: skip
    from workbench.cli import COMMANDS
    from workbench.command_table import run

    file, out = tmp_path / "study.toml", tmp_path / "rows.parquet"
    assert change[0] in TOML
    file.write_text(TOML.replace(*change, 1))
    assert run("workbench", COMMANDS, "", ["study", str(file), "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert says in told.err
    assert list(tmp_path.iterdir()) == [file]


def test_what_no_study_is_is_refused_before_anything_runs() -> None:
    small = {"symbols": ["AAAUSDT"], "intervals": ["1h"], "strategy": MACD, "progress": False}
    for change, says in (
        ({"symbols": "AAAUSDT"}, r"symbols='AAAUSDT' is one text; give a list"),
        ({"intervals": []}, "intervals is empty"),
        ({"params": [(3, 7)]}, r"macd takes sets of \(fast, slow, signal\), not \(3, 7\)"),
        ({"params": []}, "list of parameter sets is empty"),
        ({"params": [(7, 3, 3)]}, "none of the 1 sets of macd is valid"),
        ({"strategy": []}, "0 backtests"),
        ({"windows": [("2025-01-01",)]}, "is not \\(start, end\\)"),
        ({"strategy": [MACD, CROSS], "params": [(3, 7, 3)]}, "params go by their names"),
        ({"params": {"fast": range(1, 501), "slow": range(2, 1001), "signal": range(1, 501)}},
         "249,750,000 combinations"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            wb.study(**(small | change))
    with pytest.raises(DataError, match=r"AAAUSDT 1h: window .* has 1 closed candles .*; widen it"):
        wb.study(**small, windows=[("2025-01-11", "2025-01-11T01:59")])
    assert HOURS["1h"] == 2_400


def test_candles_that_are_still_open_at_the_windows_end_are_left_out() -> None:
    ends = START_MS + 5 * DAY_MS + 2 * 3_600_000 - 1
    study = wb.study(
        symbols=["AAAUSDT"], intervals=["1h", "4h"], windows=[(START_MS + DAY_MS, ends)],
        strategy=MACD, params=[(3, 7, 3)], progress=False,
    )  # fmt: skip
    assert study.frame["bars"].to_list() == [4 * 24 + 1, 4 * 6]


PATIENT = """
from numba import njit

PARAMS = {"patience": (1000, 1, 100000)}
STATE = {"seen": int}
WARM_UP = 10

@njit
def decide(state, candle, position, params, intent):
    state.seen += 1
    if state.seen > params.patience:
        intent.target = 1.0
"""


def test_with_all_history_every_candle_before_the_window_is_warm_up() -> None:
    patient = wb.strategies.register("patient", PATIENT)
    window = {"windows": [(START_MS + 50 * DAY_MS, None)], "symbols": ["AAAUSDT"]}
    entered = [
        wb.study(
            **window, intervals=["1h"], strategy=patient, params=[(1_150,), (1_300,), (2_399,)],
            all_history=history, progress=False,
        ).frame["exposure"].to_list()
        for history in (True, False)
    ]  # fmt: skip
    # The window's 1,200 hours follow on 1,200 others, all of them seen, or the last ten alone. What
    # is wanted at a close is bought an hour later; candles while it is held count.
    assert entered == [[1_199 / 1_200, 1_099 / 1_200, 0.0], [59 / 1_200, 0.0, 0.0]]


def test_who_only_holds_has_beaten_nothing() -> None:
    study = wb.study(
        symbols=SYMBOLS, intervals=["1h", "4h"], strategy=wb.strategies.hold, progress=False,
        windows=[("2025-01-02", None), ("2025-01-20", None)], params={"share": 1.0},
    )  # fmt: skip
    rows = study.frame
    assert rows["total_return"].to_list() == pytest.approx(rows["holding"].to_list(), abs=1e-12)
    assert rows["open_trade"].all()
    assert study.ranking("strategy")["beat_holding"].to_list() == [0.0]
