"""One decision everywhere: kernel, sweep, event engine, backtrader and a live instance agree."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from tests.candle_builders import martingale, to_cents
from tests.conftest import shared_path
from tests.strategies.test_every_strategy import QUICK, broken_series
from workbench import strategies
from workbench.backtest.columns import METRIC_COLUMNS
from workbench.backtest.event.driven import event_driven
from workbench.backtest.setting import Costs, trading_rules
from workbench.backtest.single import backtest
from workbench.cli import options
from workbench.cli import parity as command
from workbench.errors import UsageError
from workbench.report.parity import (
    Crumb,
    EngineRun,
    compare,
    compare_closely,
    compare_row,
    first_crumb,
    from_backtest,
)
from workbench.strategies import load

ON_TARGETS = sorted(set(strategies.names()) - {"grid"})
OWN = """
from numba import njit

PARAMS = {"count": (2, 1, 20)}
STATE = {"last": float, "ups": int, "downs": int}
WARM_UP = 20


@njit
def decide(state, candle, position, params, intent):
    if candle.close > state.last:
        state.ups, state.downs = state.ups + 1, 0
    elif candle.close < state.last:
        state.ups, state.downs = 0, state.downs + 1
    state.last = candle.close
    if state.ups >= params.count:
        intent.target = 1.0
    if state.downs >= params.count:
        intent.target = 0.0
"""


# Comes back after every exit with another target, and writes a trailing distance after a stop.
OWN_PROTECTED = """
from numba import njit

PARAMS = {"trail": (300, 1, 5000)}
STATE = {"wanted": float, "candles": int}
WARM_UP = 1


@njit
def decide(state, candle, position, params, intent):
    state.candles += 1
    if position.quantity * candle.close < 10.0 and candle.close > candle.open:
        state.wanted = 0.99 if state.wanted == 1.0 else 1.0
        intent.target = state.wanted
    if position.exit_reason == 1 or state.candles % 3 == 0:
        intent.trail = params.trail
"""
EXITS = "stop=0.7%,take_profit=1.5atr,atr_period=5,time_stop=2"


def parity(*arguments: str) -> list[dict[str, object]]:
    """Run `workbench parity --json`, demand that all is equal, and return the comparisons."""
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "parity", "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=1_200)
    assert done.returncode == 0, done.stderr or done.stdout
    found: list[dict[str, object]] = json.loads(done.stdout)["comparisons"]
    for one in found:
        assert one["equal"] is True
        assert one["decision_differences"] == one["fill_differences"] == 0
    return found


@pytest.mark.slow
def test_a_month_of_recorded_candles_is_equal_in_all_engines() -> None:
    shared_path("data/klines_1h.parquet")
    found = parity("--symbol", "BTCUSDT", "--start", "2025-03-01", "--end", "2025-04-01")
    assert [(one["engine"], one["reference"]) for one in found] == [
        ("sweep", "kernel"),
        ("sweep without filters", "kernel without filters"),
        ("event", "kernel"),
        ("backtrader without filters", "kernel without filters"),
        ("live", "kernel"),
    ]
    for one in found[2:]:
        assert one["decisions"] == 744  # 31 days of hours, none missing
        assert one["fills"] == 49
        assert one["equity_difference"] <= (1e-6 if "backtrader" in one["engine"] else 1e-9)


@pytest.mark.slow
def test_a_users_own_file_is_equal_in_all_engines_too(tmp_path: Path) -> None:
    shared_path("data/klines_1h.parquet")
    file = tmp_path / "two_up.py"
    file.write_text(OWN, encoding="utf-8")
    engines = "sweep,event,backtrader"  # the live path: with another file, and exits
    found = parity(
        "--strategy", str(file), "--engines", engines, "--start", "2025-03-01", "--end", "2025-03-02",
    )  # fmt: skip
    assert [one["decisions"] for one in found[2:]] == [24] * 2
    assert found[-1]["fills"] > 2


@pytest.mark.slow
def test_exits_of_every_kind_sell_the_same_on_the_live_path(tmp_path: Path) -> None:
    """Stop, take-profit, trail and time stop, from the overlay and from a user's own file, which reads why."""
    shared_path("data/klines_1h.parquet")
    file = tmp_path / "comes_back.py"
    file.write_text(OWN_PROTECTED, encoding="utf-8")
    span = {"start": "2025-03-05", "end": "2025-03-07"}
    run = wb.backtest(wb.load("BTCUSDT", "1h", **span), load(str(file)), exits=EXITS)
    assert set(run.fills["reason"]) == {"signal", "stop", "take_profit", "trail", "time"}
    found = parity(
        "--strategy", str(file), "--exits", EXITS, "--engines", "sweep,event,live",
        "--start", span["start"], "--end", span["end"],
    )  # fmt: skip
    assert found[-1]["engine"] == "live"
    assert found[-1]["decisions"] == 48
    assert found[-1]["fills"] == run.fills.height > 20
    assert found[-1]["equity_difference"] <= 1e-9


@pytest.mark.slow
def test_guards_hold_back_the_same_buys_on_the_live_path() -> None:
    """Over the real processes: stops end its trips, and the guards refuse what would follow."""
    shared_path("data/klines_1h.parquet")
    span = {"start": "2025-03-04", "end": "2025-03-06"}
    params, guards = "fast=3,slow=7,signal=3", "trades_a_day=1,cooldown_bars=6,volatility=60%"
    run = wb.backtest(
        wb.load("BTCUSDT", "1h", **span), load("macd"), exits="stop=0.7%", guards=guards,
        **options.parse_params(params),
    )  # fmt: skip
    assert run.guarded == 2
    assert run.fills.height == 4
    found = parity(
        "--params", params, "--exits", "stop=0.7%", "--guards", guards, "--engines", "sweep,event,live",
        "--start", span["start"], "--end", span["end"],
    )  # fmt: skip
    assert [one["guarded"] for one in found[-2:]] == [run.guarded] * 2
    assert [one["guarded_difference"] for one in found] == [0] * 4
    assert found[-1]["fills"] == run.fills.height
    assert found[-1]["equity_difference"] <= 1e-9


@pytest.mark.slow
def test_a_grid_fills_the_same_rungs_on_the_live_path() -> None:
    """Bought first, then laid; up to seven rungs and their opposites trade inside one candle."""
    shared_path("data/klines_1h.parquet")
    params = "lines=33,low=0.95,high=1.05,inventory=1"
    (live,) = parity(
        "--strategy", "grid", "--params", params, "--engines", "live",
        "--start", "2025-03-01", "--end", "2025-03-01T12:00",
    )  # fmt: skip
    assert live["decisions"] == 12
    assert live["fills"] > 20
    assert live["equity_difference"] <= 1e-9


def reasons(spec: str, exits: str, start: str, end: str, **params: float) -> Counter[str]:
    """Return why the kernel's fills happened, each reason as often as it did."""
    candles = wb.load("BTCUSDT", "1h", start=start, end=end)
    run = wb.backtest(candles, load(spec), exits=exits or None, **params)
    return Counter(run.fills["reason"])


@pytest.mark.slow
def test_a_grids_own_stop_sells_the_same_on_the_live_path() -> None:
    """Geometric, half of it bought first: the first hours rise, then one falls through all rungs to the stop."""
    shared_path("data/klines_1h.parquet")
    span = ("2025-03-03", "2025-03-03T07:00")
    grid = {
        "lines": 9, "low": 0.985, "high": 1.015, "unit": 1, "spacing": 1, "inventory": 1,
        "stop": 0.98, "take_profit": 1.02,
    }  # fmt: skip
    assert reasons("grid", "", *span, **grid) == {"signal": 16, "stop": 1}
    params = ",".join(f"{name}={value}" for name, value in grid.items())
    (live,) = parity(
        "--strategy", "grid", "--params", params, "--engines", "live",
        "--start", span[0], "--end", span[1],
    )  # fmt: skip
    assert (live["decisions"], live["fills"]) == (7, 17)
    assert live["equity_difference"] <= 1e-9


@pytest.mark.slow
def test_exits_beside_a_ladder_that_begins_anew_sell_the_same_on_the_live_path(
    tmp_path: Path,
) -> None:
    """Stop, take-profit and trail are reached, while rungs between them turn; up to eight sales at once."""
    shared_path("data/klines_1h.parquet")
    file = tmp_path / "begins_anew.py"
    file.write_text(BEGINS_ANEW, encoding="utf-8")
    span = ("2025-03-03", "2025-03-03T14:00")
    exits = "stop=0.6%,take_profit=0.5%,trail=1%,time_stop=4"
    found = reasons(str(file), exits, *span)
    assert found == {"signal": 24, "stop": 2, "trail": 1, "take_profit": 1}
    (live,) = parity(
        "--strategy", str(file), "--exits", exits, "--engines", "live",
        "--start", span[0], "--end", span[1],
    )  # fmt: skip
    assert (live["decisions"], live["fills"]) == (14, 28)
    assert live["equity_difference"] <= 1e-9


@pytest.mark.parametrize("name", ON_TARGETS)
def test_every_target_strategy_is_equal_in_sweep_event_engine_and_backtrader(name: str) -> None:
    pytest.importorskip("workbench.backtest.reference", exc_type=UsageError)
    candles, spec = broken_series(), strategies.load(name)
    plain, exact = ({"filters": one} for one in ("none", "exchange"))
    for filters in (plain, exact):
        swept = wb.sweep(candles, spec, progress=False, **filters, **QUICK[name])
        run = wb.backtest(candles, spec, **filters, **QUICK[name])
        found = compare_row(swept.frame.row(0, named=True), run)
        assert (found.equal, found.fill_differences) == (True, 0)
    event = wb.backtest(candles, spec, engine="event", **QUICK[name])
    assert compare(from_backtest(event), from_backtest(run)).equal
    free = wb.backtest(candles, spec, **plain, **QUICK[name])
    theirs = wb.backtest(candles, spec, engine="backtrader", **QUICK[name])
    found = compare_closely(from_backtest(theirs), from_backtest(free))
    assert (found.decisions, found.equal) == (440, True)
    assert found.fills >= (1 if name == "hold" else 5)


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize("name", ON_TARGETS)
def test_every_target_strategy_is_equal_on_the_live_path_over_two_weeks(name: str) -> None:
    shared_path("data/klines_1h.parquet")
    params = ",".join(f"{key}={value}" for key, value in QUICK[name].items())
    found = parity(
        "--strategy", name, "--params", params, "--start", "2025-03-01", "--end", "2025-03-15"
    )
    assert [one["decisions"] for one in found[2:]] == [336] * 3
    assert found[-1]["fills"] >= 1


LADDERS = """
from numba import njit

PARAMS = {"rungs": (8, 1, 30), "targets": (0, 0, 1)}
STATE = {"count": int, "revision": int, "middle": float}
WARM_UP = 0


@njit
def decide(state, candle, position, params, intent):
    filled = 0
    for j in range(64):
        filled += (position.ladder_filled >> j) & 1
    if params.targets:
        again = state.count % 24 == 0
        if state.count % 4 == 3:
            intent.target = 0.45 if state.count % 8 == 3 else 0.15
    else:
        far = state.count == 0 or abs(candle.close / state.middle - 1.0) > 0.0075
        again = far or filled >= 3
    if again:
        state.revision += 1
        state.middle = candle.close
        intent.n_ladder = params.rungs
        for i in range(params.rungs):
            rung = intent.ladder[i]
            rung.id, rung.side = i + 1, 1
            rung.price = round(candle.close * (1.0 - 0.003 * (i + 0.5)), -1)
            rung.pair_price, rung.quote = rung.price + 200.0, 400.0 + 50.0 * filled
    state.count += 1
    intent.revision = state.revision
"""


# The same, and a new ladder after every exit.
BEGINS_ANEW = LADDERS.replace("filled >= 3", "filled >= 3 or position.exit_reason != 0")


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize("targets", [0, 1])
def test_a_ladder_that_moves_and_one_beside_targets_are_equal_on_the_live_path(
    tmp_path: Path, targets: int
) -> None:
    """The ladder follows the price and what has filled; beside targets its orders step aside."""
    shared_path("data/klines_1h.parquet")
    file = tmp_path / "moving_ladder.py"
    file.write_text(LADDERS, encoding="utf-8")
    found = parity(
        "--strategy", str(file), "--params", f"targets={targets}", "--engines", "event,live",
        "--start", "2025-03-01", "--end", "2025-03-06",
    )  # fmt: skip
    assert [one["decisions"] for one in found] == [120] * 2
    assert found[-1]["fills"] > 100


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize("inventory", [0, 1])
def test_a_grid_is_equal_on_the_live_path_over_two_weeks(inventory: int) -> None:
    shared_path("data/klines_1h.parquet")
    params = f"lines=25,low=0.85,high=1.15,inventory={inventory}"
    found = parity(
        "--strategy", "grid", "--params", params, "--engines", "sweep,event,live",
        "--start", "2025-03-01", "--end", "2025-03-15",
    )  # fmt: skip
    assert [one["decisions"] for one in found[2:]] == [336] * 2
    assert found[-1]["fills"] > 100


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize("spacing", [0, 1], ids=["arithmetic", "geometric"])
@pytest.mark.parametrize(
    ("start", "inventory", "reason"),
    [
        ("2025-03-13", 0, "stop"),
        ("2025-03-18", 1, "stop"),
        ("2025-03-12", 1, "take_profit"),
        ("2025-03-17", 1, "take_profit"),
    ],
)
def test_a_grids_own_levels_are_equal_on_the_live_path(
    start: str, inventory: int, reason: str, spacing: int
) -> None:
    shared_path("data/klines_1h.parquet")
    grid = {
        "lines": 9, "low": 0.985, "high": 1.015, "unit": 1, "spacing": spacing, "inventory": inventory,
        "stop": 0.98, "take_profit": 1.02,
    }  # fmt: skip
    end = f"{start}T23:00"
    assert reasons("grid", "", start, end, **grid)[reason] == 1
    params = ",".join(f"{name}={value}" for name, value in grid.items())
    found = parity(
        "--strategy", "grid", "--params", params, "--engines", "sweep,event,live",
        "--start", start, "--end", end,
    )  # fmt: skip
    assert found[-1]["engine"] == "live"
    assert found[-1]["fills"] >= 17


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize(
    ("exits", "start", "reached"),
    [
        (
            "stop=0.6%,take_profit=0.5%,trail=1%,time_stop=4",
            "2025-03-11T12:00",
            {"stop": 1, "take_profit": 3, "trail": 3},
        ),
        (
            "stop=0.4%,take_profit=1atr,atr_period=3,time_stop=3",
            "2025-03-20T00:00",
            {"stop": 3, "time": 1},
        ),
        ("stop=0.8%,take_profit=0.9%", "2025-03-13T00:00", {"stop": 1, "take_profit": 2}),
        ("take_profit=0.15%", "2025-03-04T12:00", {"take_profit": 16}),
    ],
)
def test_exits_beside_a_ladder_are_equal_on_the_live_path_over_a_day(
    tmp_path: Path, exits: str, start: str, reached: dict[str, int]
) -> None:
    """No crumb below the exchange's minimum meets a level in these days: that no order could follow."""
    shared_path("data/klines_1h.parquet")
    file = tmp_path / "begins_anew.py"
    file.write_text(BEGINS_ANEW, encoding="utf-8")
    end = (datetime.fromisoformat(start) + timedelta(days=1)).isoformat()
    found = reasons(str(file), exits, start, end)
    assert {name: count for name, count in found.items() if name != "signal"} == reached
    compared = parity(
        "--strategy", str(file), "--exits", exits, "--engines", "event,live",
        "--start", start, "--end", end,
    )  # fmt: skip
    assert [one["decisions"] for one in compared] == [24] * 2


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize("exits", ["", "stop=2%"])
@pytest.mark.parametrize("guards", ["drawdown=0.5%", "trades_a_day=6,cooldown_bars=2"])
def test_guards_hold_a_grids_buys_back_alike_on_the_live_path(guards: str, exits: str) -> None:
    shared_path("data/klines_1h.parquet")
    params = "lines=33,low=0.95,high=1.05,inventory=1"
    found = parity(
        "--strategy", "grid", "--params", params, "--guards", guards, "--exits", exits,
        "--engines", "sweep,event,live", "--start", "2025-03-01", "--end", "2025-03-04",
    )  # fmt: skip
    assert [one["decisions"] for one in found[2:]] == [72] * 2
    assert found[-1]["guarded"] >= 2
    assert found[-1]["fills"] > 20


@pytest.mark.proof
@pytest.mark.timeout(1_300)
@pytest.mark.parametrize("name", ["macd", "rsi", "donchian", "ema_cross", "random_entry"])
@pytest.mark.parametrize(
    "exits", ["stop=0.8%,take_profit=1.5%", "stop=900,trail=1%,time_stop=9", "trail=2atr,stop=3atr"]
)
def test_protected_strategies_are_equal_on_the_live_path_over_two_weeks(
    name: str, exits: str
) -> None:
    shared_path("data/klines_1h.parquet")
    params = ",".join(f"{key}={value}" for key, value in QUICK[name].items())
    found = parity(
        "--strategy", name, "--params", params, "--exits", exits, "--engines", "event,live",
        "--start", "2025-03-01", "--end", "2025-03-15",
    )  # fmt: skip
    assert [one["decisions"] for one in found] == [336] * 2
    assert found[-1]["fills"] >= 2


@pytest.mark.parametrize(("strategy", "asked"), [("macd", {"exits": "stop=2%"}), ("own", {})])
def test_an_engine_that_lacks_what_is_asked_for_is_left_out_unless_it_is_named(
    strategy: str,
    asked: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exits are asked for by the call; levels of its own show in what the strategy writes."""
    monkeypatch.setattr(command, "ENGINES", ("event", "backtrader"))
    file = tmp_path / "comes_back.py"
    file.write_text(OWN_PROTECTED, encoding="utf-8")
    strategy = str(file) if strategy == "own" else strategy
    span = {"start": "2025-03-05", "end": "2025-03-07", "as_json": True}
    shared_path("data/klines_1h.parquet")
    command.parity(strategy, **asked, **span)
    said = json.loads(capsys.readouterr().out)
    assert [one["engine"] for one in said["comparisons"]] == ["event"]
    assert said["left_out"] == ["backtrader"]
    with pytest.raises(UsageError, match=r"backtrader run without|does not execute"):
        command.parity(strategy, engines="event,backtrader", **asked, **span)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("--engines", "kernel"), "name one or more of sweep, event, backtrader, live"),
        (
            ("--engines", "event,backtrader", "--exits", "stop=2%"),
            "backtrader run without exits; compare with --engines sweep,event,",
        ),
        (
            ("--engines", "event,backtrader", "--guards", "drawdown=20%"),
            "backtrader run without guards; compare with --engines sweep,event,live",
        ),
        (
            ("--engines", "backtrader,live", "--fine", "1m"),
            "backtrader and live run without finer candles",
        ),
        (("--strategy", "no/such/file.py"), "cannot be read"),
    ],
)
def test_a_comparison_that_cannot_be_made_says_so(
    call: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.cli import COMMANDS
    from workbench.command_table import run

    assert run("workbench", COMMANDS, "", ["parity", *call]) == 2
    assert said in capsys.readouterr().err


def test_a_price_or_a_metric_that_is_off_by_more_than_the_tolerance_is_found() -> None:
    candles = to_cents(martingale(400, 3))
    kernel = backtest(candles, load("macd"), costs=Costs(), fast=3, slow=7, signal=3)
    tables = from_backtest(kernel)
    for factor, differences in ((1 + 5e-7, 0), (1 + 2e-6, 1)):
        third = pl.when(pl.int_range(pl.len()) == 3)
        for column in ("price", "quantity"):
            moved = tables.fills.with_columns(
                third.then(pl.col(column) * factor).otherwise(pl.col(column)).alias(column)
            )
            found = compare_closely(EngineRun("other", tables.closes, moved), tables)
            assert found.fill_differences == differences
    row = dict(kernel.metrics) | {"guarded": 0}
    assert compare_row(row, kernel).equal
    assert not compare_row(row | {"guarded": 1}, kernel).equal
    for name in METRIC_COLUMNS:
        wrong = row | {name: not row[name] if isinstance(row[name], bool) else (row[name] or 0) + 1}
        assert compare_row(wrong, kernel).fill_differences == 1, name


def test_a_single_buy_that_guards_hold_back_in_one_engine_alone_is_found() -> None:
    kernel, event = _two_runs()
    found = compare(replace(event, guarded=1), kernel)
    assert (found.guarded_difference, found.equal) == (1, False)


def _two_runs() -> tuple[EngineRun, EngineRun]:
    candles = to_cents(martingale(400, 3))
    costs, params = Costs(filters="exchange"), {"fast": 3, "slow": 7, "signal": 3}
    spec = load("macd")
    return (
        from_backtest(backtest(candles, spec, costs=costs, **params)),
        from_backtest(event_driven(candles, spec, costs=costs, **params)),
    )


def test_a_single_lot_tick_side_target_or_candle_that_differs_is_found() -> None:
    kernel, event = _two_runs()
    assert compare(event, kernel).equal
    for column in ("ticks", "lots", "time_ms"):
        moved = event.fills.with_columns(
            pl.when(pl.int_range(pl.len()) == 5).then(pl.col(column) + 1).otherwise(pl.col(column))
        )
        found = compare(EngineRun("event", event.closes, moved), kernel)
        assert (found.fill_differences, found.equal) == (1, False)
    swapped = event.closes.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(0.5).otherwise(pl.col("target")).alias("target")
    )
    assert compare(EngineRun("event", swapped, event.fills), kernel).decision_differences == 1
    missing = compare(EngineRun("event", event.closes.tail(-1), event.fills), kernel)
    assert not missing.equal
    assert missing.decision_differences == 1


@pytest.mark.parametrize(
    ("left", "crumb"), [(3, Crumb(7_000, 3_000, 80_000 * 10**8)), (0, None), (90, None)]
)
def test_a_remainder_that_no_order_can_hold_is_found(
    tmp_path: Path, left: int, crumb: Crumb | None
) -> None:
    """Of 100 lots all but so many are sold at 80,000: 3 lots are 2.40 USDT, 90 are 72; the minimum is 5."""
    rules, _ = trading_rules(to_cents(martingale(50, 3)), Costs(filters="exchange"))
    assert rules is not None
    rules = replace(rules, step_e8=1_000, min_qty_e8=1_000, min_notional_e8=5 * 10**8)
    lot, price = rules.step_e8, 80_000 * 10**8
    fills = [(6_000, "BUY", 100, 0, rules.base), (7_000, "SELL", 100 - left, 0, rules.quote)]
    names = ("market_ms", "side", "quantity_e8", "commission_e8", "commission_asset", "price_e8")
    rows = [(ms, side, lots * lot, fee, asset, price) for ms, side, lots, fee, asset in fills]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(tmp_path / "fills.parquet")

    assert first_crumb(tmp_path, rules) == crumb
    if crumb:
        said = crumb.told(rules)
        assert said.startswith(
            "from 1970-01-01T00:00:07+00:00 on 0.00003000 BTC are held, worth 2.40"
        )
        assert "below the exchange's minimum of 5.00000000 USDT and 0.00001000 BTC" in said


def test_equity_may_differ_by_rounding_and_no_more() -> None:
    kernel, event = _two_runs()
    for factor, equal in ((1 + 5e-10, True), (1 + 2e-9, False)):
        closes = event.closes.with_columns(pl.col("equity") * factor)
        assert compare(EngineRun("event", closes, event.fills), kernel).equal is equal
    empty = event.closes.with_columns(pl.lit(float("nan")).alias("equity"))
    assert not compare(EngineRun("event", empty, event.fills), kernel).equal
