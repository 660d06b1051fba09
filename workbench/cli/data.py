"""`workbench data`: which candles there are, how healthy they are, and the mending of holes."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.sources import (
    NAMES,
    ArchiveUrl,
    BaseUrl,
    SourceName,
    StoreFolder,
    places_in,
    source_named,
    wall_ms,
)
from workbench.cli.universe import show_universe

if TYPE_CHECKING:
    from workbench.data.health import Health

app = typer.Typer(help="List and check the candles that are there.", no_args_is_help=True)
app.command("universe")(show_universe)


@app.command("list")
def list_series(
    store: StoreFolder = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List every recorded series: symbol, interval, first, last, rows, source."""
    from workbench.data import available

    frame = available(places=places_in(store))
    if json:
        times = frame.with_columns(
            frame[name].dt.strftime("%Y-%m-%dT%H:%MZ") for name in ("first", "last")
        )
        print(json_text.dumps({"series": times.to_dicts()}))
        return
    if frame.is_empty():
        print("no recorded candles; `workbench collect` brings some, until then they are SYNTHETIC")
    for row in frame.iter_rows(named=True):
        first, last = (row[name].strftime("%Y-%m-%d %H:%M") for name in ("first", "last"))
        print(
            f"{row['symbol']:<12} {row['interval']:<4} {first}  {last}  "
            f"{row['rows']:>10,}  {row['source']}"
        )


@app.command("check")
def check_series(
    symbol: Annotated[str, typer.Argument(help="Pair, like BTCUSDT.")],
    interval: Annotated[str, typer.Argument(help="Interval, like 1h.")],
    venue: Annotated[str, typer.Option(help="Venue of the project's own datasets.")] = "binance",
    against: Annotated[
        str | None, typer.Option(help=f"Compare 1 % of the candles with a source: {NAMES}.")
    ] = None,
    base_url: BaseUrl = None,
    archive_url: ArchiveUrl = None,
    store: StoreFolder = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check one series: errors (exit code 1), warnings, and every gap with its bounds."""
    from workbench.data.health import health

    other = None if against is None else source_named(against, base_url, archive_url)
    places = places_in(store)
    found = health(symbol, interval, venue=venue, now_ms=wall_ms(), places=places, against=other)
    print(json_text.dumps(found.as_dict()) if json else _text(found))
    if found.report.errors:
        raise typer.Exit(1)


@app.command("repair")
def repair_series(
    symbol: Annotated[str, typer.Argument(help="Pair, like BTCUSDT.")],
    interval: Annotated[str, typer.Argument(help="Interval, like 1h.")],
    source: SourceName = "archive",
    base_url: BaseUrl = None,
    archive_url: ArchiveUrl = None,
    venue: Annotated[str, typer.Option(help="Venue of the project's own datasets.")] = "binance",
    store: Annotated[
        Path | None, typer.Option(help="Store to repair; without it the project's datasets.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fill the holes of a stored series from another source; every candle that came is marked.

    Exit code 1 where the source contradicts what is stored; what nobody has stays a gap.
    """
    from workbench.data.places import datasets_folder
    from workbench.data.repair import repair
    from workbench.data.store import Store
    from workbench.market.timeframes import parse_timeframe

    series = Store(store or datasets_folder()).series(venue, symbol, parse_timeframe(interval))
    done = repair(source_named(source, base_url, archive_url), series, clock_ms=wall_ms)
    if json:
        print(json_text.dumps(done.as_dict()))
    else:
        print(f"{symbol} {interval}: {done.filled} candles filled in, {done.missing} still missing")
        for hole in done.holes:
            print(f"  {hole.line}")
    if any(hole.outcome.startswith("refused") for hole in done.holes):
        raise typer.Exit(1)


def _text(found: Health) -> str:
    shown = found.as_dict()
    lines = [
        f"{found.symbol} {found.interval}: {found.report.rows:,} candles "
        f"from {shown['first']} to {shown['last']} ({found.source})"
    ]
    lines += [f"  error    {one.kind}: {one.message}" for one in found.report.errors]
    lines += [f"  warning  {one.kind}: {one.message}" for one in found.report.warnings]
    lines += [f"  gap      {line}" for line in found.gap_lines()]
    if len(lines) == 1:
        lines.append("  nothing to report")
    return "\n".join(lines)
