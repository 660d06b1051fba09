"""Walk-forward: chosen on what was, judged by what came, fold after fold, against a loop written by hand."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import workbench as wb
from tests.candle_builders import candles_of, martingale, to_cents
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.grids import Grid
from workbench.backtest.walk_forward.choosing import axes_of, choose_row
from workbench.backtest.walk_forward.folds import span_of
from workbench.backtest.walk_forward.result import moved_by_chance
from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles
from workbench.market.instruments import instrument

MACD, GRID = wb.strategies.macd, wb.strategies.load("grid")
HOLD = wb.strategies.load("hold")
WALK = to_cents(martingale(3_000, 71, substeps=10))
AXES = {"fast": (3, 5, 8), "slow": (12, 20), "signal": (3, 5)}
SETS = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]


def walked(candles: Candles, strategy=MACD, **asked: object):
    """Walk forward without a progress bar."""
    return wb.walk_forward(candles, strategy, progress=False, **asked)  # type: ignore[arg-type]


def naive_walk(candles: Candles, train: int, test: int, metric: str, **more: object):
    """Yield (best set, its metric, run of the test window, sold out) of each fold, by plain backtests."""
    cash, begin = 10_000.0, candles.first
    while begin + train + test <= len(candles.records):
        middle, end = begin + train, begin + train + test
        told = []
        for one in SETS:
            run = wb.backtest(
                replace(candles, records=candles.records[:middle], first=begin),
                MACD, filters="none", **one, **more,
            )  # fmt: skip
            told.append(run.metrics[metric])
        best = max(range(len(SETS)), key=lambda i: -math.inf if told[i] is None else told[i])
        run = wb.backtest(
            replace(candles, records=candles.records[:end], first=middle),
            MACD, filters="none", cash=cash, **SETS[best], **more,
        )  # fmt: skip
        last = run.equity.row(-1, named=True)
        cash = last["cash"] + last["quantity"] * last["close"] * (1 - 1e-4) * (1 - 1e-3)
        yield SETS[best], told[best], run, cash
        begin += test


@pytest.mark.parametrize(
    "more", [{}, {"exits": "stop=2%,time_stop=30", "guards": "cooldown_bars=3"}]
)
@pytest.mark.parametrize("metric", ["sharpe", "expectancy"])
def test_a_walk_is_a_loop_of_plain_backtests(metric: str, more: dict[str, object]) -> None:
    walk = walked(WALK, train=900, test=300, metric=metric, **AXES, **more)
    rows = walk.folds.rows(named=True)
    by_hand = list(naive_walk(WALK, 900, 300, metric, **more))
    assert len(rows) == len(by_hand) == 7
    for row, (best, value, run, cash) in zip(rows, by_hand, strict=True):
        assert {name: row[name] for name in AXES} == best
        assert row[f"train_{metric}"] == pytest.approx(value, rel=1e-9)
        part = walk.equity.filter(fold=row["fold"])
        before = run.equity.head(-1)
        assert part["equity"][:-1].to_numpy() == pytest.approx(before["equity"].to_numpy(), 1e-9)
        assert part["equity"][-1] == part["cash"][-1] == pytest.approx(cash, rel=1e-9)
        assert part["quantity"][-1] == 0.0
        assert row["test_return"] == pytest.approx(cash / run.costs.cash - 1.0, rel=1e-9)
        assert row["test_trades"] == run.trades.height
    assert walk.metrics["final_equity"] == pytest.approx(by_hand[-1][3], rel=1e-9)
    assert walk.metrics["trades"] == sum(run.trades.height for _, _, run, _ in by_hand)
    assert any(run.trades["is_open"].any() for _, _, run, _ in by_hand), "some fold sells out"


def test_two_folds_by_hand() -> None:
    """Train 2, test 3: bought at 110 in the first fold and at 220 in the second, sold at their last closes."""
    opens = [100, 100, 100, 110, 120, 200, 220, 210]
    closes = [100, 100, 110, 120, 121, 220, 210, 242]
    targets = [1.0, None, 1.0, None, None, 1.0, None, None]
    candles = scripted(candles_of(opens, closes), targets)
    walk = walked(
        candles, SCRIPTED, train=2, test=3, metric="final_equity", cash=1_000, fee_bps=100, slippage_bps=0
    )  # fmt: skip
    # Buy 1000 at 110 with 1 % of the base as fee: 9 units; sold at 121 with 1 % of the quote: 1078.11.
    first = 1_000 / 110 * 0.99 * 121 * 0.99
    assert first == pytest.approx(1_078.11)
    # All of it at 220, sold at 242: once more 0.99 x 1.1 x 0.99.
    second = first * 0.99 * 1.1 * 0.99
    mid = 1_000 / 110 * 0.99
    wanted = [1_000, mid * 120, first, first, first / 220 * 0.99 * 210, second]
    assert walk.equity["equity"].to_list() == pytest.approx(wanted)
    assert walk.folds["test_return"].to_list() == pytest.approx([first / 1_000 - 1] * 2)
    assert walk.trades["exit_reason"].to_list() == ["fold_end", "fold_end"]
    assert walk.trades["exit_price"].to_list() == [121, 242]
    assert walk.trades["pnl"].to_list() == pytest.approx([first - 1_000, second - first])
    assert walk.trades["is_open"].to_list() == [False, False]
    assert walk.metrics["total_return"] == pytest.approx(second / 1_000 - 1)
    assert walk.metrics["open_trade"] is False
    # Holding buys once, at the open of the second tested candle, and is not sold in between.
    assert walk.holding["total_return"] == pytest.approx(0.99 * 242 / 110 - 1)
    fees = mid / 99 * 110 + mid * 121 * 0.01
    assert walk.metrics["fees"] == pytest.approx(fees + fees * first / 1_000)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_folds_meet_without_gap_or_overlap(data: st.DataObject) -> None:
    count = data.draw(st.integers(20, 400), "candles")
    first = data.draw(st.integers(0, 10), "first")
    hours = data.draw(st.lists(st.integers(1, 3), min_size=count, max_size=count), "steps")
    walk = candles_of([100.0] * count, [100.0] * count)
    records = walk.records.copy()
    records["open_time"] = records["open_time"][0] + np.cumsum(hours) * 3_600_000
    candles = replace(walk, records=records, first=first)
    anchored = data.draw(st.booleans(), "anchored")
    form = data.draw(st.sampled_from(["folds", "candles", "days", "test"]), "form")
    size = data.draw(st.integers(2, 20), "size")
    asked: dict[str, object] = {
        "folds": {"folds": size}, "candles": {"train": 3 * size, "test": size},
        "days": {"train": f"{size / 2}d", "test": f"{size / 4}d"}, "test": {"test": size},
    }[form]  # fmt: skip
    try:
        found = walked(candles, HOLD, metric="final_equity", anchored=anchored, **asked).runs
    except DataError:
        return
    folds = [run.fold for run in found]
    assert folds[0].train_begin == first
    for one, after in itertools.pairwise(folds):
        assert after.test_begin == one.test_end, "no gap, no overlap"
    for one in folds:
        assert one.train_begin < one.test_begin < one.test_end <= len(records)
        assert one.train_begin == first if anchored else one.train_begin >= first
    opened = records["open_time"]
    if form == "folds":
        assert folds[-1].test_end == len(records)
        assert {one.test_end - one.test_begin for one in folds} == {(count - first) // (4 + size)}
    elif form == "days":
        length = size * 6 * 3_600_000  # a quarter of `size` days
        for k, one in enumerate(folds):
            begins = opened[first] + 2 * length + k * length
            inside = opened[one.test_begin : one.test_end]
            assert begins <= inside[0] <= inside[-1] < begins + length
    else:
        assert {one.test_end - one.test_begin for one in folds} == {size}
        train = 3 * size if form == "candles" else 4 * size
        assert folds[0].test_begin - first == train
        assert len(records) - folds[-1].test_end < size, "as many folds as there is room for"


@settings(deadline=None, max_examples=12)
@given(
    split=st.integers(900, 2_999), seed=st.integers(0, 99), anchored=st.booleans(),
    choose=st.sampled_from(["peak", "plateau"]), exchange=st.booleans(),
)  # fmt: skip
def test_what_comes_after_changes_nothing_before(
    split: int, seed: int, anchored: bool, choose: str, exchange: bool
) -> None:
    asked = {
        "train": 800, "test": 200, "anchored": anchored, "choose": choose, **AXES,
        "filters": "exchange" if exchange else "none", "exits": {"stop": ("1%", "2atr")},
    }  # fmt: skip
    other = WALK.records.copy()
    factor = np.random.default_rng(seed).uniform(0.5, 2.0, len(other) - split)
    for name in ("open", "high", "low", "close"):
        other[name][split:] = np.round(other[name][split:] * factor, 2)
    before, after = walked(WALK, **asked), walked(replace(WALK, records=other), **asked)
    chosen = [*AXES, "exit_stop", "exit_stop_unit", "train_sharpe"]
    known = sum(run.fold.test_begin <= split for run in before.runs)
    assert known > 0
    assert_frame_equal(
        before.folds.head(known).select(chosen), after.folds.head(known).select(chosen), check_exact=True
    )  # fmt: skip
    seen = split - 800  # the tested candles before the split, those of the fold that it cuts too
    assert_frame_equal(
        before.equity.head(seen).drop("holding"), after.equity.head(seen).drop("holding"), check_exact=True
    )  # fmt: skip


def test_candles_that_are_not_there_yet_change_no_fold_that_is() -> None:
    asked = {"train": 800, "test": 200, "choose": "plateau", **AXES}
    whole = walked(WALK, **asked)
    shorter = walked(replace(WALK, records=WALK.records[:2_150]), **asked)
    assert len(shorter) == 6
    assert_frame_equal(shorter.folds, whole.folds.head(6), check_exact=True)
    assert_frame_equal(shorter.equity, whole.equity.head(1_200), check_exact=True)
    assert_frame_equal(
        shorter.trades, whole.trades.filter(whole.trades["fold"] <= 6), check_exact=True
    )


def test_every_tested_candle_has_its_warm_up() -> None:
    walk = walked(WALK, train=900, test=300, **AXES)
    assert walk.notes[0].startswith("fold 1 in sample: 0 candles before the window")
    assert len(walk.notes) == 1, "no test window lacks warm-up"
    for run in walk.runs:
        whole = wb.backtest(replace(WALK, first=0), MACD, filters="none", **run.test.params)
        part = slice(run.fold.test_begin, run.fold.test_end)
        fresh = run.test.curve["target"][:-1]
        assert np.array_equal(fresh, whole.curve["target"][part][:-1], equal_nan=True), (
            "from its first candle on a fold decides as who has run all along"
        )
        assert run.test.candles.first >= int(MACD.stable(run.record)[0])


@pytest.mark.parametrize("filters", ["none", "exchange"])
@pytest.mark.parametrize("strategy", [MACD, GRID])
def test_equity_is_rebuilt_from_fills_and_their_fees(strategy, filters: str) -> None:
    axes = (
        AXES if strategy is MACD else {"unit": 1, "low": 0.9, "high": (1.1, 1.2), "lines": (9, 17)}
    )
    walk = walked(
        WALK, strategy, train=900, test=300, filters=filters, metric="total_return", **axes
    )
    cash, base = 10_000.0, 0.0
    ends = walk.equity.group_by("fold", maintain_order=True).last()
    fills = walk.fills.sort("time", maintain_order=True).rows(named=True)
    assert len(fills) > 20
    at, told = 0, []
    for row in walk.equity.iter_rows(named=True):
        while at < len(fills) and fills[at]["time"] <= row["open_time"]:
            one = fills[at]
            value = one["price"] * one["quantity"]
            if one["side"] == "BUY":
                cash, base = cash - value, base + one["quantity"] - one["fee"]
            else:
                cash, base = cash + value - one["fee"], base - one["quantity"]
            at += 1
        told.append(cash + base * row["close"])
    assert at == len(fills)
    assert walk.equity["equity"].to_numpy() == pytest.approx(np.array(told), rel=1e-9)
    assert ends["quantity"].to_list() == [0.0] * len(walk)
    assert base == pytest.approx(0.0, abs=1e-9)
    earned = walk.trades["pnl"].sum()
    dust = 0.0 if filters == "none" else instrument("BTCUSDT").step_e8 / 1e8 * 150.0
    assert earned == pytest.approx(cash - 10_000.0, abs=1e-6 + dust * len(fills))
    if filters == "exchange":
        sold = walk.fills.filter(reason="fold_end")
        assert sold.height
        ticks = sold["price"] * 100
        assert ticks.to_numpy() == pytest.approx(np.round(ticks.to_numpy()), abs=1e-6)
        closes = sold.join(walk.equity, left_on="time", right_on="open_time")
        worsened = np.floor(closes["close"].to_numpy() * (1 - 1e-4) * 100 + 1e-6) / 100
        assert sold["price"].to_numpy() == pytest.approx(worsened, rel=1e-12)


def test_efficiency_and_the_share_that_earned_are_of_the_folds_table() -> None:
    rise = np.exp(0.0004 * np.arange(3_000)) * (1 + 0.03 * np.sin(np.arange(3_000) / 25))
    closes = (100 * rise).tolist()
    candles = candles_of([100.0, *closes[:-1]], closes)
    walk = walked(candles, train=1_200, test=600, **AXES)
    days, inside, outside = 0.0, 0.0, 0.0
    for row in walk.folds.iter_rows(named=True):
        days += row["train_candles"] / 24
        inside += math.log(1 + row["train_return"])
        outside += math.log(1 + row["test_return"])
    tested = walk.folds["test_candles"].sum() / 24
    assert tested < 90
    assert walk.wfe is None
    assert walk.reasons["wfe"].startswith("insufficient, 75.0 days out of sample")
    longer = walked(candles, train=600, test=300, **AXES)
    inside = sum(math.log(1 + one) for one in longer.folds["train_return"])
    outside = sum(math.log(1 + one) for one in longer.folds["test_return"])
    a_year = [math.exp(grown * 365 * 24 / candles) - 1 for grown, candles in (
        (inside, 600 * 8), (outside, 300 * 8),
    )]  # fmt: skip
    assert longer.in_sample == pytest.approx(a_year[0])
    assert longer.metrics["cagr"] == pytest.approx(a_year[1])
    assert longer.wfe == pytest.approx(a_year[1] / a_year[0])
    held = 0.0
    for run in longer.runs:
        bars = candles.records[run.fold.train_begin : run.fold.test_begin]
        held += math.log(bars["close"][-1] / (bars["open"][1] * 1.0001) * 0.999)
    assert longer.in_sample_holding == pytest.approx(math.exp(held * 365 * 24 / (600 * 8)) - 1)
    assert f"in sample (holding {longer.in_sample_holding:+.1%})" in longer.finding
    assert longer.positive_folds == pytest.approx((longer.folds["test_return"] > 0).mean())
    assert f"efficiency {longer.wfe:.2f}, " in longer.finding


def test_who_lost_in_sample_has_no_efficiency() -> None:
    closes = (100 * np.exp(-0.0004 * np.arange(4_000))).tolist()
    candles = candles_of([100.0, *closes[:-1]], closes)
    walk = walked(candles, HOLD, metric="total_return", train=1_000, test=500)
    assert walk.wfe is None
    assert "did not grow in sample (-" in walk.reasons["wfe"]
    assert "insufficient" in walk.finding
    assert "insufficient" in repr(walk)
    assert walk.positive_folds == 0.0


def test_the_same_walk_gives_the_same_twice_and_says_it_in_json() -> None:
    asked = {"train": 900, "test": 300, "choose": "plateau", **AXES}
    one, two = walked(WALK, **asked), walked(WALK, **asked)
    for name in ("folds", "equity", "trades", "fills", "stability"):
        assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    told = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert told == json.loads(json.dumps(two.to_dict()))
    assert told["trials"] == 7 * (len(SETS) + 1) == one.trials
    assert told["folds"][0]["test_start"] == "2025-02-07T12:00:00Z"
    assert told["folds"][-1]["test_end"] == "2025-05-06T00:00:00Z"
    assert [fold["train_neighbours"] is None for fold in told["folds"]] == [False] * 7


def test_a_set_that_is_not_valid_is_dropped_and_counted() -> None:
    walk = walked(WALK, train=900, test=300, fast=(5, 12, 30), slow=(12, 20))
    assert (walk.sets, walk.invalid_combinations) == (3, 3)


def test_it_shows_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    wb.walk_forward(WALK, MACD, folds=3, **AXES)  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert "walk-forward" in told
    assert f"/{3 * len(SETS)}" in told, "sets of all folds"


def test_finer_candles_are_cut_at_the_end_of_each_window() -> None:
    fine = martingale(12 * 800, 72, interval="5m", sigma=0.004, substeps=4)
    bars = fine.records
    hours = candles_of(bars["open"][::12].tolist(), bars["close"][11::12].tolist())
    hours.records["high"] = bars["high"].reshape(-1, 12).max(axis=1)
    hours.records["low"] = bars["low"].reshape(-1, 12).min(axis=1)
    asked = {"train": 400, "test": 200, "exits": "stop=0.5%,take_profit=0.5%", **AXES}
    seen, guessed = walked(hours, fine=fine, **asked), walked(hours, **asked)
    assert seen.runs[0].test.ambiguous <= guessed.runs[0].test.ambiguous
    assert seen.metrics["final_equity"] != guessed.metrics["final_equity"]
    assert {run.exits for run in seen.runs} == {"stop=0.5%, take_profit=0.5%"}
    part = span_of(replace(hours, fine=fine), 400, 600)
    assert part.fine is not None
    assert len(part.fine.records) == 600 * 12
    assert len(part.records) == 600


OWN = """
from numba import njit

PARAMS = {"back": (5, 1, 50)}
STATE = {"closes": (float, 50), "count": int}
WARM_UP = 50

@njit
def decide(state, candle, position, params, intent):
    before = state.closes[(state.count - params.back) % 50]
    state.closes[state.count % 50] = candle.close
    state.count += 1
    if state.count > params.back:
        intent.target = 1.0 if candle.close > before else 0.0
"""


def test_a_users_own_strategy_walks_on_days_and_decides_from_a_folds_first_candle_on() -> None:
    own = wb.strategies.register("higher_than_before", OWN)
    days = martingale(900, 73, interval="1d", sigma=0.03, substeps=10)
    walk = walked(days, own, train="300d", test="75d", metric="total_return", back=range(2, 40))
    assert [run.fold.test_begin for run in walk.runs] == list(range(300, 900, 75))
    closes = days.records["close"]
    for run in walk.runs:
        back, begin = run.test.params["back"], run.fold.test_begin
        wanted = closes[begin] > closes[begin - back]
        assert run.test.curve["target"][0] == wanted, "decided on candles from before the window"
        entered = run.test.fill_records["index"][:1].tolist() == [begin + 1]
        assert entered == wanted
    assert walk.trials == 8 * 39
    assert walk.metrics["bars"] == 600
    # One return a day: the Sharpe ratio is that of the equity at every close.
    levels = np.concatenate([[10_000.0], walk.equity["equity"].to_numpy()])
    returns = levels[1:] / levels[:-1] - 1.0
    wanted = returns.mean() / returns.std(ddof=1) * math.sqrt(365)
    assert walk.metrics["sharpe"] == pytest.approx(wanted)


def test_a_ladder_begins_anew_with_each_fold_and_is_taken_back_at_its_end() -> None:
    axes = {"unit": 1, "low": (0.85, 0.95), "high": 1.15, "lines": (9, 33), "inventory": 1}
    walk = walked(WALK, GRID, train=900, test=300, metric="total_return", **axes)
    for run in walk.runs:
        begin, end = run.fold.test_begin, run.fold.test_end
        inside = run.test.fill_records["index"]
        assert ((inside > begin) & (inside < end)).all(), "no rung rests from fold to fold"
        assert run.test.fill_records["side"][0] == 1
        bought = run.test.fill_records["quantity"] - run.test.fill_records["fee"]
        signed = np.where(
            run.test.fill_records["side"] > 0, bought, -run.test.fill_records["quantity"]
        )
        assert signed.sum() == pytest.approx(0.0, abs=1e-9)
    first = walk.fills.group_by("fold", maintain_order=True).first()
    assert first["price"].n_unique() == len(walk), "each hangs on its own first close"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=40))
def test_what_chance_would_move_is_the_mean_distance_of_all_pairs(ranks: list[int]) -> None:
    every = [abs(one - other) for one in ranks for other in ranks]
    assert moved_by_chance(np.array(ranks)) == pytest.approx(sum(every) / len(every))


def test_how_far_the_choice_moves_is_told_as_a_share_of_the_axis() -> None:
    walk = walked(WALK, train=900, test=300, **AXES)
    for row in walk.stability.iter_rows(named=True):
        values = sorted(AXES[row["parameter"]])
        places = [values.index(one) for one in walk.folds[row["parameter"]]]
        moves = [abs(b - a) / (len(values) - 1) for a, b in itertools.pairwise(places)]
        assert row["moved"] == pytest.approx(sum(moves) / len(moves))
        assert row["by_chance"] == pytest.approx((len(values) + 1) / (3 * len(values)))
        assert (row["values"], row["chosen"]) == (len(values), len(set(places)))
    assert walk.stability["parameter"].to_list() == list(AXES)


def test_the_first_of_equals_is_chosen_and_rounding_makes_none_unequal() -> None:
    params = Grid.of(MACD, {"fast": (2, 3, 4, 5), "slow": (10, 11, 12)}).all()
    axes, values = axes_of(params), np.full(12, 0.5)
    assert list(axes) == ["fast", "slow"]
    values[[3, 7]] = 2.0, 2.0 * (1 + 1e-12)
    found = choose_row(values, axes, "peak")
    assert (found.row, math.isnan(found.neighbours)) == (3, True)

    assert choose_row(np.full(12, np.nan), axes, "peak") is None
    # A peak among bad neighbours loses to the middle of what is good: (4, 11), row 7.
    hill = np.array([9.0, 0, 0, 0, 1, 1, 0, 1, 1, 0, 1, 1])
    assert choose_row(hill, axes, "peak").row == 0
    found = choose_row(hill, axes, "plateau")
    around = [hill[i] for i in (4, 5, 7, 10, 11)]  # of (5, 12), a corner: three neighbours alone
    assert around == [1.0] * 5
    assert (found.row, found.neighbours) == (8, 1.0)


def test_an_exits_level_is_one_axis_whatever_its_unit() -> None:
    params = Grid.of(
        MACD, {"fast": 3}, {"stop": (0, "2%", "1%", "2atr"), "time_stop": (0, 5)}
    ).all()
    axes = axes_of(params)
    assert axes["exit_stop"].tolist() == [0, 0, 2, 2, 1, 1, 3, 3]
    assert axes["exit_time_stop_bars"].tolist() == [0, 1] * 4
    assert set(axes) == {"exit_stop", "exit_time_stop_bars"}


BAD = {
    "a metric that is none": ({"metric": "luck"}, UsageError, "'luck' ranks no set; use one of"),
    "a metric that ranks nothing": ({"metric": "fees"}, UsageError, "'fees' ranks no set"),
    "a way to choose that is none": ({"choose": "best"}, UsageError, "use one of peak, plateau"),
    "too short": ({"train": 2_900, "test": 200}, DataError, "need 3,100 candles, the window has 3,000"),
    "test longer than the data": ({"test": "100d"}, DataError, "train of 400 days and test of 100 days"),
    "two kinds of length": ({"train": "30d", "test": 200}, UsageError, "are of two kinds"),
    "lengths and folds": ({"train": 900, "folds": 3}, UsageError, "leave out folds, or the lengths"),
    "no length": ({"train": "long"}, UsageError, "train='long' is no length"),
    "half a candle": ({"test": 0.5}, UsageError, "test=0.5 is no length"),
    "nothing": ({"test": 0}, UsageError, "test=0 is no length"),
    "less than nothing": ({"test": "-3d"}, UsageError, "test='-3d' is no length"),
    "true": ({"test": True}, UsageError, "test=True is no length"),
    "no fold": ({"folds": 0}, UsageError, "folds=0 is no whole number"),
    "one candle to test": ({"train": 4, "test": 1}, UsageError, "folds of the window; at most 1,000"),
    "a window of one candle": ({"train": 2_900, "test": 1}, DataError, "has 1 candles, at least 2"),
    "an axis that is none": ({"quick": 3}, UsageError, "has no parameter 'quick'"),
    "no set that is valid": ({"fast": 30, "slow": (10, 20)}, UsageError, "none of the 2 combinations"),
    "no set that has the metric": (
        {"train": 60, "test": 20, "slow": 200}, UsageError,
        "fold 1 of 147, train window from 2025-01-01T00:00Z, 60 candles: none of the 1 sets has a sharpe",
    ),
    "no neighbours": ({"choose": "plateau"}, UsageError, "no set with a sharpe has neighbours"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_walked_is_refused_in_one_line(case: str) -> None:
    asked, kind, said = BAD[case]
    with pytest.raises(kind, match=said.replace("(", r"\(")) as told:
        walked(WALK, **asked)
    assert "\n" not in str(told.value)


def test_more_folds_than_candles_says_what_is_needed() -> None:
    with pytest.raises(DataError, match="folds=999 with 4:1 of train to test need 2006 candles"):
        walked(replace(WALK, records=WALK.records[:2_000]), folds=999)


def test_a_window_that_a_hole_empties_is_refused() -> None:
    records = np.concatenate([WALK.records[:1_000], WALK.records[1_500:]])
    with pytest.raises(DataError, match=r"the test window of fold \d+, from .* has 0 candles"):
        walked(replace(WALK, records=records), train="20d", test="5d")


def test_candles_that_fill_no_test_window_are_said() -> None:
    walk = walked(WALK, train=900, test=400, **AXES)
    assert (
        "100 candles from 2025-05-01T20:00Z on fill no test window and are left out" in walk.notes
    )
