"""`workbench trials`: what was tried, strategy by strategy, and whether the ledger of it is whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from workbench.analysis import trial_check
from workbench.analysis.trials import home_ledger
from workbench.cli import options
from workbench.errors import UsageError

app = typer.Typer(help="List what was tried; check the ledger.", no_args_is_help=True)


@app.command("list")
def list_strategies(as_json: options.AsJson = False) -> None:
    """List every strategy: distinct trials (N), runs seen, versions, best Sharpe, first and last time."""
    found = trial_check.by_strategy(home_ledger())
    if as_json:
        told = [asdict(one) | _dates(one.first_ms, one.last_ms) for one in found]
        print(json.dumps({"strategies": told, "n": sum(one.n for one in found)}))
        return
    if not found:
        print("no trial was made yet; every backtest, sweep and study adds its own")
        return
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_rows

    rows = [
        [
            one.strategy, f"{one.n:,}", f"{one.seen:,}", f"{one.with_trades:,}", str(one.versions),
            shown("sharpe", one.best_sharpe), *_dates(one.first_ms, one.last_ms).values(),
        ]
        for one in found
    ]  # fmt: skip
    print_rows(
        f"{sum(one.n for one in found):,} trials",
        ("strategy", "trials", "seen", "with trades", "versions", "best Sharpe", "first", "last"),
        rows,
        left=1,
        notes=("N of a verdict is the strategy's trials over all symbols, windows and versions",),
    )


@app.command("check")
def check_ledger(as_json: options.AsJson = False) -> None:
    """Go through the chain of entries; exit code 1 where one was changed or is missing."""
    ledger = home_ledger()
    found = trial_check.check(ledger)
    if as_json:
        print(json.dumps(asdict(found) | {"whole": not found.faults, "path": str(ledger.path)}))
    else:
        print(f"{found.entries:,} entries, {found.trials:,} trials, head {found.head or 'none'}")
        for fault in found.faults:
            print(f"fault: {fault}")
        if found.faults:
            print(f"put a backup of {ledger.path} in its place: a verdict's N cannot be relied on")
    if found.faults:
        raise typer.Exit(1)


@app.command("show")
def show_strategy(
    strategy: Annotated[str, typer.Argument(help="Name of a strategy.")],
    top: Annotated[int, typer.Option(help="Entries to show, the newest first.", min=1)] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Show what a strategy was tried on: one line a batch, the newest first."""
    ledger = home_ledger()
    counts, found = ledger.counts(strategy), trial_check.entries_of(ledger, strategy, most=top)
    if not found:
        names = ", ".join(one.strategy for one in trial_check.by_strategy(ledger)) or "none yet"
        raise UsageError(f"the ledger holds no trial of {strategy!r}; it holds those of: {names}")
    if as_json:
        variance = counts.sharpe_variance if counts.with_trades > 1 else None
        told = asdict(counts) | {"sharpe_variance": variance}
        print(json.dumps({"strategy": strategy, **told, "entries": [asdict(one) for one in found]}))
        return
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_rows

    rows = [
        [
            _date(one.written_ms), one.symbol, one.interval, f"{_date(one.first_ms)} to {_date(one.last_ms)}",
            one.strategy_sha[:8], one.engine, f"{one.fresh:,}", f"{one.seen:,}", shown("sharpe", one.best_sharpe),
        ]
        for one in found
    ]  # fmt: skip
    print_rows(
        f"{strategy}: {counts.n:,} trials, {counts.seen:,} seen, {counts.ledger_n:,} in the whole ledger",
        ("when", "symbol", "interval", "window", "version", "engine", "new", "seen", "best Sharpe"),
        rows,
        left=6,
    )


def _dates(first_ms: int, last_ms: int) -> dict[str, str]:
    return {"first": _date(first_ms), "last": _date(last_ms)}


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
