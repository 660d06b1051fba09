"""Pictures of a run: equity over drawdown, candles with fills, and the parameter heat map.

Each function takes polars frames, draws, and returns a `Chart`; nothing is read, kept or shown.
Times are UTC, either epoch milliseconds or polars datetimes. Ratios are fractions.
`source` says where the candles came from; one that begins with SYNTHETIC is written loudly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from workbench.analysis.plateaus import neighbour_medians
from workbench.errors import DataError, UsageError
from workbench.report import marks, numbers
from workbench.report.marks import Floats, Line
from workbench.report.theme import (
    Chart,
    Theme,
    dress,
    font_family,
    new_chart,
    theme_named,
    write_heading,
)

LOG_SCALE_ABOVE: Final = 6.0
SMALLEST_REACH: Final = 1e-12
DUST: Final = 0.005


def equity(
    frame: pl.DataFrame,
    *,
    title: str = "Equity",
    subtitle: str = "",
    source: str = "",
    theme: str | Theme = "light",
) -> Chart:
    """Draw equity beside holding, a strip for time in the market, and the drawdown of both below.

    `frame` has open_time and equity; holding and quantity are drawn where they are given.
    """
    look, times = theme_named(theme), marks.dates(frame, "open_time")
    chart = new_chart(look, height=5.4)
    strip = "the strip shows when a position is held" if "quantity" in frame.columns else ""
    write_heading(chart, look, title, subtitle or strip, source)
    upper = dress(chart.add_axes((0.075, 0.37, 0.80, 0.49)), look)
    lower = dress(chart.add_axes((0.075, 0.075, 0.80, 0.245), sharex=upper), look)
    lines = _equity_lines(frame, look)
    falls = [_fall_line(line) for line in lines]
    marks.draw_lines(upper, times, lines)
    marks.draw_lines(lower, times, falls)
    lower.fill_between(times, falls[-1].values, 0, color=look.strategy, alpha=0.13, linewidth=0)
    start = float(lines[-1].values[0])
    upper.axhline(start, color=look.muted, linewidth=0.9, linestyle=(0, (2, 3)))
    lowest = min(float(line.values.min()) for line in lines)
    if lowest > 0 and max(float(line.values.max()) for line in lines) / lowest > LOG_SCALE_ABOVE:
        upper.set_yscale("log")
        upper.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        upper.yaxis.set_minor_locator(NullLocator())
    upper.set_xlim(times[0], times[-1] if times.size > 1 else times[0] + 1)
    if "quantity" in frame.columns:
        marks.draw_strip(upper, times, _held(frame), look.strategy)
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.plain(value, 0)))
    lower.yaxis.set_major_formatter(FuncFormatter(marks.percent_axis))
    lower.yaxis.set_major_locator(MaxNLocator(4))
    upper.tick_params(labelbottom=False)
    marks.time_axis(lower)
    marks.label_ends(upper, lines)
    marks.label_ends(lower, falls)
    return chart


def candles(
    frame: pl.DataFrame,
    *,
    trades: pl.DataFrame | None = None,
    last: int = 160,
    title: str = "Candles",
    subtitle: str = "",
    source: str = "",
    theme: str | Theme = "light",
) -> Chart:
    """Draw the last candles with volume below; fills are arrows, a round trip is a dotted line."""
    if last < 1:
        raise UsageError(f"last={last} candles cannot be drawn; ask for at least 1")
    look, frame = theme_named(theme), frame.tail(last)
    times = marks.dates(frame, "open_time")
    chart = new_chart(look, height=5.4)
    arrows = "; arrow up: bought, arrow down: sold" if trades is not None else ""
    said = f"the last {numbers.count(frame.height)} candles{arrows}"
    write_heading(chart, look, title, subtitle or said, source)
    upper = dress(chart.add_axes((0.02, 0.26, 0.905, 0.60)), look, ticks_right=True)
    lower = dress(chart.add_axes((0.02, 0.075, 0.905, 0.165), sharex=upper), look)
    marks.draw_candles(upper, frame, times, look)
    marks.draw_volume(lower, frame, times, look)
    step = marks.candle_step(times)
    upper.set_xlim(times[0] - 1.5 * step, times[-1] + 2.5 * step)
    if trades is not None and trades.height:
        marks.draw_fills(upper, trades, times, look)
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.price(value)))
    upper.tick_params(labelbottom=False)
    lower.tick_params(labelleft=False)
    lower.grid(visible=False)
    marks.time_axis(lower)
    return chart


def heat_map(
    frame: pl.DataFrame,
    x: str,
    y: str,
    *,
    value: str = "total_return",
    title: str = "Parameters",
    chosen: tuple[float, float] | None = None,
    source: str = "",
    theme: str | Theme = "light",
) -> Chart:
    """Draw one metric over two parameters; what else was swept is reduced by its median.

    The median, not the best: a cell is worth its usual row, not its luckiest one. The neutral
    colour is zero, the best cell is framed and its figure is in the subtitle; `chosen` (x, y) is
    marked with a dot where it lies on the grid. The plateau, the neighbourhood whose median is the
    highest, is the dashed square: look there and not at the frame.
    """
    look = theme_named(theme)
    columns, rows, grid = pivot(frame, x, y, value)
    best_row, best_column = np.unravel_index(np.nanargmax(grid), grid.shape)
    best = _write_metric(value, float(grid[best_row, best_column]))
    plateau = _plateau_of(grid)
    flat = "" if plateau is None else f"; dashed: plateau, neighbours' median {plateau.said(value)}"
    subtitle = (
        f"median {value.replace('_', ' ')} over {numbers.count(frame.height)} combinations; "
        f"framed: {best} at {x} {columns[best_column]:g}, {y} {rows[best_row]:g}"
        f"{flat}{'; dot: the chosen one' if chosen else ''}"
    )
    chart = new_chart(look, height=5.4)
    write_heading(chart, look, title, subtitle, source)
    axis = dress(chart.add_axes((0.065, 0.115, 0.825, 0.745)), look)
    axis.grid(visible=False)
    reach = max(float(np.nanmax(np.abs(grid))), SMALLEST_REACH)
    colours = marks.diverging(look)
    axis.imshow(grid, origin="lower", aspect="auto", cmap=colours, vmin=-reach, vmax=reach)
    marks.name_cells(axis, columns, rows, x, y)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set(color=look.muted, fontsize=9.5, fontfamily=font_family())
    axis.add_patch(
        Rectangle(
            (best_column - 0.5, best_row - 0.5), 1, 1,
            facecolor="none", edgecolor=look.ink, linewidth=1.8, clip_on=False, zorder=4,
        )
    )  # fmt: skip
    if plateau is not None:
        low_left = (plateau.column - 1.5, plateau.row - 1.5)
        square = Rectangle(low_left, 3, 3, facecolor="none", edgecolor=look.ink, linewidth=1.6)
        square.set(linestyle=(0, (4, 2.5)), zorder=4)
        axis.add_patch(square)
    if chosen is not None and chosen[0] in columns and chosen[1] in rows:
        spot = (columns.index(chosen[0]), rows.index(chosen[1]))
        axis.plot(*spot, "o", color=look.strategy, markeredgecolor=look.paper, markersize=8)
    scale = dress(chart.add_axes((0.91, 0.115, 0.016, 0.745)), look, ticks_right=True)
    low, high = float(np.nanmin(grid)), max(float(np.nanmax(grid)), float(np.nanmin(grid)) + 1e-9)
    ramp = np.linspace(low, high, 256)[:, None]
    scale.imshow(
        ramp, origin="lower", aspect="auto", cmap=colours, vmin=-reach, vmax=reach,
        extent=(0, 1, low, high),
    )  # fmt: skip
    scale.grid(visible=False)
    scale.set_xticks([])
    scale.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: _write_metric(value, tick)))
    return chart


def drawdown(value: Floats) -> Floats:
    """Return the fall from the highest value so far, a fraction ≤ 0."""
    return value / np.maximum.accumulate(value) - 1.0


def pivot(
    frame: pl.DataFrame, x: str, y: str, value: str
) -> tuple[list[float], list[float], Floats]:
    """Return the sorted values of x and y and the median of `value` per cell, NaN where none."""
    missing = [name for name in (x, y, value) if name not in frame.columns]
    if missing:
        raise DataError(
            f"the frame has no column {missing[0]!r}; it has {', '.join(frame.columns)}"
        )
    cells = frame.group_by(x, y).agg(pl.col(value).cast(pl.Float64).fill_nan(None).median())
    columns, rows = cells[x].unique().sort().to_list(), cells[y].unique().sort().to_list()
    grid = np.full((len(rows), len(columns)), np.nan)
    for at_x, at_y, median in cells.select(x, y, value).iter_rows():
        grid[rows.index(at_y), columns.index(at_x)] = np.nan if median is None else median
    if np.isnan(grid).all():
        raise DataError(f"no combination has a value of {value!r}; nothing can be drawn")
    return columns, rows, grid


@dataclass(frozen=True, slots=True)
class _Plateau:
    """The cell whose neighbours have the highest median, which is `median`."""

    row: int
    column: int
    median: float

    def said(self, metric: str) -> str:
        return _write_metric(metric, self.median)


def _plateau_of(grid: Floats) -> _Plateau | None:
    """Return the plateau; None where no cell has all its neighbours."""
    if min(grid.shape) < 3:
        return None
    places = np.argwhere(np.isfinite(grid))
    medians, lowest = np.full(grid.shape, np.nan), np.full(grid.shape, np.nan)
    at = tuple(places.T)
    medians[at], lowest[at] = neighbour_medians(places, grid[at])
    rim = np.pad(np.isfinite(grid), 1)
    whole = np.lib.stride_tricks.sliding_window_view(rim, (3, 3)).all(axis=(2, 3))
    if not whole.any():
        return None
    # Of several with the same median the one whose worst neighbour is the best.
    ranked = np.lexsort((lowest[whole], medians[whole]))
    row, column = np.argwhere(whole)[ranked[-1]]
    return _Plateau(int(row), int(column), float(medians[row, column]))


def _equity_lines(frame: pl.DataFrame, theme: Theme) -> list[Line]:
    lines = []
    for column, name, colour, width in (
        ("holding", "Holding", theme.benchmark, 1.3),
        ("equity", "Strategy", theme.strategy, 1.9),
    ):
        if column in frame.columns:
            values = marks.floats(frame, column)
            total = numbers.percent(float(values[-1] / values[0]) - 1, 1, sign=True)
            lines.append(Line(name, values, colour, width, total))
    return lines


def _held(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Tell when a position is held: the dust below a lot that a sale leaves is none."""
    quantity = marks.floats(frame, "quantity")
    if "close" not in frame.columns:
        return quantity > 0
    return quantity * marks.floats(frame, "close") > DUST * marks.floats(frame, "equity")


def _fall_line(line: Line) -> Line:
    values = drawdown(line.values)
    return Line("Deepest", values, line.colour, 0.7 * line.width, numbers.percent(values.min(), 1))


def _write_metric(name: str, value: float) -> str:
    if name in numbers.RATIOS:
        return marks.percent_axis(value)
    return numbers.plain(value, 2 if abs(value) < 100 else 0)
