"""The rows of a sweep run once more, for what their columns do not hold: the return of every day.

Inference over many sets wants their returns side by side. They are those of the equity at the end of each
UTC day (each candle where candles are longer), as in the Sharpe ratio of a row. A sweep of more than
10,000 rows is too many to lay out: the 1,000 best and a seeded sample of the others stand for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.backtest.exits import UNITS, joined, parted
from workbench.backtest.kernels import kernel
from workbench.backtest.results import SweepResult
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import Costs, trading_rules
from workbench.backtest.slices import run_in_slices
from workbench.backtest.sweep import run_of, warm_starts
from workbench.execution.exits import LEVELS, no_exits
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 10_000
BEST_ROWS = 1_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a sweep, as a frame and as records; `of` counts all that have metrics."""

    frame: pl.DataFrame
    records: np.ndarray
    of: int

    @property
    def is_sample(self) -> bool:
        """Return whether these are some of the rows alone."""
        return self.frame.height < self.of


def rows_of(
    result: SweepResult, first: int, metric: str, *, rng: np.random.Generator, most: int = MOST_ROWS
) -> Rows:
    """Return the rows that have metrics, that numbered `first` before all others.

    Of more than `most` they are the best by the metric and a sample of the rest, in the sweep's order.
    """
    import polars as pl

    found = result.scan().select(pl.col(metric).cast(pl.Float64), pl.col("error").is_null())
    told = found.collect()
    numbers = np.flatnonzero(told["error"].to_numpy())
    of = len(numbers)
    if of > most:
        values = told[metric].fill_null(-np.inf).to_numpy()[numbers]
        ranked = numbers[np.argsort(-values, kind="stable")]
        best = min(BEST_ROWS, most // 2)
        others = rng.choice(ranked[best:], most - best, replace=False)
        numbers = np.sort(np.concatenate([ranked[:best], others]))
    numbers = np.concatenate([[first], numbers[numbers != first]])
    wanted = pl.DataFrame({"row": numbers.astype(np.uint32)})
    rows = result.scan().with_row_index("row")
    frame = wanted.lazy().join(rows, on="row", how="left", maintain_order="left").collect()
    return Rows(frame.drop("row"), records_of(result.spec, frame), of)


def records_of(spec: Spec, frame: pl.DataFrame) -> np.ndarray:
    """Return the parameter records, exits beside them where the frame has such columns, of its rows."""
    records = np.zeros(frame.height, spec.params_dtype)
    for one in spec.parameters:
        records[one.name] = frame[one.name].to_numpy()
    if "exit_stop" not in frame.columns:
        return records
    records = joined(records, no_exits())
    exits = records["exits"]
    numbers = {name: number for number, name in UNITS.items()}
    for name in LEVELS:
        exits[name]["value"] = frame[f"exit_{name}"].to_numpy()
        exits[name]["unit"] = [numbers[unit] for unit in frame[f"exit_{name}_unit"]]
    exits["atr_period"] = frame["exit_atr_period"].to_numpy()
    exits["time_stop_bars"] = frame["exit_time_stop"].to_numpy()
    return records


def daily_returns(
    candles: Candles,
    spec: Spec,
    records: np.ndarray,
    *,
    costs: Costs,
    threads: int,
    progress: bool,
) -> Floats:
    """Return the returns of every set (days, sets), each run by the plain kernel, on every core."""
    rules, _ = trading_rules(candles, costs)
    own, exits = parted(records, spec.params_dtype)
    warm = warm_starts(candles, spec, own)
    run = run_of(candles, own, warm=warm, exits=exits, costs=costs, rules=rules)
    ends = candles.sample_ends[candles.first :].astype(np.bool_)
    found = np.empty((len(records), int(ends.sum()) + 1))
    found[:, 0] = costs.cash
    compiled = kernel(spec)

    def replay(begin: int, end: int) -> None:
        curve = np.zeros(len(candles), EQUITY)
        for c in range(begin, end):
            compiled.run(replace(run.only(np.array([c])), equities=curve), 0, 1)
            found[c, 1:] = curve["equity"][ends]

    run_in_slices(replay, len(records), threads=threads, progress=progress)
    return np.ascontiguousarray((found[:, 1:] / found[:, :-1] - 1.0).T)


def returns_of_curve(candles: Candles, cash: float, equity: Floats) -> Floats:
    """Return the returns of an equity curve (one value a candle), sampled as those of all sets."""
    ends = candles.sample_ends[candles.first :].astype(np.bool_)
    levels = np.concatenate([[cash], equity[ends]])
    returns: Floats = levels[1:] / levels[:-1] - 1.0
    return returns
