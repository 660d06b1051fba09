"""What a run, a sweep and a study show of themselves: figures that are theirs, the plateau marked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.backtest.recorded_market import record_market
from tests.candle_builders import martingale, to_cents
from workbench.errors import UsageError
from workbench.report import cards, charts, numbers, pieces

MACD = wb.strategies.macd
WALK = to_cents(martingale(700, 61, substeps=10))
AXES = {"fast": range(2, 10), "slow": range(12, 30, 2), "signal": (3, 5)}


def cells(card: str, caption: str) -> list[list[str]]:
    """Return the rows of the table with a caption that begins so."""
    table = next(
        one
        for one in re.findall(r"<table.*?</table>", card, re.DOTALL)
        if f"<caption>{caption}" in one
    )
    body = table.split("<tbody>")[1]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]


def test_a_sweep_is_ranked_by_its_neighbours_and_its_own_figures_stand_beside() -> None:
    result = wb.sweep(WALK, MACD, **AXES, progress=False)
    card = result._repr_html_()
    ranked = result.plateau()
    rows = {(r["fast"], r["slow"], r["signal"]): r["total_return"] for r in ranked.to_dicts()}
    slows, signals = list(AXES["slow"]), list(AXES["signal"])
    first = ranked.row(0, named=True)
    near = [
        value
        for (fast, slow, signal), value in rows.items()
        if abs(fast - first["fast"]) <= 1
        and abs(slows.index(slow) - slows.index(first["slow"])) <= 1
        and abs(signals.index(signal) - signals.index(first["signal"])) <= 1
        and (fast, slow, signal) != (first["fast"], first["slow"], first["signal"])
    ]
    assert first["neighbours"] == pytest.approx(np.median(near))
    assert first["lowest"] == min(near)
    assert ranked["neighbours"].is_sorted(descending=True)
    shown = cells(card, "Best neighbours first")
    assert len(shown) == 8
    assert shown[0][:4] == [
        *(str(first[name]) for name in AXES), numbers.percent(first["neighbours"], sign=True),
    ]  # fmt: skip
    assert "is high by luck alone" in card
    assert "data:image/png;base64," in card
    held = WALK.window["close"][-1] / (WALK.window["open"][1] * 1.0001) * 0.999 - 1.0
    assert numbers.percent(held, sign=True) in card


def test_a_sweeps_picture_says_what_it_shows_and_leaves_its_name_to_the_card() -> None:
    result = wb.sweep(WALK, MACD, **AXES, progress=False)
    assert result._repr_html_().count("macd on BTCUSDT 1h") == 1
    chart = cards.sweep_map(result, "sharpe")
    assert chart is not None
    said = [text.get_text() for text in chart.texts]
    assert said[0] == "Sharpe by fast and slow"
    assert not any("BTCUSDT" in text for text in said)


def test_the_plateau_is_the_dashed_square_around_the_best_middle() -> None:
    grid = pl.DataFrame(
        [(x, y, 0.01) for x in range(6) for y in range(5)],
        schema=["x", "y", "total_return"], orient="row",
    )  # fmt: skip
    hill = (pl.col("x") >= 3) & (
        pl.col("y") <= 2
    )  # cells 3..5 x 0..2, of which (4, 1) is the middle
    peak = (pl.col("x") == 1) & (pl.col("y") == 3)
    value = pl.when(peak).then(0.9).when(hill).then(0.2).otherwise(0.01)
    chart = charts.heat_map(grid.with_columns(total_return=value), "x", "y")
    squares = {
        (patch.get_x(), patch.get_y(), patch.get_width()): patch.get_linestyle()
        for patch in chart.axes[0].patches
    }
    assert squares[(0.5, 2.5, 1.0)] == "solid"  # the peak, framed
    assert set(squares) == {(0.5, 2.5, 1.0), (2.5, -0.5, 3.0)}
    said = " ".join(text.get_text() for text in chart.texts)
    assert "dashed: plateau, neighbours' median 20 %" in said
    flat = charts.heat_map(grid.filter(pl.col("x") < 2), "x", "y")
    assert len(flat.axes[0].patches) == 1, "too narrow for neighbours"


def test_a_search_shows_its_states_and_no_neighbours() -> None:
    found = wb.sweep(WALK, MACD, **AXES, search="optuna", trials=40, progress=False)
    card = found._repr_html_()
    assert len(cells(card, "Highest first")) == 8
    counts = dict(found.frame.group_by("state").len().rows())
    assert f"{counts['complete']} trials complete" in card
    with pytest.raises(UsageError, match="a search has no neighbours"):
        found.plateau()


def test_a_sweep_of_one_axis_or_of_none_has_no_map_and_says_what_failed() -> None:
    one = wb.sweep(WALK, MACD, fast=range(2, 30), progress=False)
    card = one._repr_html_()
    assert "data:image/png" not in card
    assert "4 invalid combinations were dropped." in card
    assert cards.swept(one) == ["fast"]
    alone = wb.sweep(WALK, MACD, progress=False)._repr_html_()
    assert cells(alone, "Best neighbours first")[0][0] == "–"


def test_a_study_shows_each_ranking_with_its_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(record_market(tmp_path / "market")))
    study = wb.study(
        symbols=["AAAUSDT", "BBBUSDT"], intervals=["1h", "4h"], strategy=MACD,
        params={"fast": (3, 5, 8), "slow": (10, 20, 30, 40)}, title="a < b", progress=False,
    )  # fmt: skip
    card = study._repr_html_()
    assert "a &lt; b" in card
    for key in ("symbol", "interval"):
        shown = cells(card, f"By {key}")
        means = study.frame.group_by(key).agg(pl.col("total_return").mean()).rows()
        wanted = sorted(means, key=lambda row: -row[1])
        assert [row[0] for row in shown] == [name for name, _ in wanted]
        assert [row[2] for row in shown] == [numbers.percent(m, sign=True) for _, m in wanted]
    assert len(cells(card, "By parameters, 8 of 12")) == 8
    assert "<caption>By window" not in card, "there is one window alone"


def test_a_run_shows_metrics_equity_and_trades() -> None:
    run = wb.backtest(WALK, MACD, fast=3, slow=7, signal=3)
    card = run._repr_html_()
    assert card.count("data:image/png;base64,") == 2
    assert f"Last 8 of {run.trades.height} round trips" in card
    assert numbers.plain(run.metrics["final_equity"]) in card
    assert repr(run).startswith("BacktestResult(macd(fast=3, slow=7, signal=3) on BTCUSDT 1h")


def test_a_card_says_few_where_few_earned_and_a_source_once() -> None:
    shares = (0.0, 0.004, 0.01, 0.5, 0.995, 1.0)
    said = ["0 %", "under 1 %", "1 %", "50 %", "over 99 %", "100 %"]
    assert [cards._share(one) for one in shares] == said
    assert pieces.joined(("candles, here", "candles, here, resampled from 1d", "others")) == (
        "candles, here + resampled from 1d + others"
    )


def test_a_title_names_the_parameters_that_were_chosen_where_there_are_many() -> None:
    assert "macd 3/7/3" in wb.backtest(WALK, MACD, fast=3, slow=7, signal=3).tearsheet().title
    grid = wb.backtest(WALK, wb.strategies.grid, lines=9, low=0.7).tearsheet()
    assert wb.backtest(WALK, wb.strategies.grid).tearsheet().title == "BTCUSDT 1h · grid"
    assert grid.title == "BTCUSDT 1h · grid low 0.7, lines 9"


def test_a_portfolio_shows_the_account_and_every_instance_in_it() -> None:
    parts = [
        wb.part("quick", WALK, MACD, capital=6_000, fast=3, slow=7, signal=3),
        wb.part("<slow>", WALK, MACD, capital=4_000, fast=12, slow=26, signal=9),
    ]
    account = wb.portfolio(parts, max_exposure=0.7)
    card = account._repr_html_()
    quick = account.parts["quick"].metrics
    (first, second) = cells(card, "Instances")
    assert first[:6] == [
        "quick", "BTCUSDT", "1h", "macd", "6,000.00",
        numbers.percent(quick["total_return"], sign=True),
    ]  # fmt: skip
    assert second[0] == "&lt;slow&gt;"
    tiles = re.findall(r"<b>(.*?)</b><span>(.*?)</span>", card)
    assert [name for _, name in tiles] == [
        "total return", "holding return", "max drawdown", "Sharpe", "trades", "refused entries",
    ]  # fmt: skip
    assert tiles[0][0] == numbers.percent(account.metrics["total_return"], sign=True)
    assert tiles[-1][0] == str(account.refusals.height) != "0"
    alike = cells(card, "Correlation of daily returns")
    assert [alike[0][1], alike[1][2]] == ["1.00", "1.00"]
    assert alike[0][2] == alike[1][1] == numbers.plain(account.correlations()["<slow>"][0])
    assert all(f"<td>{numbers.spoken(name)}</td>" in card for name in account.metrics)
    assert card.count(account.title) == 1
