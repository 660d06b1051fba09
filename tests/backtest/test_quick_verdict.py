"""The quick verdict of sweeps and studies, and the commands that show what the ledger holds."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import workbench as wb
from tests.backtest.recorded_market import call, environment, record_market
from tests.candle_builders import martingale
from workbench.analysis.trials import TrialCounts, home_ledger
from workbench.backtest.verdict import quick as quick_verdict
from workbench.report.quick_card import quick_section

MACD = wb.strategies.macd
WALK = martingale(24 * 200, 61, substeps=10)
AXES = {"fast": (3, 5, 7), "slow": (15, 20, 25), "signal": (3, 6)}


pytestmark = pytest.mark.usefixtures("ledger")


def luck(trials: int) -> float:
    """Return E[max N] as Bailey and Lopez de Prado (2014) write it, by scipy."""
    g = 0.5772156649015329
    first, second = (stats.norm.ppf(1 - 1 / n) for n in (trials, trials * math.e))
    return float((1 - g) * first + g * second)


def deflated(returns: np.ndarray, trials: int, variance: float) -> float:
    """Return the deflated Sharpe ratio by scipy's moments."""
    own = returns.mean() / returns.std(ddof=1)
    skew, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
    error = math.sqrt((1 - skew * own + (kurtosis - 1) / 4 * own**2) / (len(returns) - 1))
    return float(stats.norm.cdf((own - math.sqrt(variance) * luck(trials)) / error))


def test_a_sweeps_best_is_judged_by_every_trial_of_its_strategy() -> None:
    wb.sweep(WALK, MACD, fast=(4, 6), slow=(30, 35), signal=4, progress=False)  # looked at before
    result = wb.sweep(WALK, MACD, **AXES, progress=False)
    found = quick_verdict.of_sweep(result)
    assert found is not None
    sharpes = [*result.frame["sharpe"]]
    sharpes += [
        *wb.sweep(WALK, MACD, fast=(4, 6), slow=(30, 35), signal=4, progress=False).frame["sharpe"]
    ]
    variance = float(np.var(np.array(sharpes) / math.sqrt(365), ddof=1))
    best = result.frame.sort("sharpe", descending=True).row(0, named=True)
    run = wb.backtest(WALK, MACD, filters="none", **{name: best[name] for name in AXES})
    worth = run.equity.group_by_dynamic("open_time", every="1d").agg(pl.col("equity").last())
    levels = np.concatenate([[10_000.0], worth["equity"].to_numpy()])
    assert (found.trials, found.ledger_trials) == (22, 22)
    assert found.sharpe == pytest.approx(best["sharpe"], rel=1e-9)
    assert found.expected_max == pytest.approx(luck(22), rel=1e-12)
    assert found.lucky_sharpe == pytest.approx(luck(22) * math.sqrt(variance * 365), rel=1e-9)
    assert found.dsr == pytest.approx(
        deflated(levels[1:] / levels[:-1] - 1, 22, variance), rel=1e-9
    )
    if best["sharpe"] > 0:
        assert found.min_backtest_years == pytest.approx((luck(22) / best["sharpe"]) ** 2)
    assert (found.years, found.trades) == (200 / 365, best["trades"])


def test_the_plateau_is_what_the_neighbours_show() -> None:
    result = wb.sweep(WALK, MACD, fast=(3, 5, 7), slow=20, signal=3, progress=False)
    found = quick_verdict.of_sweep(result)
    assert found is not None
    ranked = result.frame.sort("sharpe", descending=True)
    at = {3: (5,), 5: (3, 7), 7: (5,)}[ranked["fast"][0]]
    around = ranked.filter(pl.col("fast").is_in(at))["sharpe"].median()
    if ranked["sharpe"][0] > 0.0:
        assert found.plateau == pytest.approx(around / ranked["sharpe"][0])
    else:
        assert found.plateau is None


def test_the_best_is_above_luck_with_one_trial_and_no_longer_with_many() -> None:
    steady = np.full(24 * 200, 0.0002) + np.random.default_rng(4).normal(0, 0.002, 24 * 200)
    closes = (100 * np.exp(np.cumsum(steady))).tolist()
    from tests.candle_builders import candles_of

    rising = candles_of([100.0, *closes[:-1]], closes)
    result = wb.sweep(rising, MACD, fast=3, slow=9, signal=3, progress=False)
    few = TrialCounts(1, 1, 1, math.nan, 1)
    many = TrialCounts(50_000, 50_000, 50_000, 0.01, 50_000)
    one, all_of_them = (quick_verdict.of_sweep(result, counts) for counts in (few, many))
    assert one is not None
    assert all_of_them is not None
    assert one.lucky_sharpe == 0.0
    assert all_of_them.lucky_sharpe == pytest.approx(luck(50_000) * 0.1 * math.sqrt(365))
    assert one.dsr is not None
    assert all_of_them.dsr is not None
    assert one.dsr > all_of_them.dsr
    assert not all_of_them.is_enough
    assert "no better than luck" in all_of_them.said()
    assert "No better than luck" in quick_section(all_of_them)


def test_where_nothing_has_a_sharpe_nothing_is_said() -> None:
    short = martingale(60, 3, substeps=10)
    result = wb.sweep(short, MACD, fast=3, slow=55, signal=9, progress=False)  # no value, no trade
    assert quick_verdict.of_sweep(result) is None
    assert quick_section(None) == ""
    assert 'class="wb-verdict' not in result._repr_html_()


def test_a_ledger_that_cannot_be_read_leaves_a_card_that_says_so() -> None:
    result = wb.sweep(WALK, MACD, **AXES, progress=False)
    assert "18 distinct trials of this strategy in the ledger" in result._repr_html_()
    home_ledger().path.unlink()
    for beside in home_ledger().path.parent.glob("trials.sqlite*"):
        beside.unlink()
    home_ledger().path.write_text("these are notes of mine\n" * 100)
    html = result._repr_html_()
    assert "is no trial ledger, or a damaged one" in html
    assert "trials counted from the 18 rows at hand" in html


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_market(tmp_path_factory.mktemp("market"))


def test_a_study_is_judged_by_the_trials_of_its_strategies(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", environment(market)["WORKBENCH_DATA"])
    result = wb.study(
        symbols=["AAAUSDT", "BBBUSDT"], intervals=["4h"], strategy=MACD,
        params=[(3, 9, 3), (5, 12, 4), (4, 8, 3)], progress=False,
    )  # fmt: skip
    found = quick_verdict.of_study(result)
    assert found is not None
    assert found.notes[-1].endswith(
        "its daily returns count as normal here; sweep its series for more"
    )
    assert found is not None
    assert (found.trials, found.sharpe) == (
        6,
        pytest.approx(result.frame["sharpe"].max(), rel=1e-9),
    )
    assert found.lucky_sharpe == pytest.approx(
        luck(6) * float(np.std(result.frame["sharpe"].to_numpy(), ddof=1)), rel=1e-9
    )
    assert "6 distinct trials" in result._repr_html_()


def test_the_commands_list_show_and_check_the_ledger(market: Path) -> None:
    grid = ("--symbol", "AAAUSDT", "--interval", "4h", "--grid", "fast=3:5,slow=9")
    swept = json.loads(call(market, "sweep", *grid, "--json").stdout)
    assert swept["quick_verdict"]["trials"] == 3
    assert "luck" in call(market, "sweep", *grid).stdout
    (listed,) = json.loads(call(market, "trials", "list", "--json").stdout)["strategies"]
    assert (listed["strategy"], listed["n"], listed["seen"]) == ("macd", 3, 6)
    assert listed["first"] == listed["last"]
    shown = json.loads(call(market, "trials", "show", "macd", "--json").stdout)
    assert [one["fresh"] for one in shown["entries"]] == [0, 3]
    assert "AAAUSDT" in call(market, "trials", "show", "macd").stdout
    unknown = call(market, "trials", "show", "rsi")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    checked = call(market, "trials", "check", "--json")
    assert (checked.returncode, json.loads(checked.stdout)["whole"]) == (0, True)
    with sqlite3.connect(home_ledger().path) as db:
        db.execute("DROP TRIGGER no_removal")
        db.execute("DELETE FROM entries WHERE seq = 1")
    db.close()
    checked = call(market, "trials", "check")
    assert checked.returncode == 1
    assert "fault: entry 1 is missing" in checked.stdout
