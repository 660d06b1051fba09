"""`workbench collect`: bring candles into the project's own datasets."""

from __future__ import annotations

import json as json_text
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.sources import ArchiveUrl, BaseUrl, SourceName, source_named, wall_ms
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.data.collect import Collected


def collect(
    symbols: Annotated[str, typer.Option(help="Pairs, separated by commas.")],
    intervals: Annotated[str, typer.Option(help="Intervals, separated by commas.")] = "1h",
    since: Annotated[
        str | None, typer.Option(help="First opening time; without it all the source has.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="End of the window; without it, now.")] = None,
    source: SourceName = "rest",
    base_url: BaseUrl = None,
    archive_url: ArchiveUrl = None,
    store: Annotated[
        Path | None, typer.Option(help="Store to fill; without it the project's datasets.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Series that are fetched at a time.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Collect candles into the store: only what is missing is fetched, and it is checked first."""
    return_memory_soon()
    from workbench.data.collect import collect as collect_candles
    from workbench.data.places import datasets_folder
    from workbench.data.store import Store
    from workbench.data.times import to_ms

    results = collect_candles(
        source_named(source, base_url, archive_url),
        Store(store or datasets_folder()),
        symbols=_names(symbols),
        intervals=_names(intervals),
        since_ms=0 if since is None else to_ms(since, name="--since"),
        until_ms=wall_ms() if until is None else to_ms(until, name="--until"),
        clock_ms=wall_ms,
        jobs=jobs,
        progress=not json and sys.stderr.isatty(),
    )
    if json:
        print(json_text.dumps({"series": [one.as_dict() for one in results]}))
    else:
        for one in results:
            print(_line(one))


def return_memory_soon() -> None:
    """Let polars give memory back to the system; it read this when it is imported, so call it before.

    Its allocator keeps freed pages for ten seconds, which are half of a long collection's memory.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:200,muzzy_decay_ms:0")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(
            f"{text!r} names nothing; separate names with commas, like BTCUSDT,ETHUSDT"
        )
    return list(dict.fromkeys(names))


def _line(one: Collected) -> str:
    gaps = f"{one.gaps} gaps ({one.missing} candles missing)" if one.gaps else "no gaps"
    revised = f", {one.revised} came again with other numbers" if one.revised else ""
    line = (
        f"{one.symbol} {one.interval}: {one.new:,} new, {one.rows:,} stored from {one.first} "
        f"to {one.last}, {gaps}{revised}"
    )
    found = [f"{kind} {count:,}" for kind, count in one.warnings.items()]
    said = [f"warnings: {', '.join(found)}; see `workbench data check`"] if found else []
    return "\n  ".join([line, *said, *one.declared])
