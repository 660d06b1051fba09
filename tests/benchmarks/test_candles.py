"""Loading a year of minutes against polars' own parquet read, and resampling it against pandas."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
import pytest

from tests.data.conftest import candle_frame
from workbench.data import Places, load, resample
from workbench.data.store import Store
from workbench.market.timeframes import TIMEFRAMES

MINUTES = 525_600
START_MS = 1_672_531_200_000  # 2023-01-01
ROUNDS = 15
SLACK = 0.2
LOAD_GOAL = 1.5  # times polars' own read, at most
RESAMPLE_GOAL = 2.0  # times as fast as pandas, at least


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, list[Path]]:
    """A year of minutes with ragged volumes in the store, twelve files."""
    chance = np.random.default_rng(10)
    frame = candle_frame(MINUTES, "1m", start_ms=START_MS).with_columns(
        volume=pl.Series(chance.lognormal(size=MINUTES).round(5)), trades=pl.lit(7, pl.Int64)
    )
    frame = frame.with_columns(quote_volume=pl.col("volume") * pl.col("close"))
    root = tmp_path_factory.mktemp("year")
    series = Store(root).series("binance", "BTCUSDT", TIMEFRAMES["1m"])
    series.add(frame, collected_ms=0, provenance="a benchmark")
    return Places(None, root, None), sorted(root.rglob("*.parquet"))


def alternated(*work: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of each piece of work in rounds that take turns, after one to warm up."""
    for one in work:
        one()
    rounds = []
    for _ in range(ROUNDS):
        rounds.append([_seconds(one) for one in work])
    return rounds


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, polars {pl.__version__}"


def test_a_year_of_minutes_loads_about_as_fast_as_polars_reads_it(
    year: tuple[Places, list[Path]],
) -> None:
    places, paths = year
    assert len(load("BTCUSDT", "1m", places=places)) == MINUTES
    few = ["open_time", "open", "high", "low", "close", "volume"]
    rounds = alternated(
        lambda: load("BTCUSDT", "1m", places=places),
        lambda: pl.read_parquet(paths),
        lambda: pl.read_parquet(paths, columns=few),
    )
    ours, whole, part = (median(column) * 1e3 for column in zip(*rounds, strict=True))
    ratio = median(mine / read for mine, read, _ in rounds)
    print(
        f"\nload a year of 1m as checked records: {ours:.0f} ms; polars' read_parquet: {whole:.0f} ms "
        f"(all columns), {part:.0f} ms (six columns); ratio {ratio:.2f} ({machine()})"
    )
    assert ratio <= LOAD_GOAL * (1 + SLACK)


def test_a_year_of_minutes_becomes_hours_faster_than_in_pandas(
    year: tuple[Places, list[Path]],
) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas comes with the peers")
    frame = pl.read_parquet(year[1]).drop("provenance")
    names = ["open", "high", "low", "close", "volume"]
    times = frame["open_time"].to_physical().to_numpy()
    rows = pandas.DataFrame(
        {name: frame[name].to_numpy() for name in names},
        index=pandas.DatetimeIndex(times.astype("datetime64[ms]")),
    )
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    read = frame.select("symbol", "open_time", *names)  # a piece of each column from every file
    small = read.rechunk()  # whole columns, as pandas has them
    mine, theirs = resample(small, "1m", "1h"), rows.resample("1h").agg(how)
    assert mine.select(names).to_numpy() == pytest.approx(theirs[names].to_numpy(), rel=1e-12)
    rounds = alternated(
        lambda: resample(small, "1m", "1h"),
        lambda: resample(read, "1m", "1h"),
        lambda: rows.resample("1h").agg(how),
    )
    ours, pieces, other = (median(column) * 1e3 for column in zip(*rounds, strict=True))
    ratio = median(pandas_s / mine_s for mine_s, _, pandas_s in rounds)
    in_pieces = median(pandas_s / read_s for _, read_s, pandas_s in rounds)
    print(
        f"\nresample a year of 1m to 1h: {ours:.1f} ms, pandas {other:.1f} ms, {ratio:.1f} times as fast; "
        f"columns as twelve files are read {pieces:.1f} ms, {in_pieces:.1f} times as fast as pandas on whole"
    )
    assert ratio >= RESAMPLE_GOAL * (1 - SLACK)
