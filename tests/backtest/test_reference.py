"""backtrader, an engine that is not ours, makes the same trades and the same money."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.candle_builders import candles_of, martingale
from tests.conftest import shared_path
from tests.scripted import SCRIPTED, scripted
from workbench import strategies
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.data import load
from workbench.errors import UsageError
from workbench.market.candles import Candles

reference_room = pytest.importorskip("workbench.backtest.reference", exc_type=UsageError)
reference = reference_room.reference

SYMBOLS = ("BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")
COINCIDING = {"macd", "cross", "ema_cross", "sma_cross", "rsi", "bollinger", "donchian"}
REGISTERED = sorted(COINCIDING.intersection(strategies.names()))
PLAIN = Costs(fee_bps=10.0, slippage_bps=1.0)
SAME_FILLS = ("price", "quantity", "fee", "realised")


def demand_equal(ours: BacktestResult, theirs: BacktestResult) -> None:
    same = ["time", "signal_time", "side"]
    assert ours.fills.select(same).equals(theirs.fills.select(same))
    for name in SAME_FILLS:
        a, b = (run.fills[name].to_numpy() for run in (ours, theirs))
        assert np.allclose(a, b, rtol=1e-6, atol=1e-6), name
    a, b = (run.equity["equity"].to_numpy() for run in (ours, theirs))
    assert np.max(np.abs(a / b - 1.0)) <= 1e-6
    for name, value in ours.metrics.items():
        expected = None if value is None else pytest.approx(value, rel=1e-6, abs=1e-9)
        assert theirs.metrics[name] == expected, name
    assert ours.trades["is_open"].to_list() == theirs.trades["is_open"].to_list()
    assert ours.pending == theirs.pending


@pytest.mark.parametrize("name", REGISTERED)
def test_backtrader_makes_the_same_trades_on_recorded_candles(name: str) -> None:
    shared_path("data/klines_1h.parquet")
    candles = load("BTCUSDT", "1h", start="2025-02-01", end="2025-03-15")
    spec = strategies.load(name)
    ours = backtest(candles, spec, costs=PLAIN)
    demand_equal(ours, reference(candles, spec, costs=PLAIN))
    assert ours.fills.height >= 4


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("name", REGISTERED)
def test_backtrader_makes_the_same_trades_over_all_recorded_years(name: str, symbol: str) -> None:
    shared_path("data/klines_1h.parquet")
    candles, spec = load(symbol, "1h"), strategies.load(name)
    ours = backtest(candles, spec, costs=PLAIN)
    demand_equal(ours, reference(candles, spec, costs=PLAIN))
    assert ours.fills.height >= 100
    assert len(candles) > 40_000


def test_candles_that_cannot_be_traded_make_both_engines_wait() -> None:
    candles = martingale(900, 5)
    gapped = candles.records.copy()
    gapped["volume"][::13] = 0.0
    gapped["open_time"][400:] += 7_200_000
    gapped["missing_before"][400] = 2
    series = Candles("TESTUSDT", candles.timeframe, gapped, 200)
    macd, fast = strategies.load("macd"), {"fast": 3, "slow": 7, "signal": 3}
    ours = backtest(series, macd, costs=PLAIN, **fast)
    demand_equal(ours, reference(series, macd, costs=PLAIN, **fast))
    waited = (ours.fills["time"] - ours.fills["signal_time"]).dt.total_hours()
    assert waited.max() > 1


def test_a_sale_that_dies_while_it_waits_buys_nothing_with_the_last_crumb_of_cash() -> None:
    # Seen on BNBUSDT in April 2021: all cash in, a sale waits over an hour without trade, and at its
    # close the strategy wants all in again. Nothing is left to buy with, here or there.
    candles = candles_of([10.0, 10.1, 10.3, 10.2, 10.4, 10.6], [10.1, 10.3, 10.2, 10.4, 10.6, 10.5])
    candles.records["volume"][3] = 0.0
    series = scripted(candles, [1.0, None, 0.0, 1.0, None, 0.0])
    ours = backtest(series, SCRIPTED, costs=PLAIN)
    demand_equal(ours, reference(series, SCRIPTED, costs=PLAIN))
    assert ours.fills["side"].to_list() == ["BUY"]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    targets=st.lists(st.sampled_from([None, 0.0, 0.3, 0.5, 1.0]), min_size=60, max_size=60),
    idle=st.sets(st.integers(1, 59), max_size=20),
)
def test_backtrader_agrees_on_any_targets_over_candles_without_trade(
    seed: int, targets: list[float | None], idle: set[int]
) -> None:
    candles = martingale(60, seed, substeps=4)
    candles.records["volume"][sorted(idle)] = 0.0
    series = scripted(candles, targets)
    ours = backtest(series, SCRIPTED, costs=PLAIN)
    demand_equal(ours, reference(series, SCRIPTED, costs=PLAIN))


def test_a_buy_pays_the_fee_from_the_base_it_receives() -> None:
    # By hand: 10,000 at 100 with 1 % fee buys 99 kept; sold at 110: 99 x 110 x 0.99 = 10,781.10.
    spent, price, kept = 10_000.0, 100.0, 99.0
    scheme = reference_room._Commission(fee=0.01)
    assert kept * price + scheme.getcommission(kept, price) == pytest.approx(spent, rel=1e-12)
    assert kept * 110.0 - scheme.getcommission(-kept, 110.0) == pytest.approx(10_781.10, rel=1e-12)


def test_it_refuses_filters_which_it_cannot_keep() -> None:
    with pytest.raises(UsageError, match="knows no lots and ticks"):
        reference(martingale(50, 1), strategies.load("macd"), costs=Costs(filters="exchange"))


def test_the_face_names_the_engine_and_drops_the_filters_for_it() -> None:
    import workbench as wb

    run = wb.backtest(martingale(300, 3), wb.strategies.macd, engine="backtrader")
    assert (run.engine, run.costs.filters) == ("backtrader", "none")


def test_without_backtrader_the_error_says_how_to_get_it() -> None:
    script = (
        "import sys; sys.modules['backtrader'] = None\n"
        "from workbench.cli import main\n"
        "sys.argv = ['workbench', 'backtest', '--engine', 'backtrader', '--start', '2025-01-01',"
        " '--end', '2025-02-01']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "quant-workbench[reference]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_our_engines_do_not_import_backtrader() -> None:
    script = (
        "import sys, workbench.face.research, workbench.backtest.event.driven\n"
        "assert 'backtrader' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
