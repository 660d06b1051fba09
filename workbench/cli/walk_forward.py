"""`workbench walk-forward`: parameters chosen on train windows, judged on the test windows behind them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.cli import options
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.face.walk_forwards import WalkForward

_SHOWN = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "exposure", "fees")


def walk_forward(
    grid: Annotated[
        str, typer.Option(help="e.g. fast=2:20,slow=10:60:2,signal=5|7|9; nothing: the defaults")
    ] = "",
    strategy: options.Strategy = "macd",
    symbol: options.Symbol = "BTCUSDT",
    interval: options.Interval = "1h",
    start: options.Start = None,
    end: options.End = None,
    train: Annotated[
        str | None, typer.Option(help='Candles (4000) or days ("180d") to choose on.')
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Candles or days to judge on; a quarter of --train.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Folds over all candles instead of lengths; 5.")
    ] = None,
    anchored: Annotated[
        bool,
        typer.Option("--anchored", help="Train from the first candle on, more with each fold."),
    ] = False,
    metric: Annotated[str, typer.Option(help="What the choice goes by.")] = "sharpe",
    choose: Annotated[
        str, typer.Option(help="peak (the highest) or plateau (the highest among its neighbours).")
    ] = "peak",
    fee_bps: options.FeeBps = 10.0,
    slippage_bps: options.SlippageBps = 1.0,
    cash: options.Cash = 10_000.0,
    filters: options.SweptFilters = "none",
    exits: options.SweptExits = "",
    guards: options.Guards = "",
    fine: options.Fine = None,
    trades_out: options.TradesOut = None,
    equity_out: options.EquityOut = None,
    folds_out: Annotated[Path | None, typer.Option(help="Write one row a fold (parquet).")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Choose parameters on each train window and tell what they earn on the test window behind it."""
    import workbench as wb

    options.demand_places(trades_out, equity_out, folds_out)
    walk = wb.walk_forward(
        wb.load(symbol, interval, start=start, end=end),
        wb.strategies.load(strategy),
        train=train,
        test=test,
        folds=folds,
        anchored=anchored,
        metric=metric,
        choose=_choice(choose),
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
        cash=cash,
        filters=options.filters(filters),
        exits=exits,
        guards=guards,
        fine=wb.load(symbol, fine, start=start, end=end) if fine else None,
        progress=sys.stderr.isatty(),
        **(options.parse_grid(grid) if grid else {}),  # type: ignore[arg-type]  # named by the strategy
    )
    for frame, path in (
        (walk.trades, trades_out), (walk.equity, equity_out), (walk.folds, folds_out),
    ):  # fmt: skip
        if path:
            options.write_parquet(frame, path)
    if as_json:
        typer.echo(json.dumps(walk.to_dict()))
        return
    _print(walk)


def _choice(text: str) -> Literal["peak", "plateau"]:
    if text == "peak":
        return "peak"
    if text == "plateau":
        return "plateau"
    raise UsageError(f"--choose {text!r} is unknown; use peak or plateau")


def _print(walk: WalkForward) -> None:
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_pairs, print_rows

    names = [name for name in walk.axes if not name.startswith("exit_")]
    head = [
        "fold",
        "test from",
        *names,
        "in sample",
        "return",
        "holding",
        "sharpe",
        "drawdown",
        "trades",
    ]
    with_exits = any(run.exits for run in walk.runs)
    rows = []
    for run, row in zip(walk.runs, walk.folds.iter_rows(named=True), strict=True):
        figures = [
            shown("total_return", row["train_return"]), shown("total_return", row["test_return"]),
            shown("total_return", row["test_holding"]), shown("sharpe", row["test_sharpe"]),
            shown("max_drawdown", row["test_drawdown"]), shown("trades", row["test_trades"]),
        ]  # fmt: skip
        first = [str(row["fold"]), f"{row['test_start']:%Y-%m-%d}"]
        rows.append([*first, *(str(row[n]) for n in names), *figures, *[run.exits] * with_exits])
    print_rows(walk.title, head + ["exits"] * with_exits, rows)
    pairs = {name.replace("_", " "): shown(name, walk.metrics[name]) for name in _SHOWN}
    pairs["holding"] = shown("total_return", walk.holding["total_return"])
    notes = (walk.candles.source, walk.finding, f"{walk.trials:,} trials", *walk.notes)
    print_pairs("Out of sample, all folds", pairs, notes=notes)
