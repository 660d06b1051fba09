"""A command run as somebody who may not do everything: root of a container tests permissions too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def run_workbench(
    *words: str, cwd: Path, unprivileged: bool = False, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the workbench command; `unprivileged` gives up what root may do beyond its files' modes."""
    command = [sys.executable, "-c", "from workbench.cli import main; main()", *words]
    if unprivileged and os.geteuid() == 0:
        command = [*_without_capabilities(), *command]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "HOME": str(cwd), **(env or {})},
    )  # fmt: skip


def _without_capabilities() -> list[str]:
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, (
        "util-linux' setpriv is missing; run the tests as a user, not as root"
    )
    return [setpriv, "--bounding-set", "-all", "--inh-caps", "-all", "--"]
