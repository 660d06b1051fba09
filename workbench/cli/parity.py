"""`workbench parity`: one strategy through every engine, compared decision by decision."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.face import Run
    from workbench.report.parity import Comparison, EngineRun

ENGINES = ("event", "live")


def parity(
    strategy: options.Strategy = "macd",
    params: Annotated[str, typer.Option(help="e.g. fast=12,slow=26,signal=9")] = "",
    symbol: options.Symbol = "BTCUSDT",
    interval: options.Interval = "1h",
    start: Annotated[str, typer.Option(help="First candle, ISO time in UTC.")] = "2025-03-01",
    end: Annotated[str, typer.Option(help="End (exclusive).")] = "2025-04-01",
    engines: Annotated[str, typer.Option(help="Compared with the kernel.")] = "event,live",
    fee_bps: options.FeeBps = 10.0,
    slippage_bps: options.SlippageBps = 1.0,
    cash: options.Cash = 10_000.0,
    exits: options.Exits = "",
    guards: options.Guards = "",
    fine: options.Fine = None,
    as_json: options.AsJson = False,
) -> None:
    """Run kernel, event engine and a live instance over one window; exit code 1 on a difference.

    The live run goes through local exchange, supervisor, gateway and runner, in step pace.
    """
    import workbench as wb
    from workbench.report.parity import EQUITY_TOLERANCE, compare, from_backtest

    wanted = [one.strip() for one in engines.split(",") if one.strip()]
    if not wanted or set(wanted) - set(ENGINES):
        raise UsageError(f"--engines {engines!r}: name one or more of {', '.join(ENGINES)}")
    candles = wb.load(symbol, interval, start=start, end=end)
    if "live" in wanted and (exits or guards):
        raise UsageError(
            "a live instance has no exits and guards yet; compare with --engines event"
        )
    finer = wb.load(symbol, fine, start=start, end=end) if fine else None
    spec, chosen = wb.strategies.load(strategy), options.parse_params(params)

    def run_on(engine: str) -> Run:
        return wb.backtest(
            candles,
            spec,
            engine=engine,
            fee_bps=fee_bps,
            slippage_bps=slippage_bps,
            cash=cash,
            filters="exchange",
            exits=exits,
            guards=options.parse_params(guards),
            fine=finer,
            **chosen,  # type: ignore[arg-type]
        )

    kernel = run_on("kernel")
    reference = from_backtest(kernel)
    found: list[Comparison] = []
    for engine in wanted:
        if engine == "event":
            run = from_backtest(run_on("event"))
        else:
            run = _live(kernel)
        found.append(compare(run, reference))
    _show(kernel, found, EQUITY_TOLERANCE, as_json=as_json)
    if not all(one.equal for one in found):
        raise typer.Exit(1)


def _live(kernel: Run) -> EngineRun:
    from tqdm import tqdm

    from bridge.rehearsal import rehearse
    from workbench.backtest.setting import trading_rules
    from workbench.report.parity import from_export

    candles, costs = kernel.candles, kernel.costs
    rules, _ = trading_rules(candles, costs)
    assert rules is not None
    with (
        tempfile.TemporaryDirectory(prefix="wb-parity-") as folder,
        tqdm(total=len(candles), desc="live", leave=False, disable=not sys.stderr.isatty()) as bar,
    ):
        home, out = Path(folder) / "home", Path(folder) / "export"
        rehearse(
            candles,
            strategy=kernel.spec.name,
            params=kernel.params,
            cash=costs.cash,
            fee_bps=costs.fee_bps,
            slippage_bps=costs.slippage_bps,
            home=home,
            out=out,
            tick=bar.update,
        )
        end_ms = candles.timeframe.next(int(candles.window["open_time"][-1]))
        return from_export(out, rules, end_ms=end_ms)


def _show(kernel: Run, found: list[Comparison], tolerance: float, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        said = [{**asdict(one), "equal": one.equal} for one in found]
        about = {
            "strategy": kernel.spec.name,
            "params": kernel.params,
            "source": kernel.candles.source,
        }
        typer.echo(json.dumps({**about, "equity_tolerance": tolerance, "comparisons": said}))
        return
    from workbench.cli.tables import print_rows

    rows = [
        [
            f"{one.engine} against {one.reference}", f"{one.decisions:,}",
            str(one.decision_differences), f"{one.fills:,}", str(one.fill_differences),
            f"{one.equity_difference:.1e}", "equal" if one.equal else "DIFFERENT",
        ]
        for one in found
    ]  # fmt: skip
    columns = ["", "decisions", "differ", "fills", "differ", "equity, relative", ""]
    notes = (kernel.candles.source, f"equity must agree to {tolerance:g}, all else exactly")
    print_rows(kernel.title, columns, rows, left=1, notes=notes)
