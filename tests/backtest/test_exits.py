"""Protective exits, one hand-worked example of a few candles for each sentence of the contract.

Buys fill at 100 with neither fee nor slippage unless the example is about them: the levels are round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.backtest.test_engine_semantics import Engine
from tests.candle_builders import START_MS, candles_of_bars
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs, Filters
from workbench.backtest.single import backtest
from workbench.errors import DataError, UsageError
from workbench.execution.exits import ExitsForm
from workbench.market.candles import Candles

Bars = list[tuple[float, float, float, float]]
FLAT = (100.0, 100.0, 100.0, 100.0)
FREE = Costs(fee_bps=0, slippage_bps=0, cash=1_000.0)


@dataclass(frozen=True)
class Run:
    """Backtests what a test wrote in one of the engines; results may be off by its `tick` and `lot`."""

    engine: Engine
    filters: Filters
    tick: float = 0.0
    lot: float = 0.0

    def __call__(
        self,
        bars: Bars,
        targets: list[float | None],
        exits: ExitsForm,
        *,
        levels: dict[int, tuple[float, float, float]] | None = None,
        volumes: list[float] | None = None,
        gap_before: int = 0,
        fine: Candles | None = None,
        costs: Costs = FREE,
    ) -> BacktestResult:
        """Backtest; `levels` are the strategy's own, at the closes that are named."""
        candles = candles_of_bars(bars, volumes=volumes, symbol="BTCUSDT")
        padded = targets + [None] * (len(bars) - len(targets))
        candles = replace(scripted(candles, padded), fine=fine)
        for at, (stop, take_profit, trail) in (levels or {}).items():
            candles.records["aux"][at, 1:] = stop, take_profit, trail
        if gap_before:
            candles.records["open_time"][gap_before:] += 3_600_000
            candles.records["missing_before"][gap_before] = 1
        costs = replace(costs, filters=self.filters)
        return self.engine(candles, SCRIPTED, costs=costs, exits=exits)

    def near(self, price: float) -> object:
        """Return what a price is to be: itself, or on the tick beside it."""
        return pytest.approx(price, rel=1e-12, abs=self.tick)


RUNS = {
    "kernel": Run(backtest, "none"),
    "kernel-filters": Run(backtest, "exchange", 0.01, 1e-5),
    "event": Run(event_driven, "exchange", 0.01, 1e-5),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    """Return each engine in turn: what is worked by hand holds in all of them."""
    return RUNS[request.param]


def sells(result: BacktestResult) -> list[tuple[int, float, str]]:
    """Return (hours from the start, price, reason) of every sale."""
    return [
        (round(row["time"].timestamp() * 1000 - START_MS) // 3_600_000, row["price"], row["reason"])
        for row in result.fills.filter(side="SELL").iter_rows(named=True)
    ]


def test_a_stop_fills_at_its_level_less_slippage_and_its_fee_is_a_takers(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 101.0, 95.0, 96.0)]
    costs = Costs(fee_bps=10, slippage_bps=100, cash=1_000.0)
    done = run(bars, [1.0], {"stop": "10%"}, costs=costs)
    assert sells(done) == []  # bought at 101, so the stop lies at 90.9, not at 90
    done = run(bars, [1.0], {"stop": 5}, costs=costs)  # at 101 - 5
    assert sells(done) == [(2, pytest.approx(96.0 * 0.99), "stop")]
    base = 1_000.0 / 101.0 * 0.999
    worth = pytest.approx(base * 96.0 * 0.99 * 0.999, rel=1e-12, abs=2 * run.lot * 96.0)
    assert (
        done.metrics["final_equity"] == worth
    )  # lots leave the price of one in cash, and one as dust
    assert done.trades["exit_reason"].to_list() == ["stop"]


def test_a_stop_is_reached_at_a_touch_and_a_take_profit_is_not(run: Run) -> None:
    touched = [FLAT, FLAT, (100.0, 105.0, 95.0, 100.0)]
    assert sells(run(touched, [1.0], {"stop": 5})) == [(2, 95.0, "stop")]
    assert sells(run(touched, [1.0], {"take_profit": 5})) == []
    through = [FLAT, FLAT, (100.0, 105.01, 99.0, 100.0)]
    assert sells(run(through, [1.0], {"take_profit": 5})) == [(2, 105.0, "take_profit")]


def test_a_gap_through_the_stop_fills_at_the_open_and_one_over_the_target_at_the_target(
    run: Run,
) -> None:
    down = [FLAT, FLAT, (90.0, 92.0, 88.0, 91.0)]
    assert sells(run(down, [1.0], "stop=5%")) == [(2, 90.0, "stop")]
    up = [FLAT, FLAT, (120.0, 125.0, 80.0, 121.0)]
    both = run(up, [1.0], "stop=5%,take_profit=5%")
    assert sells(both) == [(2, 105.0, "take_profit")]  # the open came first, so nothing is unclear
    assert both.ambiguous == 0


def test_a_take_profit_pays_no_slippage(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 120.0, 100.0, 120.0)]
    done = run(bars, [1.0], {"take_profit": "10%"}, costs=replace(FREE, slippage_bps=100))
    assert sells(done) == [(2, pytest.approx(111.1), "take_profit")]  # 10 % above the 101 paid


def test_exits_are_active_inside_the_entry_candle(run: Run) -> None:
    bars = [FLAT, (100.0, 102.0, 94.0, 101.0), FLAT]
    done = run(bars, [1.0], "stop=5%")
    assert sells(done) == [(1, 95.0, "stop")]
    assert done.metrics["exposure"] == 0.0  # never held at a close


def test_stop_and_target_in_one_candle_without_finer_candles_is_the_worse_and_is_counted(
    run: Run,
) -> None:
    bars = [FLAT, FLAT, (100.0, 110.0, 90.0, 100.0)]
    done = run(bars, [1.0], "stop=5%,take_profit=5%")
    assert sells(done) == [(2, 95.0, "stop")]
    assert done.ambiguous == 1
    assert done.summary()["ambiguous"] == 1


def _quarters(last: list[tuple[float, float, float, float]]) -> Candles:
    """Return 15-minute candles of three hours, of which the first two are flat."""
    return candles_of_bars([FLAT] * 8 + last, interval="15m", symbol="BTCUSDT")


def test_finer_candles_say_which_came_first(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 110.0, 90.0, 100.0)]
    up_first = _quarters(
        [(100, 101, 99, 101), (101, 110, 101, 106), (106, 106, 90, 91), (91, 100, 91, 100)]
    )
    done = run(bars, [1.0], "stop=5%,take_profit=5%", fine=up_first)
    assert sells(done) == [(2, 105.0, "take_profit")]
    assert done.ambiguous == 0
    down_first = _quarters(
        [(100, 101, 99, 101), (94, 94, 90, 91), (91, 110, 91, 106), (106, 106, 100, 100)]
    )
    done = run(bars, [1.0], "stop=5%,take_profit=5%", fine=down_first)
    assert sells(done) == [(2, 94.0, "stop")]  # the finer candle gapped through it
    assert done.ambiguous == 0


def test_a_finer_candle_that_holds_both_is_ambiguous_still(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 110.0, 90.0, 100.0)]
    both = _quarters([(100, 101, 99, 101), (101, 110, 90, 101), FLAT, FLAT])
    done = run(bars, [1.0], "stop=5%,take_profit=5%", fine=both)
    assert sells(done) == [(2, 95.0, "stop")]
    assert done.ambiguous == 1


def test_finer_candles_are_read_for_unclear_candles_only_and_must_be_of_the_same_trades(
    run: Run,
) -> None:
    bars = [FLAT, FLAT, (100.0, 102.0, 90.0, 100.0)]
    fine = _quarters([(97, 98, 96, 97)] * 4)
    done = run(bars, [1.0], "stop=5%", fine=fine)
    assert sells(done) == [(2, 95.0, "stop")]
    wrong = _quarters([(100, 103, 96, 97)] * 4)
    with pytest.raises(DataError, match=r"high 103 lies beyond .* 102 at 2025-01-01T02:00"):
        run(bars, [1.0], "stop=5%", fine=wrong)
    with pytest.raises(DataError, match="not a finer series"):
        run(bars, [1.0], "stop=5%", fine=candles_of_bars(bars, symbol="BTCUSDT"))


def test_the_target_is_spent_after_an_exit_until_a_different_one_is_written(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 95.0, 100.0), FLAT, FLAT, FLAT, FLAT]
    again = run(bars, [1.0, None, 1.0, 1.0, 1.0], "stop=5%")
    assert again.fills["side"].to_list() == ["BUY", "SELL"]
    different = run(bars, [1.0, None, 1.0, 0.5, None], "stop=5%")
    assert different.fills["side"].to_list() == ["BUY", "SELL", "BUY"]
    assert different.fills["quantity"][2] == pytest.approx(950.0 / 2 / 100.0)
    reset = run(bars, [1.0, None, 0.0, 1.0, None], "stop=5%")
    assert reset.fills["side"].to_list() == ["BUY", "SELL", "BUY"]


def test_a_trailing_stop_ratchets_on_closed_candles_only(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 120.0, 100.0, 119.0), (119.0, 119.0, 107.0, 110.0), FLAT]
    # in candle 2 the stop lies at 90 % of 100, whatever the high; from its close on at 108
    assert sells(run(bars, [1.0], {"trail": "10%"})) == [(3, 108.0, "trail")]
    falls_back = [FLAT, FLAT, (100.0, 120.0, 91.0, 119.0), (119.0, 119.0, 109.0, 110.0), FLAT]
    assert sells(run(falls_back, [1.0], {"trail": "10%"})) == [(4, 100.0, "trail")]  # a gap
    fall = (119.0, 119.0, 110.0, 110.0), (110.0, 111.0, 109.0, 110.0)
    lower = [FLAT, FLAT, (100.0, 120.0, 100.0, 119.0), *fall]
    assert sells(run(lower, [1.0], {"trail": 12})) == []  # it does not fall with the highs: 108
    assert sells(run([*lower, (109.0, 109.0, 108.0, 108.5)], [1.0], {"trail": 12})) == [
        (5, 108.0, "trail")
    ]


def test_the_higher_of_stop_and_trail_acts_and_gives_its_name(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 90.0, 95.0)]
    assert sells(run(bars, [1.0], {"stop": 4, "trail": 8})) == [(2, 96.0, "stop")]
    assert sells(run(bars, [1.0], {"stop": 8, "trail": 4})) == [(2, 96.0, "trail")]


def test_the_average_true_range_is_wilders_at_the_signal_and_frozen_at_entry(run: Run) -> None:
    # true ranges: 2, 4, then max(1, |101-98|, |100-98|) = 3, and 9 afterwards
    # ATR(2): -, (2 + 4)/2 = 3, (3 + 3)/2 = 3, (3 + 9)/2 = 6
    bars = [
        (100.0, 101.0, 99.0, 100.0),
        (100.0, 101.0, 97.0, 98.0),
        (100.0, 101.0, 100.0, 100.0),
        (100.0, 105.0, 96.0, 100.0),
        (100.0, 101.0, 94.5, 100.0),
        (100.0, 101.0, 94.0, 100.0),
    ]
    done = run(bars, [None, None, 1.0], {"stop": "2atr", "atr_period": 2})
    assert sells(done) == [(5, 94.0, "stop")]  # 100 - 2 x 3; 2 x 6 below would be 88
    late = run(bars, [None, None, None, 1.0], {"stop": "2atr", "atr_period": 2})
    assert sells(late) == []


def test_an_entry_before_the_average_true_range_has_a_value_is_an_error(run: Run) -> None:
    with pytest.raises(UsageError, match="before its exits' average true range"):
        run([FLAT] * 5, [1.0], {"stop": "2atr", "atr_period": 3})


def test_the_average_true_range_is_fed_from_before_the_window() -> None:
    bars = [(100.0, 102.0, 98.0, 100.0)] * 3 + [FLAT, (100.0, 100.0, 90.0, 95.0)]
    whole = scripted(candles_of_bars(bars), [None, None, None, 1.0, None])
    window = replace(whole, first=3)
    done = backtest(window, SCRIPTED, costs=FREE, exits={"stop": "2atr", "atr_period": 3})
    # ATR(3) is 4 at candle 2 and, the flat signal candle having no range, (4 x 2 + 0)/3 at the signal
    assert sells(done) == [(4, pytest.approx(100.0 - 2 * (4 * 2 + 0) / 3), "stop")]
    assert done.data_sha256 == whole.sha256


def test_a_time_stop_sells_at_the_open_after_so_many_closed_candles(run: Run) -> None:
    bars = [FLAT, FLAT, FLAT, FLAT, (103.0, 104.0, 102.0, 103.0), FLAT]
    assert sells(run(bars, [1.0], {"time_stop": 3})) == [(4, 103.0, "time")]
    assert sells(run(bars, [1.0], {"time_stop": 6})) == []


def test_a_signal_at_the_same_open_goes_first_and_an_exit_takes_what_is_left(run: Run) -> None:
    bars = [FLAT, FLAT, (90.0, 90.0, 90.0, 90.0), FLAT]
    done = run(bars, [1.0, 0.5], "stop=5%")
    assert sells(done) == [(2, 90.0, "signal"), (2, 90.0, "stop")]
    assert done.metrics["trades"] == 1
    done = run(bars, [1.0, 0.0], "stop=5%")
    assert sells(done) == [(2, 90.0, "signal")]
    assert done.trades["exit_reason"].to_list() == ["signal"]


def test_exits_wait_for_a_tradable_candle(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 90.0, 93.0), (93.0, 94.0, 92.0, 94.0), FLAT]
    still = [10.0, 10.0, 0.0, 10.0, 10.0]
    assert sells(run(bars, [1.0], "stop=5%", volumes=still)) == [(3, 93.0, "stop")]
    assert sells(run(bars, [1.0], "stop=5%", gap_before=2)) == [(4, 93.0, "stop")]
    assert sells(run(bars, [1.0], {"time_stop": 1}, volumes=still)) == [(3, 93.0, "time")]


def test_an_exit_that_waited_is_off_when_the_price_has_come_back(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 90.0, 98.0), (98.0, 99.0, 97.0, 98.0)]
    assert sells(run(bars, [1.0], "stop=5%", volumes=[10.0, 10.0, 0.0, 10.0])) == []


def test_an_open_position_at_the_end_is_marked_and_reported_as_open(run: Run) -> None:
    done = run([FLAT, FLAT, (100.0, 104.0, 96.0, 103.0)], [1.0], "stop=5%,take_profit=5%")
    assert done.metrics["open_trade"] is True
    assert done.metrics["trades"] == 0
    assert done.metrics["final_equity"] == pytest.approx(1_030.0)
    assert done.trades["exit_reason"].to_list() == [None]


def test_a_second_buy_hangs_the_levels_on_the_average_price(run: Run) -> None:
    bars = [FLAT, FLAT, (110.0, 110.0, 110.0, 110.0), (110.0, 110.0, 90.0, 95.0)]
    done = run(bars, [0.5, 1.0], {"stop": "10%"})
    base = [5.0, 500.0 / 110.0]
    average = (100.0 * base[0] + 110.0 * base[1]) / sum(base)
    assert sells(done) == [(3, run.near(average * 0.9), "stop")]


def test_a_level_in_the_intent_wins_for_as_long_as_it_is_written(run: Run) -> None:
    bars = [FLAT, FLAT, (100.0, 100.0, 94.0, 100.0), (100.0, 100.0, 89.0, 100.0), FLAT]
    wide = dict.fromkeys(range(3), (92.0, 0.0, 0.0))
    assert sells(run(bars, [1.0], "stop=5%", levels=wide)) == [(3, 92.0, "stop")]
    once = {0: (92.0, 0.0, 0.0)}  # from the next close on the overlay's own stands again, at 95
    assert sells(run(bars, [1.0], "stop=5%", levels=once)) == [(2, 95.0, "stop")]
    alone = dict.fromkeys(range(3), (0.0, 104.0, 0.0))
    up = [FLAT, FLAT, (100.0, 105.0, 99.0, 105.0), FLAT]
    assert sells(run(up, [1.0], None, levels=alone)) == [(2, 104.0, "take_profit")]
    trail = dict.fromkeys(range(3), (0.0, 0.0, 6.0))
    high = [FLAT, FLAT, (100.0, 110.0, 100.0, 110.0), (110.0, 110.0, 100.0, 100.0)]
    assert sells(run(high, [1.0], None, levels=trail)) == [(3, 104.0, "trail")]


@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0])
def test_a_level_that_is_no_number_is_an_error_row(column: int, value: float) -> None:
    from workbench.backtest.sweep import sweep_params

    candles = scripted(candles_of_bars([FLAT] * 4), [1.0, None, None, None])
    candles.records["aux"][2, column] = value
    swept = sweep_params(candles, SCRIPTED, SCRIPTED.grid({}))
    assert swept.frame["error"].to_list() == [
        "a stop, take-profit or trail that is below 0, infinite or not a number"
    ]
    assert swept.frame["final_equity"].to_list() == [None]
    for engine, costs in ((backtest, FREE), (event_driven, TINY)):
        with pytest.raises(UsageError, match="wrote a stop, take-profit or trail"):
            engine(candles, SCRIPTED, costs=costs)


with_filters = pytest.mark.parametrize("engine", [backtest, event_driven], ids=["kernel", "event"])
TINY = Costs(fee_bps=0, slippage_bps=0, cash=11.0, filters="exchange")


def tiny(engine: Engine, bars: Bars, targets: list[float | None], exits: str) -> BacktestResult:
    """Backtest with 11 USDT: half of it is a position that a fall makes too small to be sold."""
    candles = candles_of_bars(bars, symbol="BTCUSDT")
    padded = targets + [None] * (len(bars) - len(targets))
    return engine(scripted(candles, padded), SCRIPTED, costs=TINY, exits=exits)


@with_filters
def test_an_exit_that_is_refused_is_not_tried_again_though_the_price_comes_back(
    engine: Engine,
) -> None:
    # 0.055 bought at 100 is worth 4.95 at the stop of 90: less than 5. Later 0.055 x 95 is 5.22.
    bars = [FLAT, FLAT, (100.0, 100.0, 89.0, 95.0), (95.0, 95.0, 88.0, 94.0)]
    done = tiny(engine, bars, [0.5], "stop=10%")
    assert done.fills["side"].to_list() == ["BUY"]
    assert done.metrics["open_trade"] is True
    assert done.metrics["final_equity"] == pytest.approx(5.5 + 0.055 * 94.0)


@with_filters
def test_a_buy_after_a_refused_exit_hangs_new_levels_on_its_own_price_for_all_that_is_held(
    engine: Engine,
) -> None:
    # 0.055 at 100, its stop at 90 is refused; 5.5 more at 80 are 0.06875. The average of both, 88.89,
    # would put the stop at 80 and sell at once what was just bought; on 80 it lies at 72.
    bars = [
        FLAT,
        FLAT,
        (100.0, 100.0, 80.0, 80.0),
        (80.0, 82.0, 75.0, 78.0),
        (78.0, 78.0, 71.0, 71.0),
    ]
    done = tiny(engine, bars, [0.5, None, 1.0], "stop=10%")
    assert sells(done) == [(4, 72.0, "stop")]
    assert done.fills["quantity"].to_list() == [0.055, 0.06875, 0.12375]
    assert done.metrics["final_equity"] == pytest.approx(0.12375 * 72.0)
    assert done.metrics["trades"] == 1  # one round trip: it was never flat between


@with_filters
def test_a_buy_after_a_refused_exit_begins_the_time_stop_anew(engine: Engine) -> None:
    # Held for two closes at the open of candle 3, where 0.055 x 85 = 4.68 cannot be sold. What is
    # bought at the open of candle 4 is held for two closes at that of candle 6.
    low = (85.0, 85.0, 85.0, 85.0)
    done = tiny(engine, [FLAT, FLAT, FLAT, *[low] * 5], [0.5, None, None, 1.0], "time_stop=2")
    assert sells(done) == [(6, 85.0, "time")]


@with_filters
def test_a_second_buy_leaves_the_time_stop_of_the_first(engine: Engine) -> None:
    # Bought at the opens of 1 and 2; three closes after the first one all of it is sold.
    done = tiny(engine, [FLAT] * 6, [0.5, 1.0], "time_stop=3")
    assert sells(done) == [(4, 100.0, "time")]
    assert done.fills["quantity"].to_list() == [0.055, 0.055, 0.11]


@with_filters
def test_with_exchange_filters_levels_lie_on_ticks_and_a_sale_below_the_minimum_is_refused(
    engine: Engine,
) -> None:
    bars = [(100.0, 100.0, 100.0, 100.0)] * 2 + [(100.0, 100.0, 90.0, 90.0)]
    candles = replace(scripted(candles_of_bars(bars, symbol="BTCUSDT"), [1.0, None, None]))
    exact = Costs(fee_bps=0, slippage_bps=0, cash=1_000.0, filters="exchange")
    done = engine(candles, SCRIPTED, costs=exact, exits={"stop": 4.999})
    assert [(row["ticks"], row["reason"]) for row in done.fills.iter_rows(named=True)] == [
        (10_000, "signal"),
        (9_500, "stop"),  # 95.001 rounded down to the cent
    ]
    poor = replace(exact, cash=5.10)
    done = engine(candles, SCRIPTED, costs=poor, exits={"stop": 5})
    assert done.fills["side"].to_list() == ["BUY"]  # 0.051 at 95 is less than 5 USDT
    assert done.metrics["open_trade"] is True
