"""The kernel a report runs in: this venv's Python, a clean environment, its noise in a file.

The environment is an allow-list. A deny-list forgets the next secret; this one forgets everything
that is not named here, so no key, token or passphrase of the caller reaches a notebook or its output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

KERNEL_NAME: Final = "python3"
PASSED_ON: Final = frozenset(
    {
        "HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_PATH",
        "JUPYTER_RUNTIME_DIR", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "MPLCONFIGDIR",
        "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "PATH",
        "POLARS_MAX_THREADS", "PYTHONHASHSEED", "PYTHONPATH", "SOURCE_DATE_EPOCH", "TMPDIR", "TZ",
        "USER", "VIRTUAL_ENV", "WORKBENCH_DATA", "WORKBENCH_HOME", "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
    }
)  # fmt: skip


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a report may see of the environment, and nothing else."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON or name.startswith("LC_")
    }
    return kept | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def kernel_manager(*, folder: Path, log: Path) -> type[AsyncKernelManager]:
    """Return a kernel manager that starts this Python in `folder`, its own noise going to `log`."""
    from jupyter_client.manager import AsyncKernelManager

    class ReportKernelManager(AsyncKernelManager):
        """Starts one kernel in a clean environment."""

        async def start_kernel(self, **options: object) -> None:  # type: ignore[override]
            """Start the kernel of the running venv."""
            if self.kernel_spec is not None and self.kernel_spec.argv:
                self.kernel_spec.argv[0] = sys.executable
            environment = clean_environment(os.environ)
            with log.open("ab") as noise:
                own = {"env": environment, "cwd": str(folder), "stdout": noise, "stderr": noise}
                await super().start_kernel(**{**options, **own})

    return ReportKernelManager
