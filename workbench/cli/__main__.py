"""So that `python -m workbench.cli` is the `workbench` command, wherever it is installed."""

from workbench.cli import main

main()
