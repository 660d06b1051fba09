"""`workbench parity`: one strategy through every engine, compared decision by decision."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.backtest.results import BacktestResult
    from workbench.backtest.setting import Costs
    from workbench.market.candles import Candles
    from workbench.report.parity import Comparison
    from workbench.strategies.spec import Number, Spec

ENGINES = ("sweep", "event", "backtrader", "live")
WITHOUT_EXITS = {"backtrader"}
WITHOUT_GUARDS = {"backtrader"}
WITHOUT_FINE = {"backtrader", "live"}


def parity(
    strategy: options.Strategy = "macd",
    params: Annotated[str, typer.Option(help="e.g. fast=12,slow=26,signal=9")] = "",
    symbol: options.Symbol = "BTCUSDT",
    interval: options.Interval = "1h",
    start: Annotated[str, typer.Option(help="First candle, ISO time in UTC.")] = "2025-03-01",
    end: Annotated[str, typer.Option(help="End (exclusive).")] = "2025-04-01",
    engines: Annotated[
        str,
        typer.Option(
            help=f"Compared with the kernel: {', '.join(ENGINES)}; without it all that can be."
        ),
    ] = "",
    fee_bps: options.FeeBps = 10.0,
    slippage_bps: options.SlippageBps = 1.0,
    cash: options.Cash = 10_000.0,
    exits: options.Exits = "",
    guards: options.Guards = "",
    fine: options.Fine = None,
    as_json: options.AsJson = False,
) -> None:
    """Run one strategy through all engines over one window; exit code 1 on a difference.

    --strategy is a name, or a file of your own. The live run goes through local exchange, supervisor,
    gateway and runner, in step pace; sweep and backtrader also run without the exchange's filters.
    """
    import workbench as wb
    from workbench.execution.instance import BeyondEngine

    wanted = _wanted(engines, exits=bool(exits), guards=bool(guards), fine=bool(fine))
    case = _Case(
        candles=wb.load(symbol, interval, start=start, end=end),
        fine=wb.load(symbol, fine, start=start, end=end) if fine else None,
        spec=wb.strategies.load(strategy),
        params=options.parse_params(params),
        exits=exits,
        guards=guards,
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
        cash=cash,
    )
    kernel = case.run("kernel", "exchange")
    found = []
    for engine in list(wanted):
        try:
            found += _compared(case, engine, kernel)
        except BeyondEngine:  # levels or a ladder in the intent show when it is run only
            if engines:
                raise
            wanted.remove(engine)
    left_out = [] if engines else [one for one in ENGINES if one not in wanted]
    _show(kernel, found, left_out, as_json=as_json)
    if not all(one.equal for one in found):
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Case:
    """What is run, whatever runs it; no trial: it shows that engines agree, not what a strategy earns."""

    candles: Candles
    fine: Candles | None
    spec: Spec
    params: dict[str, Number]
    exits: str
    guards: str
    fee_bps: float
    slippage_bps: float
    cash: float

    def run(self, engine: str, filters: options.FilterName) -> BacktestResult:
        """Return the backtest of one engine."""
        from workbench.backtest.engines import run_engine
        from workbench.backtest.recording import NOT_TRIALS

        return run_engine(
            engine,
            self._series(),
            self.spec,
            costs=self._costs(filters),
            params=self.params,
            exits=self.exits,
            trials=NOT_TRIALS,
        )

    def row(self, filters: options.FilterName) -> dict[str, object]:
        """Return the row of a sweep over this one parameter set."""
        from workbench.backtest.grids import Grid
        from workbench.backtest.recording import NOT_TRIALS
        from workbench.backtest.sweep import sweep_params

        grid = Grid.of(self.spec, self.params, self.exits or None)
        swept = sweep_params(
            self._series(), self.spec, grid.all(), costs=self._costs(filters), trials=NOT_TRIALS
        )
        return swept.frame.row(0, named=True)

    def _series(self) -> Candles:
        return replace(self.candles, fine=self.fine)

    def _costs(self, filters: options.FilterName) -> Costs:
        from workbench.backtest.setting import Costs
        from workbench.execution.guards import Guards

        return Costs(self.fee_bps, self.slippage_bps, self.cash, filters, Guards.of(self.guards))


def _wanted(engines: str, *, exits: bool, guards: bool, fine: bool) -> list[str]:
    """Return the engines that were named; all that know what is asked for where none was."""
    wanted = [one.strip() for one in (engines or ",".join(ENGINES)).split(",") if one.strip()]
    if not wanted or set(wanted) - set(ENGINES):
        raise UsageError(f"--engines {engines!r}: name one or more of {', '.join(ENGINES)}")
    for asked, what, without in (
        (exits, "exits", WITHOUT_EXITS),
        (guards, "guards", WITHOUT_GUARDS),
        (fine, "finer candles", WITHOUT_FINE),
    ):
        if asked and not engines:
            wanted = [one for one in wanted if one not in without]
        if asked and without & set(wanted):
            lacking = [one for one in wanted if one in without]
            others = ",".join(one for one in ENGINES if one not in without)
            raise UsageError(
                f"{' and '.join(lacking)} run without {what}; compare with --engines {others}"
            )
    return wanted


def _compared(case: _Case, engine: str, kernel: BacktestResult) -> list[Comparison]:
    """Return how one engine compares with the kernel; the sweep with and without filters."""
    from workbench.report import parity

    if engine == "live":
        return [_live(kernel, case)]
    if engine == "event":
        run = parity.from_backtest(case.run("event", "exchange"))
        return [parity.compare(run, parity.from_backtest(kernel))]
    free = case.run("kernel", "none")
    if engine == "sweep":
        rows = [(case.row("exchange"), kernel), (case.row("none"), free)]
        return [parity.compare_row(row, run) for row, run in rows]
    theirs = parity.from_backtest(case.run("backtrader", "none"))
    return [parity.compare_closely(theirs, parity.from_backtest(free))]


def _live(kernel: BacktestResult, case: _Case) -> Comparison:
    from tqdm import tqdm

    from bridge.rehearsal import rehearse
    from workbench.backtest.setting import trading_rules
    from workbench.report.parity import compare, first_crumb, from_backtest, from_export

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
            exits=case.exits,
            guards=case.guards,
            cash=costs.cash,
            fee_bps=costs.fee_bps,
            slippage_bps=costs.slippage_bps,
            home=home,
            out=out,
            tick=bar.update,
        )
        end_ms = candles.timeframe.next(int(candles.window["open_time"][-1]))
        run = from_export(out, rules, candles.timeframe, end_ms=end_ms)
        found, crumb = compare(run, from_backtest(kernel)), first_crumb(out, rules)
    protected = bool(case.exits) or (kernel.fills["reason"] != "signal").any()
    if not found.equal and protected and crumb is not None:
        raise UsageError(
            f"live: {crumb.told(rules)}; use more cash or fewer rungs, or exits that end the ladder before"
        )
    return found


def _show(
    kernel: BacktestResult, found: list[Comparison], left_out: list[str], *, as_json: bool
) -> None:
    if as_json:
        said = [{**asdict(one), "equal": one.equal} for one in found]
        about = {
            "strategy": kernel.spec.name,
            "params": kernel.params,
            "source": kernel.candles.source,
        }
        typer.echo(json.dumps({**about, "comparisons": said, "left_out": left_out}))
        return
    from workbench.cli.tables import print_rows

    guarded = kernel.costs.guards.is_any
    rows = [
        [
            one.engine, one.reference, f"{one.decisions:,}" if one.decisions else "–",
            str(one.decision_differences) if one.decisions else "–", f"{one.fills:,}", str(one.fill_differences),
            *([str(one.guarded), str(one.guarded_difference)] if guarded else []),
            f"{one.equity_difference:.1e}", f"{one.tolerance:g}",
            "equal" if one.equal else "DIFFERENT",
        ]
        for one in found
    ]  # fmt: skip
    columns = [
        "engine", "against", "decisions", "differ", "fills", "differ",
        *(["buys refused", "differ"] if guarded else []), "equity, relative", "may", "",
    ]  # fmt: skip
    notes = (
        kernel.candles.source,
        "with the exchange's filters decisions, times, sides, lots and ticks must be equal; without them "
        "times and sides, and to the tolerance targets, prices, quantities; of a sweep's row, all metrics",
        *(f"{one} left out: it does not execute all that is asked for" for one in left_out),
    )
    print_rows(kernel.title, columns, rows, left=2, notes=notes)
