"""`workbench bias`: does a strategy look ahead, does it depend on where its data begins?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options
from workbench.errors import UsageError


def bias(
    strategy: Annotated[
        str | None, typer.Option(help="Name of a strategy (default: macd), or a file of your own.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A strategy file of your own.")] = None,
    params: Annotated[str, typer.Option(help="e.g. fast=12,slow=26,signal=9")] = "",
    symbol: options.Symbol = "BTCUSDT",
    interval: options.Interval = "1h",
    start: options.Start = None,
    end: options.End = None,
    exits: options.Exits = "",
    guards: options.Guards = "",
    as_json: options.AsJson = False,
) -> None:
    """Check a strategy for look-ahead and for its warm-up; exit code 1 where bias is found."""
    import workbench as wb

    if strategy and file:
        raise UsageError(f"--strategy {strategy} and --file {file} are two strategies; give one")
    if file is not None and file.suffix != ".py":
        raise UsageError(f"--file {file} is no Python file; name it NAME.py")
    report = wb.bias(
        wb.load(symbol, interval, start=start, end=end),
        wb.strategies.load(str(file) if file else strategy or "macd"),
        exits=exits,
        guards=guards,
        **options.parse_params(params),  # type: ignore[arg-type]
    )
    if as_json:
        typer.echo(json.dumps(report.summary()))
    else:
        _show(report)
    if not report.passed:
        raise typer.Exit(1)


def _show(report: object) -> None:
    from workbench.analysis.bias import BiasReport
    from workbench.cli.tables import print_rows

    assert isinstance(report, BiasReport)
    checks = [
        [one.name, one.outcome.value, f"{one.looked_at:,}", f"{one.differ:,}"]
        for one in report.checks
    ]
    print_rows(report.title, ["check", "outcome", "looked at", "differ"], checks, left=2)
    weighs = [
        [one.label, f"{one.candles:,}", f"{one.bars:,}",
         f"{one.difference:.1e} of {one.of}" if one.of else "–", f"{one.flips:,}"]
        for one in report.warm_up
    ]  # fmt: skip
    told = [
        f"{one.name}: {one.said}"
        for one in report.checks
        if one.outcome.value != "clean" or one.gate == "warm-up"
    ]
    columns = ["begun anew", "candles before", "bars", "the start weighs", "decisions changed"]
    print_rows(
        "What the start still weighs", columns, weighs, left=1,
        notes=(*told, *report.notes, report.source, report.verdict),
    )  # fmt: skip
