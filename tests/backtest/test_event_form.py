"""The event form against slow, obvious code, and against the plain kernel that it stands in for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import naive, naive_strategies
from tests.backtest.event_forms import demand_both_forms_equal, without_avx512
from tests.backtest.naive_rows import demand_equal, row_of
from tests.candle_builders import START_MS, martingale, to_cents
from workbench.backtest import event_form, sweep
from workbench.backtest.kernels import Run
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.execution.guards import Guards
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe
from workbench.strategies import load
from workbench.strategies.spec import Spec

MACD, EMA, SMA = load("macd"), load("ema_cross"), load("sma_cross")
GRIDS = {
    "macd": {"fast": (1, 2, 3, 5), "slow": (2, 6, 9), "signal": (1, 2, 4)},
    "ema_cross": {"fast": (1, 2, 3, 5), "slow": (2, 4, 7, 11)},
    "sma_cross": {"fast": (1, 2, 3, 5), "slow": (2, 4, 7, 11)},
}


def candles_in_cents(
    cents: list[int], *, first: int, thin: list[int], gaps: list[int], interval: str = "1h"
) -> Candles:
    """Return candles that open at the close before; `thin` have no volume, before `gaps` one lacks."""
    count, timeframe = len(cents), parse_timeframe(interval)
    closes = np.array(cents, float) / 100.0
    opens = np.concatenate([closes[:1], closes[:-1]])
    volumes, steps = np.full(count, 5.0), np.ones(count, np.int64)
    volumes[[i for i in thin if i < count]] = 0.0
    steps[[i for i in gaps if 0 < i < count]] = 2
    times = START_MS + (np.cumsum(steps) - 1) * timeframe.mean_ms
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    records = records_from_columns(times, opens, high, low, closes, volumes, timeframe)
    return Candles("TESTUSDT", timeframe, records, min(first, count - 2))


def naive_targets(name: str, cents: list[int], params: dict[str, int]) -> list[float | None]:
    if name == "macd":
        return naive.macd_targets([c / 100.0 for c in cents], **params)
    rule = {"ema_cross": naive_strategies.ema_cross, "sma_cross": naive_strategies.sma_cross}
    return rule[name](cents, **params)


def expected(candles: Candles, targets: list[float | None], fee: float) -> dict[str, float | None]:
    """Return every column of a sweep's row from the naive book, None where it is undefined."""
    r, first = candles.records, candles.first
    book = naive.all_in_out(
        r["open"].tolist(), r["close"].tolist(), r["volume"].tolist(), r["missing_before"].tolist(),
        targets, first=first, cash=10_000.0, fee=fee, slippage=0.0001,
    )  # fmt: skip
    return row_of(candles, [fill[:3] for fill in book.fills], book.equity, fee)


prices = st.lists(st.integers(900, 1100), min_size=40, max_size=180)
calm = st.lists(st.integers(998, 1001), min_size=40, max_size=150)  # flat stretches and ties
places = st.lists(st.integers(1, 250), max_size=25)


@pytest.mark.parametrize("name", ["ema_cross", "sma_cross"])
@settings(max_examples=15, deadline=None)
@given(cents=prices | calm, first=st.integers(0, 60), thin=places, gaps=places)
@example(cents=[1000] * 60, first=0, thin=[], gaps=[])  # flat
@example(cents=[900] * 67 + [901, 902, 901, 900], first=47, thin=[], gaps=[1])  # two like days
@example(cents=[900] * 67 + [901, 900, 901, 900, 900], first=47, thin=[], gaps=[1])
@example(cents=[1000, 1000, 1010], first=0, thin=[], gaps=[])  # shorter than the averages
@example(cents=[1000, 1010] * 40, first=33, thin=list(range(20, 60)), gaps=[])  # nothing trades
def test_crosses_equal_the_naive_oracle_in_every_column(
    name: str, cents: list[int], first: int, thin: list[int], gaps: list[int]
) -> None:
    candles = candles_in_cents(cents, first=first, thin=thin, gaps=gaps)
    spec = load(name)
    frame = sweep_params(
        candles, spec, spec.grid(GRIDS[name]), all_history=True, trials=NOT_TRIALS
    ).frame
    for row in frame.iter_rows(named=True):
        params = {p.name: row[p.name] for p in spec.parameters}
        demand_equal(row, expected(candles, naive_targets(name, cents, params), 0.001))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), first=st.integers(0, 700), thin=places, gaps=places)
def test_macd_equals_the_naive_oracle_in_every_column(
    seed: int, first: int, thin: list[int], gaps: list[int]
) -> None:
    walk = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 1_100))) * 1e6
    cents = np.round(walk).astype(int).tolist()
    candles = candles_in_cents(
        cents, first=first, thin=[4 * i for i in thin], gaps=[4 * i for i in gaps]
    )
    grid = MACD.grid({"fast": (2, 12), "slow": (9, 26), "signal": (3, 9)})
    for row in sweep_params(
        candles, MACD, grid, all_history=True, trials=NOT_TRIALS
    ).frame.iter_rows(named=True):
        params = {p.name: row[p.name] for p in MACD.parameters}
        demand_equal(row, expected(candles, naive_targets("macd", cents, params), 0.001))


@pytest.mark.parametrize("name", sorted(GRIDS))
@settings(max_examples=12, deadline=None)
@given(
    cents=prices | calm, first=st.integers(0, 200), thin=places, gaps=places,
    fee_bps=st.sampled_from([0.0, 10.0, 250.0]), slippage_bps=st.sampled_from([0.0, 1.0]),
    interval=st.sampled_from(["1h", "1d"]),
)  # fmt: skip
def test_where_a_tie_is_a_matter_of_rounding_the_plain_kernel_decides(
    name: str, cents: list[int], first: int, thin: list[int], gaps: list[int],
    fee_bps: float, slippage_bps: float, interval: str,
) -> None:  # fmt: skip
    candles = candles_in_cents(cents, first=first, thin=thin, gaps=gaps, interval=interval)
    costs = Costs(fee_bps=fee_bps, slippage_bps=slippage_bps)
    demand_both_forms_equal(candles, name, load(name).grid(GRIDS[name]), costs)


@pytest.mark.parametrize("name", sorted(GRIDS))
@pytest.mark.parametrize("first", [0, 1_023, 1_024, 2_500])
def test_blocks_and_warm_up_leave_no_seam(name: str, first: int) -> None:
    walk = martingale(3_300, 6, substeps=4)
    candles = Candles("TESTUSDT", walk.timeframe, walk.records, first)
    grid = {"fast": (2, 3, 8, 12, 60), "slow": (26, 50, 130, 400), "signal": (1, 5, 9, 40)}
    axes = {p.name: grid[p.name] for p in load(name).parameters}
    demand_both_forms_equal(candles, name, load(name).grid(axes), Costs())


def test_days_without_a_trade_are_samples_too() -> None:
    walk = martingale(2_500, 7, interval="1d", substeps=2)  # each candle is a sample: long fills
    grid = EMA.grid({"fast": (5, 50), "slow": (100, 300)})
    demand_both_forms_equal(walk, "ema_cross", grid, Costs())


def test_a_trend_that_never_turns_is_one_open_trade() -> None:
    cents = [1000] * 30 + [1000 + 3 * i for i in range(4_000)]
    candles = candles_in_cents(cents, first=0, thin=[], gaps=[])
    row = sweep_params(candles, SMA, SMA.grid({"fast": 2, "slow": 20})).frame.row(0, named=True)
    assert row["trades"] == 0
    assert row["open_trade"]
    base = 10_000.0 / (candles.records["open"][32] * 1.0001) * 0.999
    assert row["final_equity"] == pytest.approx(base * candles.records["close"][-1], rel=1e-12)


def test_who_has_an_event_form() -> None:
    assert all(event_form.has_event_form(spec, Costs()) for spec in (MACD, EMA, SMA))
    assert not event_form.has_event_form(MACD, Costs(filters="exchange"))
    assert not event_form.has_event_form(load("rsi"), Costs())


def test_guards_are_for_the_plain_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "EventForm", None)  # would raise if it were used
    costs = Costs(guards=Guards(trades_a_day=1))
    assert sweep_params(martingale(300, 1), MACD, MACD.grid({}), costs=costs).frame.height == 1


def test_without_guards_and_exits_the_plain_form_of_the_loop_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forms = []
    original = sweep._run_plain

    def told(run: Run, spec: Spec, form: str, *, threads: int, progress: bool) -> None:
        forms.append(form)
        original(run, spec, form, threads=threads, progress=progress)

    monkeypatch.setattr(sweep, "_run_plain", told)
    candles = to_cents(martingale(300, 1))
    sweep_params(candles, MACD, MACD.grid({}), costs=Costs(filters="exchange"))
    assert forms == ["plain"]


def test_how_a_sweep_is_cut_changes_no_bit() -> None:
    candles = martingale(2_100, 4, substeps=4)
    grid = MACD.grid({"fast": range(2, 12), "slow": range(8, 40, 3), "signal": (3, 5, 9)})
    ok = grid[grid["fast"] < grid["slow"]]
    whole = sweep_params(candles, MACD, ok, threads=2).frame
    for begin, end in ((0, 1), (5, 40), (97, 131)):
        assert sweep_params(candles, MACD, ok[begin:end], threads=1).frame.equals(whole[begin:end])


def test_an_interrupt_stops_between_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(event_form, "CANDLES_A_CALL", 1)  # a block a call
    compiled = event_form._compiled(MACD)
    original = compiled.run_blocks

    def interrupted(*arguments: object) -> None:
        calls.append(1)
        original(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(compiled, "run_blocks", interrupted)
    grid = MACD.grid({"fast": range(2, 50), "slow": range(50, 100)})
    with pytest.raises(KeyboardInterrupt):
        sweep_params(martingale(40_000, 4, substeps=1), MACD, grid, threads=2)
    assert len(calls) <= 16  # 80 chunks of 40 blocks would be 3,200


ON_THIS_PROCESSOR = """
from tests.backtest.test_event_form import bits_of
from workbench.backtest.event_form import _compiled
from workbench.strategies import load
for name in ("macd", "ema_cross", "sma_cross"):
    print(bits_of(name), flush=True)
    assert not any("zmm" in text for text in _compiled(load(name)).run_blocks.inspect_asm().values())
"""


def bits_of(name: str) -> int:
    """Return the hash of a small sweep's rows."""
    axes = {"fast": (2, 3, 5, 12), "slow": (7, 26, 50), "signal": (1, 3, 9)}
    spec = load(name)
    grid = spec.grid({p.name: axes[p.name] for p in spec.parameters})
    frame = sweep_params(martingale(2_200, 8, substeps=4), spec, grid).frame
    return int(frame.hash_rows(seed=1).sum())


def test_a_processor_without_avx512_gives_the_same_bits(tmp_path: Path) -> None:
    told = [int(line) for line in without_avx512(ON_THIS_PROCESSOR, tmp_path).split()]
    assert told == [bits_of(name) for name in ("macd", "ema_cross", "sma_cross")]
