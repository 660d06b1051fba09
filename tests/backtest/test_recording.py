"""Every run counts its trials, once, whichever shell and engine ran them; what cannot be counted says so."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.backtest.recorded_market import call, environment, record_market
from tests.candle_builders import martingale, to_cents
from tests.scripted import SCRIPTED, scripted
from workbench.analysis import trial_file
from workbench.analysis.trial_check import by_strategy, check, entries_of
from workbench.analysis.trials import TrialCounts, home_ledger
from workbench.backtest import search as searches
from workbench.backtest import sweep as sweeps
from workbench.backtest.portfolio import AccountCaps, Part, run_portfolio
from workbench.backtest.recording import NOT_TRIALS
from workbench.backtest.sweep import sweep_params
from workbench.backtest.walk_forward import walk as walks
from workbench.errors import DataError, UsageError
from workbench.face.research import Sweep
from workbench.market.candles import Candles

MACD = wb.strategies.macd
WALK = to_cents(martingale(1_500, 41, substeps=10))
AXES = {"fast": (3, 5, 7), "slow": (9, 12), "signal": (3, 4)}
ONE = {"fast": 3, "slow": 9, "signal": 3}
pytestmark = pytest.mark.usefixtures("ledger")


def sweep(candles: Candles = WALK, **settings: object) -> Sweep:
    return wb.sweep(candles, MACD, progress=False, **(AXES | settings))  # type: ignore[arg-type]


def counts(name: str = "macd") -> TrialCounts:
    return home_ledger().counts(name)


def daily_sharpe(candles: Candles, **params: int) -> float:
    """Return mean over standard deviation of daily returns, from a run's own equity at midnight."""
    run = wb.backtest(candles, MACD, filters="none", **params)
    ends = run.equity.group_by_dynamic("open_time", every="1d").agg(pl.col("equity").last())
    worth = np.concatenate([[10_000.0], ends["equity"].to_numpy()])
    returns = worth[1:] / worth[:-1] - 1.0
    return float(returns.mean() / returns.std(ddof=1))


def test_a_sweep_counts_its_combinations_and_the_variance_of_their_daily_sharpes() -> None:
    result = sweep()
    found = counts()
    assert (found.n, found.seen, found.with_trades) == (12, 12, 12)
    naive = [
        daily_sharpe(WALK, fast=fast, slow=slow, signal=signal)
        for fast, slow, signal in result.frame.select("fast", "slow", "signal").rows()
    ]
    assert found.sharpe_variance == pytest.approx(np.var(naive, ddof=1), rel=1e-9)
    assert (counts().n, counts().seen) == (12, 24)  # the same sets once more, one by one
    assert result.uncounted == ""


def test_invalid_sets_are_no_trials_and_doubles_are_one() -> None:
    result = sweep(fast=(3, 3, 20))
    assert result.invalid_combinations == 4
    assert (counts().n, counts().seen) == (4, 8)


def test_of_overlapping_grids_only_the_new_sets_count() -> None:
    sweep()
    sweep(fast=(5, 7, 8))
    assert (counts().n, counts().seen) == (12 + 4, 24)


def test_a_set_is_the_same_trial_in_a_grid_that_needs_more_history() -> None:
    late = replace(WALK, first=800)
    sweep(late, fast=3, slow=9, signal=3)
    sweep(
        late, fast=3, slow=(9, 60), signal=3
    )  # 60 is fed from earlier on, and the data hash differs
    assert counts().n == 2
    sweep(replace(WALK, records=WALK.records[790:], first=10), fast=3, slow=9, signal=3)
    assert counts().n == 3  # the same window after a shorter warm-up decides differently


@pytest.mark.parametrize(
    ("filters", "engines"),
    [("exchange", ("kernel", "event")), ("none", ("kernel", "backtrader"))],
)
def test_a_trial_is_the_same_whatever_the_engine(filters: str, engines: tuple[str, ...]) -> None:
    for engine in engines:
        wb.backtest(WALK, MACD, filters=filters, engine=engine, **ONE)  # type: ignore[arg-type]
    sweep(filters=filters, **ONE)
    assert (counts().n, counts().seen) == (1, len(engines) + 1)
    assert {one.engine for one in entries_of(home_ledger(), "macd", most=9)} == set(engines)


@pytest.mark.parametrize(
    "other",
    [
        {"fee_bps": 5.0}, {"slippage_bps": 2.0}, {"cash": 5_000.0}, {"filters": "none"}, {"signal": 4},
        {"guards": "trades_a_day=1"}, {"exits": "stop=5%"}, {"fine": WALK}, {"engine": "event", "latency_ms": 5},
        {"engine": "event", "volume_share": 0.5}, {"engine": "event", "orders": "limit"},
    ],
    ids=lambda other: "-".join(other),
)  # fmt: skip
def test_what_changes_the_result_makes_another_trial(other: dict[str, object]) -> None:
    candles = WALK
    if "fine" in other:
        finer = to_cents(martingale(200 * 60, 3, interval="1m", substeps=1))
        hourly = wb.data.resample(finer.frame(), "1m", "1h")
        candles, other = Candles.from_frame(hourly, WALK.timeframe), {"fine": finer}
    settings: dict[str, object] = dict(ONE)
    wb.backtest(candles, MACD, **settings)  # type: ignore[arg-type]
    wb.backtest(candles, MACD, **(settings | other))  # type: ignore[arg-type]
    assert counts().n == 2
    wb.backtest(candles, MACD, **(settings | other))  # type: ignore[arg-type]
    assert (counts().n, counts().seen) == (2, 3)


def test_another_window_or_market_is_another_trial_and_another_name_of_it_is_not() -> None:
    wb.backtest(WALK, MACD, **ONE)
    wb.backtest(replace(WALK, source="elsewhere"), MACD, **ONE)
    assert counts().n == 1
    wb.backtest(WALK.tail(700), MACD, **ONE)
    wb.backtest(to_cents(martingale(1_500, 42, substeps=10)), MACD, **ONE)
    assert counts().n == 3


def test_exits_without_ranges_are_one_trial_whatever_their_period() -> None:
    for period in (7, 14):
        wb.backtest(WALK, MACD, exits={"stop": "5%", "atr_period": period}, **ONE)  # type: ignore[arg-type]
    assert counts().n == 1
    for period in (7, 14):
        wb.backtest(WALK, MACD, exits={"stop": "2atr", "atr_period": period}, **ONE)  # type: ignore[arg-type]
    assert counts().n == 3


def test_what_never_trades_counts_in_n_alone() -> None:
    wb.backtest(scripted(WALK, [None] * len(WALK)), SCRIPTED)
    wb.backtest(scripted(WALK, [1.0] + [None] * (len(WALK) - 1)), SCRIPTED)  # open at the end
    found = counts(SCRIPTED.name)
    assert (found.n, found.with_trades) == (2, 1)


def test_a_strategy_that_fails_was_tried_too() -> None:
    with pytest.raises(UsageError):
        wb.backtest(scripted(WALK, [2.0] * len(WALK)), SCRIPTED)  # no target lies above 1
    found = counts(SCRIPTED.name)
    assert (found.n, found.with_trades) == (1, 0)


def test_above_a_day_a_sharpe_is_brought_to_one_day() -> None:
    weeks = martingale(300, 5, interval="1w", substeps=10)
    run = wb.backtest(weeks, MACD, filters="none", **ONE)
    worth = np.concatenate([[10_000.0], run.equity["equity"].to_numpy()])
    returns = worth[1:] / worth[:-1] - 1.0
    (listed,) = by_strategy(home_ledger())
    own = float(returns.mean() / returns.std(ddof=1))  # of a week
    assert listed.best_sharpe == pytest.approx(own / math.sqrt(7) * math.sqrt(365), rel=1e-12)


# --- studies, searches, streams, portfolios


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = record_market(tmp_path_factory.mktemp("market"))
    for file in folder.glob("*.parquet"):  # prices in cents, which the exchange's filters ask for
        prices = pl.col("open", "high", "low", "close").round(2)
        pl.read_parquet(file).with_columns(prices).write_parquet(file)
    return folder


def test_a_study_counts_every_row_and_says_so_before_its_parts_are_there(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", environment(market)["WORKBENCH_DATA"])
    asked = {"symbols": ["AAAUSDT", "BBBUSDT"], "intervals": ["1h", "4h"], "strategy": MACD,
             "params": [(3, 9, 3), (5, 12, 4)], "progress": False}  # fmt: skip
    result = wb.study(**asked)  # type: ignore[arg-type]
    assert (counts().n, len(result), result.uncounted) == (8, 8, "")
    assert check(home_ledger()).entries == 4  # one a series, in one transaction
    out = tmp_path / "study.parquet"
    wb.study(**asked, out=out)  # type: ignore[arg-type]
    wb.study(**asked, out=out, resume=True)  # type: ignore[arg-type]  # runs nothing
    assert (counts().n, counts().seen) == (8, 16)
    swept = wb.sweep(wb.load("AAAUSDT", "4h"), MACD, fast=3, slow=9, signal=3, progress=False)
    assert (counts().n, len(swept)) == (8, 1)


def test_a_streamed_sweep_counts_what_the_one_in_memory_does(tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    sweep(out=out)
    assert (counts().n, counts().seen) == (12, 12)  # its probe is no trial
    sweep(out=out, resume=True)
    sweep()
    assert (counts().n, counts().seen) == (12, 24)


@pytest.mark.parametrize("method", ["random", "lhs", "optuna"])
def test_a_search_counts_all_that_ran_pruned_ones_too(method: str) -> None:
    grid = {"fast": range(2, 22), "slow": range(5, 45), "signal": range(2, 12)}
    found = sweep(search=method, trials=40, **grid).frame
    ran = found.filter(pl.col("state") != "invalid")
    assert counts().n == ran.select("fast", "slow", "signal").unique().height
    assert counts().seen == ran.height
    if method == "optuna":
        assert ran.filter(state="pruned").height > 0
        assert counts().with_trades == counts().n
    sweep(**grid)
    assert counts().n == 20 * 40 * 10 - _invalid(grid)  # nothing twice


def _invalid(grid: dict[str, range]) -> int:
    return sum(fast >= slow for fast in grid["fast"] for slow in grid["slow"]) * len(grid["signal"])


def test_a_search_that_is_interrupted_has_counted_what_it_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, calls = searches._run_stages, []

    def interrupted(*arguments: object) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(searches, "_run_stages", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(search="optuna", trials=40, fast=range(3, 9), slow=range(10, 40))
    assert counts().seen == 2 * searches.TOGETHER


def test_a_sweep_that_is_interrupted_has_counted_what_it_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = sweeps._run

    def half(whole: object, *arguments: object, **settings: object) -> None:
        part = whole.only(np.arange(5))  # type: ignore[attr-defined]
        run(part, *arguments, **settings)  # type: ignore[arg-type]
        whole.rows[:5] = part.rows  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "_run", half)
    with pytest.raises(KeyboardInterrupt):
        sweep()
    assert counts().n == 5
    monkeypatch.undo()


def test_a_sweep_that_is_interrupted_before_its_first_set_ends_as_it_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def at_once(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "_run", at_once)
    with pytest.raises(KeyboardInterrupt):
        sweep()
    assert counts().n == 0


def test_each_part_of_a_portfolio_is_a_trial_and_alone_it_is_the_backtest() -> None:
    parts = [Part("a", WALK, MACD, 6_000.0, ONE), Part("b", WALK.tail(900), MACD, 4_000.0, ONE)]
    one = [replace(part, candles=replace(part.candles, symbol=symbol))
           for part, symbol in zip(parts, ("BTCUSDT", "ETHUSDT"), strict=True)]  # fmt: skip
    run_portfolio(one)
    assert counts().n == 2
    wb.backtest(one[0].candles, MACD, engine="event", cash=6_000.0, **ONE)
    assert (counts().n, counts().seen) == (2, 3)
    run_portfolio(one, caps=AccountCaps(max_positions=1))
    assert counts().n == 4
    run_portfolio([replace(part, candles=one[0].candles) for part in one])  # share a pair
    assert counts().n == 6


# --- what is no trial, and what could not be counted


def test_code_that_runs_again_what_was_counted_counts_nothing(market: Path) -> None:
    sweep_params(WALK, MACD, MACD.grid(AXES), trials=NOT_TRIALS)
    done = call(market, "parity", "--symbol", "AAAUSDT", "--interval", "4h", "--start", "2025-01-05",
                "--end", "2025-03-01", "--engines", "sweep,event,backtrader", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not home_ledger().path.exists()


def test_the_command_line_counts(market: Path) -> None:
    done = call(market, "sweep", "--symbol", "AAAUSDT", "--interval", "4h", "--grid", "fast=3:5,slow=9",
                "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert counts().n == 3


@pytest.mark.parametrize(
    "run",
    [lambda: sweep(), lambda: wb.backtest(WALK, MACD, **ONE),
     lambda: wb.walk_forward(WALK, MACD, folds=2, progress=False, **AXES),
     lambda: wb.backtest(WALK, MACD, engine="event", **ONE),
     lambda: sweep(search="optuna", trials=9)],
    ids=["sweep", "backtest", "walk-forward", "event", "search"],
)  # fmt: skip
def test_a_result_that_could_not_be_counted_says_so(
    run: Callable[[], Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_file, "MOST_WAIT_S", 0.05)
    home_ledger().demand_writable()
    other = sqlite3.connect(home_ledger().path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # as a process that hangs would
    result = run()
    other.execute("ROLLBACK")
    other.close()
    assert result.uncounted.startswith("NOT COUNTED")
    assert "is held by another process" in result.uncounted
    assert result.uncounted in result.notes
    assert counts().n == 0


def test_a_study_that_could_not_be_counted_says_so(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", environment(market)["WORKBENCH_DATA"])
    monkeypatch.setattr(trial_file, "MOST_WAIT_S", 0.05)
    home_ledger().demand_writable()
    other = sqlite3.connect(home_ledger().path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    result = wb.study(
        symbols=["AAAUSDT"], intervals=["4h"], strategy=MACD, params=[(3, 9, 3)], progress=False
    )
    other.close()
    assert "NOT COUNTED: 1 trials" in result.uncounted
    assert result.summary()["notes"] == [result.uncounted]


def test_a_home_that_cannot_keep_trials_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
    for run in (sweep, lambda: wb.backtest(WALK, MACD, **ONE)):
        with pytest.raises(DataError, match="no trial goes uncounted; set WORKBENCH_HOME"):
            run()


def test_the_frame_of_the_results_is_as_it_was() -> None:
    assert "uncounted" not in sweep().frame.columns
    assert "uncounted" not in json.dumps(wb.backtest(WALK, MACD, **ONE).summary())


def test_a_walk_forward_counts_each_set_of_each_fold_and_each_choice() -> None:
    walk = wb.walk_forward(WALK, MACD, train=800, test=200, progress=False, **AXES)
    assert walk.trials == 3 * (12 + 1)
    assert (counts().n, counts().seen) == (39, 39)
    again = wb.walk_forward(WALK, MACD, train=800, test=200, progress=False, **AXES)
    assert (counts().n, counts().seen) == (39, 78)
    assert again.uncounted == ""
    # Chosen otherwise: the train windows are the same, and of the choices those that differ are new.
    wb.walk_forward(WALK, MACD, train=800, test=200, choose="plateau", progress=False, **AXES)
    assert 39 <= counts().n <= 39 + 3


def test_what_an_interrupted_walk_forward_has_run_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = []

    def interrupted(*given: object, **asked: object) -> object:
        ran.append(1)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return sweep_params(*given, **asked)  # type: ignore[arg-type]

    monkeypatch.setattr(walks, "sweep_params", interrupted)
    with pytest.raises(KeyboardInterrupt):
        wb.walk_forward(WALK, MACD, train=800, test=200, progress=False, **AXES)
    assert counts().n == 2 * (12 + 1)
