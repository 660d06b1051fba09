"""The pieces of a bias check: where to cut, what differs, what stands in code, what foretells."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.candle_builders import martingale
from workbench.analysis.bias import BiasReport, Check, Finding, Outcome, cut_bars, differing
from workbench.analysis.foreknowledge import (
    constants_of,
    dates_in,
    digits,
    foresight,
    own_numbers,
    taken_from,
)
from workbench.analysis.futures import (
    Poison,
    moved_in_time,
    next_returns,
    poison,
    priceless_double,
    scaled,
)

WALK = martingale(300, 9, substeps=4).records
TABLE = tuple(float(one) for one in range(1, 41))
LEVEL = 12345.678


# -- where to cut, and what differs


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 5_000), most=st.integers(20, 400), seed=st.integers(0, 99))
def test_cuts_are_rising_bars_of_the_series_with_its_edges(
    count: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    events = np.flatnonzero(rng.random(count) < 0.05)
    bars = cut_bars(count, events, most=most, rng=rng)
    assert (np.diff(bars) > 0).all()
    assert (bars[0], bars[-1]) == (0, count - 1)
    assert len(bars) == count if count <= most else 0.6 * most <= len(bars) <= most
    if count > most and 0 < len(events) <= most // 3:
        assert set(events) <= set(bars.tolist())
    gaps = np.diff(bars)
    assert gaps.max(initial=0) <= 3 * count / most + 2 or len(events) > 0


def test_numbers_differ_beyond_their_rounding_and_everything_else_at_all() -> None:
    value = np.array([1.0, np.nan, 2.0, 0.0, np.inf, 5.0])
    other = np.array([1.0 + 1e-15, np.nan, 2.1, 1e-16, np.inf, np.nan])
    assert differing(value, other).tolist() == [False, False, True, False, False, True]
    assert differing(value[:1], other[:1], rtol=0.0).tolist() == [True]
    texts = np.array(["up", None], object), np.array(["up", "down"], object)
    assert differing(*texts).tolist() == [False, True]


# -- other futures


@pytest.mark.parametrize("kind", list(Poison))
def test_a_poisoned_future_leaves_the_past_and_changes_every_price_after_it(kind: Poison) -> None:
    records = WALK.copy()
    records["aux"] = 1.0
    whole = records.copy()
    poison(records, 100, 300, kind, np.random.default_rng(1))
    for name in records.dtype.names or ():
        assert (records[name][:100] == whole[name][:100]).all(), name
    for name in ("open", "high", "low", "close", "volume", "aux"):
        assert (records[name][100:] != whole[name][100:]).all(), name
    assert (np.diff(records["open_time"]) > 0).all()
    if kind is not Poison.MISSING:
        low, high = records["low"][100:], records["high"][100:]
        assert (low <= records["close"][100:]).all()
        assert (records["close"][100:] <= high).all()


def test_a_double_keeps_times_and_restlessness_and_none_of_the_prices() -> None:
    double = priceless_double(WALK, np.random.default_rng(2))
    assert (double["open_time"] == WALK["open_time"]).all()
    assert not np.isin(double["close"], WALK["close"]).any()
    real, drawn = (np.std(np.diff(np.log(one["close"]))) for one in (WALK, double))
    assert drawn == pytest.approx(real, rel=0.2)
    assert (scaled(WALK, 2.0)["close"] == 2.0 * WALK["close"]).all()
    moved = moved_in_time(WALK)["open_time"] - WALK["open_time"]
    assert (moved % (7 * 86_400_000) == 0).all()
    assert (moved > 0).all()


def test_the_return_of_a_close_is_earned_from_the_next_open_on() -> None:
    found = next_returns(np.array([100.0, 110.0, 121.0, 60.5]))
    assert found[:2].tolist() == pytest.approx([0.1, -0.5])
    assert np.isnan(found[2:]).all()


# -- what foretells


def test_foresight_is_standard_normal_without_any_and_large_with_it() -> None:
    rng = np.random.default_rng(4)
    calm = np.where(np.arange(2_000) < 1_000, 1.0, 5.0)  # the second half is five times as restless
    zs = []
    for _ in range(400):
        returns = 0.01 * calm * rng.normal(size=2_000)
        held = np.repeat(rng.integers(0, 2, 100), 20).astype(float)
        zs.append(foresight(held, returns))
    assert abs(np.mean(zs)) < 0.2
    assert 0.85 < np.std(zs) < 1.15
    returns = 0.01 * rng.normal(size=500)
    assert foresight((returns > 0.0).astype(float), returns) > 10.0
    assert foresight((returns < 0.0).astype(float), returns) < -10.0
    assert foresight(np.ones(500), returns) == 0.0  # holding foretells nothing
    assert foresight(np.arange(5.0), np.arange(5.0)) == 0.0  # too few to say


# -- what stands in code


def reads_table(frame: object) -> object:
    return TABLE[0]


def calls_on(frame: object) -> object:
    return reads_table(frame), LEVEL


def test_constants_are_found_through_calls_closures_defaults_objects_and_partials() -> None:
    inner = np.linspace(0.0, 1.0, 30)
    scaler = SimpleNamespace(mean=77.123456, parts=[1.25] * 20)

    def closes(frame: object, shift: float = 0.987654) -> object:
        return inner, scaler, shift

    found = constants_of([calls_on])
    assert found.tables == {"TABLE": 40}
    assert found.numbers[LEVEL] == "LEVEL"
    found = constants_of([closes])
    assert found.tables == {"inner": 30, "scaler": 20}
    assert found.outside == {"scaler": "SimpleNamespace"}
    assert {0.987654, 77.123456} <= set(found.numbers)
    found = constants_of([partial(closes, shift=5.4321)])
    assert 5.4321 in found.numbers

    class Rule:
        def __init__(self) -> None:
            self.edge = 314.159

        def __call__(self, frame: object) -> object:
            return self.edge * 2.718281

    assert {314.159, 2.718281} <= set(constants_of([Rule()]).numbers)


def test_a_library_and_a_plain_rule_hold_nothing() -> None:
    found = constants_of([lambda frame: np.where(frame > 0.5, 1, 0)])
    assert (found.tables, found.outside) == ({}, {})
    assert set(found.numbers) == {0.5, 1.0, 0.0}


def test_many_numbers_written_out_one_by_one_are_a_table_too() -> None:
    text = "def rule(t):\n" + "".join(f"    if t == {i}: return 1\n" for i in range(1_000, 1_080))
    names: dict[str, object] = {}
    exec(text, names)
    assert constants_of([names["rule"]]).tables == {"its code": 80}  # type: ignore[list-item]


def test_only_numbers_of_five_digits_or_more_can_be_the_series_own() -> None:
    assert [digits(one) for one in (0.5, 100.0, 1.25, 100.01, 12345.678, 1e-7)] == [
        1,
        1,
        3,
        5,
        8,
        1,
    ]
    own = own_numbers(WALK)
    assert own["highest close"] == WALK["close"].max()
    assert own["mean volume"] == 10.0
    assert taken_from(WALK, {10.0: "PERIOD"}) == []  # the mean volume, and a period like any other
    assert "mean close" in taken_from(WALK, {float(WALK["close"].mean()): "LEVEL"})[0]
    some = {float(one): "PRICES" for one in WALK["close"][:8]}
    assert taken_from(WALK, some) == ["8 of its numbers are prices of these very candles"]
    assert taken_from(WALK, dict(list(some.items())[:7])) == []
    first = int(WALK["open_time"][0])
    assert dates_in(WALK, {first + 1.0: "T", first / 1000.0: "S", 14.0: "n"}) == 2


# -- the report


def test_the_worst_outcome_of_a_gate_speaks_and_open_does_not_fail() -> None:
    finding = Finding(1_735_689_600_000, "target", 1.0, None, "on candles up to there alone")
    clean = Check("look-ahead", "cut", Outcome.CLEAN, 10, 0, "none differs")
    undecided = Check("look-ahead", "code", Outcome.OPEN, 3, 0, "a table")
    biased = Check("look-ahead", "poison", Outcome.BIASED, 10, 2, "2 differ", finding)
    report = BiasReport("it", "made up", (clean, undecided))
    assert (report.passed, report.outcome("look-ahead")) == (True, Outcome.OPEN)
    assert report.verdict == "no bias found in 2 checks; open: code"
    assert report.told("look-ahead") == "code: a table"
    assert report.outcome("warm-up") is Outcome.OPEN  # nobody asked
    assert report.told("warm-up") == "nothing was asked"
    worse = BiasReport("it", "made up", (clean, undecided, biased))
    assert (worse.passed, worse.outcome("look-ahead")) == (False, Outcome.BIASED)
    assert worse.verdict == (
        "BIASED (poison); 2025-01-01T00:00Z: target 1, but none on candles up to there alone"
    )
