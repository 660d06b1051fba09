"""Where the workbench keeps what outlives a process: journals, keys, kernels, logs."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return WORKBENCH_HOME, made on first use for this user alone (mode 0700)."""
    path = home_path()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def home_path() -> Path:
    """Return where WORKBENCH_HOME is or would be."""
    named = os.environ.get("WORKBENCH_HOME")
    if named:
        return Path(named).expanduser().resolve()
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "workbench"
