"""Coarse candles are built from fine ones without inventing, losing or foreseeing anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from workbench.data.resample import divides, resample
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import TIMEFRAMES


def naive(frame: pl.DataFrame, opens_of: dict[datetime, datetime]) -> list[tuple]:
    """Group by hand: first open, highest high, lowest low, last close, summed volume."""
    groups: dict[datetime, list[dict]] = {}
    for row in frame.sort("open_time").iter_rows(named=True):
        groups.setdefault(opens_of[row["open_time"]], []).append(row)
    return [
        (
            opened,
            rows[0]["open"],
            max(row["high"] for row in rows),
            min(row["low"] for row in rows),
            rows[-1]["close"],
            sum(row["volume"] for row in rows),
        )
        for opened, rows in groups.items()
    ]


def calendar_open(at: datetime, coarse: str) -> datetime:
    """Return where a coarse candle opens, by the calendar rather than by arithmetic on numbers."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if coarse == "1M":
        return midnight.replace(day=1)
    if coarse == "1w":
        return midnight - timedelta(days=at.weekday())
    if coarse == "3d":
        return midnight - timedelta(days=(midnight - datetime(1970, 1, 1, tzinfo=UTC)).days % 3)
    if coarse == "1d":
        return midnight
    hours = int(coarse.removesuffix("h"))
    return midnight + timedelta(hours=at.hour // hours * hours)


@settings(max_examples=60, deadline=None)
@given(
    coarse=st.sampled_from(["1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]),
    first=st.integers(0, 24 * 400),
    kept=st.lists(st.booleans(), min_size=1, max_size=200),
)
def test_coarse_candles_are_those_of_a_grouping_by_the_calendar(
    coarse: str, first: int, kept: list[bool]
) -> None:
    hours = candle_frame(len(kept), "1h", start_ms=JANUARY_2024_MS + first * 3_600_000)
    hours = hours.filter(pl.Series(kept))
    opens = {at: calendar_open(at, coarse) for at in hours["open_time"]}
    built = resample(hours, "1h", coarse, keep_open=True)
    columns = ["open_time", "open", "high", "low", "close", "volume"]
    expected = naive(hours, opens)
    assert [row[:5] for row in built.select(columns).iter_rows()] == [row[:5] for row in expected]
    assert built["volume"].to_list() == pytest.approx([row[5] for row in expected], rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 239), max_size=5), st.sampled_from(["15m", "1h", "4h"]))
def test_how_a_series_was_read_in_pieces_changes_no_candle(cuts: list[int], coarse: str) -> None:
    whole = candle_frame(240, "1m", start_ms=JANUARY_2024_MS)
    edges = [0, *sorted(set(cuts)), 240]
    parts = [whole.slice(a, b - a) for a, b in pairwise(edges)]
    read = pl.concat(parts, rechunk=False)
    assert read.n_chunks() == len(parts)
    assert resample(read, "1m", coarse).equals(resample(whole, "1m", coarse))


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 400),
    coarse=st.sampled_from(["2h", "1d", "3d", "1w", "1M"]),
)
def test_a_coarse_candle_is_visible_only_once_its_last_fine_candle_is_there(
    count: int, coarse: str
) -> None:
    hours = candle_frame(count, "1h")
    end = hours["open_time"][-1] + timedelta(hours=1)
    built = resample(hours, "1h", coarse)
    opens = sorted({calendar_open(at, coarse) for at in hours["open_time"]})
    finished = [at for at in opens if calendar_open(end, coarse) > at]
    assert built["open_time"].to_list() == finished


@settings(max_examples=30, deadline=None)
@given(days=st.integers(1, 20), middle=st.sampled_from(["2h", "4h", "12h"]))
def test_two_steps_give_the_prices_of_one(days: int, middle: str) -> None:
    hours = candle_frame(days * 24, "1h")
    once = resample(hours, "1h", "1d")
    twice = resample(resample(hours, "1h", middle), middle, "1d")
    prices = ["open_time", "open", "high", "low", "close", "trades"]
    assert once.select(prices).equals(twice.select(prices))


def test_symbols_are_kept_apart() -> None:
    both = pl.concat([candle_frame(4), candle_frame(6, symbol="ETHUSDT")])
    built = resample(both, "1h", "2h")
    assert built["symbol"].to_list() == ["BTCUSDT"] * 2 + ["ETHUSDT"] * 3


def test_an_interval_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match="8h candles cannot be built from 3d ones"):
        resample(candle_frame(4, "3d"), "3d", "8h")
    assert not divides(TIMEFRAMES["3d"], TIMEFRAMES["1w"])
    assert not divides(TIMEFRAMES["1w"], TIMEFRAMES["1M"])


def test_misaligned_fine_candles_are_refused() -> None:
    frame = candle_frame(4).with_columns(pl.col("open_time") + timedelta(minutes=28))
    with pytest.raises(DataError, match=r"misaligned.*2024-01-01T00:28Z"):
        resample(frame, "1h", "4h")


@pytest.mark.parametrize(
    ("fine", "coarse", "exceptions"),
    [("1h", "4h", ["2023-03-24T12:00Z"]), ("4h", "1d", [])],
)
def test_recorded_candles_add_up_to_the_recorded_coarser_ones(
    shared_data: Path, fine: str, coarse: str, exceptions: list[str]
) -> None:
    _assert_adds_up(shared_data, f"klines_{fine}.parquet", fine, coarse, exceptions)


def test_recorded_minutes_add_up_to_recorded_hours(shared_data: Path) -> None:
    _assert_adds_up(shared_data, "klines_1m_BTCUSDT_2025-01.parquet", "1m", "1h", [])


def test_recorded_minutes_become_the_recorded_days_over_all_steps(shared_data: Path) -> None:
    """1m to 1h to 4h to 1d, each built from the one before, beside the recorded days of January."""
    built = pl.read_parquet(shared_data / "klines_1m_BTCUSDT_2025-01.parquet")
    for fine, coarse in (("1m", "1h"), ("1h", "4h"), ("4h", "1d")):
        built = resample(built, fine, coarse)
        recorded = pl.read_parquet(shared_data / f"klines_{coarse}.parquet").filter(
            symbol="BTCUSDT"
        )
        both = built.join(recorded, on="open_time", suffix="_there")
        assert len(both) == len(built) == {"1h": 744, "4h": 186, "1d": 31}[coarse]
        for name in ("open", "high", "low", "close"):
            assert both[name].equals(both[f"{name}_there"].alias(name))
        assert (both["volume"] / both["volume_there"] - 1).abs().max() <= 1e-12


def _assert_adds_up(folder: Path, name: str, fine: str, coarse: str, exceptions: list[str]) -> None:
    built = resample(pl.read_parquet(folder / name), fine, coarse)
    recorded = pl.read_parquet(folder / f"klines_{coarse}.parquet")
    both = built.join(recorded, on=["symbol", "open_time"], suffix="_there")
    first_of_symbol = pl.col("open_time") == pl.col("open_time").min().over("symbol")
    both = both.filter(~first_of_symbol)  # the recording may begin inside that candle
    assert len(both) > 700
    unequal = both.filter(
        pl.any_horizontal(
            pl.col(p) != pl.col(f"{p}_there") for p in ("open", "high", "low", "close")
        )
        | ((pl.col("volume") / pl.col("volume_there") - 1).abs() > 1e-12)
    )
    times = unequal["open_time"].dt.strftime("%Y-%m-%dT%H:%MZ").unique().to_list()
    assert sorted(times) == exceptions
