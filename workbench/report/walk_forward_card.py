"""What a walk-forward shows of itself: the curve out of sample with its folds, and how much of the promise lasted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workbench.report import charts, marks, numbers
from workbench.report.pieces import card, notes, table, tiles
from workbench.report.tearsheet import heading, metric_table, picture, written
from workbench.report.theme import Chart, Theme, font_family, theme_named

if TYPE_CHECKING:
    from workbench.backtest.walk_forward.result import FoldRun, WalkForwardResult

MOST_NUMBERED: Final = 30  # folds; more have lines alone
MOST_SHOWN: Final = 20  # rows of the table of folds


def walk_forward_chart(result: WalkForwardResult, *, theme: str | Theme = "light") -> Chart:
    """Draw the equity of all test windows beside holding, with a line where each fold begins."""
    look = theme_named(theme)
    source = result.candles.source if result.candles.synthetic else ""
    chart = charts.equity(
        result.equity,
        title="Out of sample",
        subtitle="every fold runs what the candles before it chose; lines: a fold ends, and is sold out",
        source=source,
        theme=look,
    )
    edges = marks.dates(result.folds, "test_start")
    for axis in chart.axes[:2]:
        for edge in edges[1:]:
            axis.axvline(edge, color=look.muted, linewidth=0.8, alpha=0.6, zorder=1)
    if len(edges) <= MOST_NUMBERED:
        upper = chart.axes[0]
        for number, edge in zip(result.folds["fold"], edges, strict=True):
            upper.annotate(
                str(number), (edge, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -9),
                textcoords="offset points", color=look.muted, fontsize=8, fontfamily=font_family(),
            )  # fmt: skip
    return chart


def walk_forward_card(result: WalkForwardResult) -> str:
    """Return a walk-forward as HTML."""
    before, _, after = result.title.partition(", walked forward: ")
    cautions = (result.finding, _trials(result), *result.notes)
    return card(
        (
            heading(f"{before}, walked forward", f"{after} · {_costs(result)}", result.candles.source),
            tiles(_figures(result)),
            picture(walk_forward_chart(result), "Equity out of sample beside holding, fold by fold"),
            notes(cautions),
            '<div class="wb-columns">', _folds(result), "</div>",
            '<div class="wb-columns">',
            metric_table(result.metrics, result.reasons), _stability(result),
            "</div>",
        )
    )  # fmt: skip


def _costs(result: WalkForwardResult) -> str:
    costs, times = result.costs, result.tested.window["open_time"]
    first, last = (times[[0, -1]].astype("datetime64[ms]")).astype("datetime64[D]")
    return (
        f"{first} to {last} out of sample · {costs.fee_bps:g} bps fee, {costs.slippage_bps:g} bps "
        f"slippage a side · filters {costs.filters}"
    )


def _figures(result: WalkForwardResult) -> dict[str, str]:
    metrics = result.metrics
    return {
        "return out of sample": numbers.percent(_float(metrics["total_return"]), sign=True),
        "holding": numbers.percent(result.holding["total_return"], sign=True),
        "drawdown": written("max_drawdown", metrics["max_drawdown"]),
        "Sharpe": written("sharpe", metrics["sharpe"]),
        "walk-forward efficiency": numbers.plain(result.wfe),
        "folds that earned": numbers.percent(result.positive_folds, 0),
        "trades": written("trades", metrics["trades"]),
    }


def _trials(result: WalkForwardResult) -> str:
    return (
        f"{result.trials:,} trials: {result.sets:,} sets on each of {len(result)} train windows, and each choice on "
        "its test window. No choice saw what it is judged by; whoever walks again with other settings, until it "
        "looks well, fits all the same."
    )


def _folds(result: WalkForwardResult) -> str:
    names = [name for name in result.axes if not name.startswith("exit_")]
    head = [
        "fold", "train from", "test from", "to", "/".join(names) or "exits",
        f"{numbers.spoken(result.metric)} in sample", "return in sample",
        "return", "holding", "Sharpe", "drawdown", "trades",
    ]  # fmt: skip
    rows = zip(result.runs, result.folds.iter_rows(named=True), strict=True)
    body = [_fold_row(result.metric, names, run, row) for run, row in rows]
    more = f", {MOST_SHOWN} of {len(body)}" if len(body) > MOST_SHOWN else ""
    return table(f"Folds{more}", head, body[:MOST_SHOWN])


def _fold_row(metric: str, names: list[str], run: FoldRun, row: dict[str, object]) -> list[str]:
    chosen = "/".join(f"{run.test.params[name]:g}" for name in names)
    return [
        str(row["fold"]),
        *(f"{row[name]:%Y-%m-%d}" for name in ("train_start", "test_start", "test_end")),
        " · ".join(one for one in (chosen, run.exits) if one),
        written(metric, run.value),
        *(
            numbers.percent(_float(row[name]), sign=True)
            for name in ("train_return", "test_return", "test_holding")
        ),
        numbers.plain(_float(row["test_sharpe"])),
        numbers.percent(_float(row["test_drawdown"])),
        str(row["test_trades"]),
    ]


def _stability(result: WalkForwardResult) -> str:
    rows = [
        [
            row["parameter"],
            numbers.count(row["values"]),
            numbers.count(row["chosen"]),
            numbers.percent(row["moved"], 0),
            numbers.percent(row["by_chance"], 0),
        ]
        for row in result.stability.iter_rows(named=True)
    ]
    head = ["axis", "values", "chosen", "moved a fold", "by chance"]
    return table("How far the choice moves, as a share of its axis", head, rows)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
