"""The rows of an earlier sweep, from its file, as the sweep that they were.

A file holds parameters and metrics, neither candles nor costs: whoever reads it says them again, and one
row is run once more to see that they are the same.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from workbench.backtest.columns import METRIC_COLUMNS
from workbench.backtest.exits import parted
from workbench.backtest.results import SweepResult
from workbench.backtest.setting import Costs, plain
from workbench.backtest.verdict.chosen_row import parameter_names
from workbench.backtest.verdict.replayed import records_of
from workbench.backtest.verdict.stress import Chosen
from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

SAME = 1e-6  # relative: beyond what two forms of the loop differ by


def stored_sweep(path: Path, candles: Candles, spec: Spec, *, costs: Costs) -> SweepResult:
    """Return the sweep whose rows lie in a parquet file.

    Raises DataError where the file cannot be read, UsageError where its rows are of another strategy,
    window, market or cost.
    """
    import polars as pl

    try:
        scan = pl.scan_parquet(path)
        names = list(scan.collect_schema())
        rows = int(scan.select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} cannot be read as the rows of a sweep: {str(error).splitlines()[0]}; name the file "
            "that `workbench sweep --out` wrote"
        ) from None
    missing = [name for name in (*spec.defaults, *METRIC_COLUMNS, "error") if name not in names]
    if missing or not rows:
        what = f"lacks {', '.join(missing)}" if missing else "has no row"
        raise UsageError(f"{path.name} {what}; name a sweep of {spec.name}, or its --strategy")
    result = SweepResult(
        spec, candles, costs, None, 0, "", 0.0, (f"rows of {path.name}",), path=path, streamed=rows
    )
    _demand_same(result)
    return result


def _demand_same(result: SweepResult) -> None:
    """Run one row once more; UsageError where it earns something else than it says."""
    import polars as pl

    assert result.path is not None
    frame = result.scan().filter(pl.col("error").is_null()).head(1).collect()
    if not frame.height:
        return
    row = frame.row(0, named=True)
    records = records_of(result.spec, frame)
    own, exits = parted(records, result.spec.params_dtype)
    said = plain({name: row[name] for name in parameter_names(result)[: len(result.spec.defaults)]})
    mend = "give the symbol, interval, window, costs and strategy that it was made with"
    if row["bars"] != len(result.candles):
        raise UsageError(
            f"{result.path.name} was made over {row['bars']:,} candles, these are {len(result.candles):,}; "
            f"{mend}"
        )
    again = Chosen(result.candles, result.spec, own, exits, result.costs).run()
    equity = float(np.asarray(again.curve["equity"])[-1])
    if not math.isclose(equity, row["final_equity"], rel_tol=SAME):
        raise UsageError(
            f"{result.path.name} was made otherwise: {said} ends with {row['final_equity']:,.2f} there and "
            f"with {equity:,.2f} here; {mend}"
        )
