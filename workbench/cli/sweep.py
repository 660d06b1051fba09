"""`workbench sweep`: a grid of parameters, or a search in it; one row a combination, as parquet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options

if TYPE_CHECKING:
    from workbench.face.research import Sweep

_SHOWN = ("total_return", "sharpe", "max_drawdown", "trades", "win_rate", "exposure")


def sweep(
    grid: Annotated[str, typer.Option(help="e.g. fast=2:20,slow=10:60:2,signal=5|7|9")],
    strategy: options.Strategy = "macd",
    symbol: options.Symbol = "BTCUSDT",
    interval: options.Interval = "1h",
    start: options.Start = None,
    end: options.End = None,
    fee_bps: options.FeeBps = 10.0,
    slippage_bps: options.SlippageBps = 1.0,
    cash: options.Cash = 10_000.0,
    filters: options.SweptFilters = "none",
    exits: options.SweptExits = "",
    guards: options.Guards = "",
    fine: options.Fine = None,
    out: Annotated[
        Path | None, typer.Option(help="Stream all rows to this parquet file, in parts.")
    ] = None,
    resume: options.Resume = False,
    search: Annotated[
        str | None, typer.Option(help="Try some of the grid alone: random, lhs or optuna.")
    ] = None,
    trials: Annotated[int, typer.Option(help="Combinations that a search tries.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of a search; the same tries the same.")] = 0,
    metric: Annotated[
        str, typer.Option(help="What is ranked, and what optuna raises.")
    ] = "total_return",
    columns: Annotated[
        str, typer.Option(help="Metrics beside the usual: all, or e.g. sqn,expectancy,bar_sharpe.")
    ] = "",
    top: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Run every combination of a grid; ranges are start:stop[:step] with the stop included."""
    import workbench as wb

    options.demand_places(out)
    with options.resumable(None if search else out, resume=resume):
        result = wb.sweep(
            wb.load(symbol, interval, start=start, end=end),
            wb.strategies.load(strategy),
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            cash=cash,
            filters=options.filters(filters),
            exits=exits,
            guards=guards,
            fine=wb.load(symbol, fine, start=start, end=end) if fine else None,
            progress=sys.stderr.isatty(),
            out=None if search else out,
            resume=resume,
            search=search,
            trials=trials,
            search_seed=seed,
            search_metric=metric,
            columns=columns,
            **options.parse_grid(grid),  # type: ignore[arg-type]  # axes are named by the strategy
        )
    if search and out:
        options.write_parquet(result.frame, out)
    from workbench.backtest.verdict import quick as quick_verdict

    ranked, luck = result.top(top, metric), quick_verdict.of_sweep(result)
    if as_json:
        found = {"top": ranked.to_dicts(), "quick_verdict": luck.to_dict() if luck else None}
        typer.echo(json.dumps(_summary(result, out) | found))
        return
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_rows

    names = [one.name for one in result.spec.parameters]
    names += [name for name in ranked.columns if name.startswith("exit_")]
    figures = list(dict.fromkeys((*_SHOWN, metric, *result.columns)))
    rows = [
        [str(row[n]) for n in names] + [shown(n, row[n]) for n in figures]
        for row in ranked.iter_rows(named=True)
    ]
    caution = f"the best of {len(result):,} tries is high by luck alone: look at the plateau"
    judged = (luck.said(), *luck.notes) if luck else ()
    notes = (result.candles.source, *_counts(result), caution, *judged, *result.notes)
    print_rows(result.title, [*names, *figures], rows, notes=tuple(dict.fromkeys(notes)))


def _summary(result: Sweep, out: Path | None) -> dict[str, object]:
    return {
        "combinations": len(result),
        "invalid_combinations": result.invalid_combinations,
        "errors": result.errors(),
        "seconds": round(result.seconds, 3),
        "data_sha256": result.data_sha256,
        "source": result.candles.source,
        "notes": list(result.notes),
        "out": str(out) if out else None,
    }


def _counts(result: Sweep) -> tuple[str, ...]:
    """Say what has no metrics: combinations that were dropped, and rows that ended in an error."""
    said = [f"{count:,} combinations: {why}" for why, count in result.errors().items()]
    if result.invalid_combinations:
        said.insert(0, f"{result.invalid_combinations:,} invalid combinations dropped")
    return tuple(said)
