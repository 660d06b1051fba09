"""The strokes that charts are made of: candles, fills, end labels, strips and axes of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import matplotlib.dates as mdates
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from workbench.errors import DataError
from workbench.report import numbers
from workbench.report.theme import Theme, font_family

Floats = NDArray[np.float64]
BODY: Final = 0.72
LABEL_INCHES: Final = 0.38
MOST_NAMED_CELLS: Final = 18
STRIP_PARTS: Final = 400


@dataclass(frozen=True, slots=True)
class Line:
    """One named line of a chart and the figure written at its end."""

    name: str
    values: Floats
    colour: str
    width: float
    figure: str


def dates(frame: pl.DataFrame, column: str) -> Floats:
    """Return a time column (epoch milliseconds or datetime) as matplotlib's days since 1970."""
    if column not in frame.columns:
        raise DataError(f"the frame has no column {column!r}; it has {', '.join(frame.columns)}")
    if not frame.height:
        raise DataError("the frame has no rows; nothing can be drawn")
    series = frame[column]
    if series.dtype.is_temporal():
        series = series.dt.epoch("ms")
    return series.cast(pl.Float64).to_numpy() / 86_400_000.0


def floats(frame: pl.DataFrame, column: str) -> Floats:
    """Return a column as float64."""
    return frame[column].cast(pl.Float64).to_numpy()


def candle_step(times: Floats) -> float:
    """Return the usual distance of two candles in days."""
    return float(np.median(np.diff(times))) if times.size > 1 else 1.0


def time_axis(axis: Axes) -> None:
    """Label an axis of time so that no part of a date is repeated."""
    locator = mdates.AutoDateLocator(minticks=4, maxticks=9)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))


def draw_lines(axis: Axes, times: Floats, lines: list[Line]) -> None:
    """Draw the lines, the last on top."""
    for line in lines:
        axis.plot(
            times, line.values, color=line.colour, linewidth=line.width, solid_joinstyle="round"
        )


def label_ends(axis: Axes, lines: list[Line]) -> None:
    """Write name and figure of each line beside its end; labels that would touch move apart."""
    height = axis.get_position().height * float(axis.get_figure(root=True).get_size_inches()[1])  # type: ignore[union-attr]
    gap = LABEL_INCHES / height
    to_share = axis.transAxes.inverted()
    at = [to_share.transform(axis.transData.transform((0, line.values[-1])))[1] for line in lines]
    for line, share in zip(lines, spread(at, gap), strict=True):
        axis.annotate(
            f"{line.name}\n{line.figure}", (1.0, share), xycoords="axes fraction",
            xytext=(9, 0), textcoords="offset points", va="center", color=line.colour,
            fontsize=9, fontweight="bold", fontfamily=font_family(), linespacing=1.3,
        )  # fmt: skip


def spread(places: list[float], gap: float) -> list[float]:
    """Move places in 0…1 apart until neighbours keep the gap, moving each as little as need be."""
    order = np.argsort(places, kind="stable")
    moved = np.clip(np.asarray(places, dtype=np.float64)[order], gap / 2, 1 - gap / 2)
    for index in range(1, moved.size):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    if moved.size and moved[-1] > 1 - gap / 2:
        moved[-1] = 1 - gap / 2
        for index in range(moved.size - 2, -1, -1):
            moved[index] = min(moved[index], moved[index + 1] - gap)
    spaced = np.empty_like(moved)
    spaced[order] = moved
    return [float(place) for place in spaced]


def draw_strip(axis: Axes, times: Floats, held: NDArray[np.bool_], colour: str) -> None:
    """Draw a strip along the bottom of an axis, as dense as the share of time a position is held."""
    edges = np.linspace(times[0], times[-1], STRIP_PARTS + 1)
    part = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, STRIP_PARTS - 1)
    seen = np.bincount(part, minlength=STRIP_PARTS)
    share = np.bincount(part, weights=held, minlength=STRIP_PARTS) / np.maximum(seen, 1)
    known = np.flatnonzero(seen)
    share = share[known[np.searchsorted(known, np.arange(STRIP_PARTS), side="right") - 1]]
    bottom, top = np.zeros(STRIP_PARTS), np.full(STRIP_PARTS, 0.022)
    boxes = _boxes((edges[1:] + edges[:-1]) / 2, bottom, top, float(edges[1] - edges[0]))
    axis.add_collection(
        PolyCollection(
            boxes, facecolors=colour, alpha=(0.75 * share).tolist(), linewidths=0,
            antialiaseds=False, transform=axis.get_xaxis_transform(),
        ),
        autolim=False,
    )  # fmt: skip


def draw_candles(axis: Axes, frame: pl.DataFrame, times: Floats, theme: Theme) -> None:
    """Draw wicks and bodies; a candle that closes where it opened counts as up."""
    opened, high = floats(frame, "open"), floats(frame, "high")
    low, close = floats(frame, "low"), floats(frame, "close")
    colours = [theme.up if c >= o else theme.down for o, c in zip(opened, close, strict=True)]
    wicks = [((t, a), (t, b)) for t, a, b in zip(times, low, high, strict=True)]
    axis.add_collection(LineCollection(wicks, colors=colours, linewidths=0.9))
    thin = 0.0008 * (high.max() - low.min())
    bottom, top = np.minimum(opened, close), np.maximum(opened, close)
    top = np.maximum(top, bottom + thin)
    boxes = _boxes(times, bottom, top, BODY * candle_step(times))
    axis.add_collection(
        PolyCollection(boxes, facecolors=colours, edgecolors=colours, linewidths=0.4)
    )
    room = 0.09 * (high.max() - low.min())
    axis.set_ylim(low.min() - room, high.max() + room)


def draw_volume(axis: Axes, frame: pl.DataFrame, times: Floats, theme: Theme) -> None:
    """Draw volume as bars in the colour of their candle."""
    rising = floats(frame, "close") >= floats(frame, "open")
    volume = floats(frame, "volume")
    colours = [theme.up if up else theme.down for up in rising]
    boxes = _boxes(times, np.zeros_like(volume), volume, BODY * candle_step(times))
    axis.add_collection(PolyCollection(boxes, facecolors=colours, alpha=0.45, linewidths=0))
    axis.set_ylim(0, max(float(volume.max()), 1e-12) * 1.05)


def draw_fills(axis: Axes, trades: pl.DataFrame, times: Floats, theme: Theme) -> None:
    """Draw entries as arrows up, exits as arrows down, and each round trip as a dotted line."""
    low, high = axis.get_ylim()
    lift = 0.035 * (high - low)
    closed = trades.filter(pl.col("exit_time").is_not_null())
    for side, part in (("entry", trades), ("exit", closed)):
        if not part.height:
            continue
        at, price = dates(part, f"{side}_time"), floats(part, f"{side}_price")
        seen = (at >= times[0]) & (at <= times[-1] + candle_step(times))
        buy = side == "entry"
        axis.scatter(
            at[seen], price[seen] - lift if buy else price[seen] + lift, s=64, zorder=5,
            marker="^" if buy else "v", color=theme.strategy if buy else theme.warning,
            edgecolors=theme.paper, linewidths=1.1,
        )  # fmt: skip
    if not closed.height:
        return
    gain = floats(closed, "exit_price") >= floats(closed, "entry_price")
    start = zip(dates(closed, "entry_time"), floats(closed, "entry_price"), strict=True)
    end = zip(dates(closed, "exit_time"), floats(closed, "exit_price"), strict=True)
    colours = [theme.up if won else theme.down for won in gain]
    trips = LineCollection(
        list(zip(start, end, strict=True)),
        colors=colours,
        linewidths=1.1,
        linestyles=(0, (1.2, 1.6)),
    )
    axis.add_collection(trips, autolim=False)


def name_cells(axis: Axes, columns: list[float], rows: list[float], x: str, y: str) -> None:
    """Write parameter values along a grid, not more of them than can be read."""
    for values, where in ((columns, axis.xaxis), (rows, axis.yaxis)):
        every = -(-len(values) // MOST_NAMED_CELLS)
        where.set_ticks(range(0, len(values), every), [f"{v:g}" for v in values[::every]])
    axis.set_xlabel(x)
    axis.set_ylabel(y)


def diverging(theme: Theme) -> LinearSegmentedColormap:
    """Return the theme's colours from loss over nothing to gain."""
    return LinearSegmentedColormap.from_list("gain", [theme.down, theme.panel, theme.up])


def percent_axis(value: float, _position: object = None) -> str:
    """Write a tick of a fraction in percent."""
    return numbers.percent(value, 0 if abs(value) >= 0.02 or value == 0 else 1)


def _boxes(
    times: Floats, bottom: Floats, top: Floats, width: float
) -> list[list[tuple[float, float]]]:
    left, right = times - width / 2, times + width / 2
    sides = zip(left, right, bottom, top, strict=True)
    return [[(a, c), (a, d), (b, d), (b, c)] for a, b, c, d in sides]
