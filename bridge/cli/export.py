"""`bridge export`: an instance's decisions, orders, fills and candles as parquet.

The journal is only read, so this works while the gateway trades and while it is dead.
"""

from __future__ import annotations

import dataclasses
import json as json_text
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from bridge.home import home
from bridge.journal_reader import JournalReader
from bridge.journal_rows import CandleRow, DecisionRow, FillRow, Ticket
from workbench.errors import UsageError
from workbench.market.instruments import SCALE


def export(
    instance: Annotated[str, typer.Option(help="The instance's name.")],
    out: Annotated[Path, typer.Option(help="Folder to write into; made if need be.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write decisions, orders, fills and candles of an instance as parquet."""
    written = export_instance(instance, out)
    if json:
        print(json_text.dumps({"instance": instance, "folder": str(out), "rows": written}))
    else:
        rows = ", ".join(f"{count} {name}" for name, count in written.items())
        print(f"{instance}: {rows} in {out}")


def export_instance(instance: str, out: Path, *, state: Path | None = None) -> dict[str, int]:
    """Write the four tables and return their row counts. Raises UsageError for an unknown instance."""
    journal = _journal_of(instance, state or home())
    try:
        tables = {
            "decisions": _frame(DecisionRow, map(_decision, journal.decisions(instance))),
            "orders": _frame(Ticket, map(_plain, journal.tickets(instance))),
            "fills": _frame(FillRow, (_fill(seq, row) for seq, row in journal.fills(instance))),
            "candles": _frame(
                CandleRow, map(_plain, journal.candles(instance, after_ms=-(2**62), limit=-1))
            ),
        }
    finally:
        journal.close()
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.write_parquet(out / f"{name}.parquet")
    return {name: len(frame) for name, frame in tables.items()}


def _journal_of(instance: str, state: Path) -> JournalReader:
    names: list[str] = []
    for path in sorted((state / "accounts").glob("*/journal.db")):
        journal = JournalReader.open_read_only(path)
        found = [row.name for row in journal.instances()]
        if instance in found:
            return journal
        names += found
        journal.close()
    raise UsageError(f"no instance {instance!r} in {state}; known: {', '.join(names) or 'none'}")


def _frame(row: type, rows: Any) -> pl.DataFrame:
    found = list(rows)
    if found:
        return pl.DataFrame(found, infer_schema_length=None)
    return pl.DataFrame(schema={field.name: pl.Null for field in dataclasses.fields(row)})


def _plain(row: Any) -> dict[str, Any]:
    values = dataclasses.asdict(row)
    return {name: str(value) if isinstance(value, str) else value for name, value in values.items()}


def _decision(row: DecisionRow) -> dict[str, Any]:
    values = _plain(row)
    del values["intent"]
    return values


def _fill(seq: int, row: FillRow) -> dict[str, Any]:
    values = {"seq": seq, **_plain(row)}
    for name in ("price", "quantity", "commission"):
        values[name] = values[f"{name}_e8"] / SCALE
    values["qty"] = values["quantity"]
    return values
