"""`bridge audit exchange STATE [--journal FILE]`: what a local exchange's truth log proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Check what was written down against what must hold.",
)


@app.callback()
def _group() -> None:
    """Check what was written down against what must hold."""


@app.command()
def exchange(
    state: Annotated[Path, typer.Argument(help="The folder that --state named.")],
    journal: Annotated[
        Path | None, typer.Option(help="A gateway's journal, to compare with.")
    ] = None,
    speed: Annotated[
        float, typer.Option(help="How many times life the market ran.", min=0.001)
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check conservation over the exchange's log alone, and intents and fills beside a journal."""
    from bridge.journal_reader import JournalReader
    from bridge.local_exchange.audit import against_journal, conservation
    from bridge.local_exchange.state import LOG
    from bridge.local_exchange.truth_log import read_log

    entries = read_log(state / LOG)
    found = {"I7": conservation(entries)}
    if journal is not None:
        reader = JournalReader.open_read_only(journal)
        try:
            found = against_journal(entries, reader, speed=speed) | found
        finally:
            reader.close()
    broken = sum(len(one.violations) for one in found.values())
    if as_json:
        told = {
            name: {"checked": one.checked, "violations": one.violations}
            for name, one in found.items()
        }
        print(json.dumps({"broken": broken, "invariants": told}))
    else:
        for name, one in found.items():
            print(f"{name}: {one.checked} facts, {len(one.violations)} broken")
            for violation in one.violations[:20]:
                print(f"    {violation}")
    raise typer.Exit(1 if broken else 0)
