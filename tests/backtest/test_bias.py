"""Bias of strategies: what looks ahead or remembers its start is caught, what does not passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from tests.backtest import leaking
from tests.candle_builders import candles_of, martingale, to_cents
from tests.scripted import SCRIPTED, scripted
from tests.strategies.test_every_strategy import QUICK
from workbench.analysis.bias import LOOK_AHEAD, WARM_UP, BiasReport, Check, Outcome
from workbench.backtest.bias import check as bias
from workbench.backtest.bias.check import check_bias
from workbench.backtest.bias.replays import Replay
from workbench.backtest.setting import Costs
from workbench.errors import DataError, UsageError
from workbench.execution.guards import Guards
from workbench.market.candles import Candles
from workbench.strategies.own import build
from workbench.strategies.spec import ema_stable

WALK = replace(to_cents(martingale(900, 11, substeps=6)), first=150)
LONG = to_cents(martingale(1_600, 12, substeps=6))
AVERAGE = build("average", leaking.AVERAGE)


def check(report: BiasReport, name: str) -> Check:
    return next(one for one in report.checks if one.name == name)


def failed(report: BiasReport) -> set[str]:
    return {one.name for one in report.checks if one.outcome is Outcome.BIASED}


# -- the strategies that ship


@pytest.mark.parametrize("name", wb.strategies.names())
def test_no_shipped_strategy_looks_ahead_or_remembers_its_start(
    name: str, request: pytest.FixtureRequest
) -> None:
    if name == "grid":  # its kernels compile for half a minute; test_no_future has them
        request.getfixturevalue("decisions_alone")
    report = check_bias(LONG.tail(1_100), wb.strategies.load(name), QUICK[name])
    assert failed(report) == set(), report.verdict
    assert report.outcome(LOOK_AHEAD) is report.outcome(WARM_UP) is Outcome.CLEAN
    assert report.passed
    assert check(report, "one candle at a time").looked_at >= 1_100
    assert check(report, "cut").looked_at >= 200


@pytest.mark.usefixtures("decisions_alone")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hold", "decides the same wherever it starts"),
        ("dca", "begins where trading begins"),
        ("random_entry", "begins where trading begins"),
        ("grid", "begins where trading begins"),
    ],
)
def test_what_begins_where_trading_begins_is_told_as_that(name: str, said: str) -> None:
    report = check_bias(LONG, wb.strategies.load(name), QUICK[name])
    assert said in report.told(WARM_UP)
    flips = report.warm_up_frame["flips"].to_list()
    assert (max(flips) == 0) == (name == "hold")


def test_exits_guards_and_a_window_with_history_change_nothing_about_it() -> None:
    guarded = Costs(guards=Guards.of({"trades_a_day": 2, "drawdown": 0.2, "volatility": 0.5}))
    exits = {"stop": "2%", "trail": "3atr", "take_profit": "4%", "time_stop": 30}
    report = check_bias(WALK, wb.strategies.macd, QUICK["macd"], costs=guarded, exits=exits)
    assert report.passed
    assert check(report, "engine").looked_at >= 10


# -- look-ahead


def test_memory_beyond_the_candle_is_caught_at_the_first_bar_and_its_honest_twin_passes() -> None:
    report = check_bias(WALK, leaking.made("peeks", leaking.PEEKS))
    found = failed(report)
    assert {"one candle at a time", "poison: random walk", "engine"} <= found
    assert report.outcome(LOOK_AHEAD) is Outcome.BIASED
    closes = WALK.records["close"][149:]  # one candle of warm-up is fed
    wanted = int(
        np.argmax(closes[1:] > closes[:-1])
    )  # NaN, which lies there when alone, is never above
    first = check(report, "one candle at a time").first
    assert first is not None
    assert first.time_ms == WALK.records["open_time"][149 + wanted]
    assert (first.what, first.value, first.other) == ("target", 1.0, 0.0)
    assert check(report, "one candle at a time").differ == int((closes[1:] > closes[:-1]).sum())
    assert first.time in report.verdict
    twin = check_bias(WALK, leaking.made("follows", leaking.FOLLOWS))
    assert twin.passed


@pytest.mark.usefixtures("decisions_alone")
@pytest.mark.parametrize("by", ["count", "time"])
def test_answers_frozen_into_the_code_are_caught_though_no_cut_can_see_them(by: str) -> None:
    series = LONG.tail(len(LONG.records))
    right = leaking.answers(series.records)
    if by == "count":
        spec = leaking.made("by_count", leaking.BY_COUNT, ANSWERS=right[:400])
    else:
        times = series.records["open_time"][np.array(right) > 0.0][:200].tolist()
        spec = leaking.made("by_time", leaking.BY_TIME, TIMES=tuple(times))
    report = check_bias(series, spec)
    assert failed(report) == {"foreknowledge"}
    assert check(report, "cut").outcome is Outcome.CLEAN
    code = check(report, "constants in the code")
    assert code.outcome is Outcome.OPEN
    assert ("ANSWERS" if by == "count" else "TIMES") in code.said


@pytest.mark.usefixtures("decisions_alone")
def test_a_table_that_foretells_nothing_stays_open_and_hours_of_the_day_are_clean() -> None:
    rng = np.random.default_rng(7)
    table = tuple(float(one) for one in rng.integers(0, 2, 400))
    report = check_bias(LONG, leaking.made("by_chance", leaking.BY_COUNT, ANSWERS=table))
    assert report.passed
    assert report.outcome(LOOK_AHEAD) is Outcome.OPEN
    assert "cannot be proved" in report.told(LOOK_AHEAD)
    assert "open: constants in the code" in report.verdict
    hours = check_bias(LONG, leaking.made("by_hour", leaking.BY_HOUR))
    assert hours.outcome(LOOK_AHEAD) is Outcome.CLEAN


@pytest.mark.usefixtures("decisions_alone")
def test_a_number_that_only_the_whole_series_tells_is_caught_in_the_code() -> None:
    level = float(LONG.records["close"].mean())
    report = check_bias(LONG, leaking.made("knows_mean", leaking.ABOVE_LEVEL, LEVEL=level))
    assert failed(report) == {"constants in the code"}
    assert "LEVEL" in report.verdict
    honest = check_bias(LONG, leaking.made("round_level", leaking.ABOVE_LEVEL, LEVEL=100.0))
    assert honest.outcome(LOOK_AHEAD) is Outcome.CLEAN


def test_aux_is_open_where_it_is_read_and_caught_where_it_foretells() -> None:
    rng = np.random.default_rng(3)
    chance = [float(one) for one in rng.integers(0, 2, len(LONG.records))]
    honest = check_bias(scripted(LONG, chance), SCRIPTED)
    assert (honest.passed, check(honest, "aux inputs").outcome) == (True, Outcome.OPEN)
    leak = check_bias(scripted(LONG, leaking.answers(LONG.records)), SCRIPTED)
    assert failed(leak) == {"foreknowledge"}


def test_an_engine_that_knew_the_future_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = bias._traded

    def knowing(series: Candles, *rest: object) -> object:
        booked = honest(series, *rest)  # type: ignore[arg-type]
        booked.curve["equity"][:-1] += series.window["close"][1:] * 1e-9
        return booked

    monkeypatch.setattr(bias, "_traded", knowing)
    report = check_bias(WALK, wb.strategies.macd, QUICK["macd"])
    assert failed(report) == {"engine"}


FAILS_ON_OTHERS = """
STATE = {"count": int}
WARM_UP = 0

@njit
def decide(state, candle, position, params, intent):
    if candle.close < LOWEST or candle.close > HIGHEST:
        raise ValueError("no such price")
    intent.target = 1.0 if candle.close > candle.open else 0.0
"""


@pytest.mark.usefixtures("decisions_alone")
def test_a_decision_that_takes_no_other_prices_is_open_and_one_that_fails_is_refused() -> None:
    closes = WALK.records["close"]
    lowest, highest = float(np.floor(closes.min())), float(np.ceil(closes.max()))
    choosy = leaking.made("choosy", FAILS_ON_OTHERS, LOWEST=lowest, HIGHEST=highest)
    report = check_bias(WALK, choosy)
    assert report.passed
    blind = check(report, "foreknowledge")
    assert blind.outcome is Outcome.OPEN
    assert "ValueError: no such price" in blind.said
    never = leaking.made("never", FAILS_ON_OTHERS, LOWEST=highest, HIGHEST=highest)
    with pytest.raises(UsageError, match="never fails when it decides: ValueError: no such price"):
        check_bias(WALK, never)


# -- warm-up


@pytest.mark.parametrize(
    ("period", "to_1e3", "to_1e6"), [(60, 208, 415), (26, 90, 180), (12, 42, 83)]
)
def test_the_weight_of_a_seed_falls_below_its_floor_at_the_published_candle(
    period: int, to_1e3: int, to_1e6: int
) -> None:
    # One odd close, 2 among ones, is the seed: what the average has above 1 is the seed's weight.
    closes = [2.0] + [1.0] * 500
    records = candles_of(closes, closes).records
    replay = Replay(AVERAGE, AVERAGE.params(period=period), 1e4)
    for weight, candles in ((1e-3, to_1e3), (1e-6, to_1e6)):
        assert ema_stable(period, weight) == candles
        ends = np.array([candles - 1, candles])
        _, states = replay.settle(records, ends, len(records), replay.flat(len(records)))
        late, enough = states["average"] - 1.0
        assert enough < weight < late


@pytest.mark.usefixtures("decisions_alone")
@pytest.mark.parametrize(("warm", "passes"), [(20, False), (50, False), (83, True), (166, True)])
def test_an_average_that_declares_too_little_fails_and_one_that_declares_enough_passes(
    warm: int, passes: bool
) -> None:
    report = check_bias(LONG, AVERAGE, {"period": 12, "warm": warm})
    row = report.warm_up_frame.row(1, named=True)
    assert (row["label"], row["candles"], row["of"]) == ("declared", warm, "average")
    assert (row["difference"] < 1e-6) == report.passed == passes
    assert failed(report) == (set() if passes else {"warm-up"})


@pytest.mark.usefixtures("decisions_alone")
def test_a_flip_is_told_with_its_candle_and_both_decisions() -> None:
    report = check_bias(LONG, AVERAGE, {"period": 60, "warm": 3})
    assert report.warm_up[1].flips > 0
    first = check(report, "warm-up").first
    assert first is not None
    assert first.what == "target"
    assert {first.value, first.other} == {0.0, 1.0}
    closes = LONG.records["close"].tolist()
    at = int((first.time_ms - LONG.records["open_time"][0]) // 3_600_000)
    for begin, told in ((0, first.value), (at - 3, first.other)):
        value = closes[begin]
        for close in closes[begin : at + 1]:
            value += 2.0 / 61.0 * (close - value)
        assert told == float(closes[at] > value)


@pytest.mark.usefixtures("decisions_alone")
def test_the_difference_told_is_that_of_a_naive_average() -> None:
    report = check_bias(WALK, AVERAGE, {"period": 26, "warm": 30})
    closes = WALK.records["close"].tolist()

    def average(begin: int, end: int) -> float:
        value = closes[begin]
        for close in closes[begin : end + 1]:
            value += 2.0 / 27.0 * (close - value)
        return value

    shares = [abs(average(0, end) / average(end - 30, end) - 1.0) for end in range(150, 900)]
    told = report.warm_up[1]
    assert told.bars >= 200
    assert 0.3 * max(shares) < told.difference <= 1.05 * max(shares)  # of a sample of the bars


@pytest.mark.usefixtures("decisions_alone")
def test_an_average_that_declares_no_warm_up_at_all_is_told_to() -> None:
    report = check_bias(LONG, AVERAGE, {"period": 12, "warm": 0})
    assert failed(report) == {"warm-up"}
    assert "average that forgets" in report.told(WARM_UP)


def test_too_few_candles_leave_the_warm_up_open_and_say_how_many_it_takes() -> None:
    short = to_cents(martingale(400, 5, substeps=4))
    report = check_bias(short, wb.strategies.macd, {"fast": 30, "slow": 60, "signal": 15})
    assert report.outcome(WARM_UP) is Outcome.OPEN
    assert report.passed
    assert "519 candles are declared, and 400 are there; 1,040 or more" in report.told(WARM_UP)


# -- what is refused, and what is told


def test_bad_parameters_and_empty_windows_are_refused() -> None:
    with pytest.raises(UsageError, match=r"slow=1\.5 is not a whole number"):
        check_bias(WALK, wb.strategies.macd, {"slow": 1.5})
    with pytest.raises(UsageError, match="one parameter set, not 2"):
        check_bias(WALK, wb.strategies.macd, wb.strategies.macd.grid({"fast": (2, 3)}))
    with pytest.raises(DataError, match="1 candles in the window"):
        check_bias(WALK.tail(1), wb.strategies.macd)


def test_a_report_is_a_table_a_line_and_json() -> None:
    report = check_bias(WALK, wb.strategies.macd, QUICK["macd"])
    frame = report.frame
    assert frame.columns[:5] == ["gate", "check", "outcome", "looked_at", "differ"]
    assert set(frame["gate"]) == {"look-ahead", "warm-up"}
    assert frame["differ"].sum() == 0
    assert report.warm_up_frame["label"].to_list()[:2] == ["first value", "declared"]
    summary = report.summary()
    assert summary["passed"] is True
    assert summary["gates"] == {"look-ahead": "clean", "warm-up": "clean"}
    assert repr(report).startswith("BiasReport(macd(fast=3, slow=7, signal=3) on BTCUSDT 1h")
