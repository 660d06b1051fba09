"""`workbench verdict`: is the best set of a grid more than the luck of so many tries?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.errors import UsageError
from workbench.execution.pairs import pairs_of

if TYPE_CHECKING:
    from workbench.backtest.results import SweepResult
    from workbench.backtest.verdict.result import CostRow, VerdictResult


def verdict(
    rows: Annotated[
        Path | None, typer.Argument(help="Rows of an earlier sweep, its --out; or give --grid.")
    ] = None,
    grid: Annotated[str, typer.Option(help="e.g. fast=2:20,slow=10:60:2,signal=5|7|9")] = "",
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
    choose: Annotated[
        str, typer.Option(help="The set to judge, e.g. fast=12,slow=26; default: the best.")
    ] = "",
    metric: Annotated[str, typer.Option(help="What the best is best by.")] = "sharpe",
    kill_limit: Annotated[
        float, typer.Option(help="Drawdown that would stop an instance, where no guard has one.")
    ] = 0.30,
    seed: Annotated[int, typer.Option(help="Seed of resamples; the same gives the same.")] = 0,
    require: Annotated[
        str, typer.Option(help="Exit with 1 where the verdict is another: green.")
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Judge the best row of a grid, or of a sweep's file, by all gates: red, insufficient, amber or green.

    A file's rows are judged on the candles and at the costs that are given here; where they were made
    otherwise, that is refused.
    """
    import workbench as wb

    if (rows is None) == (not grid):
        raise UsageError("give --grid, or the file of an earlier sweep's --out: one of the two")
    if require not in ("", "green"):
        raise UsageError(f"--require {require!r} is unknown; it takes green")
    candles = wb.load(symbol, interval, start=start, end=end)
    finer = wb.load(symbol, fine, start=start, end=end) if fine else None
    result: SweepResult
    if rows is None:
        result = wb.sweep(
            candles,
            wb.strategies.load(strategy),
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            cash=cash,
            filters=options.filters(filters),
            exits=exits,
            guards=guards,
            fine=finer,
            progress=sys.stderr.isatty(),
            **options.parse_grid(grid),  # type: ignore[arg-type]  # axes are named by the strategy
        )
    else:
        from workbench.backtest.setting import Costs
        from workbench.backtest.verdict.stored_rows import stored_sweep
        from workbench.execution.guards import Guards
        from workbench.face.research import candles_of

        costs = Costs(fee_bps, slippage_bps, cash, options.filters(filters), Guards.of(guards))
        series = candles_of(candles, finer)
        result = stored_sweep(rows, series, wb.strategies.load(strategy), costs=costs)
    found = _judged(result, choose, metric=metric, kill_limit=kill_limit, seed=seed)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
    else:
        _show(found)
    if require and found.colour.value != require:
        raise typer.Exit(1)


def _judged(
    result: SweepResult, choose: str, *, metric: str, kill_limit: float, seed: int
) -> VerdictResult:
    from workbench.face.verdicts import of_sweep

    return of_sweep(
        result,
        choose={name: _value(text, name) for name, text in _pairs(choose).items()},
        metric=metric,
        kill_limit=kill_limit,
        seed=seed,
        progress=sys.stderr.isatty(),
    )


def _pairs(text: str) -> dict[str, str]:
    return pairs_of(text, what="--choose", example="fast=12,slow=26")


def _value(text: str, name: str) -> float | int | str:
    return text if name.endswith("_unit") else options.parse_number(text, name)


def _show(found: VerdictResult) -> None:
    from workbench.backtest.verdict.result import Outcome
    from workbench.cli.tables import print_rows

    passed = Outcome.PASSED
    gates = [
        [one.name, one.outcome.value, one.found, one.asked, one.told * (one.outcome is not passed)]
        for one in found.gates
    ]
    title = f"{found.colour.value.upper()}: {found.title}\n  {found.why}"
    print_rows(title, ("gate", "outcome", "found", "asked", ""), gates, left=5)
    terms = ("cost", "return", "sharpe", "trades")
    print_rows("At other costs", terms, _terms(found.costs))
    if found.delays:
        print_rows("Orders that come candles later", ("candles", *terms[1:]), _terms(found.delays))
    print_rows(
        "By quarter",
        ("", "Q1", "Q2", "Q3", "Q4"),
        [
            [year, *("" if one is None else f"{one:+.1%}" for one in quarters)]
            for year, quarters in found.years.items()
        ],
        notes=(found.source, *found.notes),
    )


def _terms(rows: tuple[CostRow, ...]) -> list[list[str]]:
    from workbench.backtest.results import shown

    return [
        [
            row.label,
            shown("total_return", row.total_return),
            shown("sharpe", row.sharpe),
            f"{row.trades:,}",
        ]
        for row in rows
    ]
