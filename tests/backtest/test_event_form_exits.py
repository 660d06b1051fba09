"""Protective exits in the event form: by hand, against the naive oracle and against the plain kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive_strategies
from tests.backtest.event_forms import demand_both_forms_equal, without_avx512
from tests.backtest.naive_rows import demand_equal, row_of
from tests.candle_builders import candles_of_bars, martingale
from tests.naive_exits import Rules, tell
from tests.protected_markets import market, rules, said
from workbench.backtest import event_form, sweep
from workbench.backtest.event_form import EventForm
from workbench.backtest.exits import joined
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.execution.exits import ExitsForm, all_exits, exits_of
from workbench.execution.guards import Guards
from workbench.market.candles import Candles
from workbench.strategies import load

MACD, SMA = load("macd"), load("sma_cross")
FREE = Costs(fee_bps=0, slippage_bps=0, cash=1_000.0)
RISES = SMA.grid({"fast": 1, "slow": 2})  # wants in while closes rise, and out when one falls
FLAT = (100.0, 100.0, 100.0, 100.0)
SIGNAL = [FLAT, FLAT, (100.0, 101.0, 100.0, 101.0)]  # the entry is at the open of candle 3
Bars = list[tuple[float, float, float, float]]


@pytest.fixture
def event_form_alone() -> Iterator[None]:
    """Take the rows of the event form even where it is in doubt: a few candles make no statistic."""
    original = EventForm.run

    def run(form: EventForm, *, threads: int, progress: bool) -> np.ndarray:
        original(form, threads=threads, progress=progress)
        return np.zeros(0, np.int64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventForm, "run", run)
        patch.setattr(sweep, "_run_plain", None)  # would raise if it were used
        yield


def swept(
    bars: Bars,
    exits: ExitsForm,
    *,
    volumes: list[float] | None = None,
    gap_before: int = 0,
    fine: Candles | None = None,
    costs: Costs = FREE,
) -> dict[str, object]:
    """Return the row of "in while closes rise" over these candles."""
    candles = replace(candles_of_bars(bars, volumes=volumes), fine=fine)
    if gap_before:
        candles.records["open_time"][gap_before:] += 3_600_000
        candles.records["missing_before"][gap_before] = 1
    params = joined(RISES, exits_of(exits))
    return sweep_params(candles, SMA, params, costs=costs).frame.row(0, named=True)


@pytest.mark.usefixtures("event_form_alone")
def test_a_stop_ends_the_trade_and_the_next_entry_waits_for_the_next_signal() -> None:
    bars = [
        *SIGNAL,
        (100.0, 102.0, 99.0, 102.0),  # bought at 100
        (102.0, 103.0, 94.0, 103.0),  # sold at 95
        (103.0, 104.0, 103.0, 104.0),  # still rising, but that target is spent
        (104.0, 104.0, 102.0, 103.0),  # falls: wanted out
        (103.0, 105.0, 103.0, 105.0),  # rises: wanted in
        (100.0, 106.0, 100.0, 106.0),  # 9.5 bought at 100
    ]
    row = swept(bars, "stop=5%")
    assert row["final_equity"] == pytest.approx(9.5 * 106.0, rel=1e-12)
    assert row["max_drawdown"] == pytest.approx(950.0 / 1_020.0 - 1, rel=1e-12)
    assert (row["trades"], row["open_trade"], row["win_rate"]) == (1, True, 0.0)
    assert row["exposure"] == pytest.approx(2 / 9)
    assert (row["pending"], row["ambiguous"], row["refused"]) == (0, 0, 0)


UP = (102.0, 103.0, 101.0, 103.0)
EXAMPLES = {
    "a stop is reached at a touch": ("stop=5%", [(100, 102, 95, 102)], 950.0),
    "inside the entry candle": ("stop=5%", [(100, 102, 94, 102)], 950.0),
    "a gap through the stop": ("stop=5%", [(100, 102, 99, 102), (90, 103, 90, 103)], 900.0),
    "a target only touched": ("take_profit=5%", [(100, 105, 99, 102), UP], 1_030.0),
    "a target traded through": ("take_profit=5%", [(100, 105.01, 99, 102), UP], 1_050.0),
    "a gap over the target": ("take_profit=5%", [(100, 102, 99, 102), (120, 125, 80, 121)], 1_050.0),
    "an amount of quote": ("stop=7", [(100, 102, 99, 102), (102, 103, 90, 103)], 930.0),
    "a trail from the highest closed candle": (
        "trail=10%", [(100, 120, 91, 119), (119, 121, 107, 120)], 1_080.0
    ),
    "a trail does not move within a candle": ("trail=10%", [(100, 120, 91, 119)], 1_190.0),
    "a time stop at the open": (
        "time_stop=2", [(100, 102, 99, 102), UP, (104, 106, 103, 105), (105, 107, 105, 107)], 1_040.0
    ),
    "the higher of stop and trail": ("stop=4,trail=8", [(100, 102, 90, 102)], 960.0),
    # true ranges 0, 0, 1: their average at the signal is 1/3, twice that below 100
    "average true ranges of the signal's candle": (
        "stop=2atr,atr_period=3", [(100, 102, 98, 102)], 1_000 - 20 / 3
    ),
}  # fmt: skip


@pytest.mark.usefixtures("event_form_alone")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_exit_by_hand(name: str) -> None:
    exits, bars, final = EXAMPLES[name]
    row = swept([*SIGNAL, *bars], exits)
    assert row["final_equity"] == pytest.approx(final, rel=1e-12)
    assert row["ambiguous"] == 0


@pytest.mark.usefixtures("event_form_alone")
def test_a_stop_pays_slippage_and_a_target_none() -> None:
    costs = Costs(fee_bps=10, slippage_bps=100, cash=1_000.0)  # bought at 101
    base = 1_000.0 / 101.0 * 0.999
    row = swept([*SIGNAL, (100.0, 102.0, 90.0, 102.0)], {"stop": 5}, costs=costs)
    assert row["final_equity"] == pytest.approx(base * 96.0 * 0.99 * 0.999, rel=1e-12)
    assert row["fees"] == pytest.approx(1.0 + base * 96.0 * 0.99 * 0.001, rel=1e-12)
    row = swept([*SIGNAL, (100.0, 107.0, 99.0, 106.0)], {"take_profit": 5}, costs=costs)
    assert row["final_equity"] == pytest.approx(base * 106.0 * 0.999, rel=1e-12)


@pytest.mark.usefixtures("event_form_alone")
def test_both_in_one_candle_is_the_worse_and_counted_unless_finer_candles_tell() -> None:
    bars, both = [*SIGNAL, (100.0, 110.0, 90.0, 102.0)], "stop=5%,take_profit=5%"
    row = swept(bars, both)
    assert (row["final_equity"], row["ambiguous"]) == (pytest.approx(950.0), 1)
    quarters = [FLAT] * 8 + [(100.0, 101.0, 100.0, 101.0)] * 4
    up_first = [(100, 106, 100, 106), (106, 110, 90, 91), (91, 102, 91, 102), (102, 102, 102, 102)]
    fine = candles_of_bars([*quarters, *up_first], interval="15m")
    row = swept(bars, both, fine=fine)
    assert (row["final_equity"], row["ambiguous"]) == (pytest.approx(1_050.0), 0)
    unclear = [FLAT, (100, 110, 90, 102), (102, 102, 102, 102), (102, 102, 102, 102)]
    row = swept(bars, both, fine=candles_of_bars([*quarters, *unclear], interval="15m"))
    assert (row["final_equity"], row["ambiguous"]) == (pytest.approx(950.0), 1)


@pytest.mark.usefixtures("event_form_alone")
def test_exits_and_entries_wait_for_a_tradable_candle() -> None:
    still = [10.0, 10.0, 10.0, 10.0, 0.0, 10.0]
    bars = [*SIGNAL, (100, 102, 99, 102), (102, 103, 90, 103), (93, 105, 93, 105)]
    assert swept(bars, "stop=5%", volumes=still)["final_equity"] == pytest.approx(930.0)
    assert swept(bars, "stop=5%", gap_before=4)["final_equity"] == pytest.approx(930.0)
    back = [*SIGNAL, (100, 102, 99, 102), (102, 103, 90, 103), (103, 105, 103, 105)]
    row = swept(back, "stop=5%", volumes=still)  # the price has come back: no exit any more
    assert (row["final_equity"], row["trades"]) == (pytest.approx(1_050.0), 0)
    assert swept(bars, "time_stop=1", volumes=still)["final_equity"] == pytest.approx(930.0)
    # the entry waits from candle 3 to 4; its average true range is still that of candle 2: 1/3
    waits = [*SIGNAL, (101, 109, 101, 102), (100, 103, 99, 103)]
    row = swept(waits, "stop=2atr,atr_period=3", volumes=[10.0, 10.0, 10.0, 0.0, 10.0])
    assert row["final_equity"] == pytest.approx(1_000 - 20 / 3)


@pytest.mark.usefixtures("event_form_alone")
def test_a_signal_at_the_same_open_goes_first() -> None:
    bars = [*SIGNAL, (100, 102, 99, 102), (102, 102, 101, 101), (90, 90, 80, 80)]
    row = swept(bars, "stop=5%")
    assert (row["final_equity"], row["ambiguous"]) == (pytest.approx(900.0), 0)
    assert swept(bars, "time_stop=2")["final_equity"] == pytest.approx(900.0)


@pytest.mark.usefixtures("event_form_alone")
def test_a_target_that_turned_and_came_back_while_nothing_traded_buys_again_after_an_exit() -> None:
    # Without an exit the sale dies and the position goes on; after one, the new target is an entry.
    bars = [
        *SIGNAL, (100, 102, 94, 102), (102, 103, 102, 103), (103, 103, 101, 101),
        (101, 103, 101, 103), (110, 112, 110, 112),
    ]  # fmt: skip
    volumes = [10.0] * 5 + [0.0, 0.0, 10.0]
    assert swept(bars, "stop=5%", volumes=volumes)["final_equity"] == pytest.approx(
        950.0 / 110.0 * 112.0
    )
    assert swept(bars, "stop=50%", volumes=volumes)["final_equity"] == pytest.approx(1_120.0)


@pytest.mark.usefixtures("event_form_alone")
@pytest.mark.parametrize(
    ("exits", "sold_at"),
    [("stop=5%", 95.95), ("trail=25%", 77.2425), ("trail=30", 72.99), ("time_stop=1990", 103.0)],
)
def test_a_trade_may_last_longer_than_a_block_of_candles(exits: str, sold_at: float) -> None:
    closes = [101.0 + i / 1_000 for i in range(1_991)]  # bought at 101, the highest high is 102.99
    rising = [(a, b, a, b) for a, b in pairwise(closes)]
    row = swept([*SIGNAL, *rising, (103.0, 104.0, 50.0, 104.0)], exits)
    assert (row["trades"], row["exposure"]) == (1, pytest.approx(1_990 / 1_994))
    assert row["final_equity"] == pytest.approx(1_000 / 101 * sold_at, rel=1e-9)


SEEDS = st.integers(0, 1_000_000)
GRIDS = {
    "macd": {"fast": (2, 3), "slow": (5, 12), "signal": (3, 9)},
    "ema_cross": {"fast": (1, 3), "slow": (4, 11)},
    "sma_cross": {"fast": (1, 3), "slow": (4, 11)},
}


def _equal_the_plain_kernel(
    name: str, seed: int, wanted: list[Rules], finer: bool, first: int, costs: Costs, hours: int
) -> None:
    one = market(seed, hours, writes_levels=False)
    fine = one.candles.fine if finer else None
    candles = replace(one.candles, first=first, fine=fine)
    exits = np.concatenate([exits_of(said(one)) for one in wanted])
    params = joined(load(name).grid(GRIDS[name]), exits)
    demand_both_forms_equal(candles, name, params, costs)


some_costs = st.builds(
    Costs,
    fee_bps=st.sampled_from([0.0, 10.0, 250.0]),
    slippage_bps=st.sampled_from([0.0, 1.0]),
    touch=st.booleans(),
)
some_rules = st.lists(rules(), min_size=1, max_size=4)


@pytest.mark.parametrize("name", ["macd", "sma_cross"])
@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS, wanted=some_rules, finer=st.booleans(), first=st.integers(0, 200), costs=some_costs
)
def test_exits_in_the_event_form_equal_the_plain_kernel(
    name: str, seed: int, wanted: list[Rules], finer: bool, first: int, costs: Costs
) -> None:
    _equal_the_plain_kernel(name, seed, wanted, finer, first, costs, hours=240)


@pytest.mark.proof
@pytest.mark.parametrize("name", list(GRIDS))
@pytest.mark.parametrize("hours", [240, 2_300])
@settings(max_examples=400, deadline=None)
@given(
    seed=SEEDS, wanted=some_rules, finer=st.booleans(), first=st.integers(0, 200), costs=some_costs
)
def test_exits_in_the_event_form_equal_the_plain_kernel_on_thousands_of_markets(
    name: str, hours: int, seed: int, wanted: list[Rules], finer: bool, first: int, costs: Costs
) -> None:
    _equal_the_plain_kernel(name, seed, wanted, finer, first, costs, hours=hours)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, wanted=rules(), finer=st.booleans())
def test_exits_in_the_event_form_equal_the_naive_oracle_in_every_column(
    seed: int, wanted: Rules, finer: bool
) -> None:
    one = market(seed, 240, writes_levels=False)
    bars = one.bars if finer else [replace(bar, finer=()) for bar in one.bars]
    candles = one.candles if finer else replace(one.candles, fine=None)
    cents = np.round(candles.records["close"] * 100).astype(int).tolist()
    grid = SMA.grid(
        {"fast": (1, 3), "slow": (8, 11)}
    )  # by then every average true range has a value
    frame = sweep_params(
        candles, SMA, joined(grid, exits_of(said(wanted))), all_history=True, trials=NOT_TRIALS
    ).frame
    for row in frame.iter_rows(named=True):
        targets = naive_strategies.sma_cross(cents, fast=row["fast"], slow=row["slow"])
        tale = tell(bars, targets, wanted)
        demand_equal(row, row_of(candles, [fill[:3] for fill in tale.fills], tale.equity, 0.001))
        assert row["ambiguous"] == tale.ambiguous


EVERY_KIND = {
    "stop": ["2%", "1.5atr", 0.9], "take_profit": [0, "3%", "2atr"],
    "trail": [0, "2%", "3atr", 1.2], "time_stop": [0, 9],
}  # fmt: skip


@pytest.mark.parametrize("first", [0, 1_023, 1_024, 2_500])
def test_blocks_and_warm_up_leave_no_seam_in_exits(first: int) -> None:
    walk = martingale(3_300, 6, substeps=4)
    walk.records["volume"][1_000:1_060] = walk.records["volume"][2_040:2_060] = 0.0
    candles = Candles("TESTUSDT", walk.timeframe, walk.records, first)
    grid = MACD.grid({"fast": (2, 8), "slow": (26, 130), "signal": (1, 9)})
    demand_both_forms_equal(candles, "macd", joined(grid, all_exits(EVERY_KIND)), Costs())


def test_on_an_ordinary_market_no_row_with_exits_is_left_to_the_plain_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "_run_plain", None)  # would raise if it were used
    params = joined(MACD.grid({"fast": (3, 8), "slow": (20, 40)}), all_exits(EVERY_KIND))
    frame = sweep_params(martingale(2_000, 9, substeps=4), MACD, params).frame
    assert frame.height == 4 * 72
    assert frame["final_equity"].n_unique() > 200  # some levels are reached by no trade


def test_how_a_sweep_with_exits_is_cut_changes_no_bit() -> None:
    candles = martingale(2_100, 4, substeps=4)
    params = joined(
        MACD.grid({"fast": range(2, 8), "slow": range(8, 20, 3)}), all_exits(EVERY_KIND)
    )
    params = params[params["fast"] < params["slow"]]
    whole = sweep_params(candles, MACD, params, threads=2).frame
    for begin, end in ((0, 1), (5, 40), (197, 431)):
        part = sweep_params(candles, MACD, params[begin:end], threads=1).frame
        assert part.equals(whole[begin:end])


def test_an_entry_before_the_average_true_range_has_a_value_is_an_error_row_here_too() -> None:
    params = joined(RISES, all_exits({"stop": ["2atr", "2%"], "atr_period": 30}))
    frame = sweep_params(martingale(200, 3), SMA, params).frame
    assert [text is not None for text in frame["error"]] == [True, False]


def test_exits_under_filters_or_guards_are_for_the_plain_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert event_form.has_event_form(MACD, Costs())
    assert not event_form.has_event_form(MACD, Costs(guards=Guards(cooldown_bars=1)))
    monkeypatch.setattr(sweep, "EventForm", None)  # would raise if it were used
    params = joined(MACD.grid({}), exits_of("stop=2%"))
    for costs in (Costs(filters="exchange"), Costs(guards=Guards(volatility=0.5))):
        candles = replace(martingale(300, 1), symbol="BTCUSDT")
        assert sweep_params(candles, MACD, params, costs=costs).frame.height == 1


ON_THIS_PROCESSOR = """
from tests.backtest.test_event_form_exits import bits_with_exits
print(bits_with_exits())
"""


def bits_with_exits() -> int:
    """Return the hash of the rows of a small sweep with every kind of exit."""
    params = joined(
        MACD.grid({"fast": (2, 5), "slow": (7, 26), "signal": 9}), all_exits(EVERY_KIND)
    )
    frame = sweep_params(martingale(2_200, 8, substeps=4), MACD, params).frame
    return int(frame.hash_rows(seed=1).sum())


@pytest.mark.proof
def test_a_processor_without_avx512_gives_the_same_bits_with_exits(tmp_path: Path) -> None:
    assert int(without_avx512(ON_THIS_PROCESSOR, tmp_path)) == bits_with_exits()
