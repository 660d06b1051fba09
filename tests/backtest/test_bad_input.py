"""Bad input: one clear error before work starts, from Python and from the shell; never a wrong number."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.backtest.conftest import Shell
from tests.candle_builders import martingale, to_cents
from workbench.backtest.columns import METRIC_COLUMNS
from workbench.errors import DataError, UsageError
from workbench.strategies import own
from workbench.strategies.spec import Spec

MACD = wb.strategies.macd
WALK = to_cents(martingale(300, 51, substeps=10))
FRAME = WALK.frame()


def with_value(column: str, value: object) -> pl.DataFrame:
    """Return the frame whose fifth candle has another value."""
    columns = FRAME.to_dict(as_series=False)
    columns[column][5] = value
    return pl.DataFrame(columns, schema=FRAME.schema, strict=False)


FRAMES = {
    "nan": (with_value("close", math.nan), "candle 5 at .* close must be finite and above 0"),
    "infinite": (with_value("high", math.inf), "candle 5 at .* high must be finite and above 0"),
    "negative": (with_value("low", -1.0), "candle 5 at .* low must be finite and above 0"),
    "null": (with_value("open", None), "candle 5 at .* open must be finite and above 0"),
    "volume": (with_value("volume", math.nan), "candle 5 at .* volume must be finite"),
    "high below low": (with_value("high", 1e-9), "candle 5 at .* high must not lie below"),
    "time": (with_value("open_time", None), "open_time holds 1 nulls"),
    "unsorted": (FRAME[[0, 1, 3, 2, *range(4, 300)]], "candle 3 has a time before that"),
    "backwards": (FRAME.reverse(), "candle 1 has a time before that: times must rise"),
    "duplicate": (pl.concat([FRAME[:10], FRAME[9:]]), "candle 10 has the time of the one before"),
    "one": (FRAME[:1], "the frame holds 1 candles; at least 2 are needed"),
    "none": (FRAME[:0], "the frame holds 0 candles; at least 2 are needed"),
    "no column": (FRAME.drop("close"), "the frame lacks close"),
    "text": (FRAME.with_columns(close=pl.lit("dear")), "column close is String, not numbers"),
    "symbols": (FRAME.with_columns(symbol=pl.Series(["A", "B"] * 150)), "the frame holds 2 symbols"),
}  # fmt: skip


@pytest.mark.parametrize("what", FRAMES)
def test_candles_that_cannot_be_are_refused_by_every_call(what: str) -> None:
    frame, says = FRAMES[what]
    for call in (wb.backtest, wb.sweep):
        with pytest.raises(DataError, match=says) as told:
            call(frame, MACD, fast=3, slow=7, signal=3)
        assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "value"), [("close", np.nan), ("high", np.inf), ("low", 0.0), ("open_time", 0)]
)
def test_a_series_that_was_spoiled_in_memory_is_refused_too(field: str, value: float) -> None:
    records = WALK.records.copy()
    records[field][7] = value
    with pytest.raises(DataError, match="BTCUSDT 1h: candle 7 at"):
        wb.backtest(replace(WALK, records=records), MACD)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fee_bps": -0.01}, "fee_bps=-0.01 is out of range; it takes 0 to below 10000"),
        ({"fee_bps": math.nan}, "fee_bps=nan is out of range"),
        ({"fee_bps": "ten"}, "fee_bps='ten' is not a number"),
        ({"slippage_bps": -1}, "slippage_bps=-1 is out of range"),
        ({"slippage_bps": math.inf}, "slippage_bps=inf is out of range"),
        ({"cash": 0}, "cash=0 is out of range; it takes more than 0"),
        ({"cash": math.inf}, "cash=inf is out of range"),
        ({"filters": "some"}, "filters='some' is unknown"),
        ({"fast": 26}, "valid"),
        ({"fast": 2.5}, "fast=2.5 is not a whole number"),
        ({"fast": None}, "fast=None is not a number"),
        ({"speed": 3}, "macd has no parameter 'speed'; it takes fast, slow, signal"),
    ],
)
def test_settings_and_parameters_out_of_range_are_refused(
    settings: dict[str, object], says: str
) -> None:
    for call in (wb.backtest, wb.sweep):
        with pytest.raises(UsageError, match=says):
            call(WALK, MACD, **settings)


def test_what_is_no_strategy_or_no_candles_is_refused() -> None:
    for call in (wb.backtest, wb.sweep):
        with pytest.raises(UsageError, match="strategy 'macd' is none; give"):
            call(WALK, "macd")
        with pytest.raises(UsageError, match="candles are a list; give what"):
            call([1.0, 2.0], MACD)
    with pytest.raises(UsageError, match="strategy 'macd' is none"):
        wb.study(symbols=["BTCUSDT"], intervals=["1h"], strategy="macd")
    with pytest.raises(UsageError, match="unknown engine 'warp'; use one of kernel, event, back"):
        wb.backtest(WALK, MACD, engine="warp")


WRITES = """
from numba import njit

PARAMS = {"high": (1.0, -2.0, 1e300), "low": (0.0, -2.0, 1e300)}
STATE = {"count": int}
WARM_UP = 1

@njit
def decide(state, candle, position, params, intent):
    state.count += 1
    if state.count % 20 == 10:
        intent.target = params.high
    elif state.count % 20 == 0:
        intent.target = params.low
"""


@pytest.fixture(scope="module")
def writes(workbench_home: Path) -> Spec:
    """Return a strategy that writes the targets it is told to, in turn, and no opinion between."""
    return wb.strategies.register("writes", WRITES)


def test_a_target_that_is_impossible_is_an_error_row_and_never_a_number(writes: Spec) -> None:
    highs = [1.0, 1.0 + 1e-12, 0.5, -1e-9, 2.0, 1e300]
    frame = wb.sweep(WALK, writes, high=highs, progress=False).frame
    sound = [high in (1.0, 0.5) for high in highs]
    assert frame["error"].is_null().to_list() == sound
    assert set(frame["error"].drop_nulls()) == {"a target outside 0..1 or infinite"}
    wrong = frame.filter(pl.col("error").is_not_null())
    for name in METRIC_COLUMNS:
        if name != "bars":
            assert wrong[name].is_null().all(), name
    # Bought at 15 closes and sold at 15; the last sale is decided at the last candle and pending.
    right = frame.filter(pl.col("error").is_null())
    assert right.select("trades", "open_trade", "pending").rows() == [(14, True, True)] * 2


INFINITE = (
    ("intent.target = np.inf", "a target outside 0..1 or infinite"),
    ("intent.target = -np.inf", "a target outside 0..1 or infinite"),
    ("intent.stop = np.inf", "infinite or not a number"),
    ("intent.take_profit = np.nan", "infinite or not a number"),
    ("intent.trail = -np.inf", "infinite or not a number"),
)


def test_an_infinite_value_in_an_intent_is_an_error() -> None:
    choices = "".join(
        f"\n        if params.low == {k}.0:\n            {written}"
        for k, (written, _) in enumerate(INFINITE)
    )
    text = WRITES.replace("        intent.target = params.high", choices)
    text = text.replace("from numba", "import numpy as np\nfrom numba")
    spec = wb.strategies.register("infinite", text)  # one for all of them: it is compiled once
    for k, (written, says) in enumerate(INFINITE):
        (row,) = wb.sweep(WALK, spec, low=float(k), progress=False).frame.to_dicts()
        assert says in row["error"], written
        assert row["final_equity"] is None
        with pytest.raises(UsageError, match=says):
            wb.backtest(WALK, spec, low=float(k))


LATE = """
from numba import njit

PARAMS = {"lag": (2, 1, 20)}
STATE = {"count": int, "closes": (float, 3)}
WARM_UP = 0

@njit
def decide(state, candle, position, params, intent):
    state.count += 1
    if state.count > 100 + params.lag:
        raise ValueError("no idea what to do")
"""


def test_a_decision_that_raises_later_than_it_was_tried_is_one_clear_error_everywhere() -> None:
    """A registered strategy was tried on thousands of candles; what raises after them must not end in a trace."""
    spec = own.build("late", LATE)
    says = (
        "strategy late fails when it decides: ValueError: no idea what to do; a decision may raise"
    )
    for engine in ("kernel", "event", "backtrader"):
        with pytest.raises(UsageError, match=says):
            wb.backtest(WALK, spec, engine=engine)
    with pytest.raises(UsageError, match=says):
        wb.sweep(WALK, spec, lag=range(1, 4), progress=False)


def test_a_price_of_one_tick_has_no_bid_in_the_event_engine_which_says_so() -> None:
    """0.01 less 1 bp is below the tick of BTCUSDT; without slippage the bid is one tick, and it trades."""
    low = replace(WALK, symbol="BTCUSDT", records=WALK.records.copy())
    for name in ("open", "high", "low", "close"):
        low.records[name] = 0.01
    with pytest.raises(UsageError, match=r"BTCUSDT: a price of 0\.01 less 1 bps .* tick is 0\.01"):
        wb.backtest(low, wb.strategies.load("hold"), engine="event")
    assert (
        len(wb.backtest(low, wb.strategies.load("hold"), engine="event", slippage_bps=0.0).fills)
        == 1
    )


@pytest.mark.parametrize("engine", ["kernel", "event", "backtrader"])
def test_one_backtest_with_an_impossible_target_is_an_error_in_every_engine(
    writes: Spec, engine: str
) -> None:
    for params in ({"high": 1.5}, {"low": -0.5}):
        with pytest.raises(UsageError, match=r"outside 0\.\.1 or infinite"):
            wb.backtest(WALK, writes, engine=engine, **params)


def test_no_opinion_is_no_error_and_changes_nothing(writes: Spec) -> None:
    run = wb.backtest(WALK, writes)
    assert run.equity["target"].null_count() == 300 - 2 * 15
    assert len(run.fills) == 15 + 14


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("backtest --symbol AAAUSDT --params fast=26", "not a valid parameter set"),
        ("backtest --symbol AAAUSDT --params fast=x", "fast='x' is not a number"),
        ("backtest --symbol AAAUSDT --params fast", "'fast' is not name=value"),
        ("backtest --symbol AAAUSDT --params fast=3,fast=4", "fast is given twice"),
        ("backtest --symbol AAAUSDT --params speed=3", "macd has no parameter 'speed'"),
        ("backtest --symbol AAAUSDT --fee-bps -1", "fee_bps=-1.0 is out of range"),
        ("backtest --symbol AAAUSDT --fee-bps nan", "fee_bps=nan is out of range"),
        ("backtest --symbol AAAUSDT --cash 0", "cash=0.0 is out of range"),
        ("backtest --symbol AAAUSDT --filters some", "--filters 'some' is unknown"),
        ("backtest --symbol AAAUSDT --engine warp", "unknown engine 'warp'"),
        ("backtest --symbol AAAUSDT --strategy mcad", "unknown strategy 'mcad'; known are macd"),
        ("backtest --symbol AAAUSDT --strategy nowhere.py", "cannot be read"),
        ("backtest --symbol NONEUSDT", "NONEUSDT"),
        ("backtest --symbol AAAUSDT --interval 7h", "7h"),
        ("backtest --symbol AAAUSDT --start yesterday", "yesterday"),
        ("backtest --symbol AAAUSDT --start 2025-02-01 --end 2025-01-01", "2025-02-01"),
        ("backtest --symbol AAAUSDT --speed 3", "No such option"),
        ("sweep --symbol AAAUSDT --grid fast=30:20", "stop not below the start"),
        ("sweep --symbol AAAUSDT --grid fast=2:20:0", "the step must be above 0"),
        ("sweep --symbol AAAUSDT --grid fast=2:inf", "a bound that is not finite"),
        ("sweep --symbol AAAUSDT --grid fast=2:20:1:1", "is not start:stop[:step]"),
        ("sweep --symbol AAAUSDT --grid fast=26:30", "none of the 5 combinations is valid"),
        ("sweep --symbol AAAUSDT --grid fast=0:3", "fast=0 is out of range"),
        ("sweep --symbol AAAUSDT --grid fast=2:5 --metric luck", "unknown metric 'luck'"),
        ("sweep --symbol AAAUSDT --grid fast=2:5 --fee-bps -1", "fee_bps=-1.0 is out of range"),
        ("sweep --symbol AAAUSDT --grid fast=2:5 --resume", "--resume needs --out"),
        ("sweep --symbol AAAUSDT --grid fast=2:5 --search magic", "unknown search 'magic'"),
        ("study nowhere.toml", "nowhere.toml cannot be read"),
        ("study nowhere.toml --by colour", "--by 'colour' is no key; rank by one of symbol"),
    ],
)
def test_a_bad_call_is_exit_code_2_and_one_line(shell: Shell, arguments: str, says: str) -> None:
    code, out, err = shell(*arguments.split())
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert says in err


@pytest.mark.parametrize("what", ["nan", "infinite", "unsorted", "duplicate", "one"])
def test_recorded_candles_that_cannot_be_are_exit_code_2(
    shell: Shell, tmp_path: Path, what: str
) -> None:
    frame, _ = FRAMES[what]
    frame.with_columns(symbol=pl.lit("AAAUSDT")).write_parquet(
        tmp_path / "market" / "klines_1h.parquet"
    )
    for command in (
        ["backtest", "--symbol", "AAAUSDT"],
        ["sweep", "--symbol", "AAAUSDT", "--grid", "fast=3:5"],
    ):
        code, out, err = shell(*command)
        assert (code, out) == (2, ""), what
        assert len(err.splitlines()) == 1
        assert "AAAUSDT" in err


def test_an_impossible_target_is_exit_code_2_and_in_a_sweep_a_counted_row(
    shell: Shell, writes: Spec, tmp_path: Path
) -> None:
    of = ("--symbol", "AAAUSDT", "--strategy", "writes")
    code, out, err = shell("backtest", *of, "--params", "high=1.5", "--filters", "none")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "outside 0..1 or infinite" in err
    rows = tmp_path / "rows.parquet"
    code, out, _ = shell("sweep", *of, "--grid", "high=0.5|1|1.5", "--out", str(rows), "--json")
    said = json.loads(out)
    assert code == 0
    assert said["errors"] == {"a target outside 0..1 or infinite": 1}
    assert said["top"][-1]["final_equity"] is None
    assert pl.read_parquet(rows)["total_return"].null_count() == 1
    code, out, _ = shell("sweep", *of, "--grid", "high=0.5|1|1.5")
    assert "1 combinations: a target outside 0..1 or infinite" in out
