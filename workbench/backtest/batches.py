"""The unit of work of studies, streamed sweeps and clusters: one series, one run of parameters.

Where a batch runs, here or on a cluster (`distributed`), it gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from workbench.backtest.grids import valid_mask
from workbench.backtest.recording import NOT_TRIALS, Recorder
from workbench.backtest.setting import Costs
from workbench.backtest.sweep import sweep_params
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Batch:
    """Parameter records of one strategy on one series, and what it is run under."""

    spec: Spec
    params: np.ndarray
    costs: Costs
    all_history: bool = False
    columns: tuple[str, ...] = ()  # of DETAIL_COLUMNS


Work: TypeAlias = tuple[Candles, Batch]


def run_batch(
    candles: Candles, batch: Batch, *, threads: int | None = None, trials: Recorder = NOT_TRIALS
) -> pl.DataFrame | None:
    """Return the rows of a batch's valid sets, in order; None where none is valid.

    A worker counts nothing: whoever handed the batch out does.
    """
    ok = valid_mask(batch.spec, batch.params)
    if not ok.any():
        return None
    result = sweep_params(
        candles,
        batch.spec,
        batch.params[ok],
        costs=batch.costs,
        threads=threads,
        all_history=batch.all_history,
        columns=batch.columns,
        trials=trials,
        data_sha256="",  # whoever made the batches has hashed the series once for all of them
    )
    return result.frame
