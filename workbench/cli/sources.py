"""The sources that commands name (rest, archive, auto, synthetic, folder:PATH), and their stores."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.data.places import Places
    from workbench.data.sources.base import Source
    from workbench.data.sources.binance_live import BinanceLive
    from workbench.data.sources.binance_rest import BinanceRest

NAMES = "rest, archive, auto, synthetic or folder:PATH"
SourceName = Annotated[
    str,
    typer.Option(
        "--source",
        help="rest, archive (bulk files), auto (archive for whole months, rest for the tail), "
        "live (streams), synthetic, or folder:PATH (parquet or CSV files).",
    ),
]
BaseUrl = Annotated[
    str | None, typer.Option(help="REST API to ask; without it Binance's public one.")
]
ArchiveUrl = Annotated[
    str | None, typer.Option(help="Archives to ask; without it Binance's public ones.")
]

StoreFolder = Annotated[
    Path | None,
    typer.Option(help="Store to look into; without it wherever candles are looked for."),
]


def wall_ms() -> int:
    """Return the clock of this machine in milliseconds UTC."""
    return time.time_ns() // 1_000_000


def source_named(name: str, base_url: str | None, archive_url: str | None) -> Source:
    """Return the source that the options name; UsageError where they do not fit together."""
    if base_url is not None and name not in ("rest", "auto", "live"):
        raise UsageError(f"--base-url goes with --source rest, auto or live, not with {name}")
    if archive_url is not None and name not in ("archive", "auto"):
        raise UsageError(f"--archive-url goes with --source archive or auto, not with {name}")
    if name == "rest":
        return rest_source(base_url)
    if name == "archive":
        return _archive(archive_url)
    if name == "auto":
        from workbench.data.sources.auto import Auto

        return Auto(_archive(archive_url), rest_source(base_url), now_ms=wall_ms())
    if name == "live":
        raise UsageError("live klines tell what is to come; --source rest asks for what was")
    if name == "synthetic":
        from workbench.data.sources.synthetic import Synthetic

        return Synthetic()
    if name.startswith("folder:"):
        from workbench.data.sources.folder import Folder

        return Folder(Path(name.removeprefix("folder:")))
    raise UsageError(f"unknown source {name!r}; use {NAMES}")


def places_in(store: Path | None) -> Places | None:
    """Return a store as the only place that is looked into; None for the usual ones."""
    if store is None:
        return None
    from workbench.data.places import Places

    if not store.is_dir():
        raise UsageError(f"--store {store.name}: no such folder; `workbench collect` makes one")
    return Places(None, store, None)


def live_source(base_url: str | None, stream_url: str | None) -> BinanceLive:
    """Return the streams of a REST API; what becomes of the connection is told on stderr."""
    from workbench.data.sources.binance_live import BinanceLive

    return BinanceLive(
        rest_source(base_url), stream_url, say=lambda line: print(line, file=sys.stderr)
    )


def rest_source(base_url: str | None) -> BinanceRest:
    """Return the REST API, whose clock is compared with this machine's."""
    from workbench.data.sources.binance_rest import BASE_URL, BinanceRest

    return BinanceRest(base_url or BASE_URL, clock_ms=wall_ms)


def _archive(archive_url: str | None) -> Source:
    from workbench.data.sources.binance_archive import ARCHIVE_URL, BinanceArchive

    return BinanceArchive(archive_url or ARCHIVE_URL)
