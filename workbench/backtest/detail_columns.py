"""Columns of a sweep that need a whole curve: asked for by name, since each set is run once more.

The compiled loop keeps online what a row always has. Sharpe per bar and after Lo, capital exposure,
expectancy and SQN (`core.curve`) are told by the equity and the cash at every close and by the profit of
every round trip: those of one set at a time, in room that a slice of sets shares, so memory does not
grow with the number of sets. The numbers are those of `wb.backtest`, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from workbench.backtest.columns import DETAIL_COLUMNS
from workbench.backtest.kernels import Run, kernel
from workbench.backtest.round_trips import profits_of, round_trips
from workbench.backtest.scorecard import Span, described
from workbench.backtest.scratch import EQUITY
from workbench.backtest.slices import run_in_slices
from workbench.core.costs import SCALE
from workbench.core.intents import ERROR_NONE
from workbench.errors import UsageError
from workbench.strategies.spec import Spec

ALL = "all"


def detail_names(columns: str | Iterable[str]) -> tuple[str, ...]:
    """Return the columns asked for, in their order; "all" for every one, UsageError for an unknown one."""
    if not isinstance(columns, Iterable):
        raise UsageError(f'columns={columns!r} is no list of names; write columns = ["sqn"]')
    asked = columns.split(",") if isinstance(columns, str) else list(columns)
    wanted = {str(one).strip() for one in asked} - {""}
    unknown = wanted - {*DETAIL_COLUMNS, ALL}
    if unknown:
        raise UsageError(
            f"columns: a sweep or study cannot add {sorted(unknown)[0]!r}; it can add {', '.join(DETAIL_COLUMNS)}, "
            f"or {ALL!r} of them"
        )
    return tuple(name for name in DETAIL_COLUMNS if ALL in wanted or name in wanted)


def detail_columns(
    run: Run, spec: Spec, span: Span, names: tuple[str, ...], *, threads: int, progress: bool
) -> dict[str, np.ndarray]:
    """Return these columns of every set of a run; NaN where one cannot be computed or the set failed."""
    found = np.full((len(run.params), len(names)), np.nan)
    compiled, bars = kernel(spec), len(span.ends)
    costs = run.costs[0]

    def describe(begin: int, end: int) -> None:
        curve = np.zeros(bars, EQUITY)
        for c in range(begin, end):
            one = replace(run.only(np.array([c])), equities=curve)
            fills = compiled.run_whole(one)
            if one.rows["error"][0] != ERROR_NONE:
                continue
            trips = round_trips(
                fills,
                step=float(costs["step_e8"]) / SCALE,
                last_close=float(run.candles["close"][-1]),
            )
            row = described(span, float(costs["cash"]), curve, profits_of(trips))
            told = np.array([row[name] for name in names])
            found[c] = np.where(np.isfinite(told), told, np.nan)

    run_in_slices(describe, len(run.params), threads=threads, progress=progress)
    return dict(zip(names, found.T, strict=True))
