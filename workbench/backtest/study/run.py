"""The study: symbols x intervals x windows x strategies x parameter sets, in one frame.

Every row is one backtest with the metrics of a sweep, and what holding earned beside it. The rows
stream to a parquet file in parts, so a study of any size needs little memory, can be interrupted or
killed and goes on where it was.

A candle belongs to a window when it opens at or after its start and has closed by its end. What lies
before the window is warm-up: as much as makes a parameter set stable, or, with `all_history`, all.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.batches import Batch, Work
from workbench.backtest.distributed import run_batches
from workbench.backtest.exits import exit_texts
from workbench.backtest.grids import spans
from workbench.backtest.kernels import kernel
from workbench.backtest.parts import Parts
from workbench.backtest.progress import progress_bar
from workbench.backtest.recording import LEDGER, NOT_TRIALS, ROWS_AT_ONCE, Gathering, Recorder
from workbench.backtest.setting import holding_curve
from workbench.backtest.study.plan import ParameterSets, StudyPlan, Window
from workbench.backtest.study.result import StudyResult
from workbench.data import load
from workbench.errors import DataError
from workbench.market.candles import Candles

if TYPE_CHECKING:
    import polars as pl
    from distributed import Client

ROWS_A_PART = 5_000


@dataclass(frozen=True, slots=True)
class _Job:
    """One part of the study: a window of a series, a strategy, and some of its parameter sets."""

    symbol: str
    interval: str
    window: Window
    sets: ParameterSets
    begin: int
    end: int


class _Market:
    """The series of a study, loaded when their turn comes; only the latest ones are kept."""

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        self.series = lru_cache(maxsize=2)(self._load)
        self.window = lru_cache(maxsize=2)(self._cut)
        self.sources: set[str] = set()

    def _load(self, symbol: str, interval: str) -> Candles:
        starts = [window.start_ms for window in self._plan.windows]
        ends = [window.end_ms for window in self._plan.windows]
        start = None if None in starts else min(one for one in starts if one is not None)
        end = None if None in ends else max(one for one in ends if one is not None)
        whole = load(symbol, interval, start=start, end=end)
        self.sources.add(whole.source)
        return replace(whole, first=0)

    def _cut(self, symbol: str, interval: str, window: Window) -> Candles:
        series = self.series(symbol, interval)
        times = series.records["open_time"]
        ends, begins = len(times), 0
        if window.end_ms is not None:
            ends = int(np.searchsorted(times, window.end_ms))
            while ends and series.timeframe.next(int(times[ends - 1])) > window.end_ms:
                ends -= 1
        if window.start_ms is not None:
            begins = int(np.searchsorted(times, window.start_ms))
        if ends - begins < 2:
            raise DataError(
                f"{symbol} {interval}: window {window.name} has {max(0, ends - begins)} closed candles"
                f" ({series.source}); widen it, or leave the interval out"
            )
        return replace(series, records=series.records[:ends], first=begins)


def run_study(
    plan: StudyPlan,
    *,
    out: Path | None = None,
    resume: bool = False,
    on: Client | None = None,
    progress: bool = False,
    rows_a_part: int = ROWS_A_PART,
    trials: Recorder = LEDGER,
) -> StudyResult:
    """Run a study; with `out` its rows stream to that parquet file, else they are kept in memory.

    Every row is a trial; those of a part are on the ledger's disk before the part is.
    Raises UsageError for a plan or a file that does not fit, DataError where candles are missing.
    """
    import polars as pl

    began = time.perf_counter()
    market, jobs = _Market(plan), list(_jobs(plan, rows_a_part))
    key = _key(plan, market, rows_a_part)
    empty = _empty(plan, market)
    gathering = Gathering(trials, most_rows=ROWS_AT_ONCE if out is None else 1)
    run = partial(_run, plan, jobs, market, on, progress, empty, gathering)
    if out is None:
        frames: dict[int, pl.DataFrame] = {}
        with gathering:
            run(range(len(jobs)), frames.__setitem__)
        result = StudyResult.kept(plan, pl.concat([frames[number] for number in range(len(jobs))]))
    else:
        parts = Parts(out, key, len(jobs), plan.columns)
        with gathering, parts.writing(resume=resume) as left:
            run(left, parts.put)
        result = StudyResult.written(plan, out)
    return replace(
        result,
        invalid_combinations=sum(one.invalid for one in plan.sets) * plan.series_windows,
        sources=tuple(sorted(market.sources)),
        seconds=time.perf_counter() - began,
        uncounted=gathering.uncounted,
    )


def _jobs(plan: StudyPlan, size: int) -> Iterator[_Job]:
    for symbol in plan.symbols:
        for interval in plan.intervals:
            for window in plan.windows:
                for sets in plan.sets:
                    for begin, end in spans(len(sets.params), size):
                        yield _Job(symbol, interval, window, sets, begin, end)


def _run(
    plan: StudyPlan,
    jobs: list[_Job],
    market: _Market,
    on: Client | None,
    progress: bool,
    empty: pl.DataFrame,
    trials: Recorder,
    numbers: Sequence[int],
    keep: Callable[[int, pl.DataFrame], None],
) -> None:
    held: dict[int, float] = {}  # what holding earned, by job: on a cluster jobs end in any order

    def work(number: int) -> Work:
        job = jobs[number]
        params = job.sets.params[job.begin : job.end]
        candles = market.window(job.symbol, job.interval, job.window)
        held[number] = float(holding_curve(candles, plan.costs)[-1] / plan.costs.cash - 1.0)
        return candles, Batch(job.sets.spec, params, plan.costs, plan.all_history, plan.columns)

    total = sum(jobs[n].end - jobs[n].begin for n in numbers)
    with (
        progress_bar(total, unit="tests", desc="study", shown=progress) as bar,
        closing(run_batches(numbers, work, trials=trials, on=on)) as finished,
    ):
        for number, rows in finished:
            assert rows is not None  # a plan keeps valid sets alone
            keep(number, _named(jobs[number], rows, held.pop(number), empty))
            bar.update(jobs[number].end - jobs[number].begin)


def _named(job: _Job, rows: pl.DataFrame, held: float, empty: pl.DataFrame) -> pl.DataFrame:
    """Return a batch's rows with the study's columns: the five keys before, holding behind."""
    import polars as pl

    spec = job.sets.spec
    each = [pl.format(f"{one.name}={{}}", pl.col(one.name)) for one in spec.parameters]
    texts = exit_texts(job.sets.params[job.begin : job.end])
    each += [pl.lit(pl.Series("exits", texts, pl.String))] if any(texts) else []
    said = pl.concat_str(each, separator=", ") if each else pl.lit("")
    named = rows.with_columns(
        symbol=pl.lit(job.symbol),
        interval=pl.lit(job.interval),
        window=pl.lit(job.window.name),
        strategy=pl.lit(spec.name),
        params=said,
        holding=pl.lit(held),
    )
    missing = [name for name in empty.columns if name not in named.columns]
    named = named.with_columns(pl.lit(None).alias(name) for name in missing)
    return named.select(pl.col(n).cast(dtype) for n, dtype in empty.schema.items())


def _empty(plan: StudyPlan, market: _Market) -> pl.DataFrame:
    """Return the study's columns without rows: a parameter is null where a strategy has it not."""
    import polars as pl

    from workbench.backtest.sweep import sweep_params

    kinds: dict[str, pl.DataType] = {}
    first = plan.sets[0]
    candles = market.window(plan.symbols[0], plan.intervals[0], plan.windows[0])
    metrics = sweep_params(
        candles,
        first.spec,
        first.params[:1],
        costs=plan.costs,
        columns=plan.columns,
        trials=NOT_TRIALS,
    ).frame
    for sets in plan.sets:
        for one in sets.spec.parameters:
            kind = pl.Int64() if one.kind == "int" else pl.Float64()
            kinds[one.name] = kind if kinds.get(one.name, kind) == kind else pl.Float64()
    own = {one.name for one in first.spec.parameters}
    text = dict.fromkeys(("symbol", "interval", "window", "strategy", "params"), pl.String())
    rest = {n: t for n, t in metrics.schema.items() if n not in own}
    return pl.DataFrame(schema={**text, **kinds, **rest, "holding": pl.Float64()})


def _key(plan: StudyPlan, market: _Market, rows_a_part: int) -> str:
    """Return the hash of all that the rows depend on: candles, code, parameters and costs.

    Raises DataError where a series or a window of one has too few candles.
    """
    digest = hashlib.sha256(
        f"{plan.costs!r} {plan.all_history} {rows_a_part} {plan.columns}".encode()
    )
    for sets in plan.sets:
        digest.update(kernel(sets.spec).key.encode() + sets.params.tobytes())
    for window in plan.windows:
        digest.update(repr(window).encode())
    for symbol in plan.symbols:
        for interval in plan.intervals:
            series = market.series(symbol, interval)
            digest.update(f"{symbol} {interval} {series.sha256}".encode())
            for window in plan.windows:
                market.window(symbol, interval, window)  # raises here, before any backtest runs
    return digest.hexdigest()
