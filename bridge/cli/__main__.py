"""So that `python -m bridge.cli` is the `bridge` command, wherever it is installed."""

from bridge.cli import main

main()
