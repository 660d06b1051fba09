"""`workbench collect`: bring candles into the project's own datasets."""

from __future__ import annotations

import json as json_text
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from workbench.cli.sources import (
    ArchiveUrl,
    BaseUrl,
    SourceName,
    live_source,
    source_named,
    wall_ms,
)
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.data.collect import Collected


class Asked(TypedDict):
    """What every kind of collection is told."""

    symbols: list[str]
    intervals: list[str]
    clock_ms: Callable[[], int]
    jobs: int
    progress: bool


def collect(
    symbols: Annotated[str, typer.Option(help="Pairs, separated by commas.")],
    intervals: Annotated[str, typer.Option(help="Intervals, separated by commas.")] = "1h",
    since: Annotated[
        str | None,
        typer.Option(
            help="First opening time; without it all the source has (live: what closes from now on)."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the window; without it, now (live: never, Ctrl-C).")
    ] = None,
    source: SourceName = "rest",
    base_url: BaseUrl = None,
    archive_url: ArchiveUrl = None,
    stream_url: Annotated[
        str | None, typer.Option(help="Streams of --source live; without it those of --base-url.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Store to fill; without it the project's datasets.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Series that are fetched at a time.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Collect candles into the store: only what is missing is fetched, and it is checked first."""
    return_memory_soon()
    from workbench.data.places import datasets_folder
    from workbench.data.store import Store
    from workbench.data.times import to_ms

    if stream_url is not None and source != "live":
        raise UsageError(f"--stream-url goes with --source live, not with {source}")
    if archive_url is not None and source == "live":
        raise UsageError("--archive-url goes with --source archive or auto, not with live")
    kept = Store(store or datasets_folder())
    asked: Asked = {
        "symbols": _names(symbols),
        "intervals": _names(intervals),
        "clock_ms": wall_ms,
        "jobs": jobs,
        "progress": not json and sys.stderr.isatty(),
    }
    since_ms = None if since is None else to_ms(since, name="--since")
    until_ms = None if until is None else to_ms(until, name="--until")
    if source == "live":
        from workbench.data.live import collect_live

        listening = live_source(base_url, stream_url)
        results = collect_live(listening, kept, since_ms=since_ms, until_ms=until_ms, **asked)
    else:
        from workbench.data.collect import collect as collect_candles

        results = collect_candles(
            source_named(source, base_url, archive_url),
            kept,
            since_ms=since_ms or 0,
            until_ms=_now_after(since_ms or 0) if until_ms is None else until_ms,
            **asked,
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


def _now_after(since_ms: int) -> int:
    """Return the end of a window that was given none; UsageError where it begins later."""
    from workbench.data.times import iso

    now_ms = wall_ms()
    if since_ms >= now_ms:
        raise UsageError(
            f"--since {iso(since_ms)} lies in the future: this machine's clock says {iso(now_ms)}; "
            "begin earlier"
        )
    return now_ms


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(
            f"{text!r} names nothing; separate names with commas, like BTCUSDT,ETHUSDT"
        )
    return list(dict.fromkeys(names))


def _line(one: Collected) -> str:
    candles = f"{one.missing} candle{'s' * (one.missing > 1)} missing"
    counted = f"{one.gaps} gap{'s' * (one.gaps > 1)} ({candles})"
    gaps = counted if one.gaps else "no gaps"
    revised = f", {one.revised} came again with other numbers" if one.revised else ""
    line = (
        f"{one.symbol} {one.interval}: {one.new:,} new, {one.rows:,} stored from {one.first} "
        f"to {one.last}, {gaps}{revised}"
    )
    found = [f"{kind} {count:,}" for kind, count in one.warnings.items()]
    said = [f"warnings: {', '.join(found)}; see `workbench data check`"] if found else []
    return "\n  ".join([line, *said, *one.declared])
