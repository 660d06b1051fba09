"""Ladders worked out by hand: a few candles, a rung or three, and every sentence of their contract."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.backtest.scripted_ladder import Bar, Script, Scripted, bars, scripted
from tests.backtest.test_engine_semantics import Engine
from tests.naive_ladder import Levels
from workbench import strategies
from workbench.backtest.event.driven import event_driven
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs, Filters
from workbench.backtest.single import backtest
from workbench.errors import UsageError
from workbench.execution.guards import Guards

PLAIN, EXACT = Costs(filters="none"), Costs(filters="exchange")
CALM: Bar = (100, 101, 99, 100)
FOR_EVER = 10**6


def rung(
    price: float, pair: float = 0.0, quote: float = 980.0, *, id: int = 1, side: int = 1,
    begin: int = 0, end: int = FOR_EVER,
) -> Scripted:  # fmt: skip
    return Scripted(begin, end, id, side, price, quote, pair)


Fills = list[tuple[int, str, float, float]]  # candle, side, price, quantity


@dataclass(frozen=True)
class Run:
    """Backtests a script in one of the engines; a worsened price may be off by its `tick`."""

    engine: Engine
    filters: Filters
    tick: float = 0.0

    def __call__(
        self,
        script: Script | list[Scripted],
        *candles: Bar,
        costs: Costs = PLAIN,
        whispers: float = 0.0,
    ) -> tuple[BacktestResult, Fills]:
        """Return the backtest and its fills."""
        script = script if isinstance(script, Script) else Script(tuple(script))
        series = bars(*candles)
        costs = replace(costs, filters=self.filters)
        params = script.params() | {"whispers": whispers}
        found = self.engine(series, scripted(), costs=costs, **params)
        times = series.records["open_time"].tolist()
        rows = found.fills.select("time", "side", "price", "quantity").iter_rows()
        return found, [(times.index(int(t.timestamp() * 1000)), s, p, q) for t, s, p, q in rows]

    def near(self, price: float) -> object:
        """Return what a price is to be: itself, or on the tick beside it."""
        return pytest.approx(price, rel=1e-12, abs=self.tick)

    def prices(self, fills: Fills) -> list[tuple[int, str, object]]:
        """Return the fills without their quantities."""
        return [(t, side, self.near(price)) for t, side, price, _ in fills]


RUNS = {
    "kernel": Run(backtest, "none"),
    "kernel-filters": Run(backtest, "exchange", 0.01),
    "event": Run(event_driven, "exchange", 0.01),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    """Return each engine in turn: what is worked by hand holds in all of them."""
    return RUNS[request.param]


@pytest.fixture(params=["kernel-filters", "event"])
def exact(request: pytest.FixtureRequest) -> Run:
    """Return each engine with the exchange's filters in turn."""
    return RUNS[request.param]


def test_a_rung_and_its_pair_fill_in_one_candle(run: Run) -> None:
    found, fills = run([rung(98.0, 102.5)], CALM, (100, 104, 97, 101))
    # 980 at 98 is 10, less 0.1 % is 9.99; at 102.5 that is 1,023.975, less 0.1 % 1,022.951025.
    assert fills == [(1, "BUY", 98.0, 10.0), (1, "SELL", 102.5, pytest.approx(9.99))]
    assert found.metrics["final_equity"] == pytest.approx(10_000 - 980 + 1_022.951025)
    assert found.metrics["fees"] == pytest.approx(0.01 * 98 + 1.023975)
    assert (found.metrics["trades"], found.metrics["open_trade"]) == (1, False)
    assert found.fills["realised"].to_list() == pytest.approx([0.0, 1_022.951025 - 980.0])


def test_the_path_goes_low_then_high_then_close_and_the_rung_is_armed_again(run: Run) -> None:
    _, fills = run([rung(98.0, 102.5)], CALM, (100, 104, 97, 97.5))
    assert run.prices(fills) == [(1, "BUY", 98.0), (1, "SELL", 102.5), (1, "BUY", 98.0)]
    _, fills = run([rung(98.0, 102.5)], (100, 104, 99, 103), (103, 104, 97, 99))
    assert run.prices(fills) == [(1, "BUY", 98.0), (1, "SELL", 102.5)]  # not 102.5 on the way down


def test_a_gap_over_several_rungs_fills_each_at_its_own_price_the_nearest_first(run: Run) -> None:
    ladder = [rung(94.0, id=1), rung(98.0, id=2), rung(96.0, id=3)]
    _, fills = run(ladder, CALM, CALM, (93, 95, 92, 95))
    assert run.prices(fills) == [(2, "BUY", 98.0), (2, "BUY", 96.0), (2, "BUY", 94.0)]


def test_a_rung_that_is_placed_beyond_its_price_takes_what_stands_there(run: Run) -> None:
    found, fills = run([rung(98.0, 102.5)], CALM, (95, 97, 94, 96))
    assert fills == [(1, "BUY", run.near(95 * 1.0001), 10.0)]  # 980 / 98, and it pays less
    assert found.equity["cash"][1] == pytest.approx(10_000 - 950.095)


def test_a_touch_fills_nothing_unless_it_is_asked_for(run: Run) -> None:
    candles = (CALM, (100, 101, 98, 99), (99, 102.5, 98.5, 100))
    assert run([rung(98.0, 102.5)], *candles)[1] == []
    _, fills = run([rung(98.0, 102.5)], *candles, costs=Costs(touch=True))
    assert run.prices(fills) == [(1, "BUY", 98.0), (2, "SELL", 102.5)]


def test_a_rung_without_a_pair_fills_once(run: Run) -> None:
    _, fills = run([rung(98.0)], CALM, (100, 104, 97, 103), (103, 104, 97, 98))
    assert run.prices(fills) == [(1, "BUY", 98.0)]


def test_nothing_fills_in_a_candle_without_trade_or_after_a_gap(run: Run) -> None:
    for idle in ((97, 97, 97, 97, 0), (97, 99, 96, 97, 10, 3)):
        _, fills = run([rung(98.0, 102.5)], CALM, CALM, idle, (96, 97, 95, 96))
        assert run.prices(fills) == [
            (3, "BUY", 98.0)
        ]  # at its own price, by the next tradable open
        _, fills = run([rung(98.0, 102.5)], CALM, idle, (96, 97, 95, 96))
        assert run.prices(fills) == [(2, "BUY", 96 * 1.0001)]  # placed only there


def test_what_cannot_be_paid_is_refused_until_the_ladder_changes(run: Run) -> None:
    ladder = [rung(98.0, 103.0, 4_000, id=1), rung(97.0, 102.0, 4_000, id=2)]
    short = rung(96.0, 101.5, 4_000, id=3)
    fall, rise = (100, 101, 94, 95), (95, 104, 95, 100)
    _, fills = run([*ladder, short], CALM, fall, rise, fall)
    assert [(t, side) for t, side, *_ in fills] == [
        (1, "BUY"), (1, "BUY"), (2, "SELL"), (2, "SELL"), (3, "BUY"), (3, "BUY"),
    ]  # fmt: skip
    assert all(price > 96.5 for _, _, price, _ in fills)
    # Once the second is taken back, a new revision, there is cash for the third.
    leaves = [ladder[0], rung(97.0, 102.0, 4_000, id=2, end=2), short]
    _, fills = run(leaves, CALM, CALM, CALM, fall)
    assert run.prices(fills) == [(3, "BUY", 98.0), (3, "BUY", 96.0)]


def test_a_new_revision_keeps_what_is_unchanged_moves_what_differs_and_drops_what_is_gone(
    run: Run,
) -> None:
    ladder = [
        rung(98.0, 104.0, id=1),
        rung(97.0, 105.0, id=2, end=2), rung(95.0, 105.0, id=2, begin=2),
        rung(96.0, 106.0, id=3, end=2), rung(94.5, 107.0, id=4, begin=2),
    ]  # fmt: skip
    _, fills = run(ladder, CALM, (100, 101, 97.5, 99), (99, 100, 98, 99), (99, 104.5, 94.8, 104.2))
    # Rung 1 has turned before and sells; rung 2 buys where it moved to; 3 is gone, 4 not reached.
    assert run.prices(fills) == [(1, "BUY", 98.0), (3, "BUY", 95.0), (3, "SELL", 104.0)]


def test_a_revision_takes_back_at_once_and_places_at_the_next_open(run: Run) -> None:
    ladder = [rung(98.0, id=1, end=1), rung(97.0, id=2, begin=1)]
    _, fills = run(ladder, CALM, CALM, (96, 99, 95, 98))
    assert run.prices(fills) == [(2, "BUY", 96 * 1.0001)]  # the old rung never saw that gap


def test_rungs_that_are_written_under_the_same_revision_are_not_read(run: Run) -> None:
    # Laid at 98; from the next close on 99.5 is written, revision 1 still: 98.5 reaches nothing.
    candles = (CALM, CALM, (100, 101, 98.5, 100), (100, 101, 97, 100))
    _, fills = run([rung(98.0)], *candles, whispers=1.5)
    assert run.prices(fills) == [(3, "BUY", 98.0)]


def test_a_sale_first_needs_the_base_and_buys_it_back_at_its_pair(run: Run) -> None:
    sale = rung(104.0, 101.0, 1_040.0, side=-1)
    assert run([sale], CALM, (100, 105, 99, 100))[1] == []  # no base: refused
    late = Script((Scripted(1, FOR_EVER, 1, -1, 104.0, 1_040.0, 101.0),), ((0, 0.5),))
    _, fills = run(late, CALM, CALM, (100, 105, 99, 100))
    assert [(t, side, price) for t, side, price, _ in fills] == [
        (1, "BUY", run.near(100 * 1.0001)), (2, "SELL", 104.0), (2, "BUY", 101.0),
    ]  # fmt: skip
    assert [q for *_, q in fills[1:]] == pytest.approx([10.0, 1_040 / 101])


def test_a_target_spends_and_sells_only_what_no_rung_has_reserved(run: Run) -> None:
    script = Script((rung(90.0, quote=4_000),), ((1, 1.0),))
    found, fills = run(script, CALM, CALM, CALM)
    assert fills == [(2, "BUY", run.near(100 * 1.0001), pytest.approx(6_000 / 100.01))]
    assert found.equity["cash"][2] == pytest.approx(4_000)
    held = Script((rung(98.0, 110.0), Scripted(3, 9, 2, 1, 50.0, 10.0, 60.0)), ((3, 0.5), (4, 0.0)))
    _, fills = run(held, CALM, (100, 101, 97, 100), CALM, CALM, CALM, CALM)
    assert [(t, side) for t, side, *_ in fills] == [(1, "BUY"), (4, "BUY"), (5, "SELL")]
    assert fills[2][3] == pytest.approx(fills[1][3] * 0.999)  # the 9.99 of the rung stay locked


def test_with_filters_prices_keep_to_ticks_and_quantities_to_lots(exact: Run) -> None:
    found, fills = exact([rung(98.017, 102.501, 980.0)], CALM, (100, 104, 97, 101))
    # 98.01; 980 / 98.01 is 9.998979 and 9.99897 in lots; less 0.00999897 that is 9.98897103.
    assert fills == [(1, "BUY", 98.01, 9.99897), (1, "SELL", 102.51, 9.98897)]
    assert found.fills["ticks"].to_list() == [9_801, 10_251]
    assert found.fills["fee"].to_list() == [0.00999897, 1.02396931]
    assert found.metrics["trades"] == 1  # 0.00000103 is dust


def test_what_lots_leave_over_is_sold_when_it_has_become_a_lot(exact: Run) -> None:
    # One lot less 0.1 % is no lot: 980 at 98 leaves 9.99 of 10 whole ones, 0.5 lots of 500 more.
    twice: tuple[Bar, ...] = ((100, 104, 97, 101), (101, 104, 97, 101), (101, 104, 97, 101))
    _, fills = exact([rung(98.0, 102.0, 0.0049 * 98)], CALM, *twice)
    assert fills == []  # 0.48 is below the least notional of 5
    _, fills = exact([rung(98.0, 102.0, 0.0525 * 98 + 1e-9)], CALM, *twice)
    bought = [q for _, side, _, q in fills if side == "BUY"]
    sold = [q for _, side, _, q in fills if side == "SELL"]
    # 5,250 lots keep 5,244.75: sold are 5,244, then with 0.75 + 0.75 in hand 5,245, then 5,245.
    assert bought == [0.0525] * 3
    assert sold == [0.05244, 0.05245, 0.05245]


def test_an_order_below_the_least_notional_is_refused(exact: Run) -> None:
    for quote, count in ((4.99, 0), (5.01, 2)):
        assert len(exact([rung(98.0, 102.0, quote)], CALM, (100, 104, 97, 101))[1]) == count


@pytest.mark.parametrize(
    "bad",
    [
        [rung(98.0, 97.0)],
        [rung(98.0, 98.0)],
        [rung(98.0, 99.0, side=-1)],
        [rung(98.0, side=0)],
        [rung(0.0)],
        [rung(98.0, quote=0.0)],
        [rung(98.0, id=7), rung(97.0, id=3), rung(96.0, id=7)],
    ],
)
def test_a_ladder_that_contradicts_itself_is_one_clear_error(run: Run, bad: list[Scripted]) -> None:
    with pytest.raises(UsageError, match="ladder that cannot be carried out"):
        run(bad, CALM, CALM)
    with pytest.raises(UsageError, match="ladder that cannot be carried out"):
        event_driven(bars(CALM, CALM), scripted(), costs=EXACT, **Script(tuple(bad)).params())


def test_a_decision_sees_which_rungs_have_filled() -> None:
    params = Script((rung(98.0, 99.0, 1_000.0, id=5), rung(97.0, 98.0, 1_000.0, id=6))).params()
    series = bars(
        CALM, (100, 101, 97.5, 97.8), (97.8, 98, 96, 96.5), (96.5, 98.5, 96.5, 98.2), CALM
    )
    for found in (
        backtest(series, scripted(), costs=EXACT, shows=1, **params),
        event_driven(series, scripted(), costs=EXACT, shows=1, **params),
    ):
        bits = found.equity["target"].to_numpy() * 1e14
        assert np.rint(bits).astype(int).tolist() == [0, 1, 3, 1, 0]


def test_the_same_orders_rest_on_the_matching_engine() -> None:
    ladder = [rung(98.0, 102.5), rung(97.0, 101.0, 2_000, id=2), rung(50.0, 60.0, 3.0, id=3)]
    series = bars(CALM, (100, 104, 96, 101), (95, 103, 94, 97.5), CALM)
    params = Script(tuple(ladder)).params()
    fast = backtest(series, scripted(), costs=EXACT, **params)
    slow = event_driven(series, scripted(), costs=EXACT, **params)
    # Twice both rungs and their pairs, and rung 1 once more at the close; rung 3 is too small.
    assert fast.fills.height == 9
    assert fast.fills.drop("realised").equals(slow.fills.drop("realised"))
    assert fast.metrics == pytest.approx(slow.metrics)


def test_a_stop_takes_the_ladder_back_and_sells_what_the_rungs_above_it_bought(run: Run) -> None:
    ladder = (rung(98.0, 110.0, id=1), rung(97.0, 109.0, 970.0, id=2), rung(95.0, id=3))
    script = Script(ladder, levels=Levels(stop=96.0))
    found, fills = run(script, CALM, (100, 101, 94, 99), (99, 111, 94, 100))
    # 10 and 10 less 0.1 % are bought on the way down, then sold at the stop less slippage.
    assert fills == [
        (1, "BUY", 98.0, 10.0), (1, "BUY", 97.0, 10.0),
        (1, "SELL", run.near(96 * 0.9999), pytest.approx(19.98)),
    ]  # fmt: skip
    assert found.fills["reason"].to_list() == ["signal", "signal", "stop"]
    _, fills = run(script, CALM, CALM, (94, 99, 93, 98))
    # A gap over all of it: the rungs above the stop fill, the stop sells at the open.
    assert run.prices(fills) == [(2, "BUY", 98.0), (2, "BUY", 97.0), (2, "SELL", 94 * 0.9999)]


def test_a_take_profit_sells_what_is_left_above_the_last_rung(run: Run) -> None:
    ladder = (rung(98.0, 103.0, id=1), rung(97.0, id=2, quote=970.0))
    script = Script(ladder, levels=Levels(take_profit=105.0))
    found, fills = run(script, CALM, (100, 101, 96, 99), (99, 106, 98, 104), (104, 105, 90, 95))
    assert run.prices(fills) == [
        (1, "BUY", 98.0), (1, "BUY", 97.0), (2, "SELL", 103.0), (2, "SELL", 105.0),
    ]  # fmt: skip
    # 10 and 10 less 0.1 % were bought; what the rung has sold, the take-profit does not sell again.
    assert [quantity for *_, quantity in fills] == pytest.approx([10.0, 10.0, 9.99, 9.99])
    assert found.fills["reason"].to_list()[-1] == "take_profit"


def test_a_guard_takes_a_ladders_buys_back_at_a_close_and_its_sales_stay(run: Run) -> None:
    """One buy a day: the rung at 97 is taken back after the first, the sale at 103 fills, no buy follows."""
    script = Script((rung(98.0, 103.0, id=1), rung(97.0, 110.0, id=2)))
    days = [(100, 101, 97.5, 99), (99, 99, 90, 95), (95, 104, 95, 103), (103, 103, 90, 99)]
    costs = replace(PLAIN, guards=Guards(trades_a_day=1))
    found, fills = run(script, CALM, *days, costs=costs)
    assert run.prices(fills) == [(1, "BUY", 98.0), (3, "SELL", 103.0)]
    assert found.guarded == 1
    free, fills = run(script, CALM, *days)
    assert [one[1:] for one in run.prices(fills)].count(("BUY", 97.0)) == 1
    assert free.guarded == 0


def test_buys_that_a_guard_held_back_are_placed_again_when_it_lets_go(run: Run) -> None:
    """The trip ends in candle 2; two closes are held back, at the third the buy is placed anew."""
    script = Script((rung(98.0, 103.0),))
    costs = replace(PLAIN, guards=Guards(cooldown_bars=2))
    after = [(103, 103, 97, 98.5), (98.5, 99, 97, 98.3), (98.5, 99, 97, 98)]
    found, fills = run(
        script, CALM, (100, 101, 97, 99), (99, 104, 98.5, 103.5), *after, costs=costs
    )
    assert run.prices(fills) == [(1, "BUY", 98.0), (2, "SELL", 103.0), (5, "BUY", 98.0)]
    assert found.guarded == 1  # at the close that took it back, not at every close that it waited


def test_what_is_bought_below_the_stop_is_sold_where_it_was_bought(run: Run) -> None:
    script = Script((rung(95.0, 110.0, 950.0),), levels=Levels(stop=96.0))
    _, fills = run(script, CALM, (100, 101, 94, 99))
    assert run.prices(fills) == [(1, "BUY", 95.0), (1, "SELL", 95 * 0.9999)]  # never at 96


@pytest.mark.parametrize("engine", [backtest, event_driven], ids=["kernel", "event"])
def test_a_first_target_of_0_sells_what_a_rung_has_bought(engine: Engine) -> None:
    """Nothing was written before, so 0 differs too: it was once taken for the target at the start."""
    script = Script((rung(98.0, begin=0, end=2),), targets=((2, 0.0),))
    found = engine(bars(CALM, (100, 101, 97, 100), CALM, CALM, CALM), scripted(), costs=EXACT,
                   **script.params())  # fmt: skip
    assert found.fills["side"].to_list() == ["BUY", "SELL"]
    assert found.fills["time"][1] == found.equity["open_time"][3]


@pytest.mark.parametrize("engine", [backtest, event_driven], ids=["kernel", "event"])
@pytest.mark.parametrize(("falls", "missing"), [(90.0, 3), (107.0, 3)], ids=["stop", "take-profit"])
def test_a_grid_that_jumps_over_its_end_in_a_gap_is_sold_at_the_next_open(
    engine: Engine, falls: float, missing: int
) -> None:
    # Bought at 98; the first candle after a gap lies beyond the level, where nothing can be sold.
    jumps = (falls, falls + 0.5, falls - 0.5, falls, 10.0, missing)
    after = (falls, falls + 0.5, falls - 0.5, falls)
    grid = {"unit": 0, "low": 98.0, "high": 106.0, "lines": 2, "quote": 980.0}
    found = engine(
        bars((99, 101, 98.5, 100), (100, 101, 97, 100), jumps, after, after),
        strategies.load("grid"), costs=EXACT, stop=95.0, take_profit=107.0, **grid,
    )  # fmt: skip
    assert found.fills["side"].to_list() == ["BUY", "SELL"]
    assert found.fills["time"][1] == found.equity["open_time"][3]
    assert not found.metrics["open_trade"]
