"""The charts draw the numbers they are given, and say when those are made up."""

from __future__ import annotations

import io
from itertools import pairwise

import matplotlib.image
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.market_frames import candle_frame, equity_frame, trade_frame
from workbench.errors import DataError, UsageError
from workbench.report import charts
from workbench.report.marks import spread
from workbench.report.theme import THEMES, Chart

THEME_NAMES = sorted(THEMES)


def texts(chart: Chart) -> list[str]:
    """Return everything written on the chart outside its ticks."""
    return [text.get_text() for text in (*chart.texts, *(t for a in chart.axes for t in a.texts))]


def pixels(chart: Chart) -> np.ndarray:
    """Return the drawn picture as an array of heights, widths and channels."""
    return matplotlib.image.imread(io.BytesIO(chart.png()))


def test_equity_draws_the_values_and_names_what_they_came_to() -> None:
    frame = equity_frame()
    chart = charts.equity(frame)
    upper = chart.axes[0]
    drawn = {tuple(line.get_ydata()) for line in upper.lines}
    assert tuple(frame["equity"]) in drawn
    assert tuple(frame["holding"]) in drawn
    assert {"Strategy\n+20.0 %", "Holding\n−10.0 %"} <= set(texts(chart))


def test_drawdown_is_measured_from_the_highest_value_so_far() -> None:
    fall = charts.drawdown(np.array([100.0, 120.0, 90.0, 130.0, 117.0]))
    assert fall == pytest.approx([0, 0, -0.25, 0, -0.1])


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_every_chart_is_drawn_on_the_paper_of_its_theme(theme: str) -> None:
    candles = candle_frame()
    drawn = (
        charts.equity(equity_frame(), theme=theme),
        charts.candles(candles, trades=trade_frame(candles), theme=theme),
    )
    paper = int(THEMES[theme].paper[1:3], 16) / 255
    for chart in drawn:
        picture = pixels(chart)
        assert picture.shape[:2] == (1080, 2000)
        assert picture[2, 2, 0] == pytest.approx(paper, abs=1 / 255)
        assert picture[..., :3].std() > 0.02


def test_synthetic_candles_are_said_aloud_on_every_chart() -> None:
    source = "SYNTHETIC market, seed 7"
    grid = pl.DataFrame({"fast": [2, 3], "slow": [5, 5], "total_return": [0.1, -0.1]})
    for chart in (
        charts.equity(equity_frame(), source=source),
        charts.candles(candle_frame(), source=source),
        charts.heat_map(grid, "fast", "slow", source=source),
    ):
        assert source in texts(chart)


def test_only_the_last_candles_are_drawn() -> None:
    chart = charts.candles(candle_frame(300), last=50)
    bodies = chart.axes[0].collections[1]
    assert len(bodies.get_paths()) == 50
    with pytest.raises(UsageError, match="last=0"):
        charts.candles(candle_frame(), last=0)


def test_a_heat_map_cell_is_the_median_of_what_else_was_swept() -> None:
    frame = pl.DataFrame(
        {
            "fast": [2, 2, 2, 3],
            "slow": [10, 10, 10, 12],
            "signal": [5, 7, 9, 5],
            "total_return": [0.9, -0.1, 0.2, None],
        }
    )
    columns, rows, grid = charts.pivot(frame, "fast", "slow", "total_return")
    assert (columns, rows) == ([2, 3], [10, 12])
    assert grid[0, 0] == pytest.approx(0.2)
    assert np.isnan(grid[[0, 1, 1], [1, 0, 1]]).all()


def test_what_cannot_be_drawn_is_refused_with_the_columns_there_are() -> None:
    with pytest.raises(DataError, match="no column 'open_time'; it has equity"):
        charts.equity(pl.DataFrame({"equity": [1.0]}))
    with pytest.raises(DataError, match="no rows"):
        charts.candles(candle_frame().head(0))
    with pytest.raises(DataError, match="no combination has a value"):
        charts.heat_map(pl.DataFrame({"x": [1], "y": [1], "total_return": [None]}), "x", "y")
    with pytest.raises(UsageError, match="theme 'pink' is unknown; use one of light, dark"):
        charts.equity(equity_frame(), theme="pink")


def test_one_candle_and_a_flat_equity_are_drawn_too() -> None:
    one = candle_frame(1)
    flat = equity_frame(2).with_columns(equity=pl.lit(10_000.0), holding=pl.lit(10_000.0))
    assert pixels(charts.candles(one)).any()
    assert pixels(charts.equity(flat)).any()
    assert pixels(charts.equity(flat.head(1))).any()


def test_a_name_with_markup_or_dollars_stays_a_name() -> None:
    chart = charts.equity(equity_frame(), title="$\\frac{x} <b>")
    assert "$\\frac{x} <b>" in texts(chart)
    assert pixels(chart).any()


def test_drawing_leaves_nothing_open_and_nothing_changed() -> None:
    import matplotlib
    from matplotlib import _pylab_helpers

    before = dict(matplotlib.rcParams)
    charts.equity(equity_frame()).png()
    assert _pylab_helpers.Gcf.figs == {}
    assert dict(matplotlib.rcParams) == before


def test_a_notebook_shows_a_chart_at_its_own_width() -> None:
    data, size = charts.equity(equity_frame())._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert size["image/png"] == {"width": 1000, "height": 540}


@given(st.lists(st.floats(-3, 4), min_size=1, max_size=4), st.floats(0.01, 0.24))
def test_labels_keep_their_gap_their_order_and_stay_inside(places: list[float], gap: float) -> None:
    moved = spread(places, gap)
    order = sorted(range(len(places)), key=lambda i: places[i])
    ranked = [moved[i] for i in order]
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(ranked))
    assert ranked[0] >= gap / 2 - 1e-9
    assert ranked[-1] <= 1 - gap / 2 + 1e-9
