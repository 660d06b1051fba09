"""The tape: klines are built from prints alone and equal the source's candles to the digit."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.conftest import shared_path
from workbench.errors import DataError, UsageError
from workbench.execution.matching.tape import Kline, Print, Tape, e8_of_floats, value_e8
from workbench.market.candles import Candles, records_from_columns
from workbench.market.instruments import from_e8
from workbench.market.timeframes import Timeframe, parse_timeframe

MINUTE = parse_timeframe("1m")
START_MS = 1_735_689_600_000  # Wednesday 2025-01-01T00:00Z


def candles(times: list[int] | None = None, timeframe: Timeframe = MINUTE) -> Candles:
    """Return candles with rising prices: candle i opens at 100 + i, reaches +3 and -2, closes at +1."""
    times = times if times is not None else [START_MS + i * 60_000 for i in range(12)]
    opens = 100.0 + np.arange(len(times))
    records = records_from_columns(
        np.array(times),
        opens,
        opens + 3,
        opens - 2,
        opens + 1,
        np.full(len(times), 0.00000007),
        timeframe,
    )
    return Candles("BTCUSDT", timeframe, records)


def recorded(file: str, symbol: str, interval: str, count: int) -> Candles:
    frame = (
        pl.read_parquet(shared_path(f"data/{file}")).filter(pl.col("symbol") == symbol).head(count)
    )
    columns = [frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    times = frame["open_time"].to_physical().to_numpy()
    timeframe = parse_timeframe(interval)
    return Candles(symbol, timeframe, records_from_columns(times, *columns, timeframe))


def all_klines(tape: Tape, timeframe: Timeframe, played: int | None = None) -> list[Kline]:
    played = len(tape) if played is None else played
    return list(tape.klines(timeframe, played, start_ms=0, end_ms=None, limit=10**9))


def from_prints(prints: list[Print], timeframe: Timeframe) -> list[tuple[int, ...]]:
    """Build klines as a newcomer would: group trades by time, look at their prices."""
    built = []
    for opened, group in groupby(prints, key=lambda one: timeframe.floor(one.time_ms)):
        of = list(group)
        prices = [one.price_e8 for one in of]
        built.append(
            (
                opened,
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
                sum(one.quantity_e8 for one in of),
                sum(one.quote_e8 for one in of),
                len(of),
                sum(one.quantity_e8 for one in of if not one.seller_takes),
            )
        )
    return built


def told(kline: Kline) -> tuple[int, ...]:
    return (
        kline.open_ms,
        kline.open_e8,
        kline.high_e8,
        kline.low_e8,
        kline.close_e8,
        kline.volume_e8,
        kline.quote_volume_e8,
        kline.trades,
        kline.taker_volume_e8,
    )


@pytest.mark.parametrize(
    ("file", "symbol", "interval"),
    [
        ("klines_1m_BTCUSDT_2025-01.parquet", "BTCUSDT", "1m"),
        ("klines_1h.parquet", "XRPUSDT", "1h"),
        ("klines_1d.parquet", "ADAUSDT", "1d"),
    ],
)
def test_klines_of_recorded_candles_read_back_as_the_same_floats(
    file: str, symbol: str, interval: str
) -> None:
    source = recorded(file, symbol, interval, 3_000)
    tape = Tape(source)
    klines = all_klines(tape, source.timeframe)
    for name in ("open", "high", "low", "close", "volume"):
        published = [float(from_e8(getattr(kline, f"{name}_e8"))) for kline in klines]
        assert published == source.records[name].tolist()
    assert [kline.open_ms for kline in klines] == source.records["open_time"].tolist()


@pytest.mark.parametrize("interval", ["1m", "3m", "5m", "1h", "1w", "1M"])
def test_klines_are_what_anyone_would_build_from_the_prints(interval: str) -> None:
    tape, timeframe = Tape(candles()), parse_timeframe(interval)
    for played in (1, 2, 4, 23, len(tape)):
        prints = [tape.print_at(i) for i in range(played)]
        assert [told(k) for k in all_klines(tape, timeframe, played)] == from_prints(
            prints, timeframe
        )


def test_a_candle_prints_open_low_high_close_and_its_volume_exactly() -> None:
    tape = Tape(candles())
    prints = [tape.print_at(i) for i in range(4)]
    assert [one.price_e8 // 10**8 for one in prints] == [100, 98, 103, 101]
    assert [one.quantity_e8 for one in prints] == [4, 1, 1, 1]
    assert [one.time_ms - START_MS for one in prints] == [0, 19_999, 39_999, 59_999]
    assert [one.seller_takes for one in prints] == [False, True, False, True]


def test_a_gap_makes_no_kline() -> None:
    times = [START_MS, START_MS + 60_000, START_MS + 10 * 60_000]
    tape = Tape(candles(times))
    assert [k.open_ms for k in all_klines(tape, MINUTE)] == times
    five = all_klines(tape, parse_timeframe("5m"))
    assert [k.open_ms - START_MS for k in five] == [0, 600_000]


def test_the_unfinished_candle_shows_only_what_was_printed() -> None:
    last = all_klines(Tape(candles()), MINUTE, played=6)[-1]
    assert (last.open_e8, last.high_e8, last.low_e8, last.close_e8) == tuple(
        x * 10**8 for x in (101, 101, 99, 99)
    )
    assert last.trades == 2


def test_with_a_start_the_oldest_come_first_and_without_one_the_newest() -> None:
    tape, minute = Tape(candles()), 60_000
    since = tape.klines(MINUTE, len(tape), start_ms=START_MS + 1, end_ms=None, limit=2)
    assert [(k.open_ms - START_MS) // minute for k in since] == [1, 2]
    until = tape.klines(MINUTE, len(tape), start_ms=None, end_ms=START_MS + 5 * minute + 1, limit=2)
    assert [(k.open_ms - START_MS) // minute for k in until] == [4, 5]
    newest = tape.klines(MINUTE, len(tape), start_ms=None, end_ms=None, limit=3)
    assert [(k.open_ms - START_MS) // minute for k in newest] == [9, 10, 11]
    five = parse_timeframe("5m")
    window = tape.klines(
        five, len(tape), start_ms=START_MS + minute, end_ms=START_MS + 9 * minute, limit=9
    )
    assert [(k.open_ms - START_MS) // minute for k in window] == [5]


@pytest.mark.parametrize(
    ("source", "asked"), [("5m", "1m"), ("5m", "3m"), ("3m", "5m"), ("1d", "1h")]
)
def test_an_interval_that_candles_do_not_add_up_to_is_refused(source: str, asked: str) -> None:
    timeframe = parse_timeframe(source)
    tape = Tape(candles([START_MS, START_MS + timeframe.mean_ms], timeframe))
    with pytest.raises(
        UsageError, match=f"{asked} klines cannot be built from a replay of {source}"
    ):
        all_klines(tape, parse_timeframe(asked))


@given(st.integers(1, 10**14), st.integers(0, 10**16))
def test_value_is_the_whole_part_of_the_exact_product(price: int, quantity: int) -> None:
    exact = price * quantity // 10**8
    assume(exact < 2**63)
    assert int(value_e8(np.array([price]), np.array([quantity]))[0]) == exact


def test_a_month_of_bitcoins_turnover_does_not_overflow() -> None:
    days = [START_MS + i * 86_400_000 for i in range(31)]
    source = candles(days, parse_timeframe("1d"))
    source.records["volume"] = 60_000_000.0  # x about 115 USDT x 31 days = 2e11 USDT
    month = all_klines(Tape(source), parse_timeframe("1M"))
    assert len(month) == 1
    prints = [Tape(source).print_at(i) for i in range(31 * 4)]
    assert month[0].quote_volume_e8 == sum(one.quote_e8 for one in prints) > 2**63
    assert month[0].volume_e8 == 31 * 60_000_000 * 10**8


def test_a_volume_beyond_int64_is_refused() -> None:
    source = candles()
    source.records["volume"] = 1e12
    with pytest.raises(DataError, match="too large to be counted at 1e-8"):
        Tape(source)


@given(st.integers(0, 10**18))
def test_a_decimal_that_went_through_a_float_reads_back_as_that_float(amount_e8: int) -> None:
    value = float(from_e8(amount_e8))
    assert float(from_e8(int(e8_of_floats(np.array([value]))[0]))) == value
