"""Several instances on one account: the sum of its parts, its caps, and nothing made or lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.candle_builders import START_MS, martingale, to_cents
from tests.conftest import shared_path
from tests.scripted import SCRIPTED, scripted
from workbench.backtest.event.driven import event_driven
from workbench.backtest.event.market_model import MarketModel
from workbench.backtest.portfolio import AccountCaps, Part, run_portfolio
from workbench.backtest.portfolio_result import PortfolioResult
from workbench.backtest.setting import Costs
from workbench.errors import UsageError
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

HOUR = 3_600_000


def flat(
    closes: list[float],
    targets: list[float | None],
    *,
    symbol: str = "BTCUSDT",
    interval: str = "1h",
    volume: float = 1_000.0,
) -> Candles:
    """Return candles that open at the close before and go straight to their own."""
    timeframe, c = parse_timeframe(interval), np.array(closes)
    o = np.concatenate([c[:1], c[:-1]])
    times = START_MS + np.arange(len(c)) * timeframe.mean_ms
    records = records_from_columns(
        times, o, np.maximum(o, c), np.minimum(o, c), c, np.full(len(c), volume), timeframe
    )
    return scripted(Candles(symbol, timeframe, records), targets)


def free(parts: list[Part]) -> Costs:
    cash = sum(part.capital for part in parts)
    return Costs(fee_bps=0, slippage_bps=0, cash=cash, filters="exchange")


def run(
    parts: list[Part], *, model: MarketModel | None = None, **caps: float | int
) -> PortfolioResult:
    return run_portfolio(
        parts, costs=free(parts), model=model or MarketModel(), caps=AccountCaps(**caps)
    )  # type: ignore[arg-type]


def fills(result: PortfolioResult) -> list[tuple[str, int, str, float, float]]:
    hours = (result.fills["time"].dt.epoch("ms") - START_MS) // HOUR
    rows = result.fills.select("instance", "side", "price", "quantity").rows()
    return [(row[0], int(h), *row[1:]) for h, row in zip(hours, rows, strict=True)]


def test_a_portfolio_of_one_is_the_event_driven_backtest() -> None:
    candles, macd = to_cents(martingale(1_500, 8)), wb.strategies.load("macd")
    chosen = {"fast": 3, "slow": 7, "signal": 3}
    alone = event_driven(candles, macd, costs=Costs(filters="exchange"), **chosen)
    whole = run_portfolio([Part("one", candles, macd, 10_000.0, chosen)])
    part = whole.parts["one"]
    assert part.fills.equals(alone.fills)
    assert part.equity.equals(alone.equity)
    assert part.metrics == alone.metrics == whole.metrics
    assert whole.trades.drop("instance", "symbol").equals(alone.trades)
    assert whole.equity["holding"].to_list() == alone.equity["holding"].to_list()


def test_without_caps_parts_of_different_symbols_do_not_know_of_each_other() -> None:
    macd, rsi = wb.strategies.load("macd"), wb.strategies.load("rsi")
    btc = to_cents(martingale(900, 4))
    eth = replace(to_cents(martingale(600, 5)), symbol="ETHUSDT")
    quick = {"fast": 3, "slow": 7, "signal": 3}
    swing = {"period": 4, "oversold": 40, "overbought": 60}
    parts = [Part("a", btc, macd, 4_000.0, quick), Part("b", eth, rsi, 5_000.0, swing)]
    result = run_portfolio(parts, costs=Costs(filters="exchange", cash=10_000.0))
    for part in parts:
        costs = Costs(filters="exchange", cash=part.capital)
        alone = event_driven(part.candles, part.spec, costs=costs, **part.params)
        assert result.parts[part.name].fills.equals(alone.fills)
        assert result.parts[part.name].equity.equals(alone.equity)
    a, b = (result.parts[name].equity["equity"] for name in "ab")
    assert result.equity["equity"][599] == pytest.approx(a[599] + b[599] + 1_000.0, rel=1e-12)
    assert result.equity["equity"][-1] == pytest.approx(a[-1] + b[-1] + 1_000.0, rel=1e-12)
    assert result.metrics["trades"] == sum(one.metrics["trades"] for one in result.parts.values())
    assert result.table()["instance"].to_list() == ["a", "b", "account"]
    assert result.correlations().height == 2


def test_an_entry_that_would_break_the_exposure_cap_is_refused_and_spent() -> None:
    # Both want all of their 5,000 at the close of hour 0; the first makes 50 %, the second would make
    # 100 %. When the first has sold, the second asks anew and may.
    parts = [
        Part("a", flat([100.0] * 6, [1.0, None, 0.0, None, None, None]), SCRIPTED, 5_000.0),
        Part(
            "b",
            flat([10.0] * 6, [1.0, 1.0, 0.0, 1.0, None, None], symbol="ETHUSDT"),
            SCRIPTED,
            5_000.0,
        ),
    ]
    result = run(parts, max_exposure=0.5)
    assert fills(result) == [
        ("a", 1, "BUY", 100.0, 50.0), ("a", 3, "SELL", 100.0, 50.0), ("b", 4, "BUY", 10.0, 500.0),
    ]  # fmt: skip
    assert result.refusals.select("instance", "reason").rows() == [
        ("b", "exposure would be 100.00%, the cap is 50.00%")
    ]
    uncapped = run(parts)
    assert [one[:3] for one in fills(uncapped)[:2]] == [("a", 1, "BUY"), ("b", 1, "BUY")]


def test_no_more_instances_than_the_cap_hold_a_position() -> None:
    parts = [
        Part(name, flat([price] * 4, [None, 1.0, None, None], symbol=symbol), SCRIPTED, 1_000.0)
        for name, price, symbol in (("a", 100.0, "BTCUSDT"), ("b", 10.0, "ETHUSDT"), ("c", 1.0, "XRPUSDT"))
    ]  # fmt: skip
    result = run(parts, max_positions=2)
    assert [one[0] for one in fills(result)] == ["a", "b"]
    assert result.refusals["reason"].to_list() == ["2 instances are in a position, the cap is 2"]


def test_a_daily_loss_stops_entries_until_the_next_day_in_utc_and_never_an_exit() -> None:
    # a loses 10 % of the account between hours 1 and 2 of the first day; b may enter on the second.
    falls = [100.0, 100.0, 80.0] + [80.0] * 27
    sells: list[float | None] = [1.0, None, None, 0.0] + [None] * 26
    asks: list[float | None] = [None] * 5 + [1.0] + [None] * 18 + [0.5] + [None] * 5
    parts = [
        Part("a", flat(falls, sells), SCRIPTED, 5_000.0),
        Part("b", flat([10.0] * 30, asks, symbol="ETHUSDT"), SCRIPTED, 5_000.0),
    ]
    result = run(parts, max_daily_loss=0.05)
    assert [one[:3] for one in fills(result)] == [
        ("a", 1, "BUY"), ("a", 4, "SELL"), ("b", 25, "BUY"),
    ]  # fmt: skip
    assert result.refusals["reason"].to_list() == [
        "the account lost 5.00% today: no entry until tomorrow"
    ]


def test_a_drawdown_of_the_account_ends_all_entries() -> None:
    falls = [100.0, 100.0, 80.0] + [80.0] * 60
    asks: list[float | None] = [None] * 3 + [1.0] + [None] * 40 + [0.5] + [None] * 18
    parts = [
        Part("a", flat(falls, [1.0] + [None] * 62), SCRIPTED, 5_000.0),
        Part("b", flat([10.0] * 63, asks, symbol="ETHUSDT"), SCRIPTED, 5_000.0),
    ]
    assert [one[:2] for one in fills(run(parts, max_drawdown=0.10))] == [("a", 1)]
    assert run(parts, max_drawdown=0.10).refusals.height == 2
    assert [one[0] for one in fills(run(parts, max_drawdown=0.11))] == ["a", "b", "b"]


def test_instances_of_one_symbol_share_the_volume_of_its_candle() -> None:
    # 10 % of 10 BTC is 1 BTC an hour for both together; a asked first.
    parts = [
        Part(name, flat([100.0] * 4, [1.0] + [None] * 3, volume=10.0), SCRIPTED, 150.0)
        for name in ("a", "b")
    ]
    result = run(parts, model=MarketModel(volume_share=0.1))
    assert fills(result) == [
        ("a", 1, "BUY", 100.0, 1.0), ("a", 2, "BUY", 100.0, 0.5), ("b", 2, "BUY", 100.0, 0.5),
        ("b", 3, "BUY", 100.0, 1.0),
    ]  # fmt: skip


def test_intervals_may_differ_and_the_account_is_marked_at_every_close() -> None:
    hourly = flat([100.0, 100.0, 110.0, 120.0, 120.0, 120.0, 120.0, 120.0], [1.0] + [None] * 7)
    four = flat([10.0, 20.0], [1.0, None], symbol="ETHUSDT", interval="4h")
    result = run([Part("a", hourly, SCRIPTED, 1_000.0), Part("b", four, SCRIPTED, 1_000.0)])
    hours = (result.equity["time"].dt.epoch("ms") - START_MS) // HOUR
    assert hours.to_list() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert result.equity["a"].to_list() == [1_000.0, 1_000.0, 1_100.0] + [1_200.0] * 5
    # b decides at the close of hour 4, buys at 10, and is marked next at its close at 20.
    assert result.equity["b"].to_list() == [1_000.0] * 7 + [2_000.0]
    assert result.equity["equity"].to_list()[-1] == 3_200.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scripts=st.lists(
        st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=24, max_size=24),
        min_size=2,
        max_size=4,
    ),
    exposure=st.sampled_from([None, 0.3, 0.8]),
    positions=st.sampled_from([None, 1, 2]),
    share=st.sampled_from([None, 0.05]),
    orders=st.sampled_from(["market", "limit"]),
)
def test_the_account_is_the_sum_of_its_fills_and_its_caps_hold_at_every_entry(
    seed: int,
    scripts: list[list[float | None]],
    exposure: float | None,
    positions: int | None,
    share: float | None,
    orders: str,
) -> None:
    symbols = ("BTCUSDT", "ETHUSDT", "BTCUSDT", "SOLUSDT")
    walks = {name: to_cents(martingale(24, seed + i, substeps=8)) for i, name in enumerate(symbols)}
    parts = [
        Part(f"p{i}", replace(scripted(walks[name], script), symbol=name), SCRIPTED, 1_000.0 + i)
        for i, (name, script) in enumerate(zip(symbols, scripts, strict=False))
    ]
    model = MarketModel(volume_share=share, orders=orders)  # type: ignore[arg-type]
    caps = AccountCaps(max_exposure=exposure, max_positions=positions)
    result = run_portfolio(parts, model=model, caps=caps)
    worth = np.zeros(24)
    for part in parts:
        mine = result.fills.filter(pl.col("instance") == part.name)
        cash, base, curve = part.capital, 0.0, []
        for opened, close in part.candles.records[["open_time", "close"]].tolist():
            for fill in mine.filter(pl.col("time").dt.epoch("ms") == opened).iter_rows(named=True):
                value, buys = fill["price"] * fill["quantity"], fill["side"] == "BUY"
                cash += -value if buys else value - fill["fee"]
                base += fill["quantity"] - fill["fee"] if buys else -fill["quantity"]
            curve.append(cash + base * close)
        assert result.equity[part.name].to_list() == pytest.approx(curve, rel=1e-9)
        worth += curve
    assert result.equity["equity"].to_numpy() == pytest.approx(worth, rel=1e-9)
    if positions is not None:
        held = np.stack([run.equity["quantity"].to_numpy() > 1e-3 for run in result.parts.values()])
        assert held.sum(axis=0).max() <= positions
    again = run_portfolio(parts, model=model, caps=caps)
    assert again.fills.equals(result.fills)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ("a", "a")}, "two parts are called 'a'"),
        ({"cash": 100.0}, r"the parts want 2,000.00, the account has 100.00"),
        ({"capital": 0.0}, "capital=0.0 must be above 0"),
        ({"max_exposure": 0.0}, "max_exposure=0.0 is out of range"),
        ({"max_positions": 0}, "max_positions=0 is out of range"),
        ({"max_drawdown": 1.5}, "max_drawdown=1.5 is out of range"),
        ({"parts": 0}, "needs at least one part"),
    ],
)
def test_a_portfolio_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    chosen = dict(change)
    names, capital = chosen.pop("names", ("a", "b")), chosen.pop("capital", 1_000.0)
    candles = flat([100.0] * 3, [None] * 3)
    count = chosen.pop("parts", 2)
    with pytest.raises(UsageError, match=said):
        wb.portfolio(
            [wb.part(name, candles, SCRIPTED, capital=capital) for name in names][:count],  # type: ignore
            **chosen,  # type: ignore[arg-type]
        )


def test_instances_of_one_pair_never_meet_each_others_orders() -> None:
    # Two grids whose rungs cross, a protected MACD and two of different intervals, all on BTCUSDT:
    # each does what it does alone; with resting orders, those that know no exits and ladders.
    hourly = to_cents(martingale(480, 31))
    four = to_cents(martingale(120, 32, interval="4h"))
    macd, grid = wb.strategies.load("macd"), wb.strategies.load("grid")
    quick = {"fast": 3, "slow": 7, "signal": 3}
    parts = [
        wb.part("grid", hourly, grid, capital=2_000.0, **GRID),
        wb.part("finer grid", hourly, grid, capital=2_000.0, **(GRID | {"lines": 15})),
        wb.part("protected", hourly, macd, capital=2_000.0, exits=EXITS["protected"], **quick),
        wb.part("slow", four, macd, capital=2_000.0, **quick),
        wb.part("quick", hourly, macd, capital=1_000.0, **quick),
    ]  # fmt: skip
    for orders, chosen in (("market", parts), ("limit", parts[3:])):
        result = wb.portfolio(chosen, orders=orders)  # type: ignore[arg-type]
        assert result.fills["symbol"].unique().to_list() == ["BTCUSDT"]
        for part in chosen:
            alone = event_driven(
                part.candles, part.spec, costs=Costs(filters="exchange", cash=part.capital),
                model=MarketModel(orders=orders), exits=EXITS.get(part.name), **part.params,  # type: ignore[arg-type]
            )  # fmt: skip
            mine = result.parts[part.name]
            assert mine.fills.equals(alone.fills), (part.name, orders)
            assert mine.equity.equals(alone.equity)
            assert mine.data_sha256 == alone.data_sha256
            assert mine.fills.height >= 6


GRID = {"low": 0.95, "high": 1.05, "lines": 9}
EXITS = {"protected": {"stop": "1%", "take_profit": "2%"}}


def test_the_command_reads_a_file_and_prints_the_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.cli import COMMANDS
    from workbench.command_table import run as command

    shared_path("data/klines_1h.parquet")
    file = tmp_path / "two.toml"
    file.write_text(TWO, encoding="utf-8")
    out = tmp_path / "equity.parquet"
    call = ["portfolio", str(file), "--json", "--equity-out", str(out)]
    assert command("workbench", COMMANDS, "", call) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["bars"] == 31 * 24 == pl.read_parquet(out).height
    assert set(printed["parts"]) == {"btc", "eth"}
    assert printed["final_equity"] == pytest.approx(
        500.0 + sum(part["final_equity"] for part in printed["parts"].values())
    )
    file.write_text(TWO.replace("max_exposure", "max_exposures"), encoding="utf-8")
    assert command("workbench", COMMANDS, "", ["portfolio", str(file)]) == 2
    assert "unknown key 'max_exposures'" in capsys.readouterr().err


TWO = """
cash = 10_000
start = "2025-03-01"
end = "2025-04-01"

[caps]
max_exposure = 0.9

[[instances]]
name = "btc"
symbol = "BTCUSDT"
strategy = "macd"
capital = 5_000
params = { fast = 12, slow = 26, signal = 9 }

[[instances]]
name = "eth"
symbol = "ETHUSDT"
interval = "4h"
strategy = "donchian"
capital = 4_500
exits = { stop = "3%" }
"""
