"""Parity: the same decisions, sides, lots, ticks and equity in every engine, bar for bar.

Each engine's run is brought into two tables: what was decided and owned at every close, and every
fill. Decisions, times, sides, lots and ticks must be equal, equity to 1e-9 relative.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.backtest.results import BacktestResult
from workbench.market.instruments import Instrument

EQUITY_TOLERANCE = 1e-9
FILL_COLUMNS = ("time_ms", "side", "ticks", "lots")


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One engine's run: `closes` (open_time_ms, target, equity) and `fills` (FILL_COLUMNS)."""

    engine: str
    closes: pl.DataFrame
    fills: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one engine's run is from the reference's."""

    engine: str
    reference: str
    decisions: int
    decision_differences: int
    fills: int
    fill_differences: int
    equity_difference: float

    @property
    def equal(self) -> bool:
        """Return whether nothing differs beyond the tolerance."""
        same = self.decision_differences == self.fill_differences == 0
        return same and self.equity_difference <= EQUITY_TOLERANCE


def from_backtest(run: BacktestResult) -> EngineRun:
    """Return the tables of a kernel or event-driven backtest."""
    closes = run.equity.select(
        pl.col("open_time").dt.epoch("ms").alias("open_time_ms"), "target", "equity"
    )
    fills = run.fills.select(
        pl.col("time").dt.epoch("ms").alias("time_ms"), "side", "ticks", "lots"
    )
    return EngineRun(run.engine, closes, fills)


def from_export(folder: Path, rules: Instrument, *, end_ms: int) -> EngineRun:
    """Return the tables of a live run from the parquet that `bridge export` wrote.

    A fill at or after `end_ms` belongs to an order that the backtest reports as pending.
    """
    decisions = pl.read_parquet(folder / "decisions.parquet")
    closes = decisions.select("open_time_ms", pl.col("target").fill_nan(None), "equity")
    fills = pl.read_parquet(folder / "fills.parquet")
    if not fills.height:
        return EngineRun("live", closes, _no_fills())
    fills = fills.filter(pl.col("market_ms") < end_ms).select(
        pl.col("market_ms").alias("time_ms"),
        "side",
        (pl.col("price_e8") // rules.tick_e8).alias("ticks"),
        (pl.col("quantity_e8") // rules.step_e8).alias("lots"),
    )
    return EngineRun("live", closes, fills)


def compare(run: EngineRun, reference: EngineRun) -> Comparison:
    """Compare one run with the reference, row by row; a row that only one of them has is different."""
    ours, theirs = run.closes, reference.closes
    joined = theirs.join(ours, on="open_time_ms", how="full", coalesce=True, suffix="_run")
    differs = ~pl.col("target").eq_missing(pl.col("target_run"))
    one_sided = pl.col("equity").is_null() | pl.col("equity_run").is_null()
    equity, other = (joined[name].to_numpy() for name in ("equity", "equity_run"))
    gap = np.abs(other / equity - 1.0) if joined.height else np.zeros(1)
    return Comparison(
        engine=run.engine,
        reference=reference.engine,
        decisions=theirs.height,
        decision_differences=joined.filter(differs | one_sided).height,
        fills=reference.fills.height,
        fill_differences=_fill_differences(run.fills, reference.fills),
        equity_difference=float(np.max(np.nan_to_num(gap, nan=np.inf))),
    )


def _fill_differences(ours: pl.DataFrame, theirs: pl.DataFrame) -> int:
    a, b = (frame.select(FILL_COLUMNS).rows() for frame in (ours, theirs))
    return sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b))


def _no_fills() -> pl.DataFrame:
    whole = pl.Int64
    return pl.DataFrame(schema={"time_ms": whole, "side": pl.String, "ticks": whole, "lots": whole})
