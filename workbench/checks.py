"""What a doctor found: one line a check, with the mend where something is off."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class State(StrEnum):
    """How a check came out; a note works, but less well."""

    OK = "ok"
    NOTE = "note"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, what was found, and what to do about it."""

    name: str
    state: State
    found: str
    mend: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that came out well."""
    return Check(name, State.OK, found)


def note(name: str, found: str, mend: str) -> Check:
    """Return a check that limits something and stops nothing."""
    return Check(name, State.NOTE, found, mend)


def off(name: str, found: str, mend: str) -> Check:
    """Return a check that needs mending."""
    return Check(name, State.OFF, found, mend)


def all_well(checks: Iterable[Check]) -> bool:
    """Tell whether nothing is off."""
    return all(check.state is not State.OFF for check in checks)


def as_json(checks: Sequence[Check]) -> str:
    """Return the checks as one JSON object."""
    rows = [asdict(check) for check in checks]
    return json.dumps({"ok": all_well(checks), "checks": rows})


def as_text(checks: Sequence[Check]) -> str:
    """Return the checks as aligned lines, each mend under its check."""
    lines = []
    for check in checks:
        lines.append(f"{check.state.value:<5} {check.name:<14} {check.found}")
        if check.mend:
            lines.append(f"{'':<21}mend: {check.mend}")
    return "\n".join(lines)


def private(name: str, path: Path, *, uid: int) -> Check:
    """Check that `path` belongs to `uid` and that nobody else may enter or read it."""
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != uid:
        return off(name, f"{path} belongs to uid {status.st_uid}", f"chown -R {uid} {path}")
    if mode & 0o077:
        return off(name, f"{path} has mode {mode:04o}", f"chmod go-rwx {path}")
    return ok(name, f"{path} (mode {mode:04o})")
