"""The `workbench` command: research from the shell. Every command prints JSON with --json.

Exit codes: 0 done, 1 something was found (a check that did not pass), 2 the call or the machine was
at fault, said in one line with the mend.
"""

from __future__ import annotations

import sys

from workbench.command_table import Entry, run

COMMANDS = {
    "doctor": Entry("workbench.cli.doctor:doctor", "Look whether this machine has what is needed."),
    "collect": Entry("workbench.cli.collect:collect", "Collect candles into datasets/."),
    "data": Entry("workbench.cli.data:app", "List and check candles."),
    "backtest": Entry("workbench.cli.backtest:backtest", "Backtest one parameter set."),
    "sweep": Entry("workbench.cli.sweep:sweep", "Run a grid of parameters."),
    "verdict": Entry("workbench.cli.verdict:verdict", "Ask whether a sweep's best is luck."),
    "trials": Entry("workbench.cli.trials:app", "List what was tried; check the ledger."),
    "study": Entry("workbench.cli.study:study", "Run symbols x intervals x windows x parameters."),
    "walk-forward": Entry(
        "workbench.cli.walk_forward:walk_forward", "Choose on train windows, judge on test windows."
    ),
    "portfolio": Entry("workbench.cli.portfolio:portfolio", "Run instances on one account."),
    "bias": Entry("workbench.cli.bias:bias", "Check a strategy for look-ahead and warm-up."),
    "parity": Entry("workbench.cli.parity:parity", "Compare the engines, decision by decision."),
    "headline": Entry("workbench.cli.headline:headline", "Run the 2,400-scenario study."),
    "report": Entry("workbench.cli.report:report", "Execute a report notebook into reports/."),
    "schedule": Entry("workbench.cli.schedule:app", "Run report notebooks on time."),
    "lab": Entry("workbench.cli.lab:lab", "Open JupyterLab."),
    "dashboard": Entry("workbench.cli.dashboard:dashboard", "Open the trading dashboard."),
    "demo": Entry("workbench.cli.demo:demo", "Run the whole job on real candles."),
}


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run("workbench", COMMANDS, "Quant research, from candles to a running instance."))
