"""What a portfolio hands back: the account's equity and metrics, and every part's own backtest.

The account is marked whenever a candle of any part closes; a part whose candle is still open counts
with its last close, one that has not begun with its capital.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.results import BacktestResult, reasons_of
from workbench.backtest.scorecard import Metrics, Span, score
from workbench.backtest.scratch import EQUITY
from workbench.backtest.setting import Costs, samples_a_year
from workbench.market.timeframes import DAY_MS, YEAR_MS

if TYPE_CHECKING:
    import polars as pl

Refusal = tuple[str, int, str]  # instance, time in ms, reason


@dataclass(frozen=True, eq=False)
class PortfolioResult:
    """The account (`metrics`, `equity`, `trades`, `fills`, `refusals`) and its `parts` by name."""

    parts: dict[str, BacktestResult]
    costs: Costs
    metrics: Metrics
    reasons: dict[str, str]
    equity: pl.DataFrame
    trades: pl.DataFrame
    fills: pl.DataFrame
    refusals: pl.DataFrame
    notes: tuple[str, ...]

    @classmethod
    def build(
        cls,
        parts: dict[str, BacktestResult],
        *,
        costs: Costs,
        spare: float,
        steps: Mapping[str, float],
        refusals: Sequence[Refusal],
        notes: tuple[str, ...],
    ) -> PortfolioResult:
        """Add the parts up; `spare` is cash that no part was given, `steps` each part's lot."""
        import polars as pl

        equity = _equity_frame(parts, spare, steps)
        curve = np.zeros(equity.height, EQUITY)
        curve["equity"], curve["cash"] = equity["equity"], equity["cash"]
        trades = _joined(parts, {name: run.trades for name, run in parts.items()}, "entry_time")
        span = _span(parts, equity["time"].dt.epoch("ms").to_numpy())
        metrics = score(
            span, costs.cash, curve,
            trades.filter(~pl.col("is_open"))["pnl"].to_numpy(),
            held=int((equity["positions"] > 0).sum()),
            open_trade=any(run.metrics["open_trade"] for run in parts.values()),
            fees=sum(float(run.metrics["fees"] or 0.0) for run in parts.values()),
        )  # fmt: skip
        said = [f"{name}: {note}" for name, run in parts.items() for note in run.notes]
        return cls(
            parts=parts,
            costs=costs,
            metrics=metrics,
            reasons=reasons_of(metrics, span.days),
            equity=equity,
            trades=trades,
            fills=_joined(parts, {name: run.fills for name, run in parts.items()}, "time"),
            refusals=_refusals_frame(refusals),
            notes=(*notes, *said),
        )

    @property
    def title(self) -> str:
        """Return what ran, in one line."""
        return f"{len(self.parts)} instances on one account of {self.costs.cash:,.2f}"

    def table(self) -> pl.DataFrame:
        """Return one row a part and one for the account: what it earned and what it cost."""
        import polars as pl

        names = ("total_return", "max_drawdown", "sharpe", "trades", "exposure", "fees")
        rows = [
            {
                "instance": name,
                "symbol": run.candles.symbol,
                "interval": str(run.candles.timeframe),
                "strategy": run.spec.name,
                "capital": run.costs.cash,
                **{one: run.metrics[one] for one in names},
            }
            for name, run in self.parts.items()
        ]
        whole = {"instance": "account", "symbol": None, "interval": None, "strategy": None}
        rows.append(
            whole | {"capital": self.costs.cash} | {one: self.metrics[one] for one in names}
        )
        return pl.DataFrame(rows, infer_schema_length=None)

    def correlations(self) -> pl.DataFrame:
        """Return the correlations of the parts' daily returns; null where a part never moved."""
        import polars as pl

        names = list(self.parts)
        days = self.equity.group_by(pl.col("time").dt.offset_by("-1ms").dt.date()).last()
        levels = days.sort("time").select(names).to_numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.atleast_2d(np.corrcoef(levels[1:] / levels[:-1] - 1.0, rowvar=False))
        columns = {name: found[:, i] for i, name in enumerate(names)}
        return pl.DataFrame({"instance": names, **columns}).with_columns(
            pl.col(names).fill_nan(None)
        )

    def summary(self) -> dict[str, object]:
        """Return metrics, reasons and the parts' own summaries as plain values for JSON."""
        return {
            **self.metrics,
            "reasons": self.reasons,
            "refused": self.refusals.height,
            "parts": {name: run.summary() for name, run in self.parts.items()},
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        total = self.metrics["total_return"]
        return (
            f"PortfolioResult({self.title}: return {total:+.2%}, {self.metrics['trades']} trades)"
        )


def _equity_frame(
    parts: Mapping[str, BacktestResult], spare: float, steps: Mapping[str, float]
) -> pl.DataFrame:
    """Return time (of closes), equity, cash, holding, how many parts hold a position, each part's equity."""
    import polars as pl

    closes = {name: _closes_ms(run) for name, run in parts.items()}
    times = np.unique(np.concatenate(list(closes.values())))
    columns: dict[str, np.ndarray] = {}
    sums = {name: np.full(len(times), float(spare)) for name in ("equity", "cash", "holding")}
    positions = np.zeros(len(times), np.int64)
    for name, run in parts.items():
        at = np.searchsorted(closes[name], times, side="right")  # 0: it has not begun
        for what, total in sums.items():
            levels = np.concatenate([[run.costs.cash], run.equity[what].to_numpy()])[at]
            total += levels
            if what == "equity":
                columns[name] = levels
        positions += np.concatenate([[False], run.equity["quantity"].to_numpy() >= steps[name]])[at]
    time = pl.Series("time", times).cast(pl.Datetime("ms", "UTC"))
    return pl.DataFrame({"time": time, **sums, "positions": positions, **columns})


def _closes_ms(run: BacktestResult) -> np.ndarray:
    following = run.candles.timeframe.next
    return np.array([following(int(t)) for t in run.candles.window["open_time"]], np.int64)


def _span(parts: Mapping[str, BacktestResult], times: np.ndarray) -> Span:
    """Return the account's span: days by the clock, samples at the end of each UTC day."""
    finest = min((run.candles.timeframe for run in parts.values()), key=lambda one: one.mean_ms)
    began = min(int(run.candles.window["open_time"][0]) for run in parts.values())
    day = (times - 1) // DAY_MS
    ends = np.ones(len(times), np.int8)
    if finest.mean_ms < DAY_MS:
        ends[:-1] = day[1:] != day[:-1]
    return Span(
        ends=ends,
        days=(int(times[-1]) - began) / DAY_MS,
        samples_a_year=samples_a_year(finest),
        bars_a_year=YEAR_MS / finest.mean_ms,
    )


def _joined(
    parts: Mapping[str, BacktestResult], frames: Mapping[str, pl.DataFrame], time: str
) -> pl.DataFrame:
    import polars as pl

    named = [
        frame.select(
            pl.lit(name).alias("instance"),
            pl.lit(parts[name].candles.symbol).alias("symbol"),
            pl.all(),
        )
        for name, frame in frames.items()
    ]
    return pl.concat(named).sort(time, maintain_order=True)


def _refusals_frame(refusals: Sequence[Refusal]) -> pl.DataFrame:
    import polars as pl

    frame = pl.DataFrame(
        refusals,
        schema={"instance": pl.String, "time": pl.Int64, "reason": pl.String},
        orient="row",
    )
    return frame.with_columns(pl.col("time").cast(pl.Datetime("ms", "UTC"))).sort(
        "time", maintain_order=True
    )
