"""The 2,400-scenario study in three columns: as published, from a cold start, and honest.

Six symbols, four intervals, four look-backs before 2025-10-02 17:40 UTC and 25 MACD parameter sets.
The same scenarios are scored three times; the tables stand side by side, with holding beside them.
Values are percentages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.recording import LEDGER, Gathering, Recorder
from workbench.backtest.setting import Costs, beats, holding_curve
from workbench.backtest.study.headline_rules import Outcome, cold_start, published
from workbench.backtest.sweep import sweep_params
from workbench.data import load, resample
from workbench.errors import DataError
from workbench.market.candles import Candles
from workbench.market.timeframes import DAY_MS, parse_timeframe
from workbench.strategies import load as load_strategy

if TYPE_CHECKING:
    import polars as pl

RUN_MS = int(datetime(2025, 10, 2, 17, 40, tzinfo=UTC).timestamp()) * 1000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")
INTERVALS = ("1h", "4h", "1d", "1w")
LOOK_BACKS = (30, 90, 180, 365)
MOST_CANDLES = 1_000
PARAMETER_SETS = (
    (12, 26, 9), (8, 21, 5), (19, 39, 9), (5, 35, 5), (15, 30, 10), (5, 13, 3), (6, 19, 6),
    (9, 21, 7), (10, 25, 8), (20, 40, 10), (25, 50, 12), (30, 60, 15), (15, 45, 9), (12, 26, 3),
    (12, 26, 5), (12, 26, 12), (12, 26, 15), (7, 14, 7), (10, 20, 10), (14, 28, 14), (16, 32, 16),
    (3, 7, 3), (50, 100, 25), (4, 8, 2), (40, 80, 20),
)  # fmt: skip
CLAIMED = ("XRPUSDT", "1d", 365, "30/60/15")
COLUMNS = ("published", "cold_start", "honest")
HONEST_COSTS = Costs(fee_bps=10.0, slippage_bps=0.0)


@dataclass(frozen=True, slots=True)
class Headline:
    """All scenarios with their three values: one row each, and where the candles came from."""

    frame: pl.DataFrame
    source: str
    uncounted: str = ""  # why trials are missing from the ledger

    def summary(self) -> dict[str, dict[str, object]]:
        """Return the three columns as `workbench headline --json` prints them."""
        return {column: self._column(column) for column in COLUMNS}

    def by(self, key: str) -> pl.DataFrame:
        """Return the mean of the three columns and of holding by interval, symbol, days or params."""
        import polars as pl

        means = [pl.col(c).mean() for c in (*COLUMNS, "holding")]
        return self.frame.group_by(key, maintain_order=True).agg(means)

    def _column(self, column: str) -> dict[str, object]:
        import polars as pl

        frame = self.frame.with_columns(value=pl.col(column))
        entered = frame.filter(pl.col(f"{column}_entered"))
        beat = beats(pl.col("value") / 100.0, pl.col("holding") / 100.0)
        best = frame.sort("value", descending=True).row(0, named=True)
        ranked = frame.group_by("params").agg(pl.col("value").mean()).sort("value", descending=True)
        symbol, interval, days, params = CLAIMED
        claimed = frame.filter(
            pl.col("symbol") == symbol,
            pl.col("interval") == interval,
            pl.col("days") == days,
            pl.col("params") == params,
        ).row(0, named=True)
        return {
            "n": frame.height,
            "mean": _mean(frame["value"]),
            "by_interval": _means(frame, "interval"),
            "by_symbol": _means(frame, "symbol"),
            "best": {k: best[k] for k in ("symbol", "interval", "days", "params", "value")},
            "top_params": ranked.to_dicts(),
            "holding_mean": _mean(frame["holding"]),
            "beat_holding_pct": 100.0 * _mean(entered.select(beat).to_series()),
            "no_trades": frame.height - entered.height,
            "claimed": {
                "value": claimed["value"],
                "trades": claimed[f"{column}_trades"],
                "holding": claimed["holding"],
            },
        }


def headline_study(
    tick: Callable[[int], object] | None = None, *, trials: Recorder = LEDGER
) -> Headline:
    """Run all 2,400 scenarios three times; `tick(n)` is called as n more are done.

    The honest ones are trials; the other two columns are arithmetic that no engine of ours would do.
    Raises DataError where recorded candles do not cover the study.
    """
    import polars as pl

    parts, sources = [], set()
    with Gathering(trials) as gathering:
        for symbol, interval in product(SYMBOLS, INTERVALS):
            series = _series(symbol, interval)
            sources.add(series.source)
            for days in LOOK_BACKS:
                parts.append(_scenarios(series, days, gathering))
                if tick:
                    tick(len(PARAMETER_SETS))
    return Headline(pl.concat(parts), " + ".join(sorted(sources)), gathering.uncounted)


def _series(symbol: str, interval: str) -> Candles:
    raw = "1d" if interval == "1w" else interval
    last = parse_timeframe(interval).floor(RUN_MS)
    candles = load(symbol, raw, end=parse_timeframe(interval).next(last))
    if candles.synthetic:
        raise DataError(
            f"the study needs recorded candles of {symbol} {raw} up to 2025-10-02; set WORKBENCH_DATA "
            "to a folder that holds them, or collect them with `workbench collect`"
        )
    if raw == interval:
        return candles
    weekly = resample(candles.frame(), raw, interval, keep_open=True)
    return Candles.from_frame(weekly, parse_timeframe(interval), source=candles.source)


def _scenarios(series: Candles, days: int, trials: Recorder) -> pl.DataFrame:
    import polars as pl

    times = series.records["open_time"]
    begins = int(np.searchsorted(times, RUN_MS - days * DAY_MS))
    window = series.records[begins:][:MOST_CANDLES]
    close, opens = window["close"].copy(), window["open"].copy()
    wrong = [published(close, *one) for one in PARAMETER_SETS]
    cold = [cold_start(opens, close, *one) for one in PARAMETER_SETS]
    honest, holding = _honest(series, begins, trials)
    return pl.DataFrame(
        {
            "symbol": [series.symbol] * len(PARAMETER_SETS),
            "interval": [str(series.timeframe)] * len(PARAMETER_SETS),
            "days": [days] * len(PARAMETER_SETS),
            "params": ["/".join(map(str, one)) for one in PARAMETER_SETS],
            **dict(_outcome_columns("published", wrong)),
            **dict(_outcome_columns("cold_start", cold)),
            **dict(_outcome_columns("honest", honest)),
            "holding": [holding] * len(PARAMETER_SETS),
        }
    )


def _honest(series: Candles, begins: int, trials: Recorder) -> tuple[list[Outcome], float]:
    closed = [series.timeframe.next(int(t)) <= RUN_MS for t in series.records["open_time"][-2:]]
    ends = len(series.records) - closed.count(False)
    candles = Candles(series.symbol, series.timeframe, series.records[:ends], begins, series.source)
    spec = load_strategy("macd")
    params = np.zeros(len(PARAMETER_SETS), spec.params_dtype)
    for i, one in enumerate(PARAMETER_SETS):
        params[i] = one
    frame = sweep_params(
        candles, spec, params, costs=HONEST_COSTS, all_history=True, trials=trials
    ).frame
    outcomes = [
        Outcome(100.0 * row["total_return"], row["trades"], row["trades"] > 0 or row["open_trade"])
        for row in frame.iter_rows(named=True)
    ]
    held = holding_curve(candles, HONEST_COSTS)[-1] / HONEST_COSTS.cash - 1.0
    return outcomes, 100.0 * float(held)


def _outcome_columns(name: str, outcomes: list[Outcome]) -> Iterator[tuple[str, list[object]]]:
    yield name, [one.value for one in outcomes]
    yield f"{name}_trades", [one.trades for one in outcomes]
    yield f"{name}_entered", [one.entered for one in outcomes]


def _mean(values: pl.Series) -> float:
    return float(np.mean(values.to_numpy())) if len(values) else float("nan")


def _means(frame: pl.DataFrame, key: str) -> dict[str, float]:
    import polars as pl

    means = frame.group_by(key, maintain_order=True).agg(pl.col("value").mean())
    return dict(means.iter_rows())
