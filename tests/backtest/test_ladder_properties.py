"""Any ladders on any candles: kernel, oracle and matching engine agree, and nothing is made or lost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.backtest.scripted_ladder import RUNGS, Bar, Script, Scripted, bars, scripted
from tests.backtest.test_engine_semantics import Engine
from tests.naive_exits import Rules as GuardRules
from tests.naive_ladder import Levels, Rules
from workbench.backtest.event.driven import event_driven
from workbench.backtest.setting import Costs, Filters
from workbench.backtest.single import backtest
from workbench.execution.guards import Guards
from workbench.market.candles import Candles
from workbench.market.timeframes import parse_timeframe

CASH = 10_000.0
BTC = {"tick": Decimal("0.01"), "step": Decimal("0.00001"), "least": Decimal(5)}


@st.composite
def series(draw: st.DrawFn) -> Candles:
    """Return candles of whole cents around 100, some without trade, some after a gap."""
    rows: list[Bar] = []
    last = 10_000
    for _ in range(draw(st.integers(2, 25))):
        opened = last + draw(st.sampled_from([0, 0, 0, 1, -1, 150, -150, 320, -320]))
        path = [opened, *(opened + draw(st.integers(-400, 400)) for _ in range(3))]
        idle = draw(st.integers(0, 11)) == 0
        path = [opened] if idle else path
        missing = 2 if draw(st.integers(0, 14)) == 0 else 0
        cents = (opened, max(path), min(path), path[-1])
        rows.append((*(one / 100 for one in cents), 0.0 if idle else 10.0, missing))
        last = path[-1]
    return bars(*rows)


@st.composite
def in_parts(draw: st.DrawFn) -> Candles:
    """Return such candles made of four quarters each, some without a trade, some missing."""
    quarters: list[Bar] = []
    wholes: list[Bar] = []
    opened = 10_000
    for _ in range(draw(st.integers(2, 20))):
        mine: list[tuple[int, int, int, int, float]] = []
        for k in range(4):
            idle = draw(st.integers(0, 7)) == 0
            jump = draw(st.sampled_from([0, 0, 1, -1, 90, -90])) if k else 0
            path = [opened + jump] * 4
            if not idle:
                path = [path[0], *(path[0] + draw(st.integers(-250, 250)) for _ in range(3))]
            mine.append((path[0], max(path), min(path), path[-1], 0.0 if idle else 3.0))
            opened = path[-1]
        volume = sum(one[4] for one in mine)
        prices = (mine[0][0], max(m[1] for m in mine), min(m[2] for m in mine), mine[-1][3])
        wholes.append((*(price / 100 for price in prices), volume, 0))
        quarters += [(*(price / 100 for price in one[:4]), one[4], 0) for one in mine]
        opened += draw(st.sampled_from([0, 0, 0, 1, -150, 320]))
    fine = bars(*quarters)
    records = fine.records.copy()
    records["open_time"] = records["open_time"][0] + np.arange(len(records)) * 900_000
    kept = [draw(st.integers(0, 19)) > 0 for _ in quarters] if draw(st.booleans()) else None
    if kept is not None and any(kept):
        records = records[kept]
        gaps = np.diff(records["open_time"], prepend=records["open_time"][0] - 900_000) // 900_000
        records["missing_before"] = gaps - 1
    fine = Candles(fine.symbol, parse_timeframe("15m"), records)
    return replace(bars(*wholes), fine=fine)


@st.composite
def scripts(draw: st.DrawFn, count: int) -> Script:
    """Return rungs that come and go, each id wanted once at a time, and up to three targets."""
    rungs: list[Scripted] = []
    for _ in range(draw(st.integers(1, RUNGS))):
        begin = draw(st.integers(0, count - 1))
        end = draw(st.integers(begin + 1, count + 2))
        id = draw(st.integers(1, 7))
        if any(one.id == id and begin < one.end and one.begin < end for one in rungs):
            continue
        side = draw(st.sampled_from([1, 1, 1, -1]))
        off_tick = draw(st.sampled_from([0.0, 0.0037]))
        price = 100 + draw(st.integers(-800, 800)) / 100 + off_tick
        pair = price + side * draw(st.integers(4, 500)) / 100 if draw(st.booleans()) else 0.0
        quote = draw(st.sampled_from([4.0, 20.0, 777.77, 1_000.0, 2_500.0, 5_000.0, 10_000.0]))
        rungs.append(Scripted(begin, end, id, side, price, quote, pair))
    moments = draw(st.lists(st.integers(0, count - 1), max_size=3, unique=True))
    return Script(
        tuple(rungs), tuple((t, draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))) for t in moments)
    )


LEVELS = st.builds(
    Levels,
    stop=st.sampled_from([None, None, 99.1, 97.0, 94.3333]),
    take_profit=st.sampled_from([None, None, 101.2, 103.0, 106.6667]),
)


OVERLAYS = st.sampled_from([None, None, {"stop": 2.0}, {"take_profit": 1.5}, {"time_stop": 3}])


@settings(max_examples=80, deadline=None)
@given(st.data(), series(), LEVELS, st.sampled_from(["none", "exchange"]), st.booleans())
def test_the_kernel_is_the_oracle_fill_for_fill_with_exits_and_without(
    data: st.DataObject, candles: Candles, levels: Levels, filters: str, touch: bool
) -> None:
    script = replace(data.draw(scripts(len(candles))), levels=levels)
    costs = Costs(filters=filters, touch=touch)  # type: ignore[arg-type]
    run = backtest(candles, scripted(), costs=costs, **script.params())
    steps = BTC if filters == "exchange" else {}
    book = script.oracle(candles, cash=CASH, rules=Rules(touch=touch, **steps))
    times = candles.records["open_time"]
    expected = [(times[t].item(), side, float(p), float(q)) for t, side, p, q in book.fills]
    found = run.fills.select(run.fills["time"].dt.epoch("ms"), "side", "price", "quantity").rows()
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    numbers = [one[2:] for one in found]
    assert np.allclose(numbers, [one[2:] for one in expected], rtol=1e-9, atol=0.0)
    equity = [float(one) for one in book.equity]
    assert np.allclose(run.equity["equity"], equity, rtol=1e-9, atol=0.0)
    fees = run.metrics["fees"]
    assert fees is not None
    assert np.isclose(fees, float(book.fees), rtol=1e-9, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.data(), series(), LEVELS, OVERLAYS, st.booleans())
def test_the_matching_engine_is_the_kernel_fill_for_fill_with_exits_and_without(
    data: st.DataObject,
    candles: Candles,
    levels: Levels,
    overlay: dict[str, object] | None,
    touch: bool,
) -> None:
    script = replace(data.draw(scripts(len(candles))), levels=levels)
    costs = Costs(filters="exchange", touch=touch)
    fast = backtest(candles, scripted(), costs=costs, exits=overlay, **script.params())
    slow = event_driven(candles, scripted(), costs=costs, exits=overlay, **script.params())
    same = ["time", "signal_time", "side", "ticks", "lots", "price", "quantity", "fee", "reason"]
    assert fast.fills.select(same).equals(slow.fills.select(same))
    a, b = (run.equity["equity"].to_numpy() for run in (fast, slow))
    assert np.max(np.abs(a / b - 1.0)) <= 1e-9
    assert (fast.pending, fast.metrics["trades"]) == (slow.pending, slow.metrics["trades"])


HOLDING = st.builds(
    GuardRules,
    trades_a_day=st.sampled_from([None, None, 1, 3]),
    daily_loss=st.sampled_from([None, None, 0.002, 0.01]),
    drawdown=st.sampled_from([None, None, 0.005]),
    cooldown_bars=st.sampled_from([None, None, 1, 4]),
    loss_streak=st.sampled_from([None, None, 1, 2]),
    streak_pause_bars=st.sampled_from([0, 2, 5]),
)


def own_guards(rules: GuardRules) -> Guards:
    names = ("trades_a_day", "daily_loss", "drawdown", "cooldown_bars", "loss_streak")
    values = {name: getattr(rules, name) or 0 for name in names}
    return Guards(**values, streak_pause_bars=rules.streak_pause_bars)


@settings(max_examples=60, deadline=None)
@given(st.data(), series(), LEVELS, HOLDING, st.sampled_from(["none", "exchange"]))
def test_guards_hold_a_ladders_buys_back_alike_in_kernel_oracle_and_matching_engine(
    data: st.DataObject, candles: Candles, levels: Levels, rules: GuardRules, filters: str
) -> None:
    _hold_alike(data, candles, levels, rules, filters)


def test_whole_cents_buy_whole_lots_though_their_float_lies_just_below() -> None:
    """777.77 at 100.00 are 7.77770, in kernel and oracle: a proof of many markets found 7.77769 in the latter."""
    candles = bars((100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 99.99, 99.99))
    script = Script((Scripted(0, 1, 1, 1, 100.0, 777.77, 0.0),), ())
    run = backtest(candles, scripted(), costs=Costs(filters="exchange"), **script.params())
    assert run.fills["quantity"].to_list() == [7.7777]
    book = script.oracle(candles, cash=CASH, rules=Rules(**BTC))
    assert book.fills == [(1, "BUY", Decimal(100), Decimal("7.7777"))]


@pytest.mark.proof
@settings(max_examples=2_000, deadline=None)
@given(st.data(), series(), LEVELS, HOLDING, st.sampled_from(["none", "exchange"]))
def test_guards_hold_a_ladders_buys_back_alike_on_many_markets(
    data: st.DataObject, candles: Candles, levels: Levels, rules: GuardRules, filters: str
) -> None:
    _hold_alike(data, candles, levels, rules, filters)


def _hold_alike(
    data: st.DataObject, candles: Candles, levels: Levels, rules: GuardRules, filters: str
) -> None:
    script = replace(data.draw(scripts(len(candles))), levels=levels)
    costs = Costs(filters=filters, guards=own_guards(rules))  # type: ignore[arg-type]
    run = backtest(candles, scripted(), costs=costs, **script.params())
    steps = BTC if filters == "exchange" else {}
    book = script.oracle(candles, cash=CASH, rules=Rules(**steps), guards=rules)
    times = candles.records["open_time"]
    expected = [(times[t].item(), side, float(p), float(q)) for t, side, p, q in book.fills]
    found = run.fills.select(run.fills["time"].dt.epoch("ms"), "side", "price", "quantity").rows()
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    numbers = [one[2:] for one in found]
    assert np.allclose(numbers, [one[2:] for one in expected], rtol=1e-9, atol=0.0)
    assert run.guarded == book.guarded
    if filters == "exchange":
        slow = event_driven(candles, scripted(), costs=costs, **script.params())
        same = ["time", "signal_time", "side", "ticks", "lots", "fee", "reason"]
        assert run.fills.select(same).equals(slow.fills.select(same))
        assert slow.guarded == run.guarded


@settings(max_examples=30, deadline=None)
@given(st.data(), in_parts(), LEVELS, st.booleans())
def test_finer_candles_are_followed_by_kernel_oracle_and_matching_engine_alike(
    data: st.DataObject, candles: Candles, levels: Levels, touch: bool
) -> None:
    script = replace(data.draw(scripts(len(candles))), levels=levels)
    costs = Costs(filters="exchange", touch=touch)
    fast = backtest(candles, scripted(), costs=costs, **script.params())
    slow = event_driven(candles, scripted(), costs=costs, **script.params())
    book = script.oracle(candles, cash=CASH, rules=Rules(touch=touch, **BTC))
    same = ["time", "signal_time", "side", "ticks", "lots", "price", "quantity", "fee", "reason"]
    assert fast.fills.select(same).equals(slow.fills.select(same))
    times = candles.records["open_time"]
    expected = [(times[t].item(), side, float(p)) for t, side, p, _ in book.fills]
    found = fast.fills.select(fast.fills["time"].dt.epoch("ms"), "side", "price").rows()
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    assert np.allclose([one[2] for one in found], [one[2] for one in expected], rtol=1e-9, atol=0.0)
    assert np.allclose(
        fast.equity["equity"], [float(one) for one in book.equity], rtol=1e-9, atol=0.0
    )
    assert fast.ambiguous == slow.ambiguous
    if levels == Levels():
        assert fast.ambiguous == book.ambiguous


@settings(max_examples=20, deadline=None)
@given(st.data(), series())
def test_a_decision_sees_the_rungs_that_have_filled_as_the_oracle_does(
    data: st.DataObject, candles: Candles
) -> None:
    drawn = data.draw(scripts(len(candles))).rungs
    script = Script(
        tuple(  # with pairs and for ever, so that all base is reserved and no target can sell it
            replace(one, end=10**6, id=k, side=1, quote=max(one.quote, 20.0), pair=one.price + 1.5)
            for k, one in enumerate(drawn)
        )
    )
    book = script.oracle(candles, cash=CASH, rules=Rules(**BTC))
    for engine in (backtest, event_driven):
        run = engine(
            candles, scripted(), costs=Costs(filters="exchange"), shows=1, **script.params()
        )
        bits = np.rint(run.equity["target"].to_numpy() * 1e14).astype(int)
        assert bits.tolist() == book.filled


@pytest.mark.parametrize(
    ("engine", "filters"), [(backtest, "none"), (backtest, "exchange"), (event_driven, "exchange")]
)
@settings(max_examples=20, deadline=None)
@given(st.data(), series(), LEVELS)
def test_cash_and_base_are_what_the_fills_left_and_never_below_zero(
    engine: Engine, filters: Filters, data: st.DataObject, candles: Candles, levels: Levels
) -> None:
    script = replace(data.draw(scripts(len(candles))), levels=levels)
    run = engine(candles, scripted(), costs=Costs(filters=filters), **script.params())
    assume(run.fills.height > 0)
    cash, base = CASH, 0.0
    left = {}
    for fill in run.fills.iter_rows(named=True):
        value = fill["price"] * fill["quantity"]
        buys = fill["side"] == "BUY"
        cash += -value if buys else value - fill["fee"]
        base += fill["quantity"] - fill["fee"] if buys else -fill["quantity"]
        left[fill["time"]] = cash, base
    cash, base = CASH, 0.0
    for row in run.equity.iter_rows(named=True):
        cash, base = left.get(row["open_time"], (cash, base))
        assert np.isclose(row["cash"], cash, rtol=0.0, atol=1e-9 * CASH)
        assert np.isclose(row["quantity"], base, rtol=0.0, atol=1e-9 * CASH / 100)
        assert np.isclose(row["equity"], cash + base * row["close"], rtol=1e-9)
        assert row["cash"] >= -1e-9 * CASH
        assert row["quantity"] >= 0.0
    gain = run.equity["equity"][-1] - CASH
    dust = 0.0 if filters == "none" else 1e-5 * 120 * run.trades.height
    assert np.isclose(sum(run.trades["pnl"]), gain, rtol=0.0, atol=1e-8 * CASH + dust)
