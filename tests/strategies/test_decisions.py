"""Each decision equals its exact oracle, and a hand-worked example of a few candles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive_strategies as naive
from tests.strategies.deciding import cents, flat, intents, targets
from workbench import strategies
from workbench.core.indicators import counter_hash

CLOSES = st.lists(st.integers(1_000, 1_012), min_size=1, max_size=30)  # narrow, so that ties abound
PARAMS = {
    "sma_cross": ({"fast": 2, "slow": 3}, {"fast": 1, "slow": 5}),
    "ema_cross": ({"fast": 1, "slow": 3}, {"fast": 2, "slow": 5}),
    "rsi": (
        {"period": 2, "oversold": 50, "overbought": 60},
        {"period": 3, "oversold": 25, "overbought": 75},
    ),
    "bollinger": ({"period": 2, "width": 1}, {"period": 5, "width": 2}, {"period": 4, "width": 0}),
}
CASES = [(name, params) for name, sets in PARAMS.items() for params in sets]


@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
@settings(max_examples=40, deadline=None)
@given(closes=CLOSES)
def test_a_decision_on_closes_equals_the_exact_oracle_ties_included(
    name: str, params: dict[str, int], closes: list[int]
) -> None:
    assert targets(name, cents(closes), **params) == naive.ON_CLOSES[name](closes, **params)


@settings(max_examples=60, deadline=None)
@given(
    candles=st.lists(st.tuples(*[st.integers(1_000, 1_009)] * 3), min_size=1, max_size=30),
    entry=st.integers(1, 6),
    exit=st.integers(1, 6),
)
def test_a_channel_is_that_of_the_candles_before(
    candles: list[tuple[int, int, int]], entry: int, exit: int
) -> None:
    ordered = [sorted(one) for one in candles]
    lows, closes, highs = (list(column) for column in zip(*ordered, strict=True))
    records = cents(closes, highs, lows)
    expected = naive.donchian(closes, highs, lows, entry=entry, exit=exit)
    assert targets("donchian", records, entry=entry, exit=exit) == expected


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    bars=st.integers(1, 5),
    chance=st.floats(0, 1),
    count=st.integers(1, 40),
)
def test_the_random_control_draws_what_pythons_integers_draw(
    seed: int, bars: int, chance: float, count: int
) -> None:
    records = cents([1_000] * count)
    times = records["open_time"].tolist()
    expected = naive.random_entry(times, seed=seed, bars=bars, chance=chance)
    assert targets("random_entry", records, seed=seed, hold_bars=bars, chance=chance) == expected


def test_its_draws_are_spread_evenly() -> None:
    draws = [counter_hash(7, 1_735_689_600_000 + 60_000 * i) for i in range(20_000)]
    assert min(draws) >= 0.0
    assert max(draws) < 1.0
    tenths = [sum(1 for d in draws if int(d * 10) == k) for k in range(10)]
    # chi-squared with 9 degrees of freedom exceeds 27.9 once in a thousand
    assert sum((n - 2_000) ** 2 / 2_000 for n in tenths) < 27.9


def test_two_simple_averages_cross_by_hand() -> None:
    # SMA 2: 15 20 20 25 20        SMA 3: - 16.67 20 23.33 20      at closes 10 20 20 20 30 10
    # difference:                     3.33  0  1.67 -> buy at 30; then 20 - 20 = 0: no sale yet
    assert targets("sma_cross", cents([1000, 2000, 2000, 2000, 3000, 1000]), fast=2, slow=3) == [
        None, None, None, None, 1.0, None,
    ]  # fmt: skip


def test_two_exponential_averages_cross_by_hand() -> None:
    # EMA 1 is the close. EMA 3 of 10 10 10 16 4: 10, then 13, then 8.5.
    assert targets("ema_cross", cents([1000, 1000, 1000, 1600, 400]), fast=1, slow=3) == [
        None, None, None, 1.0, 0.0,
    ]  # fmt: skip


def test_macd_turns_only_between_two_candles_that_both_have_a_value() -> None:
    # Closes 10 10 12 13 9. EMA 1 is the close; EMA 2: - 10 11.33 12.44 10.15; line: - 0 .667 .556 -1.15.
    # Signal 2 begins with the average of the first two lines: - - .333 .481 -.605. Line - signal is
    # .333 where it first has a value: above 0 and no turn, so no buy; .074; then -.543: a sale.
    found = targets("macd", cents([1000, 1000, 1200, 1300, 900]), fast=1, slow=2, signal=2)
    assert found == [None, None, None, None, 0.0]
    # One close more at rest before: 0 has a value, and the turn to .222 buys.
    found = targets("macd", cents([1000, 1000, 1000, 1200, 1300, 900]), fast=1, slow=2, signal=2)
    assert found == [None, None, None, 1.0, None, 0.0]


def test_rsi_swings_by_hand() -> None:
    # Changes -2 -2 +4 +2 -6; period 2. G: 0 2 2 1; L: 2 1 .5 3.25; RSI: 0, 66.7, 80, 23.5.
    found = targets("rsi", cents([1000, 800, 600, 1000, 1200, 600]), period=2)
    assert found == [None, None, None, 1.0, None, 0.0]


def test_rsi_of_a_market_at_rest_is_fifty() -> None:
    params = {"period": 2, "oversold": 49, "overbought": 51}
    assert targets("rsi", cents([1000] * 6), **params) == [None] * 6
    # It rises from rest: 50 was never at or below 49.
    assert targets("rsi", cents([1000, 1000, 1000, 1100]), **params) == [None] * 4


def test_a_bollinger_band_by_hand() -> None:
    # 10 10 10 6: mean 9, deviation sqrt(3) = 1.73; 6 is below 9 - 1.73 but not below 9 - 2 x 1.73.
    closes = cents([1000, 1000, 1000, 600])
    assert targets("bollinger", closes, period=4, width=1) == [None, None, None, 1.0]
    assert targets("bollinger", closes, period=4, width=2) == [None] * 4
    # Four equal closes and a lower one: mean - 2 deviations is the close itself, which is not below.
    assert targets("bollinger", cents([1010] * 4 + [1003]), period=5, width=2) == [None] * 5


def test_a_breakout_by_hand() -> None:
    highs, lows = [12, 13, 13, 15, 14, 14], [10, 11, 11, 12, 11, 9]
    closes = [11, 12, 13, 14, 12, 10]
    found = targets("donchian", cents(closes, highs, lows), entry=2, exit=2)
    # 13 is on the top of 13: no break; 14 > 13 buys; 12 is above 11; 10 < 11 sells.
    assert found == [None, None, None, 1.0, None, 0.0]


def test_holding_is_one_target_for_ever() -> None:
    assert targets("hold", cents([1000, 2000, 500]), share=0.5) == [0.5, 0.5, 0.5]


def test_cost_averaging_buys_for_the_same_amount_by_hand() -> None:
    # 10 % of 1,000 = 100. At close 10 nothing is held; at close 20 ten pieces are worth 200 of 1,100.
    records = cents([1000, 1500, 2000, 2500])
    held = flat(900.0, quantity=10.0, equity=1_100.0)
    rich = flat(0.0, quantity=40.0, equity=800.0)
    written = intents("dca", records, [flat(1_000.0), held, held, rich], every=2, share=0.1)
    assert written["target"][0] == 100.0 / 1_000.0
    assert written["target"][2] == (200.0 + 100.0) / 1_100.0
    assert str(written["target"][[1, 3]].tolist()) == "[nan, nan]"
    spent = intents("dca", records[:1], [rich], every=1, share=0.1)
    assert str(spent["target"].tolist()) == "[nan]"  # no cash left, no opinion


@pytest.mark.parametrize(
    ("name", "params", "first", "stable"),
    [
        ("sma_cross", {"fast": 5, "slow": 30}, 30, 31),
        ("ema_cross", {"fast": 12, "slow": 60}, 60, 475),  # 415 after a seed of 60
        ("rsi", {"period": 14}, 15, 201),  # ln 1e-6 / ln(13/14) = 186.4 after a seed of 14
        ("macd", {"fast": 30, "slow": 60, "signal": 15}, 74, 519),  # 415 and 104
        ("macd", {"fast": 30, "slow": 60, "signal": 2}, 61, 475),  # 415 after a seed of 60
        ("bollinger", {"period": 20}, 20, 20),
        ("donchian", {"entry": 20, "exit": 55}, 56, 55),
        ("hold", {}, 1, 0),
        ("dca", {}, 1, 0),
        ("random_entry", {}, 1, 0),
        ("grid", {}, 1, 0),
    ],
)
def test_each_strategy_says_how_many_candles_it_needs(
    name: str, params: dict[str, float], first: int, stable: int
) -> None:
    spec = strategies.load(name)
    record = spec.params(**params)
    assert (int(spec.first_value(record)), int(spec.stable(record))) == (first, stable)
