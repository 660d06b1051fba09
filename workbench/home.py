"""Where the workbench keeps what outlives a process: journals, keys, kernels, logs."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return WORKBENCH_HOME, made on first use for this user alone (mode 0700)."""
    named = os.environ.get("WORKBENCH_HOME")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(named) if named else Path(state) / "workbench"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
