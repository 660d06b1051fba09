"""The 2,400-scenario study side by side: the same scenarios as published, cold and honest.

Both functions take the study's frame: one row a scenario with symbol, interval, days, params, the
three values, whether each entered the market at all, and holding. Everything is in percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from workbench.backtest.setting import beats
from workbench.errors import DataError
from workbench.report import numbers
from workbench.report.theme import (
    Chart,
    Theme,
    dress,
    font_family,
    new_chart,
    theme_named,
    write,
    write_heading,
)

INTERVALS: Final = ("1h", "4h", "1d", "1w")
CLAIMED: Final = ("XRPUSDT", "1d", 365, "30/60/15")
CLAIMED_NAME: Final = "XRPUSDT 1d 365d 30/60/15"
FASTEST: Final = "3/7/3"
ROW_INCHES: Final = 0.27


@dataclass(frozen=True, slots=True)
class Column:
    """One of the three ways to score a scenario and what it does, in one line."""

    key: str
    name: str
    rule: str


COLUMNS: Final = (
    Column("published", "Published", "trades booked before they are knowable"),
    Column("cold_start", "Cold start", "aligned, but indicators start in the window"),
    Column("honest", "Honest", "warmed up, next open, fees, compounding"),
)


def headline_table(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the study as text, a row a question and a column an answer; percent unless counted."""
    _demand_study(frame)
    rows = [("mean of all", *_means(frame), _percent(frame["holding"].mean()))]
    for key in ("interval", "symbol"):
        for name in frame[key].unique(maintain_order=True):
            part = frame.filter(pl.col(key) == name)
            rows.append((f"mean of {name}", *_means(part), _percent(part["holding"].mean())))
    claimed = _claimed(frame)
    rows += [
        (
            CLAIMED_NAME,
            *(_percent(claimed[column.key][0]) for column in COLUMNS),
            _percent(claimed["holding"][0]),
        ),
        (f"mean of MACD {FASTEST}", *(_ranked(frame, column) for column in COLUMNS), ""),
        ("best parameter set", *(_best_set(frame, column) for column in COLUMNS), ""),
        ("entered and beat holding", *(_beat(frame, column) for column in COLUMNS), ""),
        ("never entered", *(_idle(frame, column) for column in COLUMNS), ""),
    ]
    names = ["question", *(column.name for column in COLUMNS), "Holding"]
    return pl.DataFrame(rows, schema=names, orient="row")


def headline_chart(frame: pl.DataFrame, *, source: str = "", theme: str | Theme = "light") -> Chart:
    """Draw the three columns: mean, bars by interval beside holding, and the claimed scenario."""
    _demand_study(frame)
    look = theme_named(theme)
    chart = new_chart(look, width=10.6, height=7.0)
    scenarios = numbers.count(frame.height)
    title = f"{scenarios} scenarios, judged three times"
    said = "mean result of a scenario by timeframe; the line above each bar is simply holding"
    write_heading(chart, look, title, said, source)
    means = [_by_interval(frame, column.key) for column in COLUMNS]
    held = _by_interval(frame, "holding")
    top = max(max(one) for one in [*means, held]) * 1.14
    bottom = min(0.0, *(min(one) for one in [*means, held])) * 1.3 - 0.01 * top
    colours = (look.warning, look.benchmark, look.strategy)
    for place, (column, values) in enumerate(zip(COLUMNS, means, strict=True)):
        left = 0.012 + place * 0.332
        _column_heading(chart, look, left, column, frame, colours[place])
        axis = dress(chart.add_axes((left, 0.335, 0.30, 0.31)), look)
        axis.set_ylim(bottom, top)
        _bars(axis, look, values, held, colours[place])
        _facts(chart, look, left, column, frame)
    return chart


def _column_heading(
    chart: Chart, theme: Theme, left: float, column: Column, frame: pl.DataFrame, colour: str
) -> None:
    mean = float(np.mean(frame[column.key].to_numpy()))
    write(chart, left, 0.858, column.name, theme.ink, size=13, weight="bold")
    write(chart, left, 0.824, column.rule, theme.muted, size=8.6)
    write(
        chart, left, 0.756, f"{numbers.plain(mean, 1, sign=True)} %", colour, size=27, weight="bold"
    )
    held = _percent(frame["holding"].mean())
    write(chart, left, 0.701, f"mean of all scenarios; holding {held}", theme.muted, size=8.6)


def _bars(axis: Axes, theme: Theme, values: list[float], held: list[float], colour: str) -> None:
    places = np.arange(len(values), dtype=np.float64)
    axis.bar(places, values, width=0.58, color=colour, zorder=2)
    axis.hlines(held, places - 0.38, places + 0.38, color=theme.ink, linewidth=2.2, zorder=3)
    axis.axhline(0, color=theme.muted, linewidth=0.9, zorder=2.5)
    span = axis.get_ylim()[1] - axis.get_ylim()[0]
    for place, value, hold in zip(places, values, held, strict=True):
        above = max(value, 0.0) + 0.055 * span
        hidden = abs(above - hold) < 0.055 * span
        axis.text(
            float(place), value - 0.055 * span if hidden else above, numbers.plain(value, 1),
            color=theme.paper if hidden else theme.ink, ha="center", va="center", fontsize=9.2,
            fontweight="bold", fontfamily=font_family(),
        )  # fmt: skip
    axis.set_xticks(places, INTERVALS)
    axis.tick_params(labelleft=False)
    axis.grid(visible=False)


def _facts(chart: Chart, theme: Theme, left: float, column: Column, frame: pl.DataFrame) -> None:
    claimed = _claimed(frame)
    lines = (
        (CLAIMED_NAME, _percent(claimed[column.key][0])),
        ("… simply holding it", _percent(claimed["holding"][0])),
        (f"MACD {FASTEST}, “the best”", _ranked(frame, column)),
        ("best set", _best_set(frame, column)),
        ("entered and beat holding", _beat(frame, column)),
        ("never entered", _idle(frame, column)),
    )
    height = float(chart.get_size_inches()[1])
    for number, (name, value) in enumerate(lines):
        y = 0.252 - number * ROW_INCHES / height
        rule_y = y + ROW_INCHES / height / 2
        chart.add_artist(
            Line2D((left, left + 0.30), (rule_y, rule_y), color=theme.grid, linewidth=0.8)
        )
        write(chart, left, y, name, theme.muted, size=8.8)
        write(chart, left + 0.30, y, value, theme.ink, size=9.4, weight="bold", align="right")


def _by_interval(frame: pl.DataFrame, key: str) -> list[float]:
    return [
        float(np.mean(frame.filter(pl.col("interval") == name)[key].to_numpy()))
        for name in INTERVALS
    ]


def _means(frame: pl.DataFrame) -> list[str]:
    return [_percent(frame[column.key].mean()) for column in COLUMNS]


def _claimed(frame: pl.DataFrame) -> pl.DataFrame:
    symbol, interval, days, params = CLAIMED
    return frame.filter(symbol=symbol, interval=interval, days=days, params=params)


def _sets(frame: pl.DataFrame, column: Column) -> pl.DataFrame:
    means = frame.group_by("params", maintain_order=True).agg(pl.col(column.key).mean())
    return means.sort(column.key, descending=True).with_row_index("rank", offset=1)


def _ranked(frame: pl.DataFrame, column: Column) -> str:
    sets = _sets(frame, column)
    rank, _, mean = sets.filter(params=FASTEST).row(0)
    return f"{_percent(mean)} (rank {rank} of {sets.height})"


def _best_set(frame: pl.DataFrame, column: Column) -> str:
    _, params, mean = _sets(frame, column).row(0)
    return f"{params}  {_percent(mean)}"


def _beat(frame: pl.DataFrame, column: Column) -> str:
    entered = frame.filter(pl.col(f"{column.key}_entered"))
    beat = beats(pl.col(column.key) / 100.0, pl.col("holding") / 100.0)
    return _percent(100 * entered.select(beat.mean()).item())


def _idle(frame: pl.DataFrame, column: Column) -> str:
    return numbers.count(int((~frame[f"{column.key}_entered"]).sum()))


def _percent(value: object) -> str:
    return (
        f"{numbers.plain(float(value), 1)} %" if isinstance(value, int | float) else numbers.MISSING
    )


def _demand_study(frame: pl.DataFrame) -> None:
    wanted = {"interval", "symbol", "days", "params", "holding"}
    wanted |= {f"{c.key}{end}" for c in COLUMNS for end in ("", "_entered")}
    if missing := sorted(wanted - set(frame.columns)):
        raise DataError(f"this is not the study's frame: it lacks {', '.join(missing)}")
    if not _claimed(frame).height:
        raise DataError(f"the study's frame lacks the claimed scenario {CLAIMED}")
