"""`workbench headline`: the 2,400-scenario study, as published, from a cold start, and honest."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options

if TYPE_CHECKING:
    from workbench.backtest.study.headline import Headline

_NAMES = {"published": "published", "cold_start": "cold start", "honest": "honest"}


def headline(
    top: Annotated[int, typer.Option(help="Parameter sets to show.", min=1, max=25)] = 3,
    as_json: options.AsJson = False,
) -> None:
    """Score 2,400 MACD scenarios three ways and print them side by side, in percent."""
    from tqdm import tqdm

    from workbench.backtest.study.headline import headline_study

    with tqdm(total=2_400, desc="scenarios", leave=False, disable=not sys.stderr.isatty()) as bar:
        study = headline_study(bar.update)
    if as_json:
        typer.echo(json.dumps(study.summary()))
    else:
        print_headline(study, top=top)


def print_headline(study: Headline, *, top: int = 3) -> None:
    """Print the three columns side by side."""
    from workbench.cli.tables import print_rows

    columns = study.summary()
    rows: list[list[str]] = []

    def row(label: str, *path: str, of: str = "{:,.2f}") -> None:
        rows.append([label, *(of.format(_dig(columns[name], path)) for name in _NAMES)])

    row("mean of 2,400", "mean")
    row("  holding", "holding_mean")
    for interval in ("1h", "4h", "1d", "1w"):
        row(f"  {interval}", "by_interval", interval)
    for symbol in ("BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"):
        row(f"  {symbol}", "by_symbol", symbol)
    row("XRPUSDT 1d 365d 30/60/15", "claimed", "value")
    row("  trades", "claimed", "trades", of="{:,d}")
    row("  holding", "claimed", "holding")
    row("beat holding, % of those that bought", "beat_holding_pct")
    row("scenarios without a trade", "no_trades", of="{:,d}")
    row("best scenario", "best", "value")
    rows.append(["", *(_scenario(columns[name]["best"]) for name in _NAMES)])
    for i in range(top):
        rows.append([f"parameter set no. {i + 1}", *(_set(columns[name], i) for name in _NAMES)])
    rows.append(["parameter set no. 25", *(_set(columns[name], -1) for name in _NAMES)])
    print_rows(
        "2,400 MACD scenarios, % return",
        ["", *_NAMES.values()],
        rows,
        left=1,
        notes=(
            study.source,
            "published: trades dated before their signal. cold start: aligned and with costs, but",
            "without history. honest: next-open fills, fee, all history, compounding.",
        ),
    )


def _dig(column: object, path: tuple[str, ...]) -> object:
    for key in path:
        assert isinstance(column, dict)
        column = column[key]
    return column


def _scenario(best: object) -> str:
    assert isinstance(best, dict)
    return f"{best['symbol']} {best['interval']} {best['days']}d {best['params']}"


def _set(column: dict[str, object], at: int) -> str:
    ranked = column["top_params"]
    assert isinstance(ranked, list)
    return f"{ranked[at]['params']}  {ranked[at]['value']:,.2f}"
