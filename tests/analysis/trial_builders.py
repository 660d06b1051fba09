"""Batches of trials for the tests of the ledger, and a child process that appends them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.analysis.trial_rows import TRIAL, Scope, TrialBatch, identities
from workbench.analysis.trials import TrialLedger


def scope(strategy: str = "macd", data: str = "d1", costs: str = "fee=10") -> Scope:
    """Return a scope that differs in what is given."""
    return Scope(strategy, "sha-of-" + strategy, data, "BTCUSDT", "1h", 0, 3_600_000, costs)


def batch(where: Scope, params: Sequence[int], sharpes: Sequence[float | None]) -> TrialBatch:
    """Return trials of one whole-number parameter; those whose Sharpe is None never held a position."""
    rows = np.zeros(len(params), TRIAL)
    rows["identity"] = identities(where, [np.array(params)])
    rows["sharpe"] = [np.nan if one is None else one for one in sharpes]
    rows["traded"] = [one is not None for one in sharpes]
    rows["trades"] = rows["traded"] * 7
    rows["days"] = 365
    return TrialBatch(where, "kernel", rows)


def main(path: str, who: str, count: str) -> None:
    """Append batches of 50 trials of this process's own, printing each number once it is on the disk."""
    ledger, own = TrialLedger(Path(path)), scope(data=who)
    for i in range(int(count)):
        params = range(50 * i, 50 * i + 50)
        ledger.append([batch(own, params, [0.01] * 50)], now_ms=time.time_ns() // 1_000_000)
        print(i, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
