"""`workbench backtest`: one parameter set, its metrics, and its trades and equity as parquet."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from workbench.cli import options


def backtest(
    strategy: options.Strategy = "macd",
    params: Annotated[str, typer.Option(help="e.g. fast=12,slow=26,signal=9")] = "",
    symbol: options.Symbol = "BTCUSDT",
    interval: options.Interval = "1h",
    start: options.Start = None,
    end: options.End = None,
    engine: Annotated[str, typer.Option(help="kernel, event or backtrader.")] = "kernel",
    fee_bps: options.FeeBps = 10.0,
    slippage_bps: options.SlippageBps = 1.0,
    cash: options.Cash = 10_000.0,
    filters: Annotated[
        str | None, typer.Option(help="exchange or none; backtrader knows none alone.")
    ] = None,
    latency_ms: Annotated[
        int, typer.Option(help="Event engine: orders reach the market so much later.", min=0)
    ] = 0,
    volume_share: Annotated[
        float | None, typer.Option(help="Event engine: at most this share of a candle's volume.")
    ] = None,
    orders: Annotated[
        str, typer.Option(help="Event engine: market, or limit (rests at the signal's close).")
    ] = "market",
    maker_fee_bps: Annotated[
        float | None, typer.Option(help="Event engine: fee of orders that rested.")
    ] = None,
    exits: options.Exits = "",
    guards: options.Guards = "",
    fine: options.Fine = None,
    trades_out: options.TradesOut = None,
    equity_out: options.EquityOut = None,
    as_json: options.AsJson = False,
) -> None:
    """Backtest one parameter set: signal at the close, fill at the next open, costs on."""
    import workbench as wb

    options.demand_places(trades_out, equity_out)
    run = wb.backtest(
        wb.load(symbol, interval, start=start, end=end),
        wb.strategies.load(strategy),
        engine=engine,
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
        cash=cash,
        filters=options.filters(filters) if filters else None,
        latency_ms=latency_ms,
        volume_share=volume_share,
        orders=options.order_kind(orders),
        maker_fee_bps=maker_fee_bps,
        exits=exits,
        guards=guards,
        fine=wb.load(symbol, fine, start=start, end=end) if fine else None,
        **options.parse_params(params),
    )
    if trades_out:
        options.write_parquet(run.trades, trades_out)
    if equity_out:
        options.write_parquet(run.equity, equity_out)
    if as_json:
        typer.echo(json.dumps(run.summary() | {"benchmarks": run.benchmarks().to_dicts()}))
        return
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_pairs, print_rows

    pairs = {name.replace("_", " "): shown(name, value) for name, value in run.metrics.items()}
    print_pairs(run.title, pairs, notes=(run.candles.source, *run.notes))
    beside = run.benchmarks()
    figures = beside.columns[2:]
    rows = [
        [row["name"], str(row["symbols"]), *(shown(name, row[name]) for name in figures)]
        for row in beside.iter_rows(named=True)
    ]
    print_rows("Beside what asks no skill", ["", "symbols", *figures], rows, left=1)
