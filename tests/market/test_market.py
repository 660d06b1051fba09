"""Timeframes, candles and instruments keep their rules."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.candle_builders import candles_of
from workbench.errors import DataError, UsageError
from workbench.market.candles import CANDLE, Candles, records_from_columns
from workbench.market.instruments import KNOWN, SCALE, from_e8, infer_instrument, instrument, to_e8
from workbench.market.timeframes import TIMEFRAMES, parse_timeframe


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_week_opens_on_monday_and_a_month_on_its_first_day() -> None:
    week, month = parse_timeframe("1w"), parse_timeframe("1M")
    assert week.floor(_ms("2025-10-02T17:40")) == _ms("2025-09-29")  # a Thursday's Monday
    assert month.floor(_ms("2024-02-29T23:59")) == _ms("2024-02-01")
    assert month.next(_ms("2024-12-01")) == _ms("2025-01-01")
    assert month.steps(_ms("2024-11-01"), _ms("2025-02-01")) == 3


@given(st.sampled_from(sorted(TIMEFRAMES)), st.integers(0, 4_000_000_000_000))
def test_every_time_lies_in_the_candle_that_floor_names(name: str, time_ms: int) -> None:
    timeframe = parse_timeframe(name)
    opened = timeframe.floor(time_ms)
    assert opened <= time_ms < timeframe.next(opened)
    assert timeframe.floor(opened) == opened


def test_an_unknown_interval_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown interval '7m'; use one of 1s 1m"):
        parse_timeframe("7m")


def test_gaps_are_counted_and_nothing_is_filled() -> None:
    frame = pl.DataFrame(
        {
            "open_time": [datetime(2025, 1, 1, h, tzinfo=UTC) for h in (0, 1, 4, 5)],
            **{name: [1.0, 2.0, 3.0, 4.0] for name in ("open", "high", "low", "close", "volume")},
        }
    )
    candles = Candles.from_frame(frame, parse_timeframe("1h"))
    assert candles.records["missing_before"].tolist() == [0, 0, 2, 0]
    assert len(candles) == 4


def test_unsorted_and_impossible_candles_are_refused() -> None:
    good = candles_of([1.0, 2.0], [1.5, 2.5])
    frame = good.frame()
    with pytest.raises(DataError, match="times must rise"):
        Candles.from_frame(frame.reverse(), good.timeframe)
    with pytest.raises(DataError, match="high must not lie below"):
        Candles.from_frame(frame.with_columns(high=pl.lit(0.1)), good.timeframe)
    with pytest.raises(DataError, match="lacks volume"):
        Candles.from_frame(frame.drop("volume"), good.timeframe)


@pytest.mark.parametrize("bad", [None, 0, 4_096, 77_777, 149_999])
def test_a_long_series_is_written_and_looked_at_to_its_last_candle(bad: int | None) -> None:
    minute, count = parse_timeframe("1m"), 150_000
    times = np.arange(count, dtype=np.int64) * 60_000
    opens = 100.0 + np.arange(count) % 1_000 / 100.0
    volumes = np.arange(count, dtype=float)
    if bad is not None:
        volumes[bad] = -1.0
        with pytest.raises(DataError, match=f"candle {bad} at .*volume must be finite and not neg"):
            records_from_columns(times, opens, opens + 2, opens - 2, opens + 1, volumes, minute)
        return
    records = records_from_columns(times, opens, opens + 2, opens - 2, opens + 1, volumes, minute)
    assert records["open_time"].tolist() == times.tolist()
    assert records["high"].tolist() == (opens + 2).tolist()
    assert records["low"].tolist() == (opens - 2).tolist()
    assert records["close"].tolist() == (opens + 1).tolist()
    assert records["volume"].tolist() == volumes.tolist()
    assert not records["missing_before"].any()


def test_the_hash_covers_every_field_and_no_padding() -> None:
    candles = candles_of([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
    copy = np.frombuffer(bytearray(b"\xff" * candles.records.nbytes), CANDLE).copy()
    for name in CANDLE.names or ():
        copy[name] = candles.records[name]
    same = Candles(candles.symbol, candles.timeframe, copy)
    assert same.sha256 == candles.sha256
    copy["aux"][1, 3] = 1e-300
    assert Candles(candles.symbol, candles.timeframe, copy).sha256 != candles.sha256


@given(st.integers(-(10**17), 10**17))
def test_amounts_at_1e_8_survive_their_text(amount: int) -> None:
    assert to_e8(from_e8(amount)) == amount


@pytest.mark.parametrize("text", ["0.000000001", "nan", "inf", "ten"])
def test_an_amount_that_is_finer_or_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal"):
        to_e8(text)


def test_one_lot_at_one_tick_is_a_whole_number_for_every_known_pair() -> None:
    for symbol in KNOWN:
        rules = instrument(symbol)
        assert rules.unit_e8 * SCALE == rules.tick_e8 * rules.step_e8


def test_a_tick_is_inferred_from_prices() -> None:
    candles = candles_of([0.5, 0.5123], [0.5001, 0.51])
    assert infer_instrument("XRPUSDT", candles.records).tick_e8 == to_e8("0.0001")
    with pytest.raises(UsageError, match="unknown symbol 'DOGEUSDT'"):
        instrument("DOGEUSDT")
