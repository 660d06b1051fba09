"""What a study hands back: one frame of all backtests, ranked, pivoted, never only its best row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.backtest.results import demand_metric
from workbench.backtest.setting import beats
from workbench.backtest.study.plan import StudyPlan
from workbench.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

KEYS = ("symbol", "interval", "window", "strategy", "params")
BITCOIN = "BTCUSDT"
MARKS = ("cash", "basket", "bitcoin")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """All backtests of a study; in memory, or in the parquet file `path`."""

    plan: StudyPlan
    path: Path | None
    rows: pl.DataFrame | None
    invalid_combinations: int = 0
    sources: tuple[str, ...] = ()
    seconds: float = 0.0
    uncounted: str = ""  # why trials are missing from the ledger; no verdict may rely on its N then

    @classmethod
    def kept(cls, plan: StudyPlan, frame: pl.DataFrame) -> StudyResult:
        """Return a result whose rows are in memory."""
        return cls(plan, None, frame)

    @classmethod
    def written(cls, plan: StudyPlan, path: Path) -> StudyResult:
        """Return a result whose rows are in a file; they are read when they are asked for."""
        return cls(plan, path, None)

    @property
    def frame(self) -> pl.DataFrame:
        """Return one row a backtest: five keys, parameters, metrics, columns asked for, and holding."""
        return self.scan().collect()

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame, for studies that are larger than memory."""
        import polars as pl

        if self.rows is not None:
            return self.rows.lazy()
        assert self.path is not None
        return pl.scan_parquet(self.path)

    def __len__(self) -> int:
        return self.plan.tests

    def ranking(self, key: str, metric: str = "total_return") -> pl.DataFrame:
        """Return one row a symbol, interval, window, strategy or parameter set, the best mean first.

        With mean, median, lowest and highest of the metric, the share of backtests that earned
        something, and the share that beat holding, of those that traded.
        """
        import polars as pl

        _demand(key, KEYS, "key")
        demand_metric(metric, self.plan.columns, "study")
        keys = ["strategy", "params"] if key == "params" else [key]
        value, entered = pl.col(metric), (pl.col("trades") > 0) | pl.col("open_trade")
        beat = beats(pl.col("total_return"), pl.col("holding")).filter(entered)
        grouped = self.scan().group_by(keys, maintain_order=True)
        return (
            grouped.agg(
                pl.len().alias("tests"),
                value.mean().alias("mean"),
                value.median().alias("median"),
                value.min().alias("lowest"),
                value.max().alias("highest"),
                (pl.col("total_return") > 0.0).mean().alias("earned"),
                beat.mean().alias("beat_holding"),
                pl.col("holding").mean().alias("holding"),
            )
            .sort("mean", descending=True, nulls_last=True, maintain_order=True)
            .collect()
        )

    def benchmarks(self) -> pl.DataFrame:
        """Return one row an interval and window: what the tests earned beside what asks no skill.

        `cash` earns nothing; `basket` puts the same amount into every symbol of the study and holds it;
        `bitcoin` holds BTCUSDT, null where the study is without it. The shares that beat each are, as in
        a ranking, of the backtests that traded.
        """
        import polars as pl

        spans, own = ["interval", "window"], pl.col("total_return")
        entered = (pl.col("trades") > 0) | pl.col("open_trade")
        of_bitcoin = pl.col("holding").filter(pl.col("symbol") == BITCOIN).first()
        held = (
            self.scan()
            .group_by(*spans, "symbol", maintain_order=True)
            .agg(pl.col("holding").first())
        )
        marks = held.group_by(spans, maintain_order=True).agg(
            pl.lit(0.0).alias("cash"),
            pl.col("holding").mean().alias("basket"),
            of_bitcoin.alias("bitcoin"),
        )
        told = self.scan().join(marks, on=spans, how="left", maintain_order="left")
        return (
            told.group_by(spans, maintain_order=True)
            .agg(
                pl.len().alias("tests"),
                own.mean().alias("mean"),
                own.median().alias("median"),
                *(pl.col(mark).first() for mark in MARKS),
                *(
                    beats(own, pl.col(mark)).filter(entered).mean().alias(f"beat_{mark}")
                    for mark in MARKS
                ),
            )
            .collect()
        )

    def pivot(self, rows: str, columns: str, metric: str = "total_return") -> pl.DataFrame:
        """Return the mean of a metric for each value of `rows` (down) and of `columns` (across)."""
        exits = [name for name in self.scan().collect_schema() if name.startswith("exit_")]
        names = (*KEYS, *self._parameters(), *exits)
        _demand(rows, names, "key")
        _demand(columns, names, "key")
        demand_metric(metric, self.plan.columns, "study")
        if rows == columns:
            raise UsageError(f"rows and columns are both {rows!r}; choose two keys")
        import polars as pl

        means = self.scan().group_by(rows, columns, maintain_order=True).agg(pl.col(metric).mean())
        return means.collect().pivot(columns, index=rows, values=metric)

    def best(self, metric: str = "total_return") -> dict[str, object]:
        """Return the row with the highest value of a metric; UsageError where none has one."""
        demand_metric(metric, self.plan.columns, "study")
        top = self.top(1, metric).drop_nulls(metric)
        if not top.height:
            raise UsageError(f"no backtest has a {metric}; choose another metric")
        return top.row(0, named=True)

    def top(self, count: int = 10, metric: str = "total_return") -> pl.DataFrame:
        """Return the rows with the highest value of a metric, the parameters as text alone."""
        demand_metric(metric, self.plan.columns, "study")
        ranked = self.scan().sort(metric, descending=True, nulls_last=True).head(count)
        return ranked.drop(self._parameters()).collect()

    def summary(self, metric: str = "total_return") -> dict[str, object]:
        """Return what `workbench study --json` prints, ranked by a metric."""
        return {
            "title": self.plan.title,
            "tests": len(self),
            "invalid_combinations": self.invalid_combinations,
            "sources": list(self.sources),
            "seconds": round(self.seconds, 3),
            "out": str(self.path) if self.path else None,
            "notes": [self.uncounted] if self.uncounted else [],
            **{f"by_{key}": self.ranking(key, metric).head(25).to_dicts() for key in KEYS},
            "benchmarks": self.benchmarks().to_dicts(),
            "best": self.best(metric),
        }

    @property
    def title(self) -> str:
        """Return what was studied, in one line."""
        plan = self.plan
        mark = "SYNTHETIC " if any(one.startswith("SYNTHETIC") for one in self.sources) else ""
        sets = sum(len(one.params) for one in plan.sets)
        return (
            f"{mark}{plan.title}: {len(self):,} backtests = {len(plan.symbols)} symbols x "
            f"{len(plan.intervals)} intervals x {len(plan.windows)} windows x {sets:,} sets, "
            f"{plan.costs.fee_bps:g} bps fee, {plan.costs.slippage_bps:g} bps slippage"
        )

    def _parameters(self) -> list[str]:
        names = (one.name for sets in self.plan.sets for one in sets.spec.parameters)
        return list(dict.fromkeys(names))

    def __repr__(self) -> str:
        return f"StudyResult({self.title}, {self.seconds:.2f} s)"


def _demand(name: str, known: tuple[str, ...], kind: str) -> None:
    if name not in known:
        raise UsageError(f"unknown {kind} {name!r}; known are {', '.join(known)}")
