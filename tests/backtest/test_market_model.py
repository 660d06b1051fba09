"""Latency, thin volume and resting orders in the event-driven backtest, worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.candle_builders import START_MS, martingale, to_cents
from tests.conftest import shared_path
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.event.market_model import AT_ONCE, MarketModel
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.cli import COMMANDS
from workbench.command_table import run as command
from workbench.errors import UsageError
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

HOUR = parse_timeframe("1h")
FREE = Costs(fee_bps=0, slippage_bps=0, cash=10_000.0, filters="exchange")
MINUTE = 60_000
Row = tuple[float, float, float, float]  # open, low, high, close: the order of the path


def series(rows: list[Row], *, volumes: list[float] | None = None) -> Candles:
    o, lo, hi, c = np.array(rows, float).T
    volume = np.full(len(rows), 1_000.0) if volumes is None else np.array(volumes, float)
    times = START_MS + np.arange(len(rows)) * HOUR.mean_ms
    return Candles("BTCUSDT", HOUR, records_from_columns(times, o, hi, lo, c, volume, HOUR))


FLAT: Row = (100.0, 100.0, 100.0, 100.0)
WIDE: Row = (100.0, 90.0, 120.0, 110.0)  # 100 at 0', 90 at 20', 120 at 40', 110 at 60'
AFTER: Row = (110.0, 108.0, 112.0, 111.0)


def fills(run: BacktestResult) -> list[tuple[int, str, float, float]]:
    hours = (run.fills["time"].dt.epoch("ms") - START_MS) // HOUR.mean_ms
    rows = run.fills.select("side", "price", "quantity").rows()
    return [(int(h), *row) for h, row in zip(hours, rows, strict=True)]


def run_of(
    candles: Candles,
    targets: list[float | None],
    model: MarketModel = AT_ONCE,
    costs: Costs = FREE,
) -> BacktestResult:
    return event_driven(scripted(candles, targets), SCRIPTED, costs=costs, model=model)


@pytest.mark.parametrize(
    ("minutes", "bought", "sold"),
    [
        (0, (1, 100.0), (1, 100.0)),
        (
            10,
            (1, 100.0),
            (1, 95.0),
        ),  # half way down to 90: a buy gets no better price than the open
        (30, (1, 105.0), (1, 90.0)),  # half way up from 90 to 120
        (45, (1, 120.0), (1, 90.0)),
        (60, (2, 110.0), (2, 110.0)),  # the next candle's open
        (70, (2, 110.0), (2, 109.0)),  # half way down from 110 to 108
    ],
)
def test_a_late_order_meets_the_worst_price_until_it_arrives(
    minutes: int, bought: tuple[int, float], sold: tuple[int, float]
) -> None:
    model = MarketModel(latency_ms=minutes * MINUTE)
    buy = run_of(series([FLAT, WIDE, AFTER]), [1.0, None, None], model)
    assert [one[:3] for one in fills(buy)] == [(bought[0], "BUY", bought[1])]
    late = series([FLAT, FLAT, FLAT, FLAT, WIDE, AFTER])
    sale = run_of(late, [1.0, None, None, 0.0, None, None], model)
    assert fills(sale)[1][:3] == (sold[0] + 3, "SELL", sold[1])


def test_an_order_on_its_way_dies_when_the_target_changes() -> None:
    model = MarketModel(latency_ms=61 * MINUTE)
    run = run_of(series([FLAT, FLAT, FLAT, FLAT]), [1.0, 0.0, None, None], model)
    assert fills(run) == []
    assert not run.pending


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), minutes=st.lists(st.integers(0, 59), min_size=2, max_size=2))
def test_within_a_candle_being_later_never_helps(seed: int, minutes: list[int]) -> None:
    candles = to_cents(martingale(4, seed, substeps=20))
    soon, late = sorted(minutes)
    for targets, sign in (([1.0, None, None, None], 1), ([1.0, None, 0.0, None], -1)):
        first, second = (
            fills(run_of(candles, targets, MarketModel(latency_ms=m * MINUTE)))[-1]
            for m in (soon, late)
        )
        assert (second[2] - first[2]) * sign >= 0
        opened = candles.records["open"][first[0]]
        assert (first[2] - opened) * sign >= -1e-9


def test_a_share_of_the_volume_fills_an_order_over_several_candles() -> None:
    # 10 % of 10 BTC is 1 BTC a candle; 250 USDT buy 1 at 100, 1 at 101, and of the 49 that are left
    # 0.48039 at 102. Hour 3 has no trade. The sale of 2.48039 takes three candles as well.
    prices = [100.0, 100.0, 101.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0]
    rows = [(p, p, p, p) for p in prices]
    volumes = [10.0, 10.0, 10.0, 0.0, 10.0, 10.0, 10.0, 10.0, 10.0]
    costs = Costs(fee_bps=0, slippage_bps=0, cash=250.0, filters="exchange")
    model = MarketModel(volume_share=0.1)
    targets = [1.0, None, None, None, None, 0.0, None, None, None]
    run = run_of(series(rows, volumes=volumes), targets, model, costs)
    assert fills(run) == [
        (1, "BUY", 100.0, 1.0),
        (2, "BUY", 101.0, 1.0),
        (4, "BUY", 102.0, 0.48039),
        (6, "SELL", 104.0, 1.0),
        (7, "SELL", 105.0, 1.0),
        (8, "SELL", 106.0, 0.48039),
    ]
    assert run.metrics["trades"] == 1
    left = 250.0 - 100.0 - 101.0 - 0.48039 * 102.0
    assert run.metrics["final_equity"] == pytest.approx(left + 104 + 105 + 0.48039 * 106, abs=1e-9)
    assert any("10.00%" in note for note in run.notes)


def test_what_is_left_of_an_order_dies_when_the_target_changes() -> None:
    model = MarketModel(volume_share=0.1)
    run = run_of(series([FLAT] * 5, volumes=[10.0] * 5), [1.0, 0.0, None, None, None], model)
    assert fills(run) == [(1, "BUY", 100.0, 1.0), (2, "SELL", 100.0, 1.0)]


def test_a_limit_order_rests_until_it_is_traded_through_and_pays_the_makers_fee() -> None:
    # Decided at 100. Hour 1 opens at 101 and touches 100: nothing. Hour 2 trades at 99.99: filled at
    # 100 with the maker's 2 bps in BTC. The sale at 110 is passed by 110.01 in hour 5.
    rows = [
        FLAT,
        (101.0, 100.0, 102.0, 101.0),
        (101.0, 99.99, 102.0, 101.0),
        (101.0, 101.0, 110.0, 110.0),
        (109.0, 108.0, 110.0, 109.0),
        (109.0, 108.0, 110.01, 109.0),
    ]
    model = MarketModel(orders="limit", maker_fee_bps=2)
    costs = Costs(fee_bps=10, slippage_bps=0, cash=1_000.0, filters="exchange")
    run = run_of(series(rows), [1.0, None, None, 0.0, None, None], model, costs)
    assert fills(run) == [(2, "BUY", 100.0, 10.0), (5, "SELL", 110.0, 9.998)]
    assert run.fills["fee"].to_list() == [pytest.approx(0.002), pytest.approx(1_099.78 * 0.0002)]


def test_a_limit_order_that_could_trade_at_once_is_a_taker() -> None:
    model = MarketModel(orders="limit", maker_fee_bps=2)
    costs = Costs(fee_bps=10, slippage_bps=0, cash=1_000.0, filters="exchange")
    run = run_of(series([FLAT, (98.0, 97.0, 99.0, 98.0)]), [1.0, None], model, costs)
    assert fills(run) == [(1, "BUY", 98.0, 10.0)]  # 10 lots of the limit's 100, at the better price
    assert run.fills["fee"].to_list() == [pytest.approx(0.01)]


def test_a_resting_order_is_cancelled_when_the_target_changes() -> None:
    model = MarketModel(orders="limit")
    rows = [FLAT, (101.0, 100.5, 102.0, 101.0), (101.0, 90.0, 102.0, 101.0)]
    run = run_of(series(rows), [1.0, 0.0, None], model)
    assert fills(run) == []
    assert run.equity["cash"].to_list() == [10_000.0] * 3


def test_a_resting_order_takes_no_more_than_its_share_of_the_volume() -> None:
    model = MarketModel(orders="limit", volume_share=0.05)
    rows = [FLAT, (101.0, 99.0, 102.0, 101.0), (101.0, 99.0, 102.0, 101.0)]
    costs = Costs(fee_bps=0, slippage_bps=0, cash=70.0, filters="exchange")
    run = run_of(series(rows, volumes=[10.0] * 3), [1.0, None, None], model, costs)
    assert fills(run) == [(1, "BUY", 100.0, 0.5), (2, "BUY", 100.0, 0.2)]


def test_an_order_that_arrives_late_hears_no_print_from_before() -> None:
    # Low at 20', high at 40': a limit that arrives after 30 minutes is not filled by the low.
    model = MarketModel(orders="limit", latency_ms=30 * MINUTE)
    rows = [FLAT, (101.0, 90.0, 120.0, 110.0), (110.0, 99.0, 111.0, 110.0)]
    run = run_of(series(rows), [1.0, None, None], model)
    assert fills(run) == [(2, "BUY", 100.0, 100.0)]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    targets=st.lists(st.sampled_from([None, 0.0, 0.4, 1.0]), min_size=40, max_size=40),
    share=st.sampled_from([None, 0.01, 0.3]),
    orders=st.sampled_from(["market", "limit"]),
    minutes=st.sampled_from([0, 1, 35, 90]),
)
def test_nothing_is_made_or_lost_and_no_candle_gives_more_than_its_share(
    seed: int, targets: list[float | None], share: float | None, orders: str, minutes: int
) -> None:
    candles = to_cents(martingale(40, seed, substeps=10))
    candles.records["volume"][seed % 7 :: 9] = 0.0
    model = MarketModel(minutes * MINUTE, share, orders, maker_fee_bps=3)  # type: ignore[arg-type]
    run = run_of(candles, targets, model, Costs(filters="exchange"))
    cash, base = 10_000.0, 0.0
    booked = run.fills.with_columns(run.fills["time"].dt.epoch("ms").alias("ms"))
    volumes = dict(zip(candles.records["open_time"], candles.records["volume"], strict=True))
    for row in run.equity.iter_rows(named=True):
        opened = int(row["open_time"].timestamp() * 1000)
        mine = booked.filter(booked["ms"] == opened)
        assert share is None or mine["quantity"].sum() <= share * volumes[opened] + 1e-9
        assert volumes[opened] > 0 or not len(mine)
        for fill in mine.iter_rows(named=True):
            value = fill["price"] * fill["quantity"]
            buys = fill["side"] == "BUY"
            cash += -value if buys else value - fill["fee"]
            base += fill["quantity"] - fill["fee"] if buys else -fill["quantity"]
        assert row["equity"] == pytest.approx(cash + base * row["close"], rel=1e-9)
        assert cash >= -1e-7
        assert base >= -1e-9
    assert run.metrics == run_of(candles, targets, model, Costs(filters="exchange")).metrics


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latency_ms": -1}, "latency_ms=-1 is out of range"),
        ({"latency_ms": 0.5}, "latency_ms=0.5"),
        ({"volume_share": 0.0}, "volume_share=0.0"),
        ({"volume_share": float("nan")}, "volume_share=nan"),
        ({"orders": "iceberg"}, "use 'market' or 'limit'"),
        ({"maker_fee_bps": -1}, "maker_fee_bps=-1"),
    ],
)
def test_a_market_that_cannot_be_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        MarketModel(**wrong)  # type: ignore[arg-type]


def test_the_kernel_refuses_what_only_the_event_engine_knows() -> None:
    import workbench as wb

    with pytest.raises(UsageError, match="use engine 'event'"):
        wb.backtest(to_cents(martingale(50, 1)), wb.strategies.macd, latency_ms=5)


def test_the_command_takes_the_market_and_says_what_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shared_path("data/klines_1h.parquet")
    window = ["--symbol", "BTCUSDT", "--start", "2025-03-01", "--end", "2025-03-08"]
    call = ["backtest", "--engine", "event", "--json", *window]
    market = ["--latency-ms", "60000", "--volume-share", "0.0001", "--orders", "limit"]
    assert command("workbench", COMMANDS, "", call) == 0
    plain = json.loads(capsys.readouterr().out)
    assert command("workbench", COMMANDS, "", [*call, *market, "--maker-fee-bps", "2"]) == 0
    changed = json.loads(capsys.readouterr().out)
    assert [note for note in changed["notes"] if note not in plain["notes"]] == [
        "orders reach the market 60,000 ms after the close",
        "orders trade at most 0.01% of a candle's volume",
        "orders rest at the signal's close and fill as a maker",
    ]
    assert changed["fees"] < plain["fees"]
    for wrong, said in (
        (["--orders", "iceberg"], "use market or limit"),
        (["--volume-share", "2"], "volume_share=2.0 is out of range"),
    ):
        assert command("workbench", COMMANDS, "", [*call, *wrong]) == 2
        assert said in capsys.readouterr().err
