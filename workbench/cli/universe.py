"""`workbench data universe`: the pairs of a venue as of a date, and the largest of them."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.sources import BaseUrl, StoreFolder, places_in, rest_source, wall_ms
from workbench.errors import UsageError


def show_universe(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the exchange for its pairs first.")
    ] = False,
    top: Annotated[
        int | None, typer.Option(help="Rank so many by what was traded before --as-of.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="A date, ISO, UTC; without it, now.")] = None,
    quote: Annotated[
        str | None, typer.Option(help="Pairs of this quote asset; --top without it takes USDT.")
    ] = None,
    allow_unmeasured: Annotated[
        bool,
        typer.Option("--allow-unmeasured", help="Rank although pairs are not recorded here."),
    ] = False,
    base_url: BaseUrl = None,
    venue: Annotated[str, typer.Option(help="Venue whose pairs are shown.")] = "binance",
    store: StoreFolder = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the pairs that existed on a date, delisted ones too; --top ranks them by volume."""
    from workbench.data.times import iso, to_ms

    if refresh:
        venue = _refreshed(base_url, store, progress=not json and sys.stderr.isatty())
    elif base_url is not None:
        raise UsageError("--base-url goes with --refresh; what is stored is asked of nobody")
    now_ms = wall_ms()
    at_ms = now_ms if as_of is None else to_ms(as_of, name="--as-of")
    if at_ms > now_ms:
        raise UsageError(
            f"--as-of {iso(at_ms)} lies in the future, of which nobody knows the pairs"
        )
    note, rows = (
        _existing(venue, at_ms, quote, store)
        if top is None
        else _ranked(top, venue, at_ms, quote or "USDT", store, allow_unmeasured)
    )
    if json:
        print(json_text.dumps({"note": note, "symbols": rows}, ensure_ascii=False))
        return
    print(note)
    for row in rows:
        print("  " + (_stay(row) if top is None else _rank(row, quote or "USDT")))


def _stay(row: Mapping[str, object]) -> str:
    """Write from when to when a pair was there."""
    return f"{row['symbol']:<12} {row['listed']} to {row['ended'] or 'now':<17}  {row['status']}"


def _rank(row: Mapping[str, object], quote: str) -> str:
    """Write what a pair traded."""
    guess = ", estimated from volume and close" if row["estimated"] else ""
    traded = f"{float(str(row['quote_volume'])):>22,.0f} {quote} in {row['days']} days{guess}"
    return f"{row['symbol']:<12} {traded}; listed {row['listed']}"


def _refreshed(base_url: str | None, store: Path | None, *, progress: bool) -> str:
    """Ask for the pairs, keep them, and return the venue they are of."""
    from workbench.data.listing_dates import refresh
    from workbench.data.places import datasets_folder

    rest = rest_source(base_url)
    refresh(rest, store or datasets_folder(), now_ms=wall_ms(), progress=progress)
    rest.close()
    return rest.venue


def _existing(
    venue: str, at_ms: int, quote: str | None, store: Path | None
) -> tuple[str, list[dict[str, object]]]:
    from workbench.data.times import iso
    from workbench.data.universe import universe

    pairs = universe(venue=venue, places=places_in(store))
    rows: list[dict[str, object]] = [
        {
            "symbol": one.symbol,
            "listed": iso(one.listed_ms or 0),
            "ended": None if one.ended_ms is None else iso(one.ended_ms),
            "status": one.status,
        }
        for one in pairs.as_of(at_ms, quote=quote, plain=False)
    ]
    return f"{len(rows)} pairs of {venue} existed at {iso(at_ms)} ({pairs.source})", rows


def _ranked(
    count: int, venue: str, at_ms: int, quote: str, store: Path | None, allow_unmeasured: bool
) -> tuple[str, list[dict[str, object]]]:
    from workbench.data.ranking import top

    ranked = top(
        count, at_ms, quote=quote, venue=venue, places=places_in(store),
        allow_unmeasured=allow_unmeasured,
    )  # fmt: skip
    listed = ranked.table["listed"].dt.strftime("%Y-%m-%dT%H:%MZ")
    return ranked.note, ranked.table.with_columns(listed=listed).to_dicts()
