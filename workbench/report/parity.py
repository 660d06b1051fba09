"""Parity: the same decisions, sides, lots, ticks and equity in every engine, bar for bar.

Each engine's run is brought into two tables: what was decided and owned at every close, and every
fill. Decisions, times, sides, lots and ticks must be equal, equity to 1e-9 relative (`compare`).
Without the exchange's filters there are no lots and ticks: against backtrader, whose account is its
own, prices, quantities, equity and the targets that follow from them must be equal to 1e-6
(`compare_closely`). A sweep keeps neither decisions nor fills: every
metric of its row must equal that of the single backtest (`compare_row`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from workbench.backtest.columns import METRIC_COLUMNS
from workbench.backtest.results import BacktestResult
from workbench.market.instruments import SCALE, Instrument, from_e8
from workbench.market.timeframes import Timeframe

EQUITY_TOLERANCE = 1e-9
REFERENCE_TOLERANCE = 1e-6  # for an engine that is not ours, with an account of its own
FILL_COLUMNS = ("time_ms", "side", "ticks", "lots")
CLOSE_COLUMNS = ("price", "quantity")


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One engine's run: `closes` (open_time_ms, target, equity) and `fills` (FILL_COLUMNS at least).

    `guarded` counts the buys that guards held back.
    """

    engine: str
    closes: pl.DataFrame
    fills: pl.DataFrame
    guarded: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one engine's run is from the reference's; a sweep's differing metrics count as fills."""

    engine: str
    reference: str
    decisions: int
    decision_differences: int
    fills: int
    fill_differences: int
    equity_difference: float
    tolerance: float = EQUITY_TOLERANCE
    guarded: int = 0  # by the reference
    guarded_difference: int = 0

    @property
    def equal(self) -> bool:
        """Return whether nothing differs beyond the tolerance."""
        same = self.decision_differences == self.fill_differences == self.guarded_difference == 0
        return same and self.equity_difference <= self.tolerance


def from_backtest(run: BacktestResult) -> EngineRun:
    """Return the tables of a backtest, whichever engine ran it."""
    closes = run.equity.select(
        pl.col("open_time").dt.epoch("ms").alias("open_time_ms"), "target", "equity"
    )
    fills = run.fills.select(
        pl.col("time").dt.epoch("ms").alias("time_ms"), "side", "ticks", "lots", *CLOSE_COLUMNS
    )
    return EngineRun(_named(run), closes, fills, run.guarded)


def _named(run: BacktestResult) -> str:
    return f"{run.engine} without filters" if run.costs.filters == "none" else run.engine


def from_export(folder: Path, rules: Instrument, timeframe: Timeframe, *, end_ms: int) -> EngineRun:
    """Return the tables of a live run from the parquet that `bridge export` wrote.

    A backtest knows the candle of a fill, a market its millisecond: it counts as its candle's. A fill
    at or after `end_ms` belongs to an order that the backtest reports as pending. Beside a ladder a stop
    rests in several orders, which sell at one price, one after the other: they count as one sale.
    """
    decisions = pl.read_parquet(folder / "decisions.parquet")
    closes = decisions.select("open_time_ms", pl.col("target").fill_nan(None), "equity")
    guarded = decisions.filter(pl.col("guard") != "").height
    fills = pl.read_parquet(folder / "fills.parquet")
    if not fills.height:
        return EngineRun("live", closes, _no_fills(), guarded)
    fills = fills.filter(pl.col("market_ms") < end_ms).select(
        pl.col("market_ms").map_elements(timeframe.floor, pl.Int64).alias("time_ms"),
        "side",
        (pl.col("price_e8") // rules.tick_e8).alias("ticks"),
        (pl.col("quantity_e8") // rules.step_e8).alias("lots"),
        pl.col("client_order_id").is_in(_stops(folder).implode()).alias("stop"),
    )
    return EngineRun("live", closes, _stops_as_one(fills).select(FILL_COLUMNS), guarded)


@dataclass(frozen=True, slots=True)
class Crumb:
    """Whole lots of a position that are below the exchange's minimum: no order can hold them."""

    market_ms: int
    quantity_e8: int
    price_e8: int  # of the fill that left them

    def told(self, rules: Instrument) -> str:
        """Say since when they were held, what they were worth, and why engines differ from there on."""
        worth = from_e8(self.quantity_e8 * self.price_e8 // SCALE)
        return (
            f"from {datetime.fromtimestamp(self.market_ms / 1000, UTC).isoformat()} on "
            f"{from_e8(self.quantity_e8)} {rules.base} are held, worth {worth} {rules.quote} at "
            f"{from_e8(self.price_e8)}, below the exchange's minimum of {from_e8(rules.min_notional_e8)} "
            f"{rules.quote} and {from_e8(rules.min_qty_e8)} {rules.base}: no order can hold them. The kernel ends "
            "a ladder where the price reaches their level inside the candle, the live gateway when that "
            "candle closes, so fills in between differ and nothing from there on can be compared"
        )


def first_crumb(folder: Path, rules: Instrument) -> Crumb | None:
    """Return what a live run held first of whole lots below the exchange's minimum, None where it never did."""
    base_e8 = 0
    for fill in pl.read_parquet(folder / "fills.parquet").iter_rows(named=True):
        in_base = fill["commission_asset"] == rules.base
        bought_e8 = fill["quantity_e8"] - fill["commission_e8"] * in_base
        base_e8 += bought_e8 if fill["side"] == "BUY" else -fill["quantity_e8"]
        lots_e8 = base_e8 // rules.step_e8 * rules.step_e8
        small = lots_e8 * fill["price_e8"] // SCALE < rules.min_notional_e8
        if lots_e8 and (small or lots_e8 < rules.min_qty_e8):
            return Crumb(int(fill["market_ms"]), lots_e8, int(fill["price_e8"]))
    return None


def _stops(folder: Path) -> pl.Series:
    """Return the client order ids of an export's stops."""
    orders = pl.read_parquet(folder / "orders.parquet")
    return orders.filter(pl.col("stop_e8") > 0)["client_order_id"]


def _stops_as_one(fills: pl.DataFrame) -> pl.DataFrame:
    """Return fills with those of stops that follow each other in one candle at one price as one."""
    same = ("time_ms", "side", "ticks", "stop")
    goes_on = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in same)
    sale = (~(goes_on & pl.col("stop"))).fill_null(True).cum_sum()
    return (
        fills.with_columns(sale.alias("sale"))
        .group_by("sale", maintain_order=True)
        .agg(pl.col(same).first(), pl.col("lots").sum())
    )


def compare(run: EngineRun, reference: EngineRun) -> Comparison:
    """Compare one run with the reference, row by row; a row that only one of them has is different."""
    return _compared(
        run, reference, EQUITY_TOLERANCE, _fill_differences(run.fills, reference.fills)
    )


def compare_closely(run: EngineRun, reference: EngineRun) -> Comparison:
    """Compare two runs without filters: targets, prices, quantities, equity to 1e-6, all else exactly."""
    exact = _fill_differences(run.fills, reference.fills, FILL_COLUMNS[:2])
    ours, theirs = (one.fills.select(CLOSE_COLUMNS).to_numpy() for one in (run, reference))
    both = min(len(ours), len(theirs))
    apart = ~np.isclose(ours[:both], theirs[:both], rtol=REFERENCE_TOLERANCE, atol=0.0)
    return _compared(run, reference, REFERENCE_TOLERANCE, exact + int(apart.any(axis=1).sum()))


def compare_row(row: Mapping[str, object], reference: BacktestResult) -> Comparison:
    """Compare a sweep's row with the single backtest of the same parameters, metric by metric."""
    apart = 0
    for name in METRIC_COLUMNS:
        ours, theirs = row[name], reference.metrics[name]
        if isinstance(ours, float) and isinstance(theirs, float):
            apart += not np.isclose(ours, theirs, rtol=EQUITY_TOLERANCE, atol=EQUITY_TOLERANCE)
        else:
            apart += ours != theirs
    final, expected = row["final_equity"], reference.metrics["final_equity"]
    gap = abs(final / expected - 1.0) if isinstance(final, float) and expected else float("inf")
    named = _named(reference)
    return Comparison(
        engine=named.replace(reference.engine, "sweep"),
        reference=named,
        decisions=0,
        decision_differences=0,
        fills=reference.fills.height,
        fill_differences=apart,
        equity_difference=gap,
        guarded=reference.guarded,
        guarded_difference=abs(_count(row["guarded"]) - reference.guarded),
    )


def _compared(
    run: EngineRun, reference: EngineRun, tolerance: float, fill_differences: int
) -> Comparison:
    ours, theirs = run.closes, reference.closes
    joined = theirs.join(ours, on="open_time_ms", how="full", coalesce=True, suffix="_run")
    apart = (pl.col("target") - pl.col("target_run")).abs()
    may_be_apart = tolerance if tolerance > EQUITY_TOLERANCE else 0.0
    silent = pl.col("target").is_null() != pl.col("target_run").is_null()
    differs = silent | (apart > may_be_apart).fill_null(False)
    one_sided = pl.col("equity").is_null() | pl.col("equity_run").is_null()
    equity, other = (joined[name].to_numpy() for name in ("equity", "equity_run"))
    gap = np.abs(other / equity - 1.0) if joined.height else np.zeros(1)
    return Comparison(
        engine=run.engine,
        reference=reference.engine,
        decisions=theirs.height,
        decision_differences=joined.filter(differs | one_sided).height,
        fills=reference.fills.height,
        fill_differences=fill_differences,
        equity_difference=float(np.max(np.nan_to_num(gap, nan=np.inf))),
        tolerance=tolerance,
        guarded=reference.guarded,
        guarded_difference=abs(run.guarded - reference.guarded),
    )


def _fill_differences(
    ours: pl.DataFrame, theirs: pl.DataFrame, columns: Sequence[str] = FILL_COLUMNS
) -> int:
    a, b = (frame.select(columns).rows() for frame in (ours, theirs))
    return sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b))


def _count(value: object) -> int:
    assert isinstance(value, int)
    return value


def _no_fills() -> pl.DataFrame:
    whole = pl.Int64
    return pl.DataFrame(schema={"time_ms": whole, "side": pl.String, "ticks": whole, "lots": whole})
