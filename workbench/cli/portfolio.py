"""`workbench portfolio FILE.toml`: several instances on one account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from workbench.cli import options
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.backtest.portfolio import Part
    from workbench.execution.exits import ExitsForm
    from workbench.face.portfolios import Portfolio

_TOP = {"cash", "start", "end", "costs", "market", "caps", "instances"}
_COSTS = {"fee_bps", "slippage_bps"}
_MARKET = {"latency_ms", "volume_share", "orders", "maker_fee_bps"}
_CAPS = {"max_exposure", "max_positions", "max_daily_loss", "max_drawdown"}
_INSTANCE = {"name", "symbol", "interval", "strategy", "capital", "params", "exits"}
_NEEDED = ("name", "symbol", "strategy", "capital")
EXAMPLE = "notebooks/studies/portfolio.toml"


def portfolio(
    file: Annotated[Path, typer.Argument(help="The portfolio as a TOML file.")],
    trades_out: options.TradesOut = None,
    equity_out: options.EquityOut = None,
    as_json: options.AsJson = False,
) -> None:
    """Backtest several instances on one account, with its caps, event by event."""
    import workbench as wb

    options.demand_places(trades_out, equity_out)
    parts, settings = read_portfolio(file)
    result = wb.portfolio(parts, **settings)  # type: ignore[arg-type]
    if trades_out:
        options.write_parquet(result.trades, trades_out)
    if equity_out:
        options.write_parquet(result.equity, equity_out)
    if as_json:
        typer.echo(json.dumps(result.summary()))
        return
    _print(result)


def read_portfolio(file: Path) -> tuple[list[Part], dict[str, object]]:
    """Return a portfolio's file as the arguments of `wb.portfolio`.

    Raises UsageError for a file that cannot be read, an unknown key or a missing one.
    """
    tree = options.read_toml(file)
    options.demand_keys(tree, _TOP, file.name)
    instances = tree.get("instances")
    if not isinstance(instances, list) or not instances:
        raise UsageError(f"{file.name} needs [[instances]]; see {EXAMPLE}")
    settings: dict[str, object] = {}
    for name, known in (("costs", _COSTS), ("market", _MARKET), ("caps", _CAPS)):
        settings |= options.demand_keys(tree.get(name, {}), known, f"{file.name} [{name}]")
    if "cash" in tree:
        settings["cash"] = tree["cash"]
    for name, value in settings.items():
        if name != "orders" and not _is_number(value):
            raise UsageError(f"{file.name}: {name} = {value!r} is not a number; see {EXAMPLE}")
    start, end = (str(tree[name]) if name in tree else None for name in ("start", "end"))
    return [_part(one, file.name, start, end) for one in instances], settings


def _part(tree: object, file: str, start: str | None, end: str | None) -> Part:
    import workbench as wb

    where = f"{file} [[instances]]"
    one = options.demand_keys(tree, _INSTANCE, where)
    for name in _NEEDED:
        if name not in one:
            raise UsageError(f"{where} needs {name!r}; see {EXAMPLE}")
    params, capital = one.get("params", {}), one["capital"]
    if not isinstance(params, dict):
        raise UsageError(f"{where}: params is no table; write params = {{fast = 12, slow = 26}}")
    if not _is_number(capital):
        raise UsageError(f"{where}: capital={capital!r} is no amount of quote; write 5000")
    return wb.part(
        str(one["name"]),
        wb.load(str(one["symbol"]), str(one.get("interval", "1h")), start=start, end=end),
        wb.strategies.load(str(one["strategy"])),
        capital=cast("float", capital),
        exits=cast("ExitsForm", one.get("exits")),
        **params,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _print(result: Portfolio) -> None:
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_pairs, print_rows

    table = result.table()
    figures = table.columns[5:]
    rows = [
        [str(row[name] or "") for name in table.columns[:4]]
        + [f"{row['capital']:,.2f}"]
        + [shown(name, row[name]) for name in figures]
        for row in table.iter_rows(named=True)
    ]
    print_rows(result.title, table.columns, rows, left=4)
    pairs = {name.replace("_", " "): shown(name, value) for name, value in result.metrics.items()}
    pairs["refused entries and orders"] = f"{result.refusals.height:,}"
    sources = sorted({run.candles.source for run in result.parts.values()})
    print_pairs("the account", pairs, notes=(*sources, *result.notes))
