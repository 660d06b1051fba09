"""Where the workbench keeps what outlives a process: journals, keys, kernels, logs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from workbench.errors import DataError


def home() -> Path:
    """Return WORKBENCH_HOME, made on first use for this user alone (mode 0700).

    Raises DataError where it cannot be made.
    """
    path = home_path()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the workbench's home {path} cannot be made: {error.strerror}; set WORKBENCH_HOME to a "
            "folder that you may write"
        ) from None
    return path


def home_path() -> Path:
    """Return where WORKBENCH_HOME is or would be."""
    named = os.environ.get("WORKBENCH_HOME")
    if named:
        return _absolute(named) if os.path.isabs(named) else Path(named).expanduser().resolve()
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "workbench"


@cache
def _absolute(named: str) -> Path:
    """Return an absolute path without links, followed once a process: every backtest asks."""
    return Path(named).resolve()
