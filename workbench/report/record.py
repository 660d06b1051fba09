"""The record of a report run, `run.json`: written last, so that a folder with one is whole."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.data.atomic import replace_text
from workbench.errors import DataError

Value = str | int | float | bool | None
FORMAT: Final = 1
FILE: Final = "run.json"


@dataclass(frozen=True, slots=True)
class Record:
    """What ran, when, with which parameters and versions, how it ended and what it found."""

    name: str
    status: str
    error: str | None
    started: str
    seconds: float
    parameters: dict[str, Value]
    findings: dict[str, Value]
    cell_seconds: list[float]
    versions: dict[str, str]

    @property
    def ok(self) -> bool:
        """Return whether every cell ran and the page is whole."""
        return self.status == "ok"

    @property
    def synthetic(self) -> bool:
        """Return whether the report says that its candles are synthetic."""
        return str(self.findings.get("source", "")).startswith("SYNTHETIC")


def write_record(folder: Path, record: Record) -> None:
    """Write the record into the folder of its run; NaN and infinity are refused."""
    fields = {"format": FORMAT} | dataclasses.asdict(record)
    replace_text(folder / FILE, json.dumps(fields, indent=1, allow_nan=False) + "\n")


def read_record(folder: Path) -> Record:
    """Read the record of a run; DataError where there is none or it is not one."""
    path = folder / FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise DataError(f"{path} is not of format {FORMAT}; run the report again")
        return Record(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not the record of a run ({error}); run it again") from error
