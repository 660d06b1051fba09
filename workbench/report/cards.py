"""What a sweep and a study show of themselves in a notebook: the middle and the plateau, not the peak.

Both are cards in the tear sheet's dress. The best of many tries is high by luck alone, so a sweep is
ranked by what the neighbours of each combination earn, and a study by means over all its backtests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from workbench.analysis.plateaus import neighbour_medians
from workbench.backtest.setting import beats, holding_curve
from workbench.backtest.verdict import quick as quick_verdict
from workbench.errors import UsageError
from workbench.report import charts, numbers
from workbench.report.pieces import card, joined, notes, table, tiles
from workbench.report.quick_card import quick_section
from workbench.report.tearsheet import heading, picture

if TYPE_CHECKING:
    from workbench.backtest.results import SweepResult
    from workbench.backtest.study.result import StudyResult
    from workbench.report.theme import Chart

SEARCHED: Final = ("trial", "state", "stages", "value")
ROWS: Final = 8
MOST_CELLS: Final = 10_000  # of a heat map
FULL: Final = 0.4  # share of a heat map's cells that must be there
RANKED: Final = ("symbol", "interval", "window", "strategy")


def plateau(result: SweepResult, metric: str = "total_return") -> pl.DataFrame:
    """Return a sweep's rows with the median and the lowest of their neighbours, the best median first.

    Neighbours are one step away on every axis that was swept. Raises UsageError for a search, whose
    trials are no grid, and where the grid is too large; see `workbench.analysis.plateaus`.
    """
    if _is_search(result):
        raise UsageError(
            "a search has no neighbours: its trials are no grid; sweep around its best"
        )
    names = swept(result)
    frame = result.scan().select(*_parameters(result), *_figures(metric)).collect()
    values = frame[metric].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    medians, lowest = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if names:
        places = np.column_stack([_places(frame[name]) for name in names])
        medians, lowest = neighbour_medians(places, values)
    ranked = frame.with_columns(neighbours=pl.Series(medians), lowest=pl.Series(lowest))
    return ranked.with_columns(pl.col("neighbours", "lowest").fill_nan(None)).sort(
        "neighbours", "lowest", descending=True, nulls_last=True
    )


def swept(result: SweepResult) -> list[str]:
    """Return the parameters, exits included, of which a sweep ran several values."""
    names = _parameters(result)
    if not names:
        return []
    counts = result.scan().select(pl.col(names).n_unique()).collect().row(0, named=True)
    return [name for name in names if counts[name] > 1]


def sweep_map(result: SweepResult, metric: str = "total_return") -> Chart | None:
    """Draw a metric over the two axes with most values; None where fewer are numbers, or few cells full."""
    frame = result.scan().select(*_parameters(result), metric).collect()
    sizes = {n: frame[n].n_unique() for n in swept(result) if frame[n].dtype.is_numeric()}
    axes = sorted(sizes, key=lambda name: -sizes[name])[:2]
    if len(axes) < 2 or frame[metric].null_count() == frame.height:
        return None
    x, y = sorted(axes, key=list(sizes).index)
    cells, there = sizes[x] * sizes[y], frame.select(x, y).unique().height
    if cells > MOST_CELLS or there < FULL * cells:
        return None
    source = result.candles.source if result.candles.synthetic else ""
    title = f"{metric.replace('_', ' ').capitalize()} by {x} and {y}"  # whose it is, the card says
    return charts.heat_map(frame, x, y, value=metric, title=title, source=source)


def sweep_card(result: SweepResult) -> str:
    """Return a sweep as HTML: what is usual, the heat map, and the sets with the best neighbours."""
    chart, luck = sweep_map(result), quick_verdict.of_sweep(result)
    parts = (
        heading(*_titles(result.title), result.candles.source),
        tiles(_sweep_tiles(result)),
        quick_section(luck),
        "" if chart is None else picture(chart, "The metric over two parameters, its plateau marked"),
        '<div class="wb-columns">', _ranked_sets(result), "</div>",
        notes(_said_once(*_sweep_notes(result), *(luck.notes if luck else ()), *result.notes)),
    )  # fmt: skip
    return card(parts)


def study_card(result: StudyResult) -> str:
    """Return a study as HTML: what is usual, and its rankings."""
    source, luck = joined(result.sources), quick_verdict.of_study(result)
    caution = (
        f"The best of {len(result):,} tries is high by luck alone; read the means and the share that "
        "beat holding."
    )
    keys = [key for key in RANKED if result.ranking(key).height > 1]
    parts = (
        heading(*_titles(result.title), source),
        tiles(_study_tiles(result)),
        quick_section(luck),
        '<div class="wb-columns">',
        *(_ranking(result, key) for key in (*keys, "params")),
        _benchmarks(result),
        "</div>",
        notes(_said_once(caution, *(luck.notes if luck else ()), result.uncounted)),
    )
    return card(parts)


def _sweep_tiles(result: SweepResult) -> dict[str, str]:
    returns = pl.col("total_return")
    found = result.scan().select(
        median=returns.median(), earned=(returns > 0).mean(), best=returns.max()
    )
    row = found.collect().row(0, named=True)
    held = holding_curve(result.candles, result.costs)
    return {
        "combinations": numbers.count(len(result)),
        "median return": numbers.percent(row["median"], sign=True),
        "earned something": _share(row["earned"]),
        "highest return": numbers.percent(row["best"], sign=True),
        "holding": numbers.percent(float(held[-1] / result.costs.cash - 1.0), sign=True),
    }


def _said_once(*notes: str) -> list[str]:
    return [one for one in dict.fromkeys(notes) if one]


def _share(fraction: float) -> str:
    """Write a share in whole percent; a few are not none, and nearly all are not all."""
    if 0.0 < fraction < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < fraction < 1.0 else numbers.percent(fraction, 0)


def _ranked_sets(result: SweepResult) -> str:
    names = swept(result)
    try:
        rows = plateau(result)
    except UsageError:  # of a search, or of too many cells
        rows = result.top(ROWS)
    around = [name for name in ("neighbours", "lowest") if name in rows.columns]
    caption = "Best neighbours first" if around else "Highest first, by luck too"
    asides = ["neighbours' median", "their lowest"] if around else []
    head = [*names, *asides, "own return", "Sharpe", "drawdown", "trades"]
    body = [
        [
            *(_said(row[name]) for name in names),
            *(numbers.percent(row[name], sign=True) for name in around),
            numbers.percent(row["total_return"], sign=True),
            numbers.plain(row["sharpe"]),
            numbers.percent(row["max_drawdown"]),
            numbers.count(row["trades"]),
        ]
        for row in rows.head(ROWS).iter_rows(named=True)
    ]
    return table(caption, head, body)


def _sweep_notes(result: SweepResult) -> list[str]:
    notes = [
        f"The highest of {len(result):,} tries is high by luck alone: a set is worth what its neighbours "
        "earn, one step away on every axis."
    ]
    if _is_search(result):
        states = result.scan().group_by("state").agg(pl.len()).sort("state").collect()
        notes.append(", ".join(f"{count:,} trials {state}" for state, count in states.rows()) + ".")
    elif result.invalid_combinations:
        notes.append(f"{result.invalid_combinations:,} invalid combinations were dropped.")
    notes += [f"{count:,} combinations: {why}." for why, count in result.errors().items()]
    return notes


def _study_tiles(result: StudyResult) -> dict[str, str]:
    returns, entered = pl.col("total_return"), (pl.col("trades") > 0) | pl.col("open_trade")
    found = result.scan().select(
        mean=returns.mean(), median=returns.median(), holding=pl.col("holding").mean(),
        beat=beats(returns, pl.col("holding")).filter(entered).mean(),
    )  # fmt: skip
    row = found.collect().row(0, named=True)
    return {
        "backtests": numbers.count(len(result)),
        "mean return": numbers.percent(row["mean"], sign=True),
        "median return": numbers.percent(row["median"], sign=True),
        "holding, mean": numbers.percent(row["holding"], sign=True),
        "beat holding": numbers.percent(row["beat"]),
    }


def _ranking(result: StudyResult, key: str) -> str:
    ranked = result.ranking(key)
    head = [key, "tests", "mean", "median", "beat holding"]
    body = [
        [
            str(row[key]),
            numbers.count(row["tests"]),
            numbers.percent(row["mean"], sign=True),
            numbers.percent(row["median"], sign=True),
            numbers.percent(row["beat_holding"]),
        ]
        for row in ranked.head(ROWS).iter_rows(named=True)
    ]
    more = f", {ROWS} of {ranked.height:,}" if ranked.height > ROWS else ""
    return table(f"By {'parameters' if key == 'params' else key}{more}", head, body)


def _benchmarks(result: StudyResult) -> str:
    told = result.benchmarks()
    head = ["interval", "window", "mean", "basket", "bitcoin", "beat basket", "beat cash"]
    signed = ("mean", "basket", "bitcoin")
    body = [
        [row["interval"], row["window"]]
        + [numbers.percent(row[name], sign=True) for name in signed]
        + [numbers.percent(row[name]) for name in ("beat_basket", "beat_cash")]
        for row in told.head(ROWS).iter_rows(named=True)
    ]
    more = f", {ROWS} of {told.height:,}" if told.height > ROWS else ""
    return table(f"Beside what asks no skill{more}", head, body)


def _places(column: pl.Series) -> np.ndarray:
    """Return where each value lies on its axis: by size, or as text in the order of appearance."""
    axis = column.unique(maintain_order=True)
    axis = axis.sort() if column.dtype.is_numeric() else axis
    at = {value: place for place, value in enumerate(axis.to_list())}
    return np.array([at[value] for value in column.to_list()], np.int64)


def _parameters(result: SweepResult) -> list[str]:
    names = list(result.scan().collect_schema())
    return [name for name in names[: names.index("final_equity")] if name not in SEARCHED]


def _is_search(result: SweepResult) -> bool:
    return "trial" in result.scan().collect_schema()


def _figures(metric: str) -> list[str]:
    return list(dict.fromkeys((metric, "total_return", "sharpe", "max_drawdown", "trades")))


def _titles(title: str) -> tuple[str, str]:
    before, _, after = title.partition(": ")
    return before, after


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
