"""`workbench lab`: JupyterLab on loopback, with a token, rooted in the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from workbench.errors import UsageError

EMPTIED_BY_OTHERS = ("JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE")


def lab(
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8888,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Start JupyterLab of this venv; it prints its address, Ctrl-C ends it."""
    root = project_root(Path.cwd())
    command = lab_command(root, port=port, browser=browser)
    if os.geteuid() == 0:
        command.append("--allow-root")
    os.execve(command[0], command, lab_environment(os.environ))


def lab_command(root: Path, *, port: int, browser: bool) -> list[str]:
    """Return the command line: this Python, loopback only, nothing remote, rooted in the project."""
    return [
        sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.allow_remote_access=False", f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={root}", f"--ServerApp.open_browser={browser}",
    ]  # fmt: skip


def lab_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without an empty token, which would leave the door open."""
    return {
        name: value
        for name, value in environment.items()
        if name not in EMPTIED_BY_OTHERS or value.strip()
    }


def project_root(start: Path) -> Path:
    """Return the folder with notebooks/ at or above `start`, else that of the checkout."""
    checkout = Path(__file__).resolve().parents[2]
    for folder in (start, *start.parents, checkout):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    raise UsageError(f"no project with a notebooks folder at or above {start}; run it in the root")
