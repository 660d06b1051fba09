"""`bridge doctor`: may this machine trade: private state, a durable disk, keys, a live supervisor."""

from __future__ import annotations

import json as json_text
import os
import stat
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.error import HTTPError

import typer

from workbench.checks import Check, all_well, as_json, as_text, note, off, ok, private
from workbench.home import home_path

ANSWER_SECONDS = 2.0


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at the state folder, the journal's disk, the vault and the supervisor."""
    checks = examine(home_path())
    print(as_json(checks) if json else as_text(checks))
    if not all_well(checks):
        raise typer.Exit(1)


def examine(home: Path) -> list[Check]:
    """Return every check of one state folder, changing nothing."""
    near = next(folder for folder in (home, *home.parents) if folder.exists())
    if not home.exists():
        return [ok("home", f"{home} (made on first use)"), _journal_disk(near), _no_vault(home)]
    return [
        private("home", home, uid=os.geteuid()),
        _journal_disk(home),
        _vault(home / "vault.json"),
        _supervisor(home / "supervisor.json"),
    ]


def _journal_disk(folder: Path) -> Check:
    from bridge.journal import REFUSED_FILE_SYSTEMS, file_system

    kind = file_system(folder)
    if kind in REFUSED_FILE_SYSTEMS:
        told = f"{folder} lies on {kind}, which may lose or share a journal"
        return off("journal disk", told, "set WORKBENCH_HOME to a folder on a local disk")
    return ok("journal disk", f"{folder} lies on {kind or 'a local disk'}")


def _vault(path: Path) -> Check:
    if not path.exists():
        return _no_vault(path.parent)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return off("vault", f"others can read {path} (mode {mode:04o})", f"chmod 600 {path}")
    return ok("vault", f"{path} (mode {mode:04o}); `bridge keys list` tells what is in it")


def _no_vault(home: Path) -> Check:
    return note("vault", f"none in {home}", "bridge keys add NAME --venue testnet")


@dataclass(frozen=True, slots=True)
class _Door:
    """Where the supervisor says it listens."""

    url: str
    token: str
    pid: int


def _supervisor(path: Path) -> Check:
    if not path.exists():
        return note("supervisor", "not running", "bridge serve")
    try:
        told = json_text.loads(path.read_text(encoding="utf-8"))
        door = _Door(str(told["url"]), str(told["token"]), int(told["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return off("supervisor", f"{path} cannot be read", f"rm {path}, then bridge serve")
    try:
        return ok("supervisor", f"{door.url} answers (pid {door.pid}): {_ask(door)}")
    except HTTPError as error:
        return off(
            "supervisor", f"{door.url} answers {error.code}", "stop it and bridge serve anew"
        )
    except (OSError, ValueError) as error:
        found = f"{door.url} (pid {door.pid}) does not answer: {error}"
        return off("supervisor", found, "bridge serve")


def _ask(door: _Door) -> str:
    """Return the supervisor's accounts and instances in words."""
    if not door.url.startswith("http://127.0.0.1:"):
        raise ValueError("its address is not on loopback")
    request = urllib.request.Request(
        f"{door.url}/v1/state", headers={"Authorization": f"Bearer {door.token}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=ANSWER_SECONDS) as answer:
        state = json_text.load(answer)
    return f"{len(state['accounts'])} accounts, {len(state['instances'])} instances"
