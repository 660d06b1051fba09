"""`workbench sweep`: a grid of parameters, one row a combination, written as parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options

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
    filters: Annotated[str, typer.Option(help="none or exchange.")] = "none",
    out: Annotated[Path | None, typer.Option(help="Write all rows to this parquet file.")] = None,
    top: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Run every combination of a grid; ranges are start:stop[:step] with the stop included."""
    import sys

    import workbench as wb

    axes = options.parse_grid(grid)
    spec = wb.strategies.load(strategy)
    result = wb.sweep(
        wb.load(symbol, interval, start=start, end=end),
        spec,
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
        cash=cash,
        filters=options.filters(filters),
        progress=sys.stderr.isatty(),
        **axes,  # type: ignore[arg-type]  # axes are named by the strategy, not by us
    )
    if out:
        result.frame.write_parquet(out)
    ranked = result.frame.sort("total_return", descending=True, nulls_last=True).head(top)
    if as_json:
        said = {
            "combinations": len(result),
            "invalid_combinations": result.invalid_combinations,
            "seconds": round(result.seconds, 3),
            "data_sha256": result.data_sha256,
            "source": result.candles.source,
            "notes": list(result.notes),
            "out": str(out) if out else None,
            "top": ranked.to_dicts(),
        }
        typer.echo(json.dumps(said))
        return
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_rows

    names = [one.name for one in spec.parameters]
    rows = [
        [str(row[n]) for n in names] + [shown(n, row[n]) for n in _SHOWN]
        for row in ranked.iter_rows(named=True)
    ]
    caution = f"the best of {len(result):,} tries is high by luck alone: look at the plateau"
    print_rows(
        result.title, [*names, *_SHOWN], rows, notes=(result.candles.source, caution, *result.notes)
    )
