"""The rules of the house hold: floors, lazy imports, and nothing of one machine in the tree."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Spelled in pieces, so that this file is not its own first finding.
REGISTRIES = (
    "py" + "pi.org",
    "files.python" + "hosted.org",
    "registry.npm" + "js.org",
    "registry.yarn" + "pkg.com",
    "deb.deb" + "ian.org",
    "conda.ana" + "conda.org",
)
MACHINE_PATHS = ("/wo" + "rk/", "/ro" + "ot/", "/tmp/" + "plan", "/opt/" + "py" + "pi")
SECRETS = re.compile("-----BEGIN (?:RSA |EC )?PRIVATE" + r" KEY-----\\?n?[A-Za-z0-9+/]{40}")


def tracked() -> list[Path]:
    """Return the text files that git knows."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("needs a git checkout")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file.suffix not in {".png", ".parquet"}]


def test_no_tracked_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {word}"
        for file in tracked()
        for word in (*REGISTRIES, *MACHINE_PATHS)
        if word in file.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


def test_no_tracked_file_holds_a_private_key() -> None:
    found = [
        file.relative_to(ROOT)
        for file in tracked()
        if SECRETS.search(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_imports_go_down_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["workbench", "workbench.cli", "bridge", "bridge.cli"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    heavy = {"numba", "pandas", "matplotlib", "polars", "numpy", "binance", "fastapi", "voila"}
    script = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.stdout.strip() == ""


def test_backtrader_is_imported_by_one_file_alone() -> None:
    users = [file for file in _sources() if "backtrader" in _imported(file)]
    assert users in ([], [ROOT / "workbench" / "backtest" / "reference.py"])


def test_rooms_without_clock_or_chance_import_neither() -> None:
    banned = {"asyncio", "time", "datetime", "random", "secrets", "uuid", "pandas", "socket"}
    banned |= {"aiohttp", "httpx", "requests", "urllib", "websockets", "threading"}
    rooms = ("core", "strategies", "execution")
    found = {
        str(file.relative_to(ROOT)): sorted(wrong)
        for file in _sources()
        if file.parts[len(ROOT.parts) + 1] in rooms and (wrong := _imported(file) & banned)
    }
    assert found == {}


@pytest.mark.parametrize("room", ["core", "market", "execution"])
def test_no_two_files_of_a_sans_io_room_import_each_other_even_for_types(room: str) -> None:
    files = [file for file in _sources() if file.parts[len(ROOT.parts) + 1] == room]
    modules = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in files}
    sorter = graphlib.TopologicalSorter(
        {name: _modules_of(file) & modules.keys() for name, file in modules.items()}
    )
    sorter.prepare()  # raises CycleError with the files of the circle
    assert len(modules) >= 4


def _sources() -> list[Path]:
    return sorted(file for room in ("workbench", "bridge") for file in (ROOT / room).rglob("*.py"))


def _modules_of(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def _imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
