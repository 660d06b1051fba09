"""`workbench doctor`: is everything here that research needs, and what to do where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated

import typer

from workbench.checks import Check, all_well, as_json, as_text, note, off, ok, private

PROJECT = "quant-workbench"
SHOWN = ("numpy", "numba", "polars", "jupyterlab", "voila", "papermill", "python-binance")
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LEAST_FREE_GB = 1.0


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at Python, packages, cores, disk, data, Chromium and the state folder."""
    checks = examine()
    print(as_json(checks) if json else as_text(checks))
    if not all_well(checks):
        raise typer.Exit(1)


def examine() -> list[Check]:
    """Return every check, the ones that everything else needs first."""
    return [_python(), *_packages(), _cores(), *_state(), _candles(), _chromium()]


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return off("python", found, "make setup PYTHON=/path/to/python3.12 (3.11 to 3.13 work)")
    return ok("python", found)


def _packages() -> list[Check]:
    try:
        needed = requires(PROJECT) or []
    except PackageNotFoundError:
        return [off("packages", f"{PROJECT} is not installed", "make setup")]
    wrong = [told for line in needed if (told := _unmet(line))]
    shown = ", ".join(f"{name} {version(name)}" for name in SHOWN if not _missing(name))
    if wrong:
        return [off("packages", "; ".join(wrong), "make setup")]
    return [ok("packages", f"{PROJECT} {version(PROJECT)}: {shown}")]


def _unmet(line: str) -> str:
    """Return what is wrong with one requirement, or nothing; extras are for their users to miss."""
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return ""
    if _missing(requirement.name):
        return f"{requirement.name} is missing"
    installed = version(requirement.name)
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"{requirement.name} {installed} is not {requirement.specifier}"
    return ""


def _missing(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return True
    return False


def _cores() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ok("cores", f"{count} usable, {platform.machine()}, {platform.system()}")


def _state() -> list[Check]:
    """Check the state folder and the room on its disk, without making what is not there."""
    from workbench.home import home_path

    home = home_path()
    if not home.exists():
        near = next(parent for parent in home.parents if parent.exists())
        return [ok("home", f"{home} (made on first use)"), _disk(near)]
    return [private("home", home, uid=os.geteuid()), _disk(home)]


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    if free < LEAST_FREE_GB:
        return off(
            "disk", f"{free:.1f} GB free at {folder}", f"free {LEAST_FREE_GB:.0f} GB or more"
        )
    return ok("disk", f"{free:.1f} GB free at {folder}")


def _candles() -> Check:
    from workbench.data import available

    frame = available()
    if frame.is_empty():
        return note("candles", "none recorded: the SYNTHETIC market is used", "workbench collect")
    places = ", ".join(sorted(set(frame["source"].to_list())))
    return ok("candles", f"{len(frame)} series of {frame['symbol'].n_unique()} symbols: {places}")


def _chromium() -> Check:
    for name in CHROMIUMS:
        if path := shutil.which(name):
            return ok("chromium", path)
    return note(
        "chromium",
        "not found: browser tests are skipped",
        "sudo apt-get install chromium, or brew install --cask chromium",
    )
