"""The cell magic `%%strategy NAME`: a notebook cell becomes a strategy, everywhere.

`%load_ext workbench` makes it known. The cell is checked, compiled, kept in WORKBENCH_HOME under its
hash, and is from then on `wb.strategies.NAME`, `--strategy NAME` and an entry of the start form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def strategy(line: str, cell: str) -> None:
    """Register the cell as strategy of the name that the line gives, and say what it is."""
    from IPython.core.error import UsageError as OneLine

    from workbench import strategies
    from workbench.errors import WorkbenchError

    try:
        spec = strategies.register(line.strip(), cell)
    except WorkbenchError as error:
        raise OneLine(str(error)) from None  # IPython prints it without a traceback
    print(f"wb.strategies.{spec!r} [{spec.sha[:12]}]")


def register(ipython: InteractiveShell) -> None:
    """Make the magics known to a running IPython."""
    ipython.magics_manager.register_function(strategy, magic_kind="cell", magic_name="strategy")
