"""What holds for every strategy that ships: no future, no memory of the start, one decision everywhere."""

from __future__ import annotations

import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.candle_builders import martingale, to_cents
from tests.strategies.deciding import intents
from workbench import strategies
from workbench.backtest.event.driven import event_driven
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.market.candles import Candles

LADDERS = {"grid"}
ON_TARGETS = sorted(set(strategies.names()) - LADDERS)
QUICK = {
    "macd": {"fast": 3, "slow": 7, "signal": 3},
    "ema_cross": {"fast": 3, "slow": 9},
    "sma_cross": {"fast": 3, "slow": 9},
    "rsi": {"period": 4, "oversold": 40, "overbought": 60},
    "bollinger": {"period": 10, "width": 1.5},
    "donchian": {"entry": 8, "exit": 5},
    "dca": {"every": 20, "share": 0.05},
    "hold": {"share": 1.0},
    "random_entry": {"hold_bars": 7, "chance": 0.1},
    "grid": {"low": 0.95, "high": 1.05, "lines": 9, "stop": 0.8, "take_profit": 1.3},
}
every_strategy = pytest.mark.parametrize("name", strategies.names())


def broken_series() -> Candles:
    """Return candles of whole cents with hours without trade and a gap, history before the window."""
    records = to_cents(martingale(500, 17)).records.copy()
    records["volume"][::13] = 0.0
    records["open_time"][250:] += 7_200_000
    records["missing_before"][250] = 2
    return Candles("BTCUSDT", martingale(2, 1).timeframe, records, 60)


@every_strategy
def test_what_comes_later_changes_no_decision(name: str) -> None:
    records = to_cents(martingale(90, 3)).records
    whole = intents(name, records, **QUICK[name])
    rng = np.random.default_rng(5)
    for cut in (1, 12, 40, 77):
        for poison in (np.nan, 10.0, rng.uniform(0.1, 10.0, len(records) - cut)):
            changed = records.copy()
            for price in ("open", "high", "low", "close", "volume"):
                changed[price][cut:] *= poison
            found = intents(name, changed, **QUICK[name])
            assert found[:cut].tobytes() == whole[:cut].tobytes(), (cut, poison)


@pytest.mark.parametrize("name", ON_TARGETS)
def test_kernel_and_event_engine_write_the_same_targets_and_fill_the_same_orders(name: str) -> None:
    series, costs, spec = broken_series(), Costs(filters="exchange"), strategies.load(name)
    fast = backtest(series, spec, costs=costs, **QUICK[name])
    slow = event_driven(series, spec, costs=costs, **QUICK[name])
    assert np.array_equal(fast.equity["target"], slow.equity["target"], equal_nan=True)
    same = ["time", "signal_time", "side", "ticks", "lots", "price", "quantity", "fee"]
    assert fast.fills.select(same).equals(slow.fills.select(same))
    assert len(fast.fills) >= (1 if name == "hold" else 5)
    a, b = (run.equity["equity"].to_numpy() for run in (fast, slow))
    assert np.max(np.abs(a / b - 1.0)) <= 1e-9


@pytest.mark.parametrize("name", ["sma_cross", "bollinger", "donchian"])
@settings(max_examples=15, deadline=None)
@given(dropped=st.integers(0, 60), seed=st.integers(0, 1_000))
def test_a_window_forgets_all_that_lies_before_it(name: str, dropped: int, seed: int) -> None:
    records = to_cents(martingale(90, seed)).records
    spec = strategies.load(name)
    stable = int(spec.stable(spec.params(**QUICK[name])))
    whole = intents(name, records, **QUICK[name])["target"][dropped + stable :]
    late = intents(name, records[dropped:], **QUICK[name])["target"][stable:]
    assert np.array_equal(whole, late, equal_nan=True)


@pytest.mark.parametrize("name", ["macd", "ema_cross", "rsi"])
def test_an_average_has_forgotten_its_seed_when_it_says_it_is_stable(name: str) -> None:
    records = to_cents(martingale(700, 23)).records
    spec = strategies.load(name)
    stable = int(spec.stable(spec.params(**QUICK[name])))
    whole = intents(name, records, **QUICK[name])["target"][300 + stable :]
    late = intents(name, records[300:], **QUICK[name])["target"][stable:]
    assert np.array_equal(whole, late, equal_nan=True)
    assert np.isfinite(whole).sum() > 20


@every_strategy
def test_no_number_that_it_writes_or_keeps_is_nan_but_a_target_without_opinion(name: str) -> None:
    spec = strategies.load(name)
    records = to_cents(martingale(120, 29)).records
    written = intents(name, records, **QUICK[name])
    for field in ("stop", "take_profit", "trail"):
        assert np.isfinite(written[field]).all()
    chosen = written["target"][~np.isnan(written["target"])]
    assert ((chosen >= 0.0) & (chosen <= 1.0)).all()
    from workbench.execution.instance import Decider

    decider = Decider(spec, spec.params(**QUICK[name]))
    state = np.frombuffer(decider.warm_up(records, decider.initial_state(), 1e4), spec.state_dtype)
    for field in spec.state_dtype.names or ():
        assert np.isfinite(state[field]).all(), field


@every_strategy
def test_it_names_its_source_and_every_default_is_in_range_and_valid(name: str) -> None:
    spec = strategies.load(name)
    assert len(spec.source) > 20
    assert all(one.doc for one in spec.parameters)
    record = spec.params()
    assert spec.values(record) == spec.defaults
    assert spec.name == name
    assert int(spec.first_value(record)) >= 1


def test_no_strategy_is_hidden_by_a_file_of_the_same_name() -> None:
    files = {one.name for one in pkgutil.iter_modules(strategies.__path__)}
    assert not files & set(strategies.names())
