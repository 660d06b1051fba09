"""The engine's rules for targets, each in a few candles worked by hand, in kernel and event engine.

What is wanted stands at each close; hour 0 closes before hour 1 opens, where its order fills.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import naive
from tests.candle_builders import START_MS, candles_of, martingale, to_cents
from tests.scripted import SCRIPTED, scripted
from tests.strategies.test_every_strategy import ON_TARGETS, QUICK
from workbench import strategies
from workbench.backtest.event.driven import event_driven
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs, Filters
from workbench.backtest.single import backtest
from workbench.market.candles import Candles

HOUR = 3_600_000
Targets = list[float | None]
FREE = Costs(fee_bps=0, slippage_bps=0, cash=10_000.0, filters="exchange")
both = pytest.mark.parametrize("engine", [backtest, event_driven], ids=["kernel", "event"])
Engine = Callable[..., BacktestResult]


def market(closes: list[float], volumes: list[float] | None = None) -> Candles:
    """Return hours of BTCUSDT that open where the one before closed."""
    return candles_of([closes[0], *closes[:-1]], closes, volumes=volumes, symbol="BTCUSDT")


def run(engine: Engine, candles: Candles, targets: Targets, costs: Costs = FREE) -> BacktestResult:
    return engine(scripted(candles, targets), SCRIPTED, costs=costs)


def fills(result: BacktestResult) -> list[tuple[int, str, float, float]]:
    hours = (result.fills["time"].dt.epoch("ms") - START_MS) // HOUR
    rows = result.fills.select("side", "price", "quantity").rows()
    return [(int(h), *row) for h, row in zip(hours, rows, strict=True)]


# -- targets


@both
def test_a_target_is_acted_on_once_and_no_opinion_changes_nothing(engine: Engine) -> None:
    result = run(engine, market([100.0] * 6), [0.5, 0.5, None, 0.5, 0.5, None])
    assert fills(result) == [(1, "BUY", 100.0, 50.0)]
    silent = run(engine, market([100.0] * 6), [None] * 6)
    assert fills(silent) == []
    assert silent.metrics["final_equity"] == 10_000.0
    assert silent.equity["target"].to_list() == [None] * 6


@both
def test_drift_never_trades(engine: Engine) -> None:
    # Half of 10,000 in at 100; at 200 the position is two thirds, at 50 a third: nothing is done.
    result = run(engine, market([100.0, 100.0, 200.0, 50.0, 400.0]), [0.5] * 5)
    assert fills(result) == [(1, "BUY", 100.0, 50.0)]
    assert result.equity["equity"].to_list() == [10_000.0, 10_000.0, 15_000.0, 7_500.0, 25_000.0]


@both
def test_a_target_is_a_share_of_the_equity_at_the_signals_close(engine: Engine) -> None:
    # Hour 0: half of 10,000 -> 50 at 100. Hour 2 closes at 120: equity 11,000, target 0.9 = 9,900,
    # position 6,000, so 3,900 are spent, at the open of hour 3 = 120: 32.5. Hour 3 closes at 100:
    # equity 1,100 + 82.5 x 100 = 9,350; target 0.2 = 1,870 = 18.7, so 63.8 are sold at 100.
    result = run(engine, market([100.0, 100.0, 120.0, 100.0, 100.0]), [0.5, None, 0.9, 0.2, None])
    assert fills(result) == [
        (1, "BUY", 100.0, 50.0), (3, "BUY", 120.0, 32.5), (4, "SELL", 100.0, 63.8),
    ]  # fmt: skip
    assert result.equity["cash"].to_list()[-1] == pytest.approx(1_100.0 + 6_380.0)


@both
def test_a_buy_never_spends_more_than_the_cash(engine: Engine) -> None:
    # Decided at 100 for all 10,000; the open of hour 1 is 125: 80 are bought, not 100.
    candles = candles_of([100.0, 125.0, 125.0], [100.0, 125.0, 125.0], symbol="BTCUSDT")
    result = run(engine, candles, [1.0, None, None])
    assert fills(result) == [(1, "BUY", 125.0, 80.0)]
    assert result.equity["cash"].to_list()[-1] == 0.0


@both
def test_what_costs_too_little_is_refused_and_its_target_spent(engine: Engine) -> None:
    # 0.0004 of 10,000 is 4 USDT, below the exchange's 5; writing it again is no other target.
    result = run(engine, market([100.0] * 6), [0.0004, 0.0004, None, 0.0004, 0.001, None])
    assert fills(result) == [(5, "BUY", 100.0, 0.1)]
    # A sale of 4 USDT is refused in the same way; all of it is above the minimum.
    result = run(engine, market([100.0] * 5), [0.5, 0.4996, 0.4996, 0.0, None])
    assert fills(result) == [(1, "BUY", 100.0, 50.0), (4, "SELL", 100.0, 50.0)]


@both
def test_after_a_refusal_the_same_target_is_dead_even_when_it_could_trade_later(
    engine: Engine,
) -> None:
    # 0.0004 x 10,000 at first; the second buy makes 20,000 of it, but 0.0004 stays spent.
    targets = [0.0004, None, 0.0004, 0.5, None]
    result = run(engine, market([100.0] * 5), targets)
    assert fills(result) == [(4, "BUY", 100.0, 50.0)]


# -- when an order fills


@both
def test_a_signal_at_a_close_fills_at_the_next_open_and_pays_slippage_and_fee(
    engine: Engine,
) -> None:
    # 10 bps slippage: buys at 110.11 (110 x 1.001), sells at 119.88 (120 x 0.999), in whole cents.
    # 10,000 / 110.11 = 90.81827 lots of 1e-5; 10 bps of that base is 0.09081827, cut off at 1e-8.
    candles = candles_of([90.0, 110.0, 100.0, 120.0], [100.0, 105.0, 130.0, 90.0], symbol="BTCUSDT")
    costs = Costs(fee_bps=10, slippage_bps=10, cash=10_000.0, filters="exchange")
    result = run(engine, candles, [1.0, None, 0.0, None], costs)
    bought, kept = Decimal("90.81827"), Decimal("90.81827") - Decimal("0.09081827")
    sold = Decimal("90.72745")  # whole lots of what was kept
    assert fills(result) == [(1, "BUY", 110.11, float(bought)), (3, "SELL", 119.88, float(sold))]
    cash = Decimal(10_000) - bought * Decimal("110.11")
    fee = (sold * Decimal("119.88") * Decimal("0.001")).quantize(Decimal("1e-8"), "ROUND_DOWN")
    assert result.fills["fee"].to_list() == [0.09081827, float(fee)]
    assert result.equity["cash"].to_list()[-1] == float(cash + sold * Decimal("119.88") - fee)
    assert result.equity["quantity"].to_list()[-1] == float(kept - sold)  # dust


@both
def test_dust_is_no_position_and_is_worth_what_it_is_worth(engine: Engine) -> None:
    costs = Costs(fee_bps=10, slippage_bps=0, cash=1_000.0, filters="exchange")
    # 10 bought, 0.01 fee: 9.99 held, in whole lots: no dust. With 1,000.003: 10.00003 bought, fee
    # 0.01000003, 9.99002997 held, 9.99002 sold: 0.00000997 is left, worth 0.000997.
    result = run(engine, market([100.0] * 5), [1.0, None, 0.0, None, None], costs)
    assert result.equity["quantity"].to_list()[-1] == 0.0
    dusty = Costs(fee_bps=10, slippage_bps=0, cash=1_000.003, filters="exchange")
    result = run(engine, market([100.0] * 5), [1.0, None, 0.0, None, None], dusty)
    assert result.equity["quantity"].to_list()[-1] == 0.00000997
    assert (result.metrics["open_trade"], result.metrics["trades"]) == (False, 1)
    # Its trade is charged for what it sold: 9.99002 of the 9.99002997 that 1,000.003 had bought cost
    # 1,000.002002, and brought 999.002 less 0.999002. What the dust cost is not lost by it.
    assert result.trades["pnl"].to_list() == [pytest.approx(998.002998 - 1_000.002002, abs=1e-6)]
    assert result.metrics["exposure"] == 2 / 5
    last = result.equity.row(-1, named=True)
    assert last["equity"] == pytest.approx(last["cash"] + 0.000997, abs=1e-9)


@both
@pytest.mark.parametrize("why", ["no trade", "gap"])
def test_an_order_waits_for_a_tradable_open(engine: Engine, why: str) -> None:
    candles = market([100.0, 101.0, 102.0, 103.0, 104.0])
    if why == "no trade":
        candles.records["volume"][1:3] = 0.0
        expected = 3
    else:
        candles.records["open_time"][1:] += 2 * HOUR
        candles.records["missing_before"][1] = 2
        expected = 4  # hour 1 is now hour 3, the first after the gap; hour 4 trades
    result = run(engine, candles, [1.0, None, None, None, None])
    price = 102.0 if why == "no trade" else 101.0
    assert [one[:3] for one in fills(result)] == [(expected, "BUY", price)]


@both
def test_an_order_that_waits_dies_when_the_target_changes(engine: Engine) -> None:
    candles = market([100.0] * 6, [10.0, 0.0, 0.0, 10.0, 10.0, 10.0])
    assert fills(run(engine, candles, [1.0, None, 0.0, None, None, None])) == []
    changed = run(engine, candles, [1.0, None, 0.25, None, None, None])
    assert fills(changed) == [(3, "BUY", 100.0, 25.0)]
    # The same target is no change: the order goes on waiting, in the size of its signal's close.
    same = run(engine, candles, [1.0, 1.0, 1.0, None, None, None])
    assert fills(same) == [(3, "BUY", 100.0, 100.0)]


@both
def test_a_signal_on_the_last_candle_is_pending(engine: Engine) -> None:
    result = run(engine, market([100.0] * 3), [None, None, 1.0])
    assert (fills(result), result.pending) == ([], True)
    waiting = market([100.0] * 3, [10.0, 0.0, 0.0])
    assert run(engine, waiting, [1.0, None, None]).pending
    assert not run(engine, market([100.0] * 3), [1.0, None, None]).pending


@both
def test_an_open_position_is_marked_at_the_last_close_without_a_fee(engine: Engine) -> None:
    costs = Costs(fee_bps=100, slippage_bps=0, cash=1_000.0, filters="exchange")
    # 10 bought at 100, 0.1 is the fee, 9.9 held; at 150 that is 1,485, and no exit fee is charged.
    result = run(engine, market([100.0, 100.0, 150.0]), [1.0, None, None], costs)
    assert result.metrics["final_equity"] == pytest.approx(1_485.0)
    assert (result.metrics["open_trade"], result.metrics["trades"]) == (True, 0)
    assert result.metrics["fees"] == pytest.approx(10.0)  # 0.1 at 100
    trip = result.trades.row(0, named=True)
    assert (trip["is_open"], trip["exit_time"]) == (True, None)
    assert trip["pnl"] == pytest.approx(485.0)


# -- what is reported


@both
def test_trades_are_closed_round_trips_and_what_cannot_be_said_is_null(engine: Engine) -> None:
    closes = [100.0, 100.0, 110.0, 110.0, 110.0, 121.0]
    result = run(engine, market(closes), [1.0, None, 0.0, 1.0, None, None])
    assert (result.metrics["trades"], result.metrics["win_rate"]) == (1, 1.0)
    assert result.metrics["open_trade"] is True
    assert result.metrics["profit_factor"] is None
    assert result.metrics["cagr"] is result.metrics["calmar"] is None
    assert result.metrics["max_drawdown"] == 0.0
    assert "90" in result.reasons["cagr"]
    assert result.reasons["profit_factor"] == "no closed round trip lost"
    falling = run(engine, market([100.0, 100.0, 80.0]), [1.0, None, None])
    assert falling.metrics["max_drawdown"] == pytest.approx(-0.2)


def test_selling_the_last_crumbs_of_a_closed_trip_is_no_new_trip() -> None:
    # 1.5e-12 of the equity at 200 is 0.75e-12 of the base that was bought at 100: the trip is closed;
    # the target 0 then sells those crumbs, which no trip holds any more.
    candles = market([100.0, 100.0, 200.0, 200.0, 200.0])
    result = run(backtest, candles, [1.0, None, 1.5e-12, 0.0, None], Costs())
    assert [one[:2] for one in fills(result)] == [(1, "BUY"), (3, "SELL"), (4, "SELL")]
    assert result.trades["is_open"].to_list() == [False]


# -- properties


# From 1e-6 on: what lies within the rounding of floats (1e-12 of the equity) has an example of its own.
targets_of_any_kind = st.lists(
    st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(1e-6, 1.0)),
    min_size=30,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), targets=targets_of_any_kind, idle=st.sets(st.integers(0, 29)))
def test_any_targets_trade_as_the_naive_account_does(
    seed: int, targets: Targets, idle: set[int]
) -> None:
    candles = martingale(30, seed, substeps=4)
    candles.records["volume"][sorted(idle)] = 0.0
    result = run(backtest, candles, targets, Costs())
    r = candles.records
    book = naive.any_targets(
        r["open"].tolist(), r["close"].tolist(), r["volume"].tolist(), targets,
        cash=10_000.0, fee=0.001, slippage=0.0001,
    )  # fmt: skip
    assert result.equity["equity"].to_list() == pytest.approx(book.equity, rel=1e-9)
    found = [(hour, side, price) for hour, side, price, _ in fills(result)]
    assert found == [(t, side, pytest.approx(price, rel=1e-12)) for t, side, price, _ in book.fills]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), targets=targets_of_any_kind, idle=st.sets(st.integers(0, 29)))
def test_kernel_and_event_engine_agree_on_any_targets_to_the_lot(
    seed: int, targets: Targets, idle: set[int]
) -> None:
    candles = to_cents(martingale(30, seed, substeps=4))
    candles.records["volume"][sorted(idle)] = 0.0
    fast, slow = (
        run(engine, candles, targets, Costs(filters="exchange"))
        for engine in (backtest, event_driven)
    )
    same = [name for name in fast.fills.columns if name != "realised"]
    assert fast.fills.select(same).equals(slow.fills.select(same))
    assert fast.fills["realised"].to_list() == pytest.approx(slow.fills["realised"], abs=1e-6)
    assert fast.equity["equity"].to_list() == pytest.approx(slow.equity["equity"], rel=1e-9)
    assert fast.pending == slow.pending


@pytest.mark.parametrize(
    ("engine", "filters"), [(backtest, "none"), (backtest, "exchange"), (event_driven, "exchange")]
)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), targets=targets_of_any_kind)
def test_cash_and_base_rebuilt_from_fills_and_fees_are_the_equity_at_every_close(
    engine: Engine, filters: Filters, seed: int, targets: Targets
) -> None:
    candles = to_cents(martingale(30, seed, substeps=4))
    result = run(engine, candles, targets, Costs(filters=filters))
    cash, base, rebuilt = 10_000.0, 0.0, []
    booked = {row["time"]: row for row in result.fills.iter_rows(named=True)}
    for row in result.equity.iter_rows(named=True):
        if fill := booked.get(row["open_time"]):
            value, buys = fill["price"] * fill["quantity"], fill["side"] == "BUY"
            cash += -value if buys else value - fill["fee"]
            base += fill["quantity"] - fill["fee"] if buys else -fill["quantity"]
        rebuilt.append(cash + base * row["close"])
    assert result.equity["equity"].to_list() == pytest.approx(rebuilt, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    targets=targets_of_any_kind,
    low=st.floats(0, 100),
    more=st.floats(0.1, 300),
)
def test_higher_fees_never_help_whatever_the_targets(
    seed: int, targets: Targets, low: float, more: float
) -> None:
    candles = martingale(30, seed, substeps=4)
    assume(any(one for one in targets))
    cheap, dear = (
        run(backtest, candles, targets, Costs(fee_bps=fee)).equity["equity"].to_numpy()
        for fee in (low, low + more)
    )
    assert np.all(dear <= cheap * (1.0 + 1e-12))


@pytest.mark.parametrize("name", sorted(set(ON_TARGETS) - {"dca"}))
def test_higher_fees_never_help_a_shipped_strategy(name: str) -> None:
    spec = strategies.load(name)
    for seed in range(3):
        candles = martingale(400, 900 + seed, substeps=10)
        ends = [
            backtest(candles, spec, costs=Costs(fee_bps=fee), **QUICK[name]).metrics["final_equity"]
            for fee in (0.0, 5.0, 10.0, 50.0)
        ]
        assert ends == sorted(ends, reverse=True)


@pytest.fixture(scope="module")
def walks() -> list[Candles]:
    return [martingale(300, 70_000 + seed, substeps=100) for seed in range(200)]


@pytest.mark.parametrize("name", ON_TARGETS)
def test_on_martingales_a_strategy_earns_minus_its_costs(name: str, walks: list[Candles]) -> None:
    # Equity plus all costs paid is a martingale too: its mean gain is zero, whatever is decided.
    spec, gains = strategies.load(name), []
    for candles in walks:
        result = backtest(candles, spec, costs=Costs(), **QUICK[name])
        opens = dict(zip(result.equity["open_time"], candles.records["open"].tolist(), strict=True))
        paid = 0.0
        for fill in result.fills.iter_rows(named=True):
            value, fair = fill["price"] * fill["quantity"], opens[fill["time"]]
            if fill["side"] == "BUY":
                paid += value - (fill["quantity"] - fill["fee"]) * fair
            else:
                paid += fill["quantity"] * fair - (value - fill["fee"])
        assert paid > 0.0 or not result.fills.height
        gains.append(result.metrics["final_equity"] - 10_000.0 + paid)
    error = float(np.std(gains, ddof=1)) / np.sqrt(len(gains))
    assert abs(np.mean(gains)) < 4.0 * error
    assert np.std(gains) > 10.0


def test_on_martingales_a_grid_earns_nothing_where_minutes_tell_the_order_inside_an_hour() -> None:
    # On hours alone low comes before high, so that a line buys below and sells above in one candle.
    grid, free = strategies.load("grid"), Costs(fee_bps=0, slippage_bps=0)
    lines = {"low": 0.95, "high": 1.05, "lines": 9}
    known, guessed = [], []
    for seed in range(200):
        minutes = martingale(
            12_000, 90_000 + seed, interval="1m", sigma=0.01 / 60**0.5, substeps=10
        )
        hours = _hours_of(minutes)
        for candles, gains in ((replace(hours, fine=minutes), known), (hours, guessed)):
            result = backtest(candles, grid, costs=free, **lines)
            gains.append(result.metrics["final_equity"] - 10_000.0)
    flattery = np.subtract(guessed, known)
    root = np.sqrt(len(known))
    assert abs(np.mean(known)) < 4.0 * np.std(known, ddof=1) / root
    assert np.std(known) > 100.0
    assert np.mean(flattery) > 4.0 * np.std(flattery, ddof=1) / root  # which is why README warns


def _hours_of(minutes: Candles) -> Candles:
    records = minutes.records
    hours = candles_of(records["open"][::60].tolist(), records["close"][59::60].tolist())
    hours.records["high"] = records["high"].reshape(-1, 60).max(axis=1)
    hours.records["low"] = records["low"].reshape(-1, 60).min(axis=1)
    return hours
