"""The `bridge` command: the live side from the shell. Every command prints JSON with --json.

Exit codes: 0 done, 1 something was found, 2 the call or the machine was at fault, said in one
line with the mend.
"""

from __future__ import annotations

import sys

from workbench.command_table import Entry, run

COMMANDS = {
    "doctor": Entry("bridge.cli.doctor:doctor", "Look whether this machine may trade."),
    "exchange": Entry("bridge.cli.exchange:exchange", "Run the local spot exchange."),
    "audit": Entry(
        "bridge.cli.audit:app", "Check a local exchange's truth log, and a journal by it."
    ),
    "serve": Entry("bridge.cli.serve:serve", "Run the supervisor and its gateways."),
    "start": Entry("bridge.cli.instances:start", "Start an instance of a strategy."),
    "stop": Entry("bridge.cli.instances:stop", "Stop an instance."),
    "status": Entry("bridge.cli.instances:status", "Show accounts and instances."),
    "export": Entry("bridge.cli.export:export", "Write decisions, orders and fills as parquet."),
    "keys": Entry("bridge.cli.keys:app", "Keep exchange keys in the encrypted vault."),
}


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run("bridge", COMMANDS, "The live side: exchange, supervisor, instances, keys."))
